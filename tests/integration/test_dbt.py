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
    rules = {path.stem for path in DESCRIPTIONS if path.parent.name in ("intermediate", "kpi")}
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


ORGANISATION = {
    "build_moment": f"select {NIGHT} as as_of",
    "dim_entity": values(
        "entity_id, entity_level, entity_key, department_id, manager_id",
        "1, 'company', 'company', null, null",
        "2, 'department', 'east', 'east', null",
        "3, 'manager', 'ann', null, 'ann'",
        "4, 'manager_in_department', 'ann|east', 'east', 'ann'",
    ),
    "bridge_entity": values("manager_id, department_id, entity_id", *(f"'ann', 'east', {n}" for n in (1, 2, 3, 4))),
    "dim_department_closure": values("department_id, ancestor_department_id, depth", "'east', 'east', 0"),
    "dim_department": values("department_id, department_name, parent_department_id", "'east', 'East', null"),
}
MONTH = "'month', date '2026-03-01'"
MEASURES = {
    **ORGANISATION,
    "kpi_measure": values(
        "period_grain, period_start, entity_id, won_deals, won_amount",
        *(f"{MONTH}, {n}, 1, 9.99" for n in (1, 2, 3, 4)),
    ),
}
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
    "kpi_measure": values("period_grain, entity_id, won_deals, won_amount", "'year', 1, 1, 9.99"),
}
AN_EVENT = "event_type, deal_id, occurred_at, recorded_at, sign"
FIRST, SECOND = "timestamptz '2026-03-01 00:00:00+00'", "timestamptz '2026-03-02 00:00:00+00'"

# Test → rows in which all is well, and the same with a fault, by what the fault is.
FAULTS: dict[str, tuple[Rows, dict[str, Rows]]] = {
    "one_build_is_being_made": (ORGANISATION, {"no build": {}}),
    "departments_form_a_tree": (
        ORGANISATION,
        {
            "a department below itself": changed(
                ORGANISATION,
                dim_department_closure=values(
                    "department_id, ancestor_department_id, depth", "'east', 'east', 0", "'east', 'east', 1"
                ),
            )
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
                    "manager_id, department_id, entity_id", *(f"'ann', 'east', {n}" for n in (1, 1, 2, 3, 4))
                ),
            ),
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
                "currency_code, native_amount, amount, occurred_at",
                f"'EUR', 10, 11, {FIRST}",
                f"'EUR', null, null, {FIRST}",
                f"'EUR', 10, null, {NIGHT}",
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
                    "period_grain, period_start, entity_id, won_deals, won_amount",
                    f"{MONTH}, 1, 1, 10.00",
                    *(f"{MONTH}, {n}, 1, 9.99" for n in (2, 3, 4)),
                ),
            ),
            "a department without its deal": changed(
                MEASURES,
                kpi_measure=values(
                    "period_grain, period_start, entity_id, won_deals, won_amount",
                    *(f"{MONTH}, {n}, 1, 9.99" for n in (1, 3, 4)),
                ),
            ),
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
                DEALS, kpi_measure=values("period_grain, entity_id, won_deals, won_amount", "'year', 1, 2, 9.99")
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
