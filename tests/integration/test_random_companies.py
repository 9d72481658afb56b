"""Companies made up at random, side by side in one warehouse: every cell is as the independent model has it.

What must not matter does not: in which night, in which order and with what else the same records are told, and how much
is known by the time a release is built anew. `make test` looks at one set of companies, `make test-full` at more, in
other time zones, and at every night.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from model import KPIS, MAIN, Cell, Cut, Figure, figures
from model_runs import differences, published
from random_companies import FIRST_DAY, NIGHTS, Told, companies, side_by_side
from random_runs import Night, Warehouse, modelled

from kpimart.publish.contract import BUILT
from sampling import IS_FULL

ZONES = [ZoneInfo(key) for key in ("Asia/Beirut", "America/Santiago", "Europe/Berlin", "Pacific/Auckland")]
CASES = list(enumerate(ZONES)) if IS_FULL else [(0, ZONES[0])]
COMPANIES = 40
EARLY_NIGHTS = range(2)
ADDITIVE = ("won_amount", "won_deals", "lost_deals", "created_deals", "created_amount", "reopened_deals", "open_deals",
            "open_amount", "slipped_amount", "leads_created", "activities")  # fmt: skip
EXACT = Decimal("1e-8")


@dataclass(frozen=True)
class Case:
    """A set of companies as the model knows them and as three builds do.

    early: a release of the first nights; again: the same two moments built anew when more was known; late: all that was
    told, in another order and other nights.
    """

    zone: ZoneInfo
    told: list[Told]
    early: Night
    again: Night
    late: Night

    def modelled(self, nights: range, as_of: datetime) -> dict[Cell, Figure]:
        """What the model makes of what these nights told."""
        known = modelled([each for each in self.told if each.night in nights], self.zone)
        return figures(known, as_of, FIRST_DAY)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case[1].key)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    number, zone = request.param
    root = tmp_path_factory.mktemp("companies")
    told = side_by_side(companies(COMPANIES, number=number, zone=zone))
    # In the midst of the night in which clocks change, and in the midst of a day.
    early_as_of = datetime(2026, 3, 29, 2, 30, tzinfo=zone).astimezone(UTC)
    late_as_of = datetime(2026, 4, 16, 10, 30, tzinfo=zone).astimezone(UTC)
    home = Warehouse(root / "in-order", zone)
    for night in range(NIGHTS):
        home.take_in(each for each in told if each.night == night)
        if night == EARLY_NIGHTS[-1]:
            early = home.build(early_as_of)
    again = home.build(early.build.as_of, known_at=early.build.known_at)
    other = Warehouse(root / "otherwise", zone)
    otherwise = told_otherwise(told, number)
    for night in range(NIGHTS):
        other.take_in(each for each in otherwise if each.night == night)
    return Case(zone, told, early, again, other.build(late_as_of))


def told_otherwise(told: list[Told], number: int) -> list[Told]:
    """The same records in another order, each version in another night, so that many come late."""
    chance = random.Random(number)  # noqa: S311
    records: dict[tuple[object, ...], list[Told]] = defaultdict(list)
    for each in told:
        row = each.row
        key = row.get("id") or (row["manager"], row.get("deal"), row["valid_from"], row.get("is_overlay"))
        records[each.object_name, key].append(each)
    moved = [
        replace(each, night=night)
        for versions in records.values()
        for each, night in zip(versions, chance.sample(range(NIGHTS), len(versions)), strict=True)
    ]
    return chance.sample(moved, len(moved))


@pytest.fixture(scope="module")
def late_figures(case: Case) -> dict[Cell, Figure]:
    return published(case.late.tables)


def test_every_cell_is_as_the_model_has_it_in_whatever_order_it_was_told(
    case: Case, late_figures: dict[Cell, Figure]
) -> None:
    assert len(late_figures) > 100_000
    assert differences(case.modelled(range(NIGHTS), case.late.build.as_of), late_figures) == ""


def test_every_cell_of_an_early_night_is_as_the_model_has_it(case: Case) -> None:
    expected = case.modelled(EARLY_NIGHTS, case.early.build.as_of)
    assert differences(expected, published(case.early.tables)) == ""


def test_a_release_equals_what_is_built_later_at_its_two_moments(case: Case) -> None:
    assert list(differing_tables(case.early.tables, case.again.tables)) == []


def differing_tables(one: Path, other: Path) -> Iterator[str]:
    """The published tables that do not have the same rows, each as often."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only); attach '{other}' as other (read_only)")
        for table in BUILT:
            sides = f"one.{table.relation}", f"other.{table.relation}"
            for left, right in (sides, sides[::-1]):
                rows = connection.execute(f"select count(*) from (from {left} except all from {right})").fetchone()
                if rows != (0,):
                    yield f"{table.name}: {rows} more in {left}"


def test_every_entity_s_parts_add_up_in_every_lens(late_figures: dict[Cell, Figure]) -> None:
    """Managers, seats, and the values of a property, each to the company's one total; on top is on top."""
    sums: dict[tuple[object, ...], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for cell, figure in late_figures.items():
        if cell.kpi in ADDITIVE and cell.cut.lens != "overlay" and cell.cut.basis == "booking" and figure.value:
            where = cell.kpi, cell.grain, cell.start
            if cell.level != "department":
                sums[where][f"{cell.cut.lens} {cell.cut.by} {cell.level}"] += figure.value
    finer = {grain: grain in ("day", "week") for grain in ("day", "week", "month", "quarter", "year")}
    wrong = {
        where: dict(parts)
        for where, parts in sums.items()
        if len(set(parts.values())) > 1 or (not finer[str(where[1])] and len(parts) < len(LENSES_AND_PROPERTIES) * 3)
    }
    assert {where: parts for where, parts in wrong.items() if any(parts.values())} == {}


LENSES_AND_PROPERTIES = ("at_event all", "at_event pipeline", "at_event product", "at_event lead_source",
                         "current_owner all", "split all")  # fmt: skip


def test_every_ratio_is_a_quotient_of_sums(late_figures: dict[Cell, Figure]) -> None:
    """Of the numerators and denominators of the managers, where those add up."""
    parts: dict[tuple[str, Cut, str, object], list[Figure]] = defaultdict(list)
    for cell, figure in late_figures.items():
        if cell.kpi in ("win_rate", "lead_conversion", "stale_open_share") and cell.level == "manager":
            parts[cell.kpi, cell.cut, cell.grain, cell.start].append(figure)
    assert len(parts) > 100
    for (kpi, cut, grain, start), several in parts.items():
        company = late_figures[Cell(kpi, cut, grain, start, "company", "company")]  # type: ignore[arg-type]
        over = sum((figure.numerator or Decimal(0) for figure in several), Decimal(0))
        under = sum((figure.denominator or Decimal(0) for figure in several), Decimal(0))
        assert (company.numerator, company.denominator) == (over, under)
        if under > 0:
            assert company.value is not None
            assert abs(company.value - (over / under).quantize(EXACT, ROUND_HALF_UP)) <= EXACT
        else:
            assert company.value is None


def test_every_kpi_is_somewhere_not_nothing(late_figures: dict[Cell, Figure]) -> None:
    seen = {cell.kpi for cell, figure in late_figures.items() if cell.cut == MAIN and figure.value}
    # Nobody plans.
    assert seen == KPIS.keys() - {"plan_attainment", "pipeline_coverage"}
