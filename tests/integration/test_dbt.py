"""dbt's own tests: each unit test of a model holds, and each data test finds the fault that it is there for.

dbt runs twice: it makes all tables, empty, because unit tests take the types of their rows from them; then it runs all
tests. What the data tests ask is taken from there and asked of tables that hold a fault.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from kpimart.extract.packages import SOURCES, object_names
from kpimart.frozen import make_tables
from kpimart.paths import DBT_PROJECT, PROJECT
from kpimart.warehouse import RAW_COLUMNS, WAREHOUSE_FILE, open_warehouse, raw_table

DBT = Path(sys.executable).with_name("dbt")
STAGING = "path:models/staging"
DESCRIPTIONS = {path: yaml.safe_load(path.read_text()) for path in sorted((PROJECT / "models").rglob("*.yml"))}
UNIT_TESTS = [
    f"{test['model']}.{test['name']}" for described in DESCRIPTIONS.values() for test in described.get("unit_tests", [])
]
SINGULAR_TESTS = sorted(path.stem for path in (PROJECT / "tests" / "dbt").glob("*.sql"))

NIGHT = "timestamptz '2026-04-01 00:00:00+00'"
Rows = dict[str, str]
"""Table → SQL of the rows that it holds, columns by name."""


@dataclass(frozen=True)
class Project:
    """The dbt project over a warehouse of its own, in which nothing was ever extracted."""

    home: Path

    @property
    def database(self) -> Path:
        return self.home / WAREHOUSE_FILE

    def dbt(self, *arguments: str, crms: Iterable[str] = SOURCES) -> subprocess.CompletedProcess[str]:
        sources = ("--vars", json.dumps({"crms": list(crms)}))
        folders = ("--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT, "--target-path", self.home / "target")
        return subprocess.run(
            [DBT, *arguments, *sources, *folders, "--log-path", self.home, "--no-use-colors", "--quiet"],
            env={**os.environ, "DBT_KPIMART_DATABASE": str(self.database)},
            cwd=self.home,
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("dbt"))
    with open_warehouse(project.home) as connection:
        for source in SOURCES:
            for name in object_names(source):
                connection.execute(f"create table {raw_table(source, name)} ({RAW_COLUMNS})")
        make_tables(connection)
    built = project.dbt("build", "--empty", "--exclude-resource-type", "test", "unit_test")
    assert built.returncode == 0, built.stdout
    return project


@pytest.fixture(scope="module")
def results(project: Project) -> dict[str, dict[str, Any]]:
    """Test → what became of it, as dbt wrote it down."""
    # What comes after staging is told what one CRM's staging yields; the others' would have to be given as well.
    of_staging, of_the_rest = (("--select", STAGING), SOURCES), (("--exclude", STAGING), ["files"])
    results = {}
    for selection, crms in (of_staging, of_the_rest):
        said = project.dbt("test", *selection, crms=crms).stdout
        written = json.loads((project.home / "target" / "run_results.json").read_text())["results"]
        results |= {each["unique_id"].removeprefix("unit_test.kpimart."): {**each, "said": said} for each in written}
    return results


@pytest.fixture(scope="module")
def find(project: Project, results: dict[str, dict[str, Any]]) -> Callable[[str, Rows], list[tuple[Any, ...]]]:
    """`find(test, rows)`: what a data test finds where its tables hold these rows, and no table any other."""
    data_tests = {name: result for name, result in results.items() if name.startswith("test.")}
    compiled = {name.split(".")[2]: result["compiled_code"] for name, result in data_tests.items()}

    def found(test: str, rows: Rows) -> list[tuple[Any, ...]]:
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"attach '{project.database}' as built (read_only); attach ':memory:' as warehouse")
            tables = connection.execute(
                "select schema_name, table_name from duckdb_tables() where database_name = 'built'"
            ).fetchall()
            for schema, table in tables:
                connection.execute(f"create schema if not exists warehouse.{schema}")
                # Without its constraints, so that a row names only what matters.
                connection.execute(f"create table warehouse.{schema}.{table} as from built.{schema}.{table} limit 0")
                if table in rows:
                    connection.execute(f"insert into warehouse.{schema}.{table} by name {rows[table]}")
            return connection.execute(compiled[test]).fetchall()

    return found


def values(columns: str, *rows: str) -> str:
    """SQL of rows, each as the text of its values."""
    return f"select * from (values {', '.join(f'({row})' for row in rows)}) as rows ({columns})"


@pytest.mark.parametrize("test", UNIT_TESTS)
def test_a_model_does_what_its_unit_test_says(results: dict[str, dict[str, Any]], test: str) -> None:
    assert results[test]["status"] == "pass", results[test]["message"] or results[test]["said"]


def test_every_model_of_rules_has_unit_tests() -> None:
    tested = {name.split(".")[0] for name in UNIT_TESTS}
    of_facts = {path.stem for path in DESCRIPTIONS if path.stem.startswith("fct_")}
    rules = {path.stem for path in DESCRIPTIONS if path.parent.name in ("intermediate", "kpi")} | of_facts
    assert rules - tested == set()


def test_a_data_test_tells_what_is_to_be_done() -> None:
    described = yaml.safe_load((PROJECT / "tests" / "dbt" / "tests.yml").read_text())["data_tests"]
    assert sorted(test["name"] for test in described if test["description"]) == SINGULAR_TESTS


def test_models_are_found_by_their_path(project: Project) -> None:
    listed = project.dbt("ls", "--resource-type", "model", "--output", "name", "--select", "path:models/marts/kpi")
    assert set(listed.stdout.split()) == {path.stem for path in (PROJECT / "models" / "marts" / "kpi").glob("*.sql")}


def changed(rows: Rows, **tables: str) -> Rows:
    """The same rows, but for these tables."""
    return {**rows, **tables}


A_STAY = "manager_id, department_id, valid_from, valid_to"
CLOSURE = "department_id, ancestor_department_id, depth, valid_from, valid_to"
ALWAYS = "date '0001-01-01', date '9999-12-31'"
ORGANISATION = {
    "build_moment": f"select {NIGHT} as as_of, date '2026-03-31' as last_day",
    "dim_entity": values(
        "entity_id, entity_level, entity_key, department_id, manager_id",
        "1, 'company', 'company', null, null",
        "2, 'department', 'east', 'east', null",
        "3, 'manager', 'ann', null, 'ann'",
        "4, 'manager_in_department', 'ann|east', 'east', 'ann'",
    ),
    "bridge_entity": values(
        "organisation_id, manager_id, department_id, entity_id",
        *(f"{n}, 'ann', 'east', {entity}" for n in (1, 2) for entity in (1, 2, 3, 4)),
    ),
    "dim_organisation": values(
        "organisation_id, valid_from, valid_to",
        "1, date '0001-01-01', date '2026-03-01'",
        "2, date '2026-03-01', date '9999-12-31'",
    ),
    "dim_department_closure": values(CLOSURE, f"'east', 'east', 0, {ALWAYS}"),
    "dim_department": values("department_id, department_name, parent_department_id", "'east', 'East', null"),
}
MONTH = "'month', date '2026-03-01'"
MEASURED = "cut_id, period_grain, period_start, entity_id, won_deals, won_amount"
MEASURES = {
    **ORGANISATION,
    "dim_period_day": values("day, period_grain, period_start", f"date '2026-03-05', {MONTH}"),
    "kpi_measure_day": values(
        "cut_id, day, organisation_id, manager_id, department_id, won_deals, won_amount",
        "0, date '2026-03-05', 2, 'ann', 'east', 1, 9.99",
    ),
    "kpi_measure": values(MEASURED, *(f"0, {MONTH}, {n}, 1, 9.99" for n in (1, 2, 3, 4))),
}
CUTS = {
    **ORGANISATION,
    "kpi_cut": values(
        "cut_id, credit_lens, amount_basis, cut_by, cut_value",
        "0, 'at_event', 'booking', 'all', 'all'",
        "1, 'at_event', 'booking', 'product', 'pump'",
        "2, 'at_event', 'booking', 'product', 'valve'",
        "3, 'at_event', 'constant', 'all', 'all'",
        "4, 'split', 'booking', 'all', 'all'",
        "5, 'overlay', 'booking', 'all', 'all'",
    ),
}


def in_cuts(pumps: str, valves: str, split: str) -> Rows:
    """The company's March in each cut: three deals for 9.99, whatever other times' rates and who gets it on top."""
    whole = [f"{cut}, {MONTH}, 1, {said}" for cut, said in ((0, "3, 9.99"), (3, "3, 12.00"), (5, "1, 1.00"))]
    parts = [f"{cut}, {MONTH}, 1, {said}" for cut, said in ((1, pumps), (2, valves), (4, split))]
    return {**CUTS, "kpi_measure": values(MEASURED, *whole, *parts)}


DEALS = {
    **ORGANISATION,
    "fct_deal": values(
        "deal_id, manager_id, department_id, outcome, amount",
        "'won', 'ann', 'east', 'won', 9.99",
        "'lost', 'ann', 'east', 'lost', 5",
        "'open', 'ann', 'east', 'open', null",
    ),
    "kpi_counted_event": values(
        "deal_id, manager_id, event_type, sign, amount", "'won', 'ann', 'won', 1, 9.99", "'lost', 'ann', 'lost', 1, 5"
    ),
    "kpi_open_interval": values("deal_id, manager_id, amount", "'open', 'ann', null"),
    "kpi_measure": values("cut_id, period_grain, entity_id, won_deals, won_amount", "0, 'year', 1, 1, 9.99"),
}
MERGED = "deal_id, is_last_version, known_until, merged_into_deal_id"
ASSIGNED = "kpi_code, assigned_level, assigned_to, weight"
SHARES = "deal_id, share, is_overlay"
DECIDED = "decision_number, action"
AN_EVENT = "event_type, deal_id, occurred_at, recorded_at, sign"
FIRST, SECOND = "timestamptz '2026-03-01 00:00:00+00'", "timestamptz '2026-03-02 00:00:00+00'"

CURVE = (
    "period_grain, period_start, entity_level, entity_key, within_days, is_mature, created_deals, won_deals, "
    "lost_deals, open_deals, censored_deals, cumulative_win_rate, mature_win_rate"
)
IN_30_DAYS, IN_90_DAYS = "30, true, 8, 2, 2, 4, 0, 0.25, 0.25", "90, false, 8, 3, 2, 1, 2, 0.4, null"
FUNNEL = (
    "period_grain, period_start, entity_level, entity_key, pipeline_id, stage_id, stage_number, reached_deals, "
    "entered_deals, converted_deals, won_deals, lost_deals, open_deals, finished_stays, mean_stay_days, "
    "median_stay_days, open_stays, median_open_days"
)
TALK, OFFER = (
    "'p', 'talk', 1, 8, 7, 5, 2, 2, 1, 7, 3, 2, 1, 9",
    "'p', 'offer', 2, 5, 4, 2, 2, 1, 2, 0, null, null, 0, null",
)


def of(level: str, *points: str) -> list[str]:
    """The rows of a cohort of an entity, from what is said of each of its points or stages."""
    return [f"{MONTH}, '{level}', '{level}', {point}" for point in points]


COHORTS = {
    "dim_entity": values("entity_id, entity_level, entity_key", "1, 'company', 'company'", "2, 'manager', 'manager'"),
    "win_rate_curve": values(CURVE, *of("company", IN_30_DAYS, IN_90_DAYS), *of("manager", IN_30_DAYS, IN_90_DAYS)),
    "funnel_stage": values(FUNNEL, *of("company", TALK, OFFER), *of("manager", TALK, OFFER)),
    "kpi_measure": values(
        "cut_id, period_grain, period_start, entity_id, created_deals, created_deals_won_within_90_days",
        f"0, {MONTH}, 1, 8, 3",
        f"0, {MONTH}, 2, 8, 3",
        f"1, {MONTH}, 2, 7, 2",
        "0, 'day', date '2026-03-01', 2, 1, 1",
    ),
}


INPUT_COLUMNS = "period_grain, period_start, entity_level, entity_key, pipeline_id, input, value"
CREATED_INPUT, CLOSED_INPUT, WON_INPUT, AMOUNT_INPUT = (
    f"{MONTH}, 'company', 'company', {pipeline}, {value}"
    for pipeline, value in (
        ("'(all)'", "'created_deals', 8"),
        ("'p'", "'closed_deals', 5"),
        ("'p'", "'won_deals', 3"),
        ("'p'", "'won_amount', 90.10"),
    )
)
OTHER_INPUTS = (
    f"{MONTH}, 'company', 'company', '(all)', 'won_deals', 3",
    f"{MONTH}, 'manager_in_department', 'a|e', 'p', 'won_deals', 1",
)
DRIVER_MEASURES = "cut_id, period_grain, period_start, entity_id, won_amount, won_deals, lost_deals, created_deals"
DRIVERS = {
    "dim_entity": values("entity_id, entity_level, entity_key", "1, 'company', 'company'", "2, 'manager', 'ann'"),
    "driver_input": values(INPUT_COLUMNS, CREATED_INPUT, CLOSED_INPUT, WON_INPUT, AMOUNT_INPUT, *OTHER_INPUTS),
    "kpi_measure": values(
        DRIVER_MEASURES,
        f"0, {MONTH}, 1, 90.10, 3, 2, 8",
        f"1, {MONTH}, 1, 1.00, 1, 1, 1",
        f"0, {MONTH}, 2, null, 0, 0, 0",
    ),
}

# Two months; a ratio is another KPI's business, and so is a won deal that the catalogue counts otherwise.
FORECAST_COLUMNS = "kpi_code, entity_level, entity_key, period_number, known_number, change"
FORECAST_INPUTS = {
    "forecast_month": values(
        "period_number, period_start, is_complete", "0, date '2026-01-01', true", "1, date '2026-02-01', false"
    ),
    "kpi_catalogue": values("kpi_code, formula", "'won_amount', 'won_amount'", "'won_deals', 'won_deals + 0'"),
    "kpi_value": values(
        "kpi_code, period_grain, period_start, entity_level, entity_key, value",
        "'won_amount', 'month', date '2026-01-01', 'company', 'company', 90.10",
        "'won_amount', 'month', date '2026-01-01', 'manager', 'ann', null",
        "'won_amount', 'month', date '2026-02-01', 'company', 'company', 1.00",
        "'won_deals', 'month', date '2026-01-01', 'company', 'company', 7",
    ),
    "forecast_input": values(
        FORECAST_COLUMNS,
        "'won_amount', 'company', 'company', 0, 0, 90.00",
        "'won_amount', 'company', 'company', 0, 1, 0.10",
    ),
}


def curve_of(*points: str) -> Rows:
    return {"win_rate_curve": values(CURVE, *of("company", *points))}


def funnel_of(*stages: str) -> Rows:
    return {"funnel_stage": values(FUNNEL, *of("company", *stages))}


BASE = (
    "period_grain, period_start, entity_level, entity_key, opening_customers, first_time_customers, "
    "returned_customers, taken_over_customers, handed_over_customers, lost_customers, closing_customers, "
    "lapsed_customers, new_customers, active_customers, repeat_customers, regular_customers, potential_customers, "
    "new_customer_amount, returning_amount"
)
OF_THE_COMPANY = "'company', 'company', 0, 3, 1, 0, 0, 1, 3, 1, 2, 3, 1, 0, 4, 30, 5"
OF_ANN = "'manager', 'ann', 0, 2, 0, 0, 1, 0, 1, 0, 1, 2, 0, 0, 4, 20, null"
OF_BOB = "'manager', 'bob', 0, 1, 1, 1, 0, 1, 2, 1, 1, 2, 1, 0, 0, 10, 5"
# In April ann no longer has the one whom she had at the end of March.
APRIL = values(
    BASE,
    *(
        f"'month', date '2026-04-01', {who}, 0, 0, 0, null, null"
        for who in (
            "'company', 'company', 2, 0, 0, 0, 0, 0, 2, 1, 0, 0",
            "'manager', 'ann', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0",
            "'manager', 'bob', 2, 0, 0, 0, 0, 0, 2, 1, 0, 0",
        )
    ),
)
RETAINED = (
    "period_grain, period_start, entity_level, entity_key, periods_since, cohort_customers, retained_customers, "
    "won_amount"
)


def base_of(*rows: str) -> str:
    return values(BASE, *(f"{MONTH}, {row}" for row in rows))


# Ann and bob, each with the KPIs that their figures are; what nobody has is in no KPI.
CUSTOMERS = {
    "dim_period": values("period_grain, period_start", MONTH),
    "customer_base": base_of(OF_THE_COMPANY, OF_ANN, OF_BOB),
    "kpi_value": values(
        "kpi_code, period_grain, period_start, entity_level, entity_key, value",
        *(
            f"'{kpi}', {MONTH}, '{level}', '{key}', {value}"
            for level, key, figures in (
                ("company", "company", (2, 3, 1, 4, 1)),
                ("manager", "ann", (1, 2, 0, 4, 0)),
                ("manager", "bob", (1, 2, 1, 0, 1)),
            )
            for kpi, value in zip(
                ("new_customers", "active_customers", "repeat_customers", "potential_customers", "lost_customers"),
                figures,
                strict=True,
            )
        ),
        f"'new_customers', {MONTH}, 'manager_in_department', 'ann|east', 1",
        f"'won_amount', {MONTH}, 'company', 'company', 35",
    ),
    "cohort_retention": values(
        RETAINED,
        f"{MONTH}, 'company', 'company', 0, 3, 2, 30",
        f"{MONTH}, 'company', 'company', 1, 1, 1, 5",
        f"{MONTH}, 'company', 'company', 2, 1, 0, null",
        f"{MONTH}, 'manager', 'ann', 0, 2, 2, 20",
        f"{MONTH}, 'manager', 'bob', 0, 1, 1, 10",
    ),
    "customer_segment": values(
        "account_id, manager_id, customer_state",
        *("'a', 'ann', 'new'", "'b', 'bob', 'repeat'", "'c', 'bob', 'new'", "'d', 'bob', 'lost'"),
    ),
    "buying_interval": values(
        "entity_level, entity_key, customers",
        *("'manager', 'ann', 1", "'manager', 'bob', 2", "'company', 'company', 3", "'account', 'a', 1"),
    ),
}


# Settings name no calendar here: '' stands for the one that they would name.
HOLIDAYS = {
    "dim_day": values("day, is_covered", "date '2025-12-31', false", "date '2026-01-01', true"),
    "holiday": values("calendar, day", "'', date '2026-12-25'", "'other', date '2025-12-25'"),
}


def waterfall_of(**columns: int) -> str:
    """A row of March of the company and one of its only manager, both of one deal won from an opening of two."""
    steps = (
        *("opening", "created", "transferred_in", "pulled_in", "increased", "reopened", "won", "lost", "pushed_out"),
        *("decreased", "transferred_out", "deleted", "closing", "won_within", "lost_within"),
    )
    told = [f"{step}_{what}" for step in steps for what in ("deals", "amount")]
    of_company = dict.fromkeys(told, 0) | {"opening_deals": 2, "won_deals": 1, "closing_deals": 1}
    rows = [("company", of_company | columns), ("manager", of_company)]
    return values(
        f"scope, period_grain, period_start, period_end, entity_level, entity_key, {', '.join(told)}",
        *(
            f"'open', {MONTH}, date '2026-03-31', '{level}', '{level}', {', '.join(str(row[name]) for name in told)}"
            for level, row in rows
        ),
    )


# A win of February that was taken back in March.
TAKEN_BACK = {
    "dim_period": values("period_grain, period_start, period_end", f"{MONTH}, date '2026-03-31'"),
    "dim_period_day": values("day, period_grain, period_start", f"date '2026-03-05', {MONTH}"),
    "bridge_entity": values(
        "organisation_id, manager_id, department_id, entity_id", "1, 'ann', 'east', 1", "1, 'ann', 'east', 2"
    ),
    "kpi_counted_event": values(
        "organisation_id, manager_id, department_id, event_type, sign, credited_on, occurred_on",
        "1, 'ann', 'east', 'won', -1, date '2026-02-20', date '2026-03-05'",
    ),
}
WATERFALLS = {
    **TAKEN_BACK,
    "dim_entity": values("entity_id, entity_level, entity_key", "1, 'company', 'company'", "2, 'manager', 'manager'"),
    "pipeline_waterfall": waterfall_of(),
    "kpi_measure": values(
        "cut_id, period_grain, period_start, entity_id, open_deals, stale_open_deals, won_deals",
        f"0, {MONTH}, 1, 1, 1, 0",
        f"0, {MONTH}, 2, 1, 1, 0",
    ),
}
# Two were won in March, of which one was taken back in April.
PATTERNS = {
    **WATERFALLS,
    "kpi_counted_event": (
        f"{TAKEN_BACK['kpi_counted_event']} "
        "union all select 1, 'ann', 'east', 'won', -1, date '2026-03-05', date '2026-04-01'"
    ),
    "kpi_measure": values(
        "cut_id, period_grain, period_start, entity_id, won_deals", f"0, {MONTH}, 1, 1", f"0, {MONTH}, 2, 1"
    ),
    "closing_pattern": values(
        "period_grain, period_start, entity_level, entity_key, won_deals",
        *(f"{MONTH}, '{level}', '{level}', 1" for level in ("company", "manager")),
    ),
}
DISCIPLINE = (
    "rule, period_grain, period_start, entity_level, entity_key, deals, deals_looked_at, deals_concerned, "
    "strict_deals, kpi_code, kpi_value, strict_kpi_value"
)


def discipline_of(company: str) -> Rows:
    """How the company's only manager keeps March, beside what is said of the company."""
    rows = (("company", company), ("manager", "1, 1, 1, 1, 'open_amount', 9, 0"))
    told = values(DISCIPLINE, *(f"'stale_deal', {MONTH}, '{level}', '{level}', {said}" for level, said in rows))
    return {**WATERFALLS, "crm_discipline": told}


