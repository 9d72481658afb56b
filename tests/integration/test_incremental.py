"""A night that derives only the deals that changed leaves the tables that a full build would.

Companies made up at random are told of night by night: versions late and early, deletions, merges, handovers, reopened
deals, managers who move back in time. One of the nights dies between two models; in another one the clock jumps back.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import duckdb
import pytest
from model_calendar import Calendar
from random_companies import NO_DEAL, Told, companies, side_by_side
from random_runs import Warehouse, configuration

from kpimart import building, pipeline, transform
from kpimart.clock import utc_now
from kpimart.errors import BuildFailed
from kpimart.paths import SEEDS
from kpimart.settings import load_settings
from kpimart.transform import Transformation
from kpimart.warehouse import WAREHOUSE_FILE
from sampling import IS_FULL

# Nights of random companies are sampled by test_random_companies.
pytestmark = pytest.mark.skipif(not IS_FULL, reason="a history and a full build beside it: make test-full")

ZONE = ZoneInfo("Europe/Berlin")
CALENDAR = Calendar()
# What the companies tell of days to come has not happened in the first nights, and has in the last.
FIRST, SECOND, LAST = (datetime(2026, *day, 10, 30, tzinfo=ZONE).astimezone(UTC) for day in ((3, 9), (3, 30), (4, 16)))
COMPANIES = 12
# They tell of the builds themselves, and of what each found changed.
OF_BUILDS = {
    "build_moment",
    "stg_kpimart__build",
    "stg_kpimart__live_build",
    "int_deal__content",
    "deal_touched",
    "purchase_content",
    "surroundings_content",
}
KEPT = ("stg_files__deal_version", "int_deal__knowledge", "int_deal__facts", "int_deal__entries")
WON_ON = date(2026, 3, 11)
OLD_WIN = {**NO_DEAL, "id": "old-win", "manager": "late", "stage": "Won", "currency": "USD", "amount": "100.00",
           "created_at": "2026-03-11T08:00:00+00:00", "closed_at": "2026-03-11T15:00:00+00:00"}  # fmt: skip


def run_models(select: tuple[str, ...] = (), then: Exception | None = None) -> Callable[..., tuple[str, ...]]:
    """What builds models and seeds, without the tests of data; `select` some of them, and die then."""

    def run(
        transformation: Transformation,
        tell: Any,
        manifest: Any = None,
        *,
        layer: None = None,
        full_refresh: bool = False,
    ) -> tuple[str, ...]:
        arguments = ["build", "--exclude-resource-type", "unit_test", "test"]
        arguments += ["--select", *select] if select else []
        arguments += ["--full-refresh"] if full_refresh else []
        result = transform._invoke(transform._runner(tell, manifest), transformation, arguments)
        assert result.success, result.exception or [(each.node.name, each.message) for each in result.result]
        if then:
            raise then
        return ()

    return run


class Home(Warehouse):
    """A warehouse that is built night by night, and compared with another one that is built in full."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, ZONE, CALENDAR)
        self._root = root
        self._as_of = FIRST
        self._compared = 0

    @property
    def database(self) -> Path:
        return self.settings.home / WAREHOUSE_FILE

    def night(self, as_of: datetime, clock: Callable[[], datetime] = utc_now, **dying: Any) -> list[str]:
        """Build without tests of data; returns what was told meanwhile."""
        told: list[str] = []
        self._as_of = as_of
        with mock.patch.object(building, "run_dbt", run_models(**dying)):
            pipeline.build(self.settings, as_of=as_of, clock=clock, tell=told.append)
        return told

    def decide_rate(self, line: str) -> None:
        """One more line in the exchange rates."""
        folder = self._root / "seeds"
        folder.mkdir()
        rates = (SEEDS / "exchange_rate.csv").read_text().rstrip()
        (folder / "exchange_rate.csv").write_text(f"{rates}\n{line}\n")
        self.settings = self.settings.model_copy(update={"seeds": folder})

    def differs_from_a_full_build(self) -> list[str]:
        """The tables that are not the same when all is derived anew from the same raw."""
        self._compared += 1
        anew = self._root / f"anew-{self._compared}"
        anew.mkdir()
        copied = anew / WAREHOUSE_FILE
        copied.write_bytes(self.database.read_bytes())
        settings = self.settings.model_copy(update={"home": anew, "landing": None})
        with mock.patch.object(building, "run_dbt", run_models()):
            pipeline.build(settings, as_of=self._as_of, full_refresh=True)
        return differing(self.database, copied)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def differing(one: Path, other: Path) -> list[str]:
    """The tables that do not hold the same rows in both files, with how many are in one only."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"attach '{one}' as one (read_only); attach '{other}' as other (read_only)")
        found = connection.execute(
            """
            select database_name, schema_name, table_name from duckdb_tables()
            where schema_name not in ('raw', 'ops', 'pending', 'main')
            """
        ).fetchall()
        tables = {side: {row[1:] for row in found if row[0] == side} for side in ("one", "other")}
        assert tables["one"] == tables["other"]
        assert len(tables["one"]) > 80
        names = sorted(f"{schema}.{table}" for schema, table in tables["one"] if table not in OF_BUILDS)
        sides = (("one", "other"), ("other", "one"))
        counts = {
            name: [
                connection.execute(
                    f"select count(*) from (select * from {here}.{name} except all select * from {there}.{name})"
                ).fetchall()[0][0]
                for here, there in sides
            ]
            for name in names
        }
    return [f"{name}: {few[0]} rows too many, {few[1]} too few" for name, few in counts.items() if any(few)]


@dataclass(frozen=True)
class History:
    """What was found out in the nights of one history."""

    home: Home
    told: dict[str, list[str]]
    differing: list[str]
    derived: dict[str, int]
    figures: dict[str, list[tuple[Any, ...]]]


FIGURES = """
select kpi_code, period_grain, period_start, period_end, entity_level, entity_key, value, 'main' as cut
from kpi.kpi_value
union all
select
    kpi_code, period_grain, period_start, period_end, entity_level, entity_key, value,
    concat_ws(', ', credit_lens, amount_basis, cut_by, cut_value) as cut
