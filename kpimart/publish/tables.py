"""The tables of a release: checked against the contract, copied in the order of their keys, and counted."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import orjson

from kpimart.build import Build
from kpimart.errors import BuildFailed
from kpimart.publish import contract, gate
from kpimart.publish.contract import Column, Table
from kpimart.publish.manifest import BatchRecord, Manifest, TableRecord
from kpimart.sql import literal, quoted
from kpimart.warehouse import raw_table

_ENTITY_IDS = {
    "company": (),
    "department": ("department_id",),
    "manager": ("manager_id",),
    "manager_in_department": ("manager_id", "department_id"),
}


@dataclass(frozen=True)
class Origin:
    """A build, and the names under which its database and the one with `ops` and `raw` are attached."""

    build: Build
    built: str
    ops: str


@dataclass(frozen=True)
class ReleaseRow:
    """A row of the published table `release`, in the order of its columns."""

    release_id: str
    as_of: datetime
    known_at: datetime
    published_at: datetime
    previous_release_id: str | None
    code_version: str
    is_this_release: bool
    overridden_by: str | None = None


def check_contract(connection: duckdb.DuckDBPyConnection, origin: Origin) -> None:
    """Raise BuildFailed that names every column of the contract which the build lacks or has in another type."""
    found = {
        (f"{schema}.{relation}", column): data_type.lower()
        for schema, relation, column, data_type in connection.execute(
            "select schema_name, table_name, column_name, data_type from duckdb_columns() "
            f"where database_name = {literal(origin.built)}"
        ).fetchall()
    }
    relations = {relation for relation, _ in found}
    problems = []
    for table in contract.BUILT:
        if table.relation not in relations:
            problems.append(f"{table.relation}: there is no such table, and {table.name} is taken from it")
            continue
        for column in table.columns:
            data_type = found.get((table.relation, column.name))
            if data_type is None:
                problems.append(f"{table.relation}.{column.name}: missing, expected {column.type}")
            elif data_type != column.type:
                problems.append(f"{table.relation}.{column.name}: is {data_type}, expected {column.type}")
    if problems:
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise BuildFailed(
            f"build {origin.build.build_id} does not keep the published contract:{listed}\n"
            "  what now   mend the model, or change kpimart/publish/contract/ and announce it in the CHANGELOG"
        )


def copy_tables(
    connection: duckdb.DuckDBPyConnection, origin: Origin, history: Sequence[ReleaseRow], tell: Callable[[str], None]
) -> None:
    """Fill the new database: every published table, then the wide views over kpi_value.

    Raises BuildFailed when a column that must be filled is not.
    """
    for table in contract.BUILT:
        tell(table.name)
        _create(connection, table)
        _insert(connection, table, f"{origin.built}.{table.relation}")
    _create(connection, contract.QUALITY_RESULT)
    _insert(connection, contract.QUALITY_RESULT, gate.results(origin.build, origin.ops))
    _create(connection, contract.RELEASE)
    names = [column.name for column in contract.RELEASE.columns]
    for row in sorted(history, key=lambda row: row.release_id):
        values = ", ".join(literal(getattr(row, name)) for name in names)
        connection.execute(f"insert into {contract.RELEASE.name} values ({values})")
    _create_wide_views(connection)


def write_parquet(
    connection: duckdb.DuckDBPyConnection, folder: Path, names: Iterable[str], tell: Callable[[str], None]
) -> None:
    """Write each of these tables to `<table>.parquet`, rows in the order of the table."""
    folder.mkdir()
    for name in names:
        tell(f"{name}.parquet")
        target = literal(str(folder / f"{name}.parquet"))
        connection.execute(f"copy {quoted(name)} to {target} (format parquet, compression zstd)")


def count_tables(connection: duckdb.DuckDBPyConnection) -> dict[str, TableRecord]:
    """Rows and control totals of each published table."""
    return {table.name: count_table(connection, table) for table in contract.PUBLISHED}


def count_again(connection: duckdb.DuckDBPyConnection, stated: Manifest) -> dict[str, TableRecord]:
    """Rows and control totals of the tables that a manifest tells of, by the contract it was written under.

    Of a release of another contract only rows are counted: its columns may be others.
    """
    if stated.contract_version == contract.CONTRACT_VERSION:
        known = {table.name: table for table in contract.PUBLISHED}
        return {name: count_table(connection, known[name]) for name in stated.tables}
    rows = {name: connection.execute(f"select count(*) from {quoted(name)}").fetchall()[0][0] for name in stated.tables}
    return {name: stated.tables[name].model_copy(update={"rows": count}) for name, count in rows.items()}


def hash_catalogue(connection: duckdb.DuckDBPyConnection) -> str:
    """The SHA-256 of the KPI catalogue's rows as they are published."""
    rows = connection.execute(f"from {contract.KPI_CATALOGUE.name} order by all").fetchall()
    return hashlib.sha256(orjson.dumps(rows)).hexdigest()