def wins_of(said: str) -> Rows:
    """What is said of March's wins of the company, and so of those of its only manager."""
    rows = (f"'backdated_win', {MONTH}, '{level}', '{level}', {said}" for level in ("company", "manager"))
    return {**WATERFALLS, "crm_discipline": values(f"{DISCIPLINE}, amount_concerned", *rows)}


BRIDGE = (
    "kpi_code, period_start, entity_level, entity_key, step, value_before, value_after, numerator_change, "
    "denominator_change"
)
FIGURE_OF = "kpi_code, period_grain, period_start, entity_level, entity_key, numerator, denominator, value"


def bridge_of(*steps: str, frozen: str = "1, 2, 0.5", known: str = "2, 3, 0.6667") -> Rows:
    """The company's win rate of March as closed and as known, and what leads from one to the other."""
    cell = "'company', 'company'"
    return {
        "closed_month": values("period_start", "date '2026-03-01'"),
        "frozen_figure": values(FIGURE_OF, f"'win_rate', {MONTH}, {cell}, {frozen}"),
        "kpi_value": values(FIGURE_OF, f"'win_rate', {MONTH}, {cell}, {known}"),
        "restatement": values(BRIDGE, *(f"'win_rate', date '2026-03-01', {cell}, {step}" for step in steps)),
    }