from kpi.kpi_value_by_cut
"""
TOUCHED = "select count(*) from core.deal_touched"


def tell_of(home: Home, rows: Iterable[dict[str, Any]]) -> None:
    home.take_in(Told(0, "deals", row) for row in rows)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    home = Home(tmp_path_factory.mktemp("nights"))
    nights: dict[int, list[Told]] = {}
    for each in side_by_side(companies(COMPANIES, number=7, zone=ZONE, calendar=CALENDAR), CALENDAR):
        nights.setdefault(each.night, []).append(each)
    told, derived, figures = {}, {}, {}

    home.take_in([*nights[0], replace(nights[0][0], object_name="deals", row=OLD_WIN)])
    told["first"] = home.night(FIRST)
    home.take_in(nights[1])
    told["usual"] = home.night(SECOND)

    home.take_in(nights[2])
    with pytest.raises(BuildFailed):
        home.night(LAST, select=("+int_deal__steps",), then=BuildFailed("killed between two models"))
    told["after one that died"] = home.night(SECOND)
    home.take_in(nights[3])
    home.decide_rate("EUR,USD,2026-04-03,1.5")
    told["clock back"] = home.night(LAST, clock=lambda: utc_now() - timedelta(days=400))
    differs = home.differs_from_a_full_build()

    figures["before"] = home.ask(FIGURES)
    tell_of(home, [{**OLD_WIN, "amount": "170.00"}])
    told["late correction"] = home.night(LAST)
    derived["late correction"] = home.ask(TOUCHED)[0][0]
    figures["after"] = home.ask(FIGURES)
    return History(home, told, differs, derived, figures)


def test_nights_leave_what_a_full_build_would(history: History) -> None:
    """One died, the clock of another jumped back, and a rate was decided meanwhile."""
    assert history.differing == []


def test_only_the_first_build_is_a_full_one(history: History) -> None:
    assert {name: [line for line in told if "anew" in line] for name, told in history.told.items()} == {
        name: [] for name in history.told
    }


def test_only_a_deal_that_changed_is_derived_anew(history: History) -> None:
    assert history.derived["late correction"] == 1


def test_a_late_correction_changes_the_figures_of_its_own_periods_only(history: History) -> None:
    changed = set(history.figures["before"]) ^ set(history.figures["after"])
    assert {"won_amount", "avg_won_amount"} <= {row[0] for row in changed}
    assert {row[1] for row in changed} == {"day", "week", "month", "quarter", "year"}
    assert {row[7] for row in changed} >= {"main", "split, booking, all, all", "at_event, constant, all, all"}
    assert [row for row in changed if not row[2] <= WON_ON <= row[3]] == []


@pytest.mark.skipif(not IS_FULL, reason="one more full build: make test-full")
def test_a_stage_with_another_outcome_derives_every_deal_anew(history: History) -> None:
    home = history.home
    config = configuration(ZONE, CALENDAR).replace(
        'name = "Offer"\nposition = 1\noutcome = "open"', 'name = "Offer"\nposition = 1\noutcome = "lost"'
    )
    assert config != configuration(ZONE, CALENDAR)
    (home._root / "kpimart.toml").write_text(config)
    home.settings = load_settings(home._root / "kpimart.toml", home=home.settings.home)
    told = home.night(LAST)
    assert any("deriving every deal anew" in line for line in told)
    assert home.ask(TOUCHED) == home.ask("select count(*) from intermediate.int_deal__content")
