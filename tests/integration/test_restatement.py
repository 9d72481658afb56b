"""Closed months and what becomes of them: a small company to which each cause happens, and companies made up at random.

Each build checks by a test of its own that the bridges lead from the frozen figures to the current ones; what is asked
here is that they do so by the right causes, and by the deals that are told.
"""

import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from unittest import mock
from zoneinfo import ZoneInfo

import duckdb
import pytest
from model_calendar import Calendar
from random_companies import companies, side_by_side
from random_runs import Night, Warehouse
from small_company import CONFIG, Company
from typer.testing import CliRunner

from kpimart import frozen
from kpimart.build import Build
from kpimart.cli import app
from kpimart.closing import close, reopen
from kpimart.errors import SettingsError
from kpimart.insight.restatement import Restatement, read_restatement
from kpimart.paths import SEEDS
from kpimart.publish.release import Release, find, publish
from kpimart.warehouse import WAREHOUSE_FILE, open_database, open_warehouse

MARCH = date(2026, 3, 1)

# ----------------------------------------------------------------------------------------- a company, and every cause

COLUMNS = "deal,agent,account,stage,created,closed,amount,currency,changed,merged\n"
CLOSED_ON = {
    "edited": "Ann,Acme,Won,2026-02-01,2026-03-05,100.00,USD,2026-03-05,",
    "moved": "Bob,Bolt,Won,2026-02-02,2026-03-06,200.00,USD,2026-03-06,",
    "reopened": "Bob,Crest,Won,2026-02-03,2026-03-07,300.00,USD,2026-03-07,",
    "reassigned": "Cid,Dune,Won,2026-02-04,2026-03-08,400.00,USD,2026-03-08,",
    "deleted": "Ann,Elm,Won,2026-02-05,2026-03-09,500.00,USD,2026-03-09,",
    "merged": "Ann,Fern,Won,2026-02-06,2026-03-10,600.00,USD,2026-03-10,",
    "rated": "Ann,Gull,Won,2026-02-07,2026-03-11,700.00,EUR,2026-03-11,",
    "lost": "Ann,Bolt,Lost,2026-02-08,2026-03-12,80.00,USD,2026-03-12,",
    "open": "Bob,Acme,Talking,2026-01-09,,90.00,USD,2026-01-09,",
}
KNOWN_LATER = CLOSED_ON | {
    "edited": "Ann,Acme,Won,2026-02-01,2026-03-05,130.00,USD,2026-03-28,",
    "moved": "Bob,Bolt,Won,2026-02-02,2026-02-20,200.00,USD,2026-03-25,",
    "reopened": "Bob,Crest,Talking,2026-02-03,,300.00,USD,2026-03-20,",
    "merged": "Ann,Fern,Won,2026-02-06,2026-03-10,600.00,USD,2026-03-10,edited",
    "late": "Bob,Heron,Won,2026-03-01,2026-03-13,1000.00,USD,2026-03-13,",
}
del KNOWN_LATER["deleted"]
DECIDED_LATER = {
    "exchange_rate.csv": (SEEDS / "exchange_rate.csv").read_text() + "EUR,USD,2026-03-11,2\n",
    "manager_department.csv": "manager_id,department_id,valid_from,valid_to\nfiles:Cid,files:North,2026-01-01,\n",
    "kpi_catalogue.csv": (SEEDS / "kpi_catalogue.csv").read_text().replace(",won_deals + lost_deals,", ",won_deals,"),
}


def export_of(deals: dict[str, str]) -> str:
    return COLUMNS + "".join(f"{deal},{told}\n" for deal, told in deals.items())


@dataclass(frozen=True)
class Restated:
    """The company after the night in which all was told, and the release that January and March were closed on."""

    company: Company
    frozen: Release

    def read(self, **whose: str) -> Restatement:
        served = find(self.company.home).database
        return read_restatement(served, ["won_amount", "won_deals", "closed_deals"], period="2026-03", **whose)

    def causes(self, kpi_code: str, **whose: str) -> dict[str, Decimal]:
        """Cause → what it changes."""
        bridge = next(each for each in self.read(**whose).bridges if each.kpi.kpi_code == kpi_code)
        return {step.cause: step.change or Decimal() for step in bridge.steps}