A_STEP, ANOTHER = "4, 0.5, 0.3333, 0, 1", "8, 0.3333, 0.6667, 1, 0"

# Test → rows in which all is well, and the same with a fault, by what the fault is.
FAULTS: dict[str, tuple[Rows, dict[str, Rows]]] = {
    "one_build_is_being_made": (ORGANISATION, {"no build": {}}),
    "departments_form_a_tree": (
        # what comes after the last day that the build covers is no fault yet
        changed(
            ORGANISATION,
            dim_organisation=values(
                "organisation_id, valid_from, valid_to",
                "1, date '0001-01-01', date '2026-04-01'",
                "2, date '2026-04-01', date '9999-12-31'",
            ),
            dim_department_closure=values(
                CLOSURE, f"'east', 'east', 0, {ALWAYS}", "'east', 'east', 1, date '2026-04-01', date '9999-12-31'"
            ),
        ),
        {
            "a department below itself": changed(
                ORGANISATION,
                dim_department_closure=values(
                    CLOSURE, f"'east', 'east', 0, {ALWAYS}", "'east', 'east', 1, date '2026-03-01', date '9999-12-31'"
                ),
            ),
            "a department below two others": changed(
                ORGANISATION,
                dim_department_closure=values(
                    CLOSURE,
                    f"'east', 'east', 0, {ALWAYS}",
                    f"'east', 'asia', 1, {ALWAYS}",
                    "'east', 'europe', 1, date '2026-03-01', date '9999-12-31'",
                ),
            ),
        },
    ),
    "a_manager_always_sits_in_one_department": (
        {
            "manager_assignment": values(
                "manager_id, valid_from, valid_to",
                "'ann', date '0001-01-01', date '2026-01-01'",
                "'ann', date '2026-01-01', date '9999-12-31'",
            )
        },
        {
            "two at once": {
                "manager_assignment": values(
                    "manager_id, valid_from, valid_to",
                    "'ann', date '0001-01-01', date '2026-01-02'",
                    "'ann', date '2026-01-01', date '9999-12-31'",
                )
            },
            "a day in none": {
                "manager_assignment": values(
                    "manager_id, valid_from, valid_to",
                    "'ann', date '0001-01-01', date '2025-12-31'",
                    "'ann', date '2026-01-01', date '9999-12-31'",
                )
            },
            "an end": {
                "manager_assignment": values(
                    "manager_id, valid_from, valid_to", "'ann', date '0001-01-01', date '2026-01-01'"
                )
            },
        },
    ),
    "everything_is_credited_to_a_seat": (
        DEALS,
        {
            "nobody": changed(
                DEALS, fct_deal_event="select '1' as deal_event_id, 'bob' as manager_id, 'east' as department_id"
            ),
            "another department": changed(
                DEALS, fct_activity="select '1' as activity_id, 'ann' as manager_id, 'west' as department_id"
            ),
            "twice in the company": changed(
                DEALS,
                bridge_entity=values(
                    "organisation_id, manager_id, department_id, entity_id",
                    *(f"{n}, 'ann', 'east', {entity}" for n in (1, 2) for entity in (1, 1, 2, 3, 4)),
                ),
            ),
            "nowhere in one tree": changed(
                DEALS,
                bridge_entity=values(
                    "organisation_id, manager_id, department_id, entity_id",
                    *(f"1, 'ann', 'east', {entity}" for entity in (1, 2, 3, 4)),
                ),
            ),
        },
    ),
    "a_restatement_leads_to_what_is_known": (
        bridge_of(A_STEP, ANOTHER),
        {
            "a cause is missing": bridge_of(A_STEP),
            "a gap in between": bridge_of(A_STEP, "8, 0.4, 0.6667, 1, 0"),
            "another beginning": bridge_of(A_STEP, ANOTHER, frozen="1, 2, 0.55"),
            "another end": bridge_of(A_STEP, ANOTHER, known="2, 3, 0.7"),
            "another sum above the line": bridge_of(A_STEP, ANOTHER, known="3, 3, 0.6667"),
            "another sum below the line": bridge_of(A_STEP, ANOTHER, known="2, 4, 0.6667"),
            "a change without a cause": {
                **bridge_of(A_STEP, frozen="1, 1, 1", known="2, 2, null"),
                "restatement": f"{values(BRIDGE, 'null, null, null, null, null, null, null, null, null')} where false",
            },
        },
    ),
    "a_reversal_takes_back_what_is_there": (
        {"fct_deal_event": values(AN_EVENT, f"'won', 'd', {FIRST}, {FIRST}, 1", f"'won', 'd', {SECOND}, {SECOND}, -1")},
        {
            "before it was known": {
                "fct_deal_event": values(
                    AN_EVENT, f"'won', 'd', {FIRST}, {SECOND}, 1", f"'won', 'd', {SECOND}, {FIRST}, -1"
                )
            },
            "before it happened": {
                "fct_deal_event": values(
                    AN_EVENT, f"'won', 'd', {SECOND}, {FIRST}, 1", f"'won', 'd', {FIRST}, {FIRST}, -1"
                )
            },
            "of another deal": {
                "fct_deal_event": values(
                    AN_EVENT, f"'won', 'd', {FIRST}, {FIRST}, 1", f"'won', 'e', {FIRST}, {FIRST}, -1"
                )
            },
        },
    ),
    "every_amount_has_a_rate": (
        {
            **ORGANISATION,
            "fct_deal_event": values(
                "currency_code, native_amount, amount, constant_amount, occurred_at",
                f"'EUR', 10, 11, 12, {FIRST}",
                f"'EUR', null, null, null, {FIRST}",
                f"'EUR', 10, null, null, {NIGHT}",
            ),
        },
        {
            "of an event": changed(
                ORGANISATION,
                fct_deal_event=f"select 'EUR' as currency_code, 10 as native_amount, {FIRST} as occurred_at",
            ),
            "of an open deal": changed(
                ORGANISATION, fct_deal_open_interval="select 'EUR' as currency_code, 10 as native_amount"
            ),
            "constant": changed(
                ORGANISATION,
                fct_deal_open_interval="select 'EUR' as currency_code, 10 as native_amount, 11 as amount",
            ),
        },
    ),
    "every_merge_ends_at_a_deal": (
        {
            "int_deal__knowledge": values(
                MERGED,
                "'a', true, null, 'b'",
                "'b', true, null, 'c'",
                "'c', true, null, null",
                "'once', false, null, 'nobody'",
                f"'once', true, {FIRST}, 'nobody'",
            )
        },
        {
            "into nobody": {"int_deal__knowledge": values(MERGED, "'a', true, null, 'b'", "'b', true, null, 'nobody'")},
            "into each other": {
                "int_deal__knowledge": values(
                    MERGED, "'a', true, null, 'b'", "'b', true, null, 'c'", "'c', true, null, 'a'"
                )
            },
        },
    ),
    "shares_are_one_together": (
        {
            "deal_share": values(
                SHARES,
                "'d', 0.6, false",
                "'d', 0.4, false",
                "'d', 0.7, true",
                "'e', 0.333334, false",
                "'e', 0.666666, false",
            )
        },
        {"a millionth is missing": {"deal_share": values(SHARES, "'d', 0.6, false", "'d', 0.399999, false")}},
    ),
    "every_assignment_has_a_weight": (
        {
            "kpi_profile": values("profile, kpi_code", "'growth', 'won_amount'", "'retention', 'repeat_rate'"),
            "kpi_assignment": values(
                ASSIGNED, "'won_amount', 'manager', 'ann', null", "'calls', 'manager', 'ann', 0.1"
            ),
        },
        {
            "neither the assignment nor the profile has one": {
                "kpi_profile": values("profile, kpi_code", "'growth', 'won_amount'", "'retention', 'repeat_rate'"),
                "kpi_assignment": values(ASSIGNED, "'repeat_rate', 'manager', 'ann', null"),
            }
        },
    ),
    "shares_were_one_together": (
        {
            "stg_files__deal_split": values(
                SHARES,
                "'thirds', 0.3333, false",
                "'thirds', 0.3333, false",
                "'thirds', 0.3333, false",
                "'ended', 0, false",
                "'on top', 0.2, true",
            )
        },
        {
            "a share is missing": {"stg_files__deal_split": values(SHARES, "'d', 0.6, false", "'d', 0.3, false")},
            "less than nothing": {"stg_files__deal_split": values(SHARES, "'d', 1.2, false", "'d', -0.2, false")},
        },
    ),
    "every_stage_has_an_outcome": (
        {
            "dim_pipeline_stage": "select 'talk' as stage_id",
            "int_deal__knowledge": values(
                "deal_id, is_last_version, is_deleted, known_until, stage_id",
                "'now', true, false, null, 'talk'",
                "'gone', true, true, null, 'unheard of'",
                f"'once', true, false, {FIRST}, 'unheard of'",
            ),
        },
        {
            "unmapped": {
                "dim_pipeline_stage": "select 'talk' as stage_id",
                "int_deal__knowledge": "select 'd' as deal_id, true as is_last_version, false as is_deleted",
            }
        },
    ),
    "figures_add_up": (
        MEASURES,
        {
            "a cent too much in the company": changed(
                MEASURES,
                kpi_measure=values(
                    MEASURED, f"0, {MONTH}, 1, 1, 10.00", *(f"0, {MONTH}, {n}, 1, 9.99" for n in (2, 3, 4))
                ),
            ),
            "a department without its deal": changed(
                MEASURES,
                kpi_measure=values(MEASURED, *(f"0, {MONTH}, {n}, 1, 9.99" for n in (1, 3, 4))),
            ),
        },
    ),
    "every_cut_adds_up_to_the_company": (
        in_cuts("1, 3.33", "2, 6.66", "3.000000, 9.99"),
        {
            "a deal without a product": in_cuts("1, 3.33", "1, 3.33", "3.000000, 9.99"),
            "a cent that was shared away": in_cuts("1, 3.33", "2, 6.66", "3.000000, 9.98"),
            "a part of a deal that is nobody's": in_cuts("1, 3.33", "2, 6.66", "2.999999, 9.99"),
        },
    ),
    "figures_are_the_sum_of_the_deals": (
        DEALS,
        {
            "a deal that is not listed": changed(
                DEALS, kpi_open_interval=values("manager_id, amount", "'ann', null", "'ann', 1")
            ),
            "an amount that is another": changed(
                DEALS, kpi_counted_event="select 'ann' as manager_id, 'won' as event_type, 1 as sign, 9.98 as amount"
            ),
            "a year that is another": changed(
                DEALS,
                kpi_measure=values("cut_id, period_grain, entity_id, won_deals, won_amount", "0, 'year', 1, 2, 9.99"),
            ),
        },
    ),
    "a_win_rate_curve_ends_at_its_wins": (
        COHORTS,
        {
            "a deal that is nowhere": curve_of("30, true, 9, 2, 2, 4, 0, 0.22222222, 0.22222222"),
            "less than none": curve_of("30, true, 8, 2, 7, -1, 0, 0.25, 0.25"),
            "a rate that falls": curve_of(IN_30_DAYS, "60, false, 8, 2, 2, 3, 1, 0.24999999, null"),
            "a rate that falls where one is missing": curve_of(
                IN_30_DAYS, "60, false, 8, 2, 2, 0, 4, null, null", "90, false, 8, 2, 2, 0, 4, 0.2, null"
            ),
            "mature too early": curve_of("30, true, 8, 2, 2, 3, 1, 0.25, 0.25"),
            "mature without a rate": curve_of("30, true, 8, 2, 2, 4, 0, 0.25, null"),
            "a rate without maturity": curve_of("30, false, 8, 2, 2, 4, 0, 0.25, 0.25"),
            "another rate than the share": curve_of("30, true, 8, 2, 2, 4, 0, 0.25000001, 0.25000001"),
            "no rate where all are known": curve_of("30, false, 8, 2, 2, 4, 0, null, null"),
            "two rates": curve_of("30, true, 8, 2, 2, 4, 0, 0.25, 0.24999999"),
        },
    ),
    "a_funnel_narrows": (
        COHORTS,
        {
            "a deal that is nowhere": funnel_of("'p', 'talk', 1, 8, 7, 2, 2, 2, 1, 0, null, null, 0, null"),
            "more than reached the next": funnel_of(
                "'p', 'talk', 1, 8, 7, 6, 2, 1, 1, 0, null, null, 0, null",
                OFFER,
            ),
            "fewer go on than are won": funnel_of(
                "'p', 'talk', 1, 8, 7, 1, 2, 4, 3, 0, null, null, 0, null",
                "'p', 'offer', 2, 1, 1, 1, 1, 0, 0, 0, null, null, 0, null",
            ),
            "more were in it than reached it": funnel_of("'p', 'talk', 1, 8, 9, 2, 2, 5, 1, 0, null, null, 0, null"),
            "less than none": funnel_of("'p', 'talk', 1, 8, 7, 2, 2, 7, -1, 0, null, null, 0, null"),
            "a stay without a length": funnel_of("'p', 'talk', 1, 8, 7, 2, 2, 5, 1, 1, null, 2, 0, null"),
            "a length without a stay": funnel_of("'p', 'talk', 1, 8, 7, 2, 2, 5, 1, 0, 3, 2, 0, null"),
            "an open stay without an age": funnel_of("'p', 'talk', 1, 8, 7, 2, 2, 5, 1, 0, null, null, 1, null"),
        },
    ),
    "a_waterfall_adds_up": (
        WATERFALLS,
        {
            "a deal that nothing explains": changed(WATERFALLS, pipeline_waterfall=waterfall_of(opening_deals=3)),
            "a cent that nothing explains": changed(WATERFALLS, pipeline_waterfall=waterfall_of(closing_amount=1)),
            "less than nothing": changed(WATERFALLS, pipeline_waterfall=waterfall_of(lost_deals=-1, created_deals=-1)),
            "a transfer of the company": changed(
                WATERFALLS, pipeline_waterfall=waterfall_of(transferred_in_deals=1, transferred_out_deals=1)
            ),
            "a win of nobody": changed(WATERFALLS, pipeline_waterfall=waterfall_of(won_within_deals=1)),
            "another pipeline than the KPI's": changed(
                WATERFALLS,
                kpi_measure=values(
                    "cut_id, period_grain, period_start, entity_id, open_deals, won_deals", f"0, {MONTH}, 1, 2, 0"
                ),
            ),
            "a win that the KPI does not have": changed(
                WATERFALLS,
                kpi_measure=values(
                    "cut_id, period_grain, period_start, entity_id, open_deals, won_deals", f"0, {MONTH}, 1, 1, -1"
                ),
            ),
            "a win that only the KPI took back": changed(WATERFALLS, dim_period_day="select null as day limit 0"),
        },
    ),
    "discipline_is_counted_once": (
        changed(
            WATERFALLS,
            crm_discipline=" union all by name ".join(
                told["crm_discipline"]
                for told in (
                    discipline_of("1, 1, 1, 1, 'open_amount', 9, 0"),
                    wins_of("1, 1, 1, 1, 'won_amount', 90, 60, 30"),
                )
            ),
        ),
        {
            "more than there are": discipline_of("1, 1, 2, 1, 'open_amount', 9, 0"),
            "a deal of nobody": discipline_of("2, 1, 1, 1, 'open_amount', 9, 0"),
            "another share than the KPI's": discipline_of("1, 1, 0, 0, 'open_amount', 9, 9"),
            "a strict figure that flatters": discipline_of("1, 1, 1, 1, 'win_rate', 0.5, 0.6"),
            "a win that the KPI does not have": wins_of("2, 1, 1, 1, 'won_amount', 90, 60, 30"),
            "a win that only the KPI has": wins_of("0, 0, 0, 0, 'won_amount', 90, 90, null"),
            "a strict figure that leaves out more": wins_of("1, 1, 1, 1, 'won_amount', 90, 30, 30"),
        },
    ),
    "a_closing_pattern_has_the_wins_that_stand": (
        PATTERNS,
        {
            "a win that was taken back": changed(
                PATTERNS, closing_pattern=PATTERNS["closing_pattern"].replace("'manager', 1", "'manager', 2")
            ),
            "a win that stands and is not there": changed(
                PATTERNS, closing_pattern=PATTERNS["closing_pattern"].replace("'company', 1", "'company', 0")
            ),
        },
    ),
    "driver_inputs_add_up": (
        DRIVERS,
        {
            "a cent that the KPIs do not count": changed(
                DRIVERS,
                driver_input=values(
                    INPUT_COLUMNS,
                    CREATED_INPUT,
                    CLOSED_INPUT,
                    WON_INPUT,
                    AMOUNT_INPUT.replace("90.10", "90.11"),
                    *OTHER_INPUTS,
                ),
            ),
            "a deal that was decided and is told nowhere": changed(
                DRIVERS, driver_input=values(INPUT_COLUMNS, CREATED_INPUT, WON_INPUT, AMOUNT_INPUT, *OTHER_INPUTS)
            ),
            "a manager who has nothing but in the KPIs": changed(
                DRIVERS,
                kpi_measure=values(DRIVER_MEASURES, f"0, {MONTH}, 1, 90.10, 3, 2, 8", f"0, {MONTH}, 2, 1.00, 1, 0, 0"),
            ),
        },
    ),
    "forecast_inputs_are_the_figures": (
        FORECAST_INPUTS,
        {
            "a cent that the KPIs do not count": changed(
                FORECAST_INPUTS,
                forecast_input=values(FORECAST_COLUMNS, "'won_amount', 'company', 'company', 0, 0, 90.11"),
            ),
            "a figure that is told nowhere": changed(
                FORECAST_INPUTS, forecast_input=values(FORECAST_COLUMNS, "'won_deals', 'company', 'company', 0, 0, 2")
            ),
        },
    ),
    "cohorts_add_up": (
        COHORTS,
        {
            "a deal of the company that is no manager's": changed(
                COHORTS,
                win_rate_curve=values(
                    CURVE,
                    *of("company", IN_30_DAYS, IN_90_DAYS),
                    *of("manager", "30, true, 7, 2, 1, 4, 0, 0.25, 0.25", IN_90_DAYS),
                ),
            ),
            "a stay of a manager that is not the company's": changed(
                COHORTS,
                funnel_stage=values(
                    FUNNEL,
                    *of("company", TALK, OFFER),
                    *of("manager", TALK, "'p', 'offer', 2, 5, 4, 2, 2, 1, 2, 1, 1, 1, 0, null"),
                ),
            ),
            "a deal that the KPIs do not count": changed(
                COHORTS,
                kpi_measure=values(
                    "cut_id, period_grain, period_start, entity_id, created_deals, created_deals_won_within_90_days",
                    f"0, {MONTH}, 2, 7, 3",
                ),
            ),
            "a win that the curve does not have": changed(
                COHORTS,
                kpi_measure=values(
                    "cut_id, period_grain, period_start, entity_id, created_deals, created_deals_won_within_90_days",
                    f"0, {MONTH}, 2, 8, 4",
                ),
            ),
            "a cohort without a curve": changed(COHORTS, win_rate_curve=values(CURVE, *of("company", IN_30_DAYS))),
        },
    ),
    "customers_add_up": (
        CUSTOMERS,
        {
            "one who came from nowhere": changed(
                CUSTOMERS,
                customer_base=base_of(
                    "'company', 'company', 0, 3, 2, 0, 0, 1, 3, 1, 2, 3, 1, 0, 4, 30, 5", OF_ANN, OF_BOB
                ),
            ),
            "one who is gone overnight": changed(
                CUSTOMERS,
                customer_base=f"{base_of(OF_THE_COMPANY, OF_ANN, OF_BOB)} union all {APRIL}",
            ),
            "one who is taken over from nobody": changed(
                CUSTOMERS,
                customer_base=base_of(
                    OF_THE_COMPANY, OF_ANN, "'manager', 'bob', 0, 1, 0, 2, 0, 1, 2, 1, 1, 2, 1, 0, 0, 10, 5"
                ),
            ),
            "one who the company took over": changed(
                CUSTOMERS,
                customer_base=base_of(
                    "'company', 'company', 0, 3, 0, 1, 0, 1, 3, 1, 2, 3, 1, 0, 4, 30, 5", OF_ANN, OF_BOB
                ),
            ),
            "one who is nobody's": changed(CUSTOMERS, customer_base=base_of(OF_THE_COMPANY, OF_ANN)),
            "a KPI that is another": changed(
                CUSTOMERS,
                customer_base=base_of(
                    OF_THE_COMPANY, OF_ANN, "'manager', 'bob', 0, 1, 1, 1, 0, 1, 2, 1, 1, 2, 1, 1, 0, 10, 5"
                ),
            ),
        },
    ),
    "every_customer_is_counted_once": (
        CUSTOMERS,
        {
            "a cent that no cohort paid": changed(
                CUSTOMERS,
                customer_base=base_of(OF_THE_COMPANY.replace("30, 5", "30.01, 5"), OF_ANN, OF_BOB),
            ),
            "one who bought and is in no cohort": changed(
                CUSTOMERS,
                cohort_retention=f"{CUSTOMERS['cohort_retention']} where periods_since <> 1",
            ),
            "one who is another's in the cohorts": changed(
                CUSTOMERS,
                cohort_retention=CUSTOMERS["cohort_retention"].replace("'manager', 'bob'", "'manager', 'ann'"),
            ),
            "one who is another's among the segments": changed(
                CUSTOMERS, customer_segment=CUSTOMERS["customer_segment"].replace("'b', 'bob'", "'b', 'ann'")
            ),
            "one who is lost by another": changed(
                CUSTOMERS, customer_segment=CUSTOMERS["customer_segment"].replace("'d', 'bob'", "'d', 'ann'")
            ),
            "one whose next purchase nobody awaits": changed(
                CUSTOMERS, buying_interval=CUSTOMERS["buying_interval"].replace("'bob', 2", "'bob', 1")
            ),
        },
    ),
    "no_overlap_fct_deal_stage_interval_left_at__deal_id__entered_at": (
        {
            "fct_deal_stage_interval": values(
                "deal_id, entered_at, left_at",
                f"'d', null, {FIRST}",
                f"'d', {FIRST}, {FIRST}",
                f"'d', {FIRST}, {SECOND}",
                f"'d', {SECOND}, null",
            )
        },
        {
            "a stay that ends before it begins": {
                "fct_deal_stage_interval": values("deal_id, entered_at, left_at", f"'d', {SECOND}, {FIRST}")
            },
            "two that do not end": {
                "fct_deal_stage_interval": values(
                    "deal_id, entered_at, left_at", f"'d', {FIRST}, null", f"'d', {SECOND}, null"
                )
            },
        },
    ),
    "unique_key_fct_customer_purchase_deal_id": (
        {"fct_customer_purchase": values("deal_id", "'d'", "'e'")},
        {"the same twice": {"fct_customer_purchase": values("deal_id", "'d'", "'d'")}},
    ),
    "every_year_has_its_holidays": (
        # what lies before the first figures and after the last is of no account; one calendar is not another
        HOLIDAYS,
        {
            "a year without": changed(
                HOLIDAYS, holiday=values("calendar, day", "'', date '2025-12-25'", "'other', date '2026-12-25'")
            )
        },
    ),
    "a_stay_is_of_a_manager_in_a_department": (
        {"manager_department": values(A_STAY, "'files:ann', 'files:east', null, date '2026-03-01'")},
        {
            "an id without its CRM": {"manager_department": values(A_STAY, "'ann', 'files:east', null, null")},
            "no department": {"manager_department": values(A_STAY, "'files:ann', null, null, null")},
            "an end before the beginning": {
                "manager_department": values(A_STAY, "'files:ann', 'files:east', date '2026-03-02', date '2026-03-01'")
            },
        },
    ),
    "closings_and_reopenings_take_turns": (
        {"fct_period_close": values(DECIDED, "1, 'closed'", "2, 'reopened'", "3, 'closed'")},
        {
            "reopened before it was closed": {"fct_period_close": values(DECIDED, "1, 'reopened'")},
            "closed twice": {"fct_period_close": values(DECIDED, "1, 'closed'", "2, 'closed'")},
        },
    ),
    "a_rate_is_positive": (
        {"exchange_rate": values("from_currency, to_currency, valid_on, rate", "'EUR', 'USD', date '2026-01-01', 1.1")},
        {
            "nothing": {
                "exchange_rate": values(
                    "from_currency, to_currency, valid_on, rate", "'EUR', 'USD', date '2026-01-01', 0"
                )
            },
            "unknown": {
                "exchange_rate": values(
                    "from_currency, to_currency, valid_on, rate", "'EUR', 'USD', date '2026-01-01', null"
                )
            },
        },
    ),
}


