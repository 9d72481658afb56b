"""One company, read through every door into one warehouse: its own export, and the APIs of three CRMs.

Each door's managers have the figures that the export's have: on the first night, and after nights in which deals were
won, lost, reopened, handed over, merged and deleted. The export has everything; what a CRM's API cannot tell is named
here, with the reason, and nothing else may differ. Nor do the records of one CRM get in the way of another's.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kpimart import pipeline
from kpimart.demo import write
from kpimart.demo.nights import reading
from kpimart.demo.server import Served, World, amocrm, bitrix24, hubspot, serve
from kpimart.settings import Settings, load_settings
from kpimart.warehouse import open_database
from sampling import IS_FULL
from summaries import wrong_sentences

EXAMPLES = Path(__file__).parents[2] / "examples"
OPENED_ON, UNTIL = date(2026, 5, 1), date(2026, 9, 1)
NIGHTS = 2 if IS_FULL else 1

Figures = dict[tuple[Any, ...], Decimal]


@dataclass(frozen=True)
class Door:
    """What is compared: the KPIs, and whether manager by manager or all of them together."""

    kpi_codes: tuple[str, ...]
    is_by_manager: bool = True


DOORS = {
    "hubspot": Door(("won_amount", "won_deals", "lost_deals", "created_deals", "open_deals")),
    # Owners of the past are not told: what happened before the first night is credited to who has the deal then. When
    # a deal older than the CRM was created is what the portal says: the day on which it was entered.
    "bitrix24": Door(("won_amount", "won_deals", "lost_deals", "open_deals"), is_by_manager=False),
    # Amounts are whole units of one currency, so money is not compared. A lead is created when it was accepted.
    "amocrm": Door(("won_deals", "lost_deals")),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("doors")


@pytest.fixture(scope="module")
def releases(home: Path) -> list[Path]:
    """The company lives on for some days between two nights, in each of which every door is read."""
    made = []
    served = Served(World(until=UNTIL, opened_on=OPENED_ON), limits=False)
    with serve(served) as url:
        for night in range(NIGHTS):
            served.world.advance(days=10 if night else 0)
            export = home / f"export-{night}"
            write(export, served.world.crm)
            done = pipeline.run(every_door(home, url), files=export, as_of=served.world.now)
            made.append(done.release.database)
    return made


def every_door(home: Path, url: str) -> Settings:
    """The settings of the demo's export, with those of its CRMs."""
    export = load_settings(EXAMPLES / "demo" / "kpimart.toml", home=home)
    examples = {door: load_settings(EXAMPLES / f"demo_{door}" / "kpimart.toml") for door in DOORS}
    served = {door: getattr(reading(settings, url), door) for door, settings in examples.items()}
    return export.model_copy(update={"sources": ("files", *DOORS), **served})


def figures(release: Path, crm: str, door: Door) -> Figures:
    """(KPI, grain, first day, manager) → value of what is not 0, of one CRM's managers."""
    codes = ", ".join(f"'{code}'" for code in door.kpi_codes)
    with open_database(release) as connection:
        rows = connection.execute(
            f"""
            select kpi_code, period_grain, period_start, {"entity_name" if door.is_by_manager else "'all'"}, sum(value)
            from kpi_value
            where kpi_code in ({codes}) and entity_level = 'manager' and starts_with(entity_key, '{crm}:')
            group by all
            having sum(value) <> 0
            """
        ).fetchall()
    return {tuple(row[:-1]): row[-1] for row in rows}


@pytest.mark.parametrize("night", range(NIGHTS))
@pytest.mark.parametrize("crm", DOORS)
def test_the_figures_of_a_crm_are_those_of_the_export(releases: list[Path], crm: str, night: int) -> None:
    door = DOORS[crm]
    expected, found = (figures(releases[night], source, door) for source in ("files", crm))
    assert len(expected) > 300
    both = {key: (expected.get(key), found.get(key)) for key in expected | found}
    assert {key: values for key, values in both.items() if values[0] != values[1]} == {}


def test_every_sentence_about_the_demo_is_proved(releases: list[Path]) -> None:
    with open_database(releases[-1]) as reporting:
        assert wrong_sentences(reporting) == []


def tables_with(texts: list[str], database: Path) -> list[str]:
    """The tables of a DuckDB file that have one of the texts in a row."""
    found = []
    with open_database(database) as connection:
        columns = connection.execute(
            """
            select schema_name || '.' || table_name, list('"' || column_name || '"')
            from duckdb_columns()
            where contains(data_type, 'VARCHAR') or data_type = 'JSON'
            group by all
            """
        ).fetchall()
        for table, names in columns:
            holds = " or ".join(f"contains(cast({name} as varchar), '{text}')" for name in names for text in texts)
            rows = connection.execute(f"select count(*) from {table} where {holds}").fetchone()
            if rows != (0,):
                found.append(table)
    return found


def test_no_token_lies_anywhere(releases: list[Path], home: Path) -> None:
    tokens = [hubspot.TOKEN, bitrix24.WEBHOOK_TOKEN, amocrm.TOKEN]
    files = [path for path in home.rglob("*") if path.is_file()]
    databases = [path for path in files if path.suffix == ".duckdb"]
    # What lies in the packages is in raw, too.
    texts = {path: path.read_bytes() for path in files if path.suffix not in (".duckdb", ".parquet")}
    assert {path.suffix for path in texts} >= {".log", ".json", ".jsonl", ".msgpack"}
    assert [path for path, text in texts.items() if any(token.encode() in text for token in tokens)] == []
    assert {path.name: tables_with(tokens, path) for path in databases} == {
        "warehouse.duckdb": [],
        "reporting.duckdb": [],
    }
