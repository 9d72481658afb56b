"""Runs the suites of one boundary with Great Expectations, inside DuckDB through SQL.

The database is attached read-only to one in memory, where a view for each table carries the name its suite knows it by.
So nothing is written to the file, and Great Expectations, which drops a table's schema in some queries, needs none.
"""

import contextlib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import duckdb_engine
import great_expectations as gx
from great_expectations.core import ExpectationValidationResult
from great_expectations.data_context.types.base import ProgressBarsConfig
from sqlalchemy.pool import NullPool

from kpimart.quality import dialect, wording
from kpimart.quality.documents import Page, write_documents
from kpimart.quality.evidence import Gathered, gather
from kpimart.quality.protocol import Parameters, Request
from kpimart.quality.suites import BadSuite, Expectation, Suite, filled, parameters_of, read_suite, suite_files
from kpimart.quality.verdict import Outcome, Result
from kpimart.warehouse import open_memory, raw_table

BATCH_OBJECT = "batch_object"
# The suite of every raw object; one of its own, if it has one, adds to it.
EVERY_OBJECT = "every_object"
PENDING = "pending"

# SQLAlchemy puts the whole statement behind the database's message.
STATEMENT = "[SQL:"

COUNTS = {"result_format": "BASIC"}
ROWS = {
    "result_format": "SUMMARY",
    "partial_unexpected_count": wording.SAMPLE_ROWS,
    "include_unexpected_rows": True,
}
# Rows of a query are only handed out with the complete format, which stops at 200 of them.
QUERIED_ROWS = {"result_format": "COMPLETE"}


def judge(request: Request) -> tuple[Result, ...]:
    """Run every suite that is due; what cannot be run is a result too, an errored one.

    Raises duckdb.Error if the database cannot be opened. The file is closed when this returns.
    """
    suites = suite_files(request.suites)
    pages: list[Page] = []
    with _opened(request.database) as (connection, catalog):
        tables = request.tables if request.tables is not None else _pending(connection, catalog)
        source = _source(connection)
        missing = [table for table, relation in tables.items() if not _is_there(connection, table, catalog, relation)]
        gathered = _gathered(connection, catalog, request, {*tables} - {*missing})
        results = [
            result
            for table in tables
            for result in (
                [_error(table, "the table is there", f"{request.database.name} has no {tables[table]}")]
                if table in missing
                else _judge(source, table, request, suites, pages)
            )
        ]
        for each in gathered:
            results += _judge_gathered(each, _judge(source, each.name, request, suites, pages))
    results += _suites_without_a_table(request, {*tables, *(each.name for each in gathered)}, suites)
    return (*results, *_documented(request, pages, results))


def _gathered(
    connection: duckdb.DuckDBPyConnection, catalog: str, request: Request, tables: set[str]
) -> tuple[Gathered, ...]:
    if not request.compared:
        return ()
    raw = catalog
    if not request.database.samefile(request.compared.raw):
        raw = "live"
        connection.execute(f"attach {_literal(request.compared.raw)} as {raw} (read_only)")
    return gather(connection, catalog, raw, sorted(tables), request.compared)


def _judge_gathered(gathered: Gathered, results: list[Result]) -> list[Result]:
    """The results of a table that was made for the judgement; what passes for want of rows says why there are none."""
    if gathered.error:
        return [_error(gathered.name, "what it compares could be compared", gathered.error)]
    if not gathered.is_empty_because:
        return results
    return [replace(each, observed=gathered.is_empty_because) if each.outcome == "passed" else each for each in results]


def _documented(request: Request, pages: Sequence[Page], results: Sequence[Result]) -> list[Result]:
    """Write the Data Docs. Where they cannot be written, that is told and closes nothing: the record has all of it."""
    if request.documents is None:
        return []
    try:
        write_documents(request.documents, pages, results)
    # Whatever a library finds to raise over a page must not stand in the way of figures that were judged.
    except Exception as error:  # noqa: BLE001
        observed = f"{type(error).__name__}: {error}"
        return [Result("(all)", "Data Docs of the judgement are written", "warning", "failed", observed)]
    return []