@pytest.fixture(scope="module")
def restated(tmp_path_factory: pytest.TempPathFactory) -> Restated:
    company = Company(tmp_path_factory.mktemp("restated") / "company")
    seeds = company.root / "seeds"
    seeds.mkdir()
    config = CONFIG.replace('updated_at = "changed"', 'updated_at = "changed"\nmerged_into = "merged"')
    company.configure(f'seeds = "{seeds}"\n{config}')
    company.write("deals.csv", export_of(CLOSED_ON))
    company.run_here()
    closed_on = find(company.home)
    for month in ("2026-01", "2026-03"):
        close(company.settings(), month, by="M. Berg", note="Checked.")
    reopen(company.settings(), "2026-01", by="A. Ruiz", reason="Not yet.")
    company.write("deals.csv", export_of(KNOWN_LATER))
    for name, content in DECIDED_LATER.items():
        (seeds / name).write_text(content)
    company.run_here()
    return Restated(company, closed_on)


def test_each_cause_has_what_happened_to_one_deal(restated: Restated) -> None:
    rated = Decimal(1400) - amount_of(restated.frozen.database, "files:rated")
    assert restated.causes("won_amount") == {
        "late_entry": 1000,
        "date_moved": -200,
        "reopened": -300,
        "deleted": -500,
        "merged": -600,
        "amount_edit": 30,
        "rate": rated,
    }
    found = restated.read()
    # That a win no longer stands is told of it too, and changes no amount.
    told = [entry for entry in found.entries if entry.what == "won" and entry.cause != "matured"]
    behind = {(entry.cause, entry.subject_id) for entry in told}
    assert behind == {
        ("late_entry", "files:late"),
        ("date_moved", "files:moved"),
        ("reopened", "files:reopened"),
        ("deleted", "files:deleted"),
        ("merged", "files:merged"),
        ("amount_edit", "files:edited"),
        ("rate", "files:rated"),
        ("reassigned", "files:reassigned"),
    }


def amount_of(database: Path, deal_id: str) -> Decimal:
    with open_database(database) as connection:
        (row,) = connection.execute("select amount from deal where deal_id = ?", [deal_id]).fetchall()
    amount: Decimal = row[0]
    return amount


def test_what_goes_from_one_department_comes_to_the_other(restated: Restated) -> None:
    assert restated.causes("won_amount", department="South") == {"reassigned": -400}
    assert restated.causes("won_amount", department="North")["reassigned"] == 400
    assert "reassigned" not in restated.causes("won_amount", department="Europe")


def test_another_formula_is_a_change_of_definition(restated: Restated) -> None:
    causes = restated.causes("closed_deals")
    assert causes["definition_changed"] == -1
    assert sum(causes.values()) == restated.read().bridges[2].known_now.value - 8  # type: ignore[operator]


def test_a_reopened_month_has_neither_a_restatement_nor_figures_as_closed(restated: Restated) -> None:
    ask = restated.company.ask_served
    assert ask("select distinct period_start from restatement") == [(MARCH,)]
    as_closed = "select distinct period_start, cut_value from kpi_value_by_cut where cut_by = 'as_closed'"
    assert ask(as_closed) == [(MARCH, restated.frozen.release_id)]


def test_as_closed_every_figure_is_the_frozen_release_s(restated: Restated) -> None:
    figure = "kpi_code, period_start, entity_level, entity_key, numerator, denominator, value, unit"
    with open_database(restated.frozen.database) as connection:
        frozen_figures = connection.execute(
            f"select {figure} from kpi_value where period_grain = 'month' and period_start = '2026-03-01' order by all"
        ).fetchall()
    served = restated.company.ask_served(
        f"select {figure} from kpi_value_by_cut where cut_by = 'as_closed' order by all"
    )
    assert served == frozen_figures


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kpi", "won_amount"], ["as closed", "entered late", "+1,000.00", "files:late", "0 → 1"]),
        (["--kpi", "won_amount", "--lang", "ru"], ["при закрытии", "внесено позже", "+1,000.00"]),
        (["--kpi", "lost_deals"], ["as closed: Lost deals"]),
        (
            ["--kpi", "won_deals", "--department", "South", "--json"],
            ['"cause": "reassigned"', '"change": "-1.00000000"'],
        ),
    ],
    ids=["a bridge", "in Russian", "nothing changed", "for a program"],
)
def test_the_command_shows_it(restated: Restated, arguments: list[str], said: list[str]) -> None:
    with mock.patch.dict("os.environ", {"KPIMART_HOME": str(restated.company.home)}):
        answer = CliRunner().invoke(
            app, ["kpi", "restatement", "--config", str(restated.company.root / "kpimart.toml"), *arguments]
        )
    assert answer.exit_code == 0, answer.output
    assert [text for text in said if text not in answer.output] == []


