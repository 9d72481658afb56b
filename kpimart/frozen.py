"""What closed months were closed on, gathered from their releases into a build, for its models to read.

A closing names a release and copies no figure, so each build reads them there: the month's rows of `kpi_value`, and
everything that they count, by the macro that finds the same in the build (macros/closed_months.sql). Only months closed
by the build's `known_at` are read, so a rebuild gathers what the build had.

A release that cannot be read is no reason to publish nothing tonight: `frozen.month` says of each month how much of it
was found, and a test of the models warns of the others.
"""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import jinja2

from kpimart.build import Build
from kpimart.errors import KpiMartError, ReleaseNotFound
from kpimart.paths import DBT_PROJECT
from kpimart.publish.contract import KPI_VALUE
from kpimart.publish.shelf import Shelf
from kpimart.sql import literal
from kpimart.warehouse import WAREHOUSE_FILE, open_database, open_memory, transaction
from kpimart.warehouse import literal as path_literal

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

COUNTED = DBT_PROJECT / "macros" / "closed_months.sql"

PUBLISHED = {
    "months": "closed_month",
    "events": "deal_event",
    "intervals": "deal_open_interval",
    "next_steps": "deal_next_step",
    "purchases": "customer_purchase",
    "leads": "lead",
    "activities": "activity",
    "closure": "dim_department_closure",
    "targets": "target_attainment",
}
"""What the macro reads → the table of a release that it is."""

Months = Sequence[tuple[date, date]]
"""First and last days of months that were closed on one release."""

_CLOSED = """
with decided as (
    select payload, row_number() over (partition by id order by landed_at desc) as recency
    from raw.kpimart__close
    where batch_id in (select batch_id from ops.batch_verdict where verdict = 'accepted' and judged_at <= ?)
)

select
    payload ->> '$.release_id',
    list((cast(payload ->> '$.period_start' as date), cast(payload ->> '$.period_end' as date)) order by payload)
from decided
where recency = 1 and (payload ->> '$.action') = 'closed'
group by 1
order by 1
"""


def gather(home: Path, made: Build, tell: Callable[[str], None]) -> None:
    """Write `frozen.month`, `frozen.figure` and `frozen.counted` of a build anew, from the releases of a home.

    status of a month: whole; figures_only (the release is of a contract that lacks something of what it counted);
    missing or damaged (nothing was read, and `problem` says what is wrong). Raises StorageFailed.
    """
    shelf = Shelf(home)
    with open_database(made.database, read_only=False) as connection:
        make_tables(connection)
        if made.database.name != WAREHOUSE_FILE:
            # What is raw in a scratch file are views of the warehouse.
            connection.execute(f"attach {path_literal(home / WAREHOUSE_FILE)} as live (read_only)")
        closed = connection.execute(_CLOSED, [made.known_at]).fetchall()
        for release_id, months in closed:
            tell(f"reading what was closed on {release_id}")
            found, status, problem = _read(shelf, release_id, months)
            # It is published, and where a home lies is nobody's business there.
            problem = problem and problem.replace(str(shelf.place), "reporting/releases")
            with transaction(connection):
                for table, rows in found.items():
                    connection.register("found_rows", rows)
                    connection.execute(f"insert into frozen.{table} by name select * from found_rows")
                    connection.unregister("found_rows")
                for start, _ in months:
                    connection.execute(
                        "insert into frozen.month values (?, ?, ?, ?)", [start, release_id, status, problem]
                    )


def make_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Empty tables of the schema `frozen`, whatever was in them."""
    figure = ", ".join(f"{column.name} {column.type}" for column in KPI_VALUE.columns)
    counted = ", ".join(f"{name} {kind}" for name, kind in counted_columns().items())
    connection.execute(
        f"""
        create schema if not exists frozen;
        create or replace table frozen.month (period_start date, release_id varchar, status varchar, problem varchar);
        create or replace table frozen.figure (release_id varchar, {figure});
        create or replace table frozen.counted (release_id varchar, period_start date, relation varchar, {counted})
        """
    )


def _read(shelf: Shelf, release_id: str, months: Months) -> tuple["dict[str, pa.Table]", str, str | None]:
    """The rows of each table, the status of the months, and what is wrong."""
    found: dict[str, pa.Table] = {}
    try:
        database = shelf.whole(release_id)
        # In a database of its own: what a broken file does to the one that reads it stays there.
        with open_memory() as connection:
            connection.execute(f"attach {path_literal(database)} as frozen (read_only); use frozen")
            listed = ", ".join(f"(date '{start}', date '{end}')" for start, end in months)
            connection.execute(
                f"create temp table closed_month as from (values {listed}) as months (period_start, period_end)"
            )
            figures = ", ".join(column.name for column in KPI_VALUE.columns)
            found["figure"] = _rows(
                connection,
                f"""
                select {literal(release_id)} as release_id, {figures}
                from kpi_value
                where period_grain = 'month' and period_start in (select period_start from closed_month)
                """,
            )
            counted = _macros().counted_rows(PUBLISHED, counted_columns())
            found["counted"] = _rows(connection, f"select {literal(release_id)} as release_id, * from ({counted})")
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        return found, "figures_only" if found else "damaged", str(error)
    except ReleaseNotFound:
        return {}, "missing", f"release {release_id} is not there, or only its manifest is"
    except (duckdb.Error, KpiMartError, OSError) as error:
        return {}, "damaged", str(error)
    return found, "whole", None


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> "pa.Table":
    return connection.execute(query).to_arrow_table()


def counted_columns() -> dict[str, str]:
    """Name → type of what is told of each thing that counts."""
    returned: list[dict[str, str]] = []
    _macros(returned.append).counted_columns()
    return returned[0]


def _macros(keep: Callable[[Any], None] = lambda _: None) -> Any:
    """The macros of COUNTED; `keep` is called with what one gives dbt's `return`, the one thing Jinja does not know."""
    # What is written out is SQL, which has nothing to escape for a browser.
    environment = jinja2.Environment(autoescape=False)  # noqa: S701
    return environment.from_string(COUNTED.read_text(encoding="utf-8"), globals={"return": keep}).module