@contextlib.contextmanager
def _opened(database: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
    """The file, attached read-only, and its catalog: the name it has by itself, as its views know it."""
    connection = open_memory()
    try:
        connection.execute("create schema gate; set schema = 'gate'")
        connection.execute(f"set temp_directory = {_literal(database.with_name(f'{database.name}.gate'))}")
        connection.execute(f"attach {_literal(database)} (read_only)")
        (catalog,) = _row(
            connection, "select database_name from duckdb_databases() where not internal and database_name <> 'memory'"
        )
        yield connection, catalog
    finally:
        connection.close()


def _pending(connection: duckdb.DuckDBPyConnection, catalog: str) -> dict[str, str]:
    """What waits to be judged: the batches themselves, and every object that one of them brings."""
    batches = f"{PENDING}.{BATCH_OBJECT}"
    try:
        brought = connection.execute(
            f'select distinct source, object from "{catalog}".{batches} order by all'
        ).fetchall()
    except duckdb.CatalogException:
        brought = []
    tables = [raw_table(source, name).removeprefix("raw.") for source, name in brought]
    return {BATCH_OBJECT: batches} | {table: f"{PENDING}.{table}" for table in tables}


def _is_there(connection: duckdb.DuckDBPyConnection, table: str, catalog: str, relation: str) -> bool:
    """Give the relation the name that suites know it by, if there is such a relation."""
    try:
        connection.execute(f'create view gate."{table}" as select * from "{catalog}".{relation}')
    except duckdb.CatalogException:
        return False
    return True


def _source(connection: duckdb.DuckDBPyConnection) -> Any:
    """What Great Expectations reads: sessions of the connection, each of them new, in the schema of the views."""

    def session() -> duckdb_engine.ConnectionWrapper:
        cursor = connection.cursor()
        cursor.execute("set schema = 'gate'; set TimeZone = 'UTC'")
        return duckdb_engine.ConnectionWrapper(cursor)

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # The stubs of this factory leave out the arguments that are meant for SQLAlchemy.
    sources: Any = context.data_sources
    return sources.add_sql(
        "gate",
        connection_string=f"{dialect.NAME}://",
        create_temp_table=False,
        kwargs={"creator": session, "poolclass": NullPool},
    )


def _judge(source: Any, table: str, request: Request, suites: Mapping[str, Path], pages: list[Page]) -> list[Result]:
    """The results of a table; what Great Expectations found is added to `pages`."""
    try:
        return _run(source, _suite_of(table, request, suites), request.parameters, pages)
    except BadSuite as error:
        return [_error(table, "a suite that can be run", str(error))]
    # Whatever a library finds to raise must be told as an error of this table, and must not hide the others' results.
    except Exception as error:  # noqa: BLE001
        return [_error(table, "a suite that can be run", f"{type(error).__name__}: {error}")]


def _suite_of(table: str, request: Request, suites: Mapping[str, Path]) -> Suite:
    is_object = request.boundary == "raw" and table != BATCH_OBJECT
    names = [name for name in ((EVERY_OBJECT, table) if is_object else (table,)) if name in suites]
    if not names:
        raise BadSuite(f"there is no {request.suites / table}.json")
    read = [read_suite(suites[name]) for name in names]
    for name, suite in zip(names, read, strict=True):
        if not suite.expectations:
            raise BadSuite(f"{suites[name]}: the suite is empty")
    return Suite(table, read[-1].name, tuple(each for suite in read for each in suite.expectations))


def _suites_without_a_table(request: Request, tables: Container[str], suites: Mapping[str, Path]) -> list[Result]:
    """All published tables are there each time; a raw batch may bring only some of the objects that have suites."""
    if request.boundary == "raw":
        return []
    return [
        _error(table, "the table is there", f"no table of that name is published, but there is a suite {path}")
        for table, path in suites.items()
        if table not in tables
    ]


def _run(source: Any, suite: Suite, parameters: Parameters, pages: list[Page]) -> list[Result]:
    """Run a suite: all of it together first, then again, for its rows, what failed."""
    judged = _Judged(source, suite, parameters)
    missing = {place: parameters_of(each) - parameters.keys() for place, each in enumerate(suite.expectations)}
    found = judged.run([place for place, names in missing.items() if not names], COUNTS)
    # What is computed in one query fails in one query: alone, the innocent pass and the guilty say why.
    for place in [place for place, result in found.items() if _exception(result)]:
        found |= judged.run([place], COUNTS)
    failed = [place for place, result in found.items() if not (result.success or _exception(result))]
    queries = [place for place in failed if suite.expectations[place]["type"] == wording.ROWS_QUERY]
    found |= judged.run(queries, QUERIED_ROWS)
    found |= judged.run([place for place in failed if place not in queries], ROWS)
    pages.append(Page(suite.table, suite.name, judged.meta, tuple(found[place] for place in sorted(found))))
    return [
        _result(suite.table, each, filled(each, parameters), found[place].to_json_dict())
        if place in found
        else _unrun(suite.table, each, missing[place])
        for place, each in enumerate(suite.expectations)
    ]


class _Judged:
    """One table as Great Expectations sees it, with the suite it is judged by."""

    def __init__(self, source: Any, suite: Suite, parameters: Parameters) -> None:
        self._rows = source.add_table_asset(suite.table).add_batch_definition_whole_table(suite.table)
        self._suite = suite
        self._parameters = dict(parameters)
        self.meta: Mapping[str, Any] = {}

    def run(self, places: list[int], result_format: Mapping[str, Any]) -> dict[int, ExpectationValidationResult]:
        """Run the expectations at these places of the suite together; place → result."""
        if not places:
            return {}
        suite = gx.ExpectationSuite(
            name=self._suite.name,
            expectations=[{**self._suite.expectations[place], "meta": {"place": place}} for place in places],
        )
        outcome = self._rows.get_batch().validate(
            suite, result_format=dict(result_format), expectation_parameters=self._parameters
        )
        self.meta = outcome.meta
        results: list[Any] = outcome.results
        return {result.expectation_config.meta["place"]: result for result in results}


def _result(table: str, expectation: Expectation, kwargs: Mapping[str, Any], found: Mapping[str, Any]) -> Result:
    kind, exception = expectation["type"], _raised(found.get("exception_info"))
    outcome: Outcome = "errored" if exception else "passed" if found["success"] else "failed"
    return Result(
        table=table,
        expectation=wording.label(expectation),
        severity=expectation.get("severity", "critical"),
        outcome=outcome,
        observed=_short(exception or wording.observed(kind, found["result"])),
        expected=wording.expected(kind, kwargs),
        samples=wording.samples(found["result"]),
        notes=_notes(expectation),
    )


def _short(observed: str | None) -> str | None:
    if observed is None or len(observed) <= wording.OBSERVED_TEXT:
        return observed
    return f"{observed[: wording.OBSERVED_TEXT]}…"


def _unrun(table: str, expectation: Expectation, missing: set[str]) -> Result:
    """Great Expectations leaves an expectation of a type it does not know out of a suite, and says nothing of it."""
    unknown = f"no result came of it: is {expectation['type']} a type of Great Expectations?"
    return Result(
        table=table,
        expectation=wording.label(expectation),
        severity=expectation.get("severity", "critical"),
        outcome="errored",
        observed=f"no value was given for {', '.join(sorted(missing))}" if missing else unknown,
        notes=_notes(expectation),
    )


def _notes(expectation: Expectation) -> str | None:
    return (expectation.get("meta") or {}).get("notes")


def _exception(found: ExpectationValidationResult) -> str | None:
    return _raised(found.exception_info)


def _raised(told: Mapping[str, Any] | None) -> str | None:
    """What was raised: Great Expectations tells it plainly, or by the metric that raised it."""
    info = told or {}
    raised = [info] if "raised_exception" in info else list(info.values())
    messages = {
        str(each["exception_message"]).partition(STATEMENT)[0].strip()
        for each in raised
        if each.get("raised_exception")
    }
    return "; ".join(sorted(messages)) or None


def _error(table: str, expected: str, observed: str) -> Result:
    return Result(table, expected, "critical", "errored", observed, expected)


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    if row is None:
        raise LookupError(f"no row: {query}")
    return row


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