def read_batches(
    connection: duckdb.DuckDBPyConnection, origin: Origin, recorded: Sequence[BatchRecord]
) -> tuple[BatchRecord, ...]:
    """The raw batches that the build read, oldest first.

    Those that a former manifest recorded are taken from it: a landed batch never changes, and hashing all of raw every
    night would grow without end.
    """
    known = {record.batch_id: record for record in recorded}
    rows = connection.execute(
        f"""
        select
            batch.batch_id, batch.source, batch.landed_at, coalesce(sum(part.rows_read), 0)::bigint,
            coalesce(sum(part.versions_stored), 0)::bigint, coalesce(sum(part.rows_quarantined), 0)::bigint,
            list(part.object order by part.object) filter (where part.versions_stored > 0)
        from {gate.batches_read(origin.build, origin.ops)} as batch
        left join {origin.ops}.ops.batch_object as part using (batch_id)
        group by batch.batch_id, batch.source, batch.landed_at
        order by batch.landed_at, batch.batch_id
        """
    ).fetchall()
    fresh = {
        (source, name) for batch_id, source, *_, objects in rows if batch_id not in known for name in objects or ()
    }
    totals = payload_totals(connection, origin.ops, sorted(fresh), [row[0] for row in rows if row[0] not in known])
    return tuple(
        known.get(batch_id)
        or BatchRecord(
            batch_id=batch_id,
            source=source,
            landed_at=landed_at,
            rows_read=rows_read,
            versions_stored=stored,
            rows_quarantined=quarantined,
            payload_total=str(totals.get(batch_id, 0)),
        )
        for batch_id, source, landed_at, rows_read, stored, quarantined, _ in rows
    )


def payload_totals(
    connection: duckdb.DuckDBPyConnection, ops: str, objects: Sequence[tuple[str, str]], batch_ids: Sequence[str]
) -> dict[str, int]:
    """batch_id → the sum of a hash of every version that these objects, (source, object), store of it."""
    totals: dict[str, int] = {}
    for source, name in objects:
        for batch_id, total in connection.execute(
            f"""
            select batch_id, sum(md5_number_lower(id || payload_hash))
            from {ops}.{raw_table(source, name)}
            where batch_id in ({", ".join(map(literal, batch_ids))})
            group by batch_id
            """
        ).fetchall():
            totals[batch_id] = totals.get(batch_id, 0) + total
    return totals


