"""The small company, as the tests of the command line know it."""

import pytest
from small_company import Company, company_in


@pytest.fixture
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A small company as it was after its first night."""
    return company_in(tmp_path_factory)