@pytest.mark.parametrize(
    ("period", "message"),
    [("2026-01", "is not closed in this release; closed are: 2026-03"), ("2026-Q1", "only months are closed")],
)
def test_what_is_not_closed_is_refused_with_what_is(restated: Restated, period: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_restatement(find(restated.company.home).database, ["won_amount"], period=period)


# ---------------------------------------------------------------------------------------- releases that are not whole


def cut_short(release: Path) -> None:
    (release / "reporting.duckdb").chmod(0o644)
    (release / "reporting.duckdb").write_bytes((release / "reporting.duckdb").read_bytes()[:-4096])


def scribbled_over(release: Path) -> None:
    """Of the same size, so that only reading it tells."""
    file = release / "reporting.duckdb"
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[4096 : len(content)] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "status"),
    [(shutil.rmtree, "missing"), (cut_short, "damaged"), (scribbled_over, "damaged")],
    ids=["removed", "cut short", "scribbled over"],
)
def test_a_release_that_cannot_be_read_is_told_of(
    restated: Restated, tmp_path: Path, harm: Callable[[Path], None], status: str
) -> None:
    home = tmp_path / "home"
    shutil.copytree(restated.company.home, home, ignore=shutil.ignore_patterns("landing", "dbt"))
    harm(home / "reporting" / "releases" / restated.frozen.release_id)
    assert gathered(home) == [(MARCH, restated.frozen.release_id, status, True, 0, 0)]


