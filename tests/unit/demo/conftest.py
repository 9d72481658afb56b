"""One export of the demo for all of these tests."""

import pytest

from kpimart.demo import export

from .exported import Export


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The demo as it comes."""
    folder = tmp_path_factory.mktemp("demo")
    export(folder)
    return Export(folder)
