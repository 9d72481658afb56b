"""Companies made up at random, side by side in one warehouse: every cell is as the independent model has it.

What must not matter does not: in which night, in which order and with what else the same records are told, and how much
is known by the time a release is built anew. `make test` looks at one set of companies, `make test-full` at more, in
other time zones and calendars, and at every night.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from model import KPIS, MAIN, Cell, Cut, Figure, figures
from model_calendar import Calendar
from model_runs import differences, published
from random_companies import FIRST_DAY, NIGHTS, Told, companies, side_by_side
from random_runs import Night, Warehouse, modelled

from kpimart.publish.contract import BUILT, DEAL_EVENT
from sampling import IS_FULL

WORLDS = [
    (ZoneInfo("Asia/Beirut"), Calendar(weeks=(4, 4, 5), first_month=4, first_weekday=6, is_nearest=False)),
    (ZoneInfo("America/Santiago"), Calendar(first_month=4)),
    (ZoneInfo("Europe/Berlin"), Calendar()),
    (ZoneInfo("Pacific/Auckland"), Calendar(weeks=(5, 4, 4), first_month=3)),
]
CASES = list(enumerate(WORLDS)) if IS_FULL else [(0, WORLDS[0])]
COMPANIES = 48 if IS_FULL else 24
# At midnight, in the midst of the nights in which clocks change, and in the midst of a day.
AS_OF = [datetime(2026, 3, 9), datetime(2026, 3, 29, 2, 30), datetime(2026, 4, 5, 0, 30), datetime(2026, 4, 16, 10, 30)]  # noqa: DTZ001
LAST = NIGHTS - 1
RELEASED = range(NIGHTS) if IS_FULL else (1, LAST)
BUILT_ANEW = range(NIGHTS) if IS_FULL else (1,)
ADDITIVE = ("won_amount", "won_deals", "lost_deals", "created_deals", "created_amount", "reopened_deals", "open_deals",
            "open_amount", "slipped_amount", "leads_created", "activities")  # fmt: skip
RATIOS = {
    "win_rate": ("won_deals", "closed_deals"),
    "avg_won_amount": ("won_amount", "won_deals"),
    "avg_created_amount": ("created_amount", "created_deals"),
    "lead_conversion": ("leads_converted", "leads_created"),
    "activities_per_won_deal": ("activities", "won_deals"),
}
EXACT = Decimal("1e-8")


@dataclass(frozen=True)
class Case:
    """A set of companies as the model knows them, and as builds do.

    released: what was built on a night, of what was told until then. anew: the same two moments, built when all was
    told. otherwise: all that was told, in another order and in other nights, and built once.
    """

    world: tuple[ZoneInfo, Calendar]
    told: list[Told]
    released: Mapping[int, Night]
    anew: Mapping[int, Night]
    otherwise: Night

    def modelled(self, night: int) -> dict[Cell, Figure]:
        """What the model makes of what was told until a night."""
        known = modelled([each for each in self.told if each.night <= night], *self.world)
        return figures(known, self.released[night].build.as_of, FIRST_DAY)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case[1][0].key)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    number, (zone, calendar) = request.param
    root = tmp_path_factory.mktemp("companies")
    told = side_by_side(companies(COMPANIES, number=number, zone=zone, calendar=calendar), calendar)
    home, other = (Warehouse(root / name, zone, calendar) for name in ("in-order", "otherwise"))
    released = {}
    for night, as_of in enumerate(AS_OF):
        home.take_in(each for each in told if each.night == night)
        if night in RELEASED:
            released[night] = home.build(as_of.replace(tzinfo=zone).astimezone(UTC))
    builds = {night: released[night].build for night in BUILT_ANEW}
    anew = {night: home.build(build.as_of, known_at=build.known_at) for night, build in builds.items()}
    otherwise = told_otherwise(told, number)
    for night in range(NIGHTS):
        other.take_in(each for each in otherwise if each.night == night)
    return Case((zone, calendar), told, released, anew, other.build(released[LAST].build.as_of))


def told_otherwise(told: list[Told], number: int) -> list[Told]:
    """The same versions in another order, each in any night: many come late, some together."""
    chance = random.Random(number)  # noqa: S311
    moved = [replace(each, night=chance.randrange(NIGHTS)) for each in told]
    return chance.sample(moved, len(moved))


@pytest.fixture(scope="module")
def late_figures(case: Case) -> dict[Cell, Figure]:
    return published(case.released[LAST].tables)


def test_every_cell_of_every_night_is_as_the_model_has_it(case: Case, late_figures: dict[Cell, Figure]) -> None:
    assert len(late_figures) > 100_000
    for night, release in case.released.items():
        found = late_figures if night == LAST else published(release.tables)
        assert differences(case.modelled(night), found) == "", f"night {night}"


def test_a_release_equals_what_is_built_later_at_its_two_moments(case: Case) -> None:
    for night, anew in case.anew.items():
        assert list(differing_tables(case.released[night].tables, anew.tables)) == [], f"night {night}"


def test_in_which_order_and_in_which_nights_all_is_told_changes_nothing(case: Case) -> None:
    """Only the ledger knows when what was recorded, and what was believed for a time."""
    in_order, otherwise = case.released[LAST].tables, case.otherwise.tables
    assert list(differing_tables(in_order, otherwise, but=(DEAL_EVENT.name,))) == []


def differing_tables(one: Path, other: Path, *, but: tuple[str, ...] = ()) -> Iterator[str]:
    """The published tables that do not have the same rows, each as often."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only); attach '{other}' as other (read_only)")
        for table in BUILT:
            sides = f"one.{table.relation}", f"other.{table.relation}"
            for left, right in (sides, sides[::-1]) if table.name not in but else ():
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
    """The company's is that of all that its managers have."""
    sums: dict[tuple[str, Cut, str, object], Decimal] = defaultdict(Decimal)
    for cell, figure in late_figures.items():
        if cell.level == "manager" and figure.value:
            sums[cell.kpi, cell.cut, cell.grain, cell.start] += figure.value
    quotients = 0
    for cell, figure in late_figures.items():
        # Where an amount is not converted at the booking rate, its cut has no counts.
        is_countable = cell.kpi in RATIOS and cell.cut.basis == "booking" and figure.numerator is not None
        if is_countable and cell.level == "company":
            over, under = (sums[each, cell.cut, cell.grain, cell.start] for each in RATIOS[cell.kpi])
            assert (figure.numerator, figure.denominator) == (over, under), cell
            if under > 0:
                assert figure.value is not None
                assert abs(figure.value - (over / under).quantize(EXACT, ROUND_HALF_UP)) <= EXACT, cell
                quotients += 1
            else:
                assert figure.value is None, cell
    assert quotients > 100


def test_every_kpi_is_somewhere_not_nothing(late_figures: dict[Cell, Figure]) -> None:
    assert {cell.kpi for cell, figure in late_figures.items() if cell.cut == MAIN and figure.value} == KPIS.keys()