def test_a_release_of_an_older_contract_has_its_figures(restated: Restated, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(restated.company.home, home, ignore=shutil.ignore_patterns("landing", "dbt"))
    with mock.patch.dict(frozen.PUBLISHED, leads="a_table_that_came_later"):
        ((_, _, status, has_problem, figures, counted),) = gathered(home)
    assert (status, has_problem, counted) == ("figures_only", True, 0)
    assert figures > 100


def gathered(home: Path) -> list[tuple[object, ...]]:
    """Each closed month with what was found of it: status, whether a problem is told, figures, things that counted."""
    made = Build("b", datetime.now(UTC), datetime(2100, 1, 1, tzinfo=UTC), home / WAREHOUSE_FILE)
    frozen.gather(home, made, lambda _: None)
    with open_database(home / WAREHOUSE_FILE) as connection:
        return connection.execute(
            """
            select
                period_start, release_id, status, problem is not null, (select count(*) from frozen.figure),
                (select count(*) from frozen.counted)
            from frozen.month
            """
        ).fetchall()


# ------------------------------------------------------------------------------------------------ companies at random

ADDITIVE = ("won_amount", "won_deals", "lost_deals", "created_deals", "created_amount", "open_deals", "open_amount",
            "leads_created", "calls", "meetings", "emails")  # fmt: skip
LISTED = {"won": "won_deals", "lost": "lost_deals", "created": "created_deals", "open": "open_deals"}
AS_OF = [datetime(2026, 3, 9), datetime(2026, 3, 29), datetime(2026, 4, 5, 0, 30), datetime(2026, 4, 16)]  # noqa: DTZ001
CLOSED_BY = 2
"""The night after which March and February are closed."""


@dataclass(frozen=True)
class Random:
    """The last night's tables, and the same built anew."""

    last: Night
    anew: Night


@pytest.fixture(scope="module")
def random_companies(tmp_path_factory: pytest.TempPathFactory) -> Random:
    zone, calendar = ZoneInfo("Europe/Berlin"), Calendar()
    told = side_by_side(companies(24, number=23, zone=zone, calendar=calendar), calendar)
    home = Warehouse(tmp_path_factory.mktemp("random") / "home", zone, calendar)
    for night, as_of in enumerate(AS_OF):
        home.take_in(each for each in told if each.night == night)
        if night == CLOSED_BY:
            release = let_out(home, home.build(as_of.replace(tzinfo=zone).astimezone(UTC)).build)
            for month in ("2026-02", "2026-03"):
                close(home.settings, month, by="M. Berg", note="Checked.", release_id=release.release_id)
    last = home.build(AS_OF[-1].replace(tzinfo=zone).astimezone(UTC))
    return Random(last, home.build(last.build.as_of, known_at=last.build.known_at))


def let_out(home: Warehouse, build: Build) -> Release:
    """A release, without the gate, which is others' matter."""
    with open_warehouse(home.settings.home) as connection:
        connection.execute(
            """
            insert into ops.quality_result (subject_id, boundary, table_name, expectation, severity, outcome, judged_at)
            values (?, 'reporting', 'kpi_value', 'none', 'critical', 'passed', now())
            """,
            [build.build_id],
        )
    return publish(build, home.settings.home)


def test_every_bridge_is_whole_and_nothing_is_left_to_definitions(
    random_companies: Random, record_property: Callable[[str, object], None]
) -> None:
    """For every figure as closed: numerators, denominators and values, each from the frozen one to the current one."""
    cell = "kpi_code, period_start, entity_level, entity_key"
    with open_database(random_companies.last.tables) as connection:
        rows = connection.execute(
            f"select {cell}, numerator, denominator, value from kpi.kpi_value_by_cut where cut_by = 'as_closed'"
        ).fetchall()
        frozen_figures = {row[:4]: row[4:] for row in rows}
        rows = connection.execute(
            f"select {cell}, numerator, denominator, value from kpi.kpi_value where period_grain = 'month'"
        ).fetchall()
        known = {row[:4]: row[4:] for row in rows}
        steps = defaultdict(list)
        for row in connection.execute(
            f"""
            select {cell}, cause, numerator_change, denominator_change, value_before, value_after
            from finance.restatement
            """
        ).fetchall():
            steps[row[:4]].append(row[4:])
        ordered = connection.execute(
            f"select {cell}, list(struct_pack(b := value_before, a := value_after) order by step) "
            "from finance.restatement group by all"
        ).fetchall()
    assert {step[0] for several in steps.values() for step in several} & {"definition_changed", "not_split"} == set()
    bridges = {row[:4]: row[4] for row in ordered}
    wrong = []
    for key, before in frozen_figures.items():
        after = known.get(key)
        if after is None:
            continue
        path = bridges.get(key, [])
        ends = [before[2], *(step["a"] for step in path)]
        starts = [*(step["b"] for step in path), after[2]]
        sums = [sum((step[n] for step in steps.get(key, [])), Decimal()) for n in (1, 2)]
        changes = [(after[n] or Decimal()) - (before[n] or Decimal()) for n in (0, 1)]
        if ends != starts or sums != changes:
            wrong.append((key, before, path, after))
    assert wrong == []
    moved = sum(len(several) for several in steps.values())
    record_property("figure", f"{len(frozen_figures):,} figures as closed, {moved:,} steps, all bridged exactly")
    assert len(frozen_figures) > 10_000
    assert moved > 1_000


def test_managers_add_up_to_the_company_cause_by_cause(random_companies: Random) -> None:
    with open_database(random_companies.last.tables) as connection:
        rows = connection.execute(
            """
            select kpi_code, period_start, cause, entity_level, sum(value_change)
            from finance.restatement
            where list_contains(?, kpi_code) and entity_level in ('company', 'manager', 'manager_in_department')
            group by all
            """,
            [list(ADDITIVE)],
        ).fetchall()
        unknown = connection.execute(
            "select distinct kpi_code, period_start from finance.restatement where value_change is null"
        ).fetchall()
    sums: dict[tuple[object, ...], dict[str, Decimal]] = defaultdict(dict)
    for kpi_code, start, cause, level, change in rows:
        if (kpi_code, start) not in unknown:
            sums[kpi_code, start, cause][level] = change
    levels = ("company", "manager", "manager_in_department")
    assert {key: of for key, of in sums.items() if len({of.get(level, Decimal()) for level in levels}) > 1} == {}
    assert len(sums) > 20


def test_what_is_listed_behind_a_cause_is_what_it_changed(random_companies: Random) -> None:
    listed = ", ".join(f"('{what}', '{kpi}')" for what, kpi in LISTED.items())
    with open_database(random_companies.last.tables) as connection:
        wrong = connection.execute(
            f"""
            with listed as (
                select kpi_code, period_start, entity_level, entity_key, cause, sum(count_after - count_before) as deals
                from finance.restatement_entry
                inner join (values {listed}) as kpis (what, kpi_code) using (what)
                where relation in ('events', 'open')
                group by all
            ), told as (
                select kpi_code, period_start, entity_level, entity_key, cause, value_change as deals
                from finance.restatement
                where kpi_code in ({", ".join(f"'{kpi}'" for kpi in LISTED.values())})
            )
            select * from listed full outer join told using (kpi_code, period_start, entity_level, entity_key, cause)
            where coalesce(listed.deals, 0) <> coalesce(told.deals, 0)
            """
        ).fetchall()
    assert wrong == []


def test_a_rebuild_tells_the_same(random_companies: Random) -> None:
    last, anew = random_companies.last.tables, random_companies.anew.tables
    with duckdb.connect() as connection:
        connection.execute(f"attach '{last}' as last (read_only); attach '{anew}' as anew (read_only)")
        for table in ("finance.restatement", "finance.restatement_entry", "kpi.kpi_value_by_cut"):
            for one, other in (("last", "anew"), ("anew", "last")):
                query = f"select count(*) from (from {one}.{table} except all from {other}.{table})"
                assert connection.execute(query).fetchall() == [(0,)], table
