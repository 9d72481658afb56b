"""A small table of sales, and one process that judges for all tests of this folder."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpimart.quality.gate import Judge

Suite = Callable[..., None]

SALES = """
create schema kpi;

create table kpi.sale as
select * from (values
    (1, 'won', 100.00::decimal(18,2), date '2026-11-20'),
    (2, 'won', 250.00, date '2026-11-21'),
    (3, 'lost', 0.00, date '2026-11-21'),
    (4, 'open', null, null)
) as rows (sale_id, outcome, amount, closed_on);
"""


@pytest.fixture(scope="session")
def suites_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("expectations")


@pytest.fixture(scope="session")
def judge(suites_folder: Path) -> Iterator[Judge]:
    with Judge(suites_folder) as judge:
        yield judge


@pytest.fixture
def suite(suites_folder: Path) -> Iterator[Suite]:
    """`suite(table, *expectations)` writes a suite; each test starts without any."""

    def write(table: str, *expectations: dict[str, Any], boundary: str = "reporting") -> None:
        folder = suites_folder / boundary
        folder.mkdir(exist_ok=True)
        (folder / f"{table}.json").write_text(json.dumps({"name": table, "expectations": expectations}))

    yield write
    for path in suites_folder.glob("*/*.json"):
        path.unlink()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A built database that holds `kpi.sale`; its name is one that wants quoting."""
    path = tmp_path / "Tuesday's build.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(SALES)
    return path
