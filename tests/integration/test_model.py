"""Every KPI of the demo company, in every cell and every cut, as the independent model has it."""

import csv
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from model import KPIS, Cell, Figure, figures
from model_records import Company, Decisions, Stage, company_of, named
from model_runs import differences, published, take_in

from kpimart import pipeline
from kpimart.demo import write
from kpimart.demo.company import Company as Demo
from kpimart.demo.export import SEED, UNTIL
from kpimart.paths import SEEDS
from kpimart.settings import Settings, load_settings
from sampling import IS_FULL

# The same model is sampled by test_random_companies.
pytestmark = pytest.mark.skipif(not IS_FULL, reason="three years of the demo: make test-full")

CONFIG = Path(__file__).parents[2] / "examples" / "demo" / "kpimart.toml"
OPENED_ON = date(2023, 10, 16) if IS_FULL else date(2026, 5, 10)


@dataclass(frozen=True)
class Both:
    """What the model and the product make of the same export."""

    modelled: dict[Cell, Figure]
    published: dict[Cell, Figure]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    root = tmp_path_factory.mktemp("model")
    demo = Demo(seed=SEED, opened_on=OPENED_ON)
    demo.advance(UNTIL)
    write(root / "export", demo.crm)
    settings = load_settings(CONFIG, home=root / "home")
    take_in(settings, root / "export")
    build = pipeline.build(settings)
    company = read(root / "export", settings)
    as_of = datetime(UNTIL.year, UNTIL.month, UNTIL.day, tzinfo=settings.zone).astimezone(UTC)
    return Both(figures(company, as_of, OPENED_ON), published(build.database))


def read(export: Path, settings: Settings) -> Company:
    """The company as its export tells of it."""
    records = {
        path.stem: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in export.glob("*.ndjson")
    }
    with (SEEDS / "exchange_rate.csv").open(newline="") as file:
        rates = [row for row in csv.DictReader(file) if row["to_currency"] == settings.base_currency]
    with (SEEDS / "holiday.csv").open(newline="", encoding="utf-8") as file:
        holidays = [row for row in csv.DictReader(file) if row["calendar"] == settings.holidays]
    stages = {
        (named(stage.pipeline), stage.name): Stage(
            stage.outcome, None if stage.probability is None else Decimal(str(stage.probability))
        )
        for stage in settings.files.stages
    }
    return company_of(
        records,
        Decisions(
            zone=settings.zone,
            base_currency=settings.base_currency,
            stages=stages,
            rates=tuple(
                (row["from_currency"], date.fromisoformat(row["valid_on"]), Decimal(row["rate"])) for row in rates
            ),
            holidays={date.fromisoformat(row["day"]): row["is_working_day"] == "true" for row in holidays},
        ),
    )


def test_the_model_has_every_kpi_of_the_catalogue() -> None:
    with (SEEDS / "kpi_catalogue.csv").open(newline="", encoding="utf-8") as file:
        assert {row["kpi_code"] for row in csv.DictReader(file)} == KPIS.keys()


def test_every_cell_is_as_the_model_has_it(both: Both) -> None:
    assert len(both.published) > 200_000
    assert differences(both.modelled, both.published) == ""


def test_every_kpi_is_somewhere_not_nothing(both: Both) -> None:
    # An export tells of no date that was moved, and a year without a purchase takes longer than the demo's sample.
    rare = {"slipped_amount"} if IS_FULL else {"slipped_amount", "lost_customers"}
    assert {cell.kpi for cell, figure in both.modelled.items() if figure.value} == KPIS.keys() - rare