def _create(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    columns = ", ".join(map(_definition, table.columns))
    connection.execute(f"create table {table.name} ({columns})")
    columns_told = {column.name: column.description for column in table.columns}
    _comment(connection, "table", table.name, table.description, columns_told)


def _definition(column: Column) -> str:
    return f"{quoted(column.name)} {column.type}{'' if column.nullable else ' not null'}"


def _insert(connection: duckdb.DuckDBPyConnection, table: Table, source: str) -> None:
    columns = ", ".join(quoted(column.name) for column in table.columns)
    rows = f"select {columns} from {source} where {table.only} order by {', '.join(table.key)}"
    try:
        connection.execute(f"insert into {table.name} {rows}")
    except duckdb.ConstraintException as error:
        raise BuildFailed(
            f"{table.name}, taken from {table.relation}, must not be empty where the contract says so: {error}"
        ) from error


def count_table(connection: duckdb.DuckDBPyConnection, table: Table) -> TableRecord:
    """Rows and control totals of a published table."""
    (rows,) = connection.execute(f"select count(*) from {table.name}").fetchall()[0]
    if table.totals is None:
        return TableRecord(rows=rows, control_totals={})
    totals = f"select name, total::varchar from ({table.totals}) as counted (name, total) order by name"
    return TableRecord(rows=rows, control_totals=dict(connection.execute(totals).fetchall()))


@dataclass(frozen=True)
class WideView:
    """A view over kpi_value with one column a KPI; `columns`: each in its order, with its comment if it is a KPI's."""

    name: str
    query: str
    description: str
    columns: dict[str, str | None]


def wide_views(connection: duckdb.DuckDBPyConnection, catalogue: str) -> Iterator[WideView]:
    """One view for each entity level and grain, one column a KPI of the catalogue that is published at that grain.

    Names inside are unqualified: the database is called after its file, and the file has more than one name.
    """
    kpis = connection.execute(
        f"select kpi_code, name_en, unit, finest_grain from {catalogue} order by kpi_code"
    ).fetchall()
    for level in contract.ENTITY_LEVELS:
        for position, grain in enumerate(contract.GRAINS):
            grains = contract.GRAINS[: position + 1]
            shown = {code: f"{name} ({unit})" for code, name, unit, finest in kpis if finest in grains}
            one_row = "One row per " + ("" if level == "company" else f"{level.replace('_', ' ')} and ") + grain
            yield WideView(
                name=contract.wide_view(level, grain),
                query=_wide_query(level, grain, list(shown)),
                description=f"{one_row}; one column a KPI.",
                columns={**dict.fromkeys((*_wide_names(level), "is_complete")), **shown},
            )


def _create_wide_views(connection: duckdb.DuckDBPyConnection) -> None:
    for view in list(wide_views(connection, contract.KPI_CATALOGUE.name)):
        connection.execute(f"create view {view.name} as {view.query}")
        columns_told = {name: comment for name, comment in view.columns.items() if comment}
        _comment(connection, "view", view.name, view.description, columns_told)


def _wide_names(level: str) -> tuple[str, ...]:
    """What tells the rows of a wide view apart."""
    return ("period_start", "period_end", *_ENTITY_IDS[level], "entity_name")


def _wide_query(level: str, grain: str, codes: list[str]) -> str:
    entity = ", ".join(f"kpi_value.{name}" for name in _wide_names(level))
    pick = ", max(kpi_value.value) filter (where kpi_value.kpi_code = {code}) as {name}"
    values = "".join(pick.format(code=literal(code), name=quoted(code)) for code in codes)
    # Whether the period is over is asked of the period: in kpi_value it is said per KPI, and a cohort matures later.
    return f"""
        select {entity}, dim_period.is_complete{values}
        from kpi_value
        left join dim_period
            on kpi_value.period_grain = dim_period.period_grain and kpi_value.period_start = dim_period.period_start
        where
            kpi_value.kpi_code in (select kpi_catalogue.kpi_code from kpi_catalogue)
            and kpi_value.entity_level = {literal(level)} and kpi_value.period_grain = {literal(grain)}
        group by {entity}, dim_period.is_complete
    """


def _comment(
    connection: duckdb.DuckDBPyConnection, kind: str, name: str, description: str, columns: Mapping[str, str]
) -> None:
    """Comment on a table or a view, and on its columns.

    All at once: there are two thousand comments in a release, and most of what one costs is that it is asked for alone.
    """
    comments = [f"comment on {kind} {name} is {literal(description)}"]
    comments += [f"comment on column {name}.{quoted(column)} is {literal(said)}" for column, said in columns.items()]
    connection.execute("; ".join(comments))