def test_missing_rates_are_told_with_the_lines_to_add(find: Callable[[str, Rows], list[tuple[Any, ...]]]) -> None:
    """A rate of 5 January holds to 5 February; the one day of which pounds have no constant rate is the last."""
    columns = "deal_id, currency_code, native_amount, amount, constant_amount, credited_on, occurred_at"
    rows = {
        "build_moment": f"select {NIGHT} as as_of, date '2026-03-31' as last_day",
        "fct_deal_event": values(
            columns,
            f"'d', 'EUR', 10, null, null, date '2026-02-05', {FIRST}",
            f"'d', 'EUR', 10, null, null, date '2026-01-05', {FIRST}",
            f"'e', 'EUR', 10, null, null, date '2026-02-06', {FIRST}",
            f"'f', 'GBP', 10, 12, null, date '2026-02-06', {FIRST}",
        ),
    }
    assert find("every_amount_has_a_rate", rows) == [
        (
            "EUR: no rate into USD that is at most 31 days old on 2026-01-05 and 2 more days to 2026-02-06 (deals: 2); "
            "add\n    EUR,USD,2026-01-05,<rate>\n    EUR,USD,2026-02-06,<rate>",
        ),
        (
            "GBP: no constant rate into USD that is at most 31 days old on 2026-03-31 (deals: 1); "
            "add\n    GBP,USD,2026-03-31,<rate>",
        ),
    ]


def test_each_singular_test_is_tried() -> None:
    assert set(SINGULAR_TESTS) - set(FAULTS) == set()


@pytest.mark.parametrize("test", FAULTS)
def test_a_data_test_finds_nothing_where_all_is_well(
    find: Callable[[str, Rows], list[tuple[Any, ...]]], test: str
) -> None:
    assert find(test, FAULTS[test][0]) == []


@pytest.mark.parametrize(
    ("test", "fault"),
    [
        pytest.param(test, rows, id=f"{test}: {name}")
        for test, (_, faults) in FAULTS.items()
        for name, rows in faults.items()
    ],
)
def test_a_data_test_finds_its_fault(
    find: Callable[[str, Rows], list[tuple[Any, ...]]], test: str, fault: Rows
) -> None:
    assert find(test, fault) != []
