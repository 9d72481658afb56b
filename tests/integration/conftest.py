"""The product on the real export, run once for all tests that only look at what it published; and a small company."""

from pathlib import Path

import pytest
from product import EXPORT, Product, Release
from small_company import Company, company_in


@pytest.fixture(scope="session")
def export() -> Path:
    if not EXPORT.is_dir():
        pytest.skip(f"the real export is not at {EXPORT}")
    return EXPORT


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    return Product(tmp_path_factory.mktemp("real_export") / "home")


@pytest.fixture(scope="session")
def first_run(product: Product, export: Path) -> Release:
    return product.run(export)


@pytest.fixture
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A small company as it was after its first night."""
    return company_in(tmp_path_factory)
