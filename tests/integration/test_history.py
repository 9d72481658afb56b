"""Runs after the first: nothing new, a past day, a later day, and an export in which something changed."""

import csv
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from comparison import FIGURES, PERIOD, compare, unmatched_rows, wrong_figures
from product import Product, Release

from sampling import IS_FULL

AS_OF = date(2018, 1, 1)
MID_2017 = date(2017, 7, 1)
# A Wednesday in the middle of a month, more than a year after the last purchase: customers have been lost by then.
JANUARY_2019 = date(2019, 1, 16)

CORRECTED_DEAL = {"opportunity_id": "1C1I7A6R", "close_value": "2054"}  # won on 2017-03-01, 1,054 until now
NEWLY_WON_DEAL = {"deal_stage": "Won", "close_date": "2017-12-29", "close_value": "777"}  # was engaging
HISTORY_OF_RUNS = {"release", "quality_result"}

pytestmark = pytest.mark.skipif(not IS_FULL, reason="five builds: make test-full; sampled by test_random_companies")


@dataclass(frozen=True)
class Rerun:
    release: Release
    raw_before: dict[str, int]
    raw_after: dict[str, int]


@dataclass(frozen=True)
class Change:
    """Two runs over a changed export: as known after the change, and as known between the first run and the change."""

    export: Path
    now: Release
    as_known_before: Release


@pytest.fixture(scope="module")
def rerun(product: Product, export: Path, first_run: Release) -> Rerun:
    raw_before = product.raw_versions()
    release = product.run(export)
    return Rerun(release, raw_before, product.raw_versions())


@pytest.fixture(scope="module")
def past_run(product: Product, export: Path, rerun: Rerun) -> Release:
    return product.run(export, "--as-of", MID_2017.isoformat())


@pytest.fixture(scope="module")
def change(product: Product, export: Path, past_run: Release, tmp_path_factory: pytest.TempPathFactory) -> Change:
    changed_export = tmp_path_factory.mktemp("changed") / "export"
    change_export(export, changed_export)
    before = moment_between_runs()
    now = product.run(changed_export)
    return Change(changed_export, now, product.run(changed_export, "--known-at", before))


@pytest.fixture(scope="module")
def later_run(export: Path, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """In a home of its own, where no later as_of has been before."""
    later = Product(tmp_path_factory.mktemp("later") / "home")
    return later.run(export, "--as-of", JANUARY_2019.isoformat())


def moment_between_runs() -> str:
    """A moment in whole seconds that the runs so far lie before and the next ones after."""
    time.sleep(1)
    moment = datetime.now(UTC).replace(microsecond=0)
    time.sleep(1)
    return moment.isoformat()


def change_export(export: Path, changed: Path) -> None:
    """Copy the export; correct the amount of a won deal, and win the first engaging deal that has an account."""
    shutil.copytree(export, changed)
    pipeline = changed / "sales_pipeline.csv"
    pipeline.chmod(0o644)
    with pipeline.open(newline="") as file:
        deals = list(csv.DictReader(file))
    corrected = next(deal for deal in deals if deal["opportunity_id"] == CORRECTED_DEAL["opportunity_id"])
    corrected.update(CORRECTED_DEAL)
    won = next(deal for deal in deals if deal["deal_stage"] == "Engaging" and deal["account"])
    won.update(NEWLY_WON_DEAL)
    with pipeline.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(deals[0]))
        writer.writeheader()
        writer.writerows(deals)


def contradictions(release: Release, export: Path, as_of: date, *, first_export: Path | None = None) -> str:
    compared = compare(release, export, as_of, first_export=first_export)
    wrong = [wrong_figures(compared, column) for column in (*PERIOD, *FIGURES)]
    return "\n".join(text for text in (unmatched_rows(compared), *wrong) if text)


def differing_tables(one: Release, other: Release) -> list[str]:
    left, right = one.tables(), other.tables()
    return sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))


def company_in(release: Release, grain: str, start: str) -> dict[str, Decimal | int]:
    rows = release.query(
        f"""
        select kpi_code, value from reporting.kpi_value
        where entity_level = 'company' and period_grain = '{grain}' and period_start = date '{start}'
        """
    )
    return dict(zip(rows["kpi_code"], rows["value"], strict=True))


def test_a_second_run_stores_no_new_version(rerun: Rerun) -> None:
    assert sum(rerun.raw_before.values()) > 8800
    assert rerun.raw_after == rerun.raw_before


def test_a_second_run_publishes_identical_tables(first_run: Release, rerun: Rerun) -> None:
    assert set(differing_tables(first_run, rerun.release)) <= HISTORY_OF_RUNS


def test_a_second_run_becomes_current(rerun: Rerun) -> None:
    assert rerun.release.is_current


def test_a_past_as_of_leaves_out_what_came_after(past_run: Release, export: Path) -> None:
    assert contradictions(past_run, export, MID_2017) == ""


def test_a_past_as_of_does_not_become_current(past_run: Release) -> None:
    assert not past_run.is_current


def test_a_later_as_of_counts_lapsed_customers_and_periods_that_go_on(later_run: Release, export: Path) -> None:
    assert contradictions(later_run, export, JANUARY_2019) == ""


def test_what_was_known_before_a_change_gives_the_earlier_tables(first_run: Release, change: Change) -> None:
    assert set(differing_tables(first_run, change.as_known_before)) <= HISTORY_OF_RUNS


def test_a_corrected_amount_counts_in_the_month_the_deal_was_won(first_run: Release, change: Change) -> None:
    before, after = (company_in(release, "month", "2017-03-01") for release in (first_run, change.now))
    assert after["won_amount"] - before["won_amount"] == 1000
    assert after["won_deals"] == before["won_deals"]


def test_a_deal_newly_won_counts_on_its_day(first_run: Release, change: Change) -> None:
    before, after = (company_in(release, "day", "2017-12-29") for release in (first_run, change.now))
    assert after["won_amount"] - before["won_amount"] == 777
    assert after["won_deals"] - before["won_deals"] == 1


def test_the_year_holds_both_changes(change: Change) -> None:
    year = company_in(change.now, "year", "2017-01-01")
    assert (year["won_deals"], year["won_amount"], year["open_deals"]) == (4239, 10005534 + 1000 + 777, 2088)


def test_every_cell_after_a_change_equals_its_recomputation(change: Change, export: Path) -> None:
    assert contradictions(change.now, change.export, AS_OF, first_export=export) == ""
