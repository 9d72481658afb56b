"""Landing: load packages become batches of raw versions, in one transaction; and what people decided becomes raw too.

A version is stored where it differs from the version before it. Versions of a record are ordered by the source's
`updated_at` (those without one first), then by landing, and only accepted batches count: what a held batch stored is
never read, so the next package stores it again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import duckdb
import orjson

from kpimart.clock import Clock
from kpimart.errors import SettingsError, StorageFailed
from kpimart.extract.forgetting import erase_from_package, forgotten_records, forgotten_texts
from kpimart.extract.packages import (
    LISTING_TABLE,
    OBJECT_TABLE,
    QUARANTINE_TABLE,
    SCHEMA_CHANGE_TABLE,
    Package,
    complete_packages,
    landing_area,
    object_names,
)
from kpimart.extract.records import Extent, ObjectRead, Record, batch_of
from kpimart.mentions import Mentions
from kpimart.settings import Settings
from kpimart.warehouse import RAW_COLUMNS, raw_table

DECISIONS = "kpimart"
"""The source of what people decide: settings and seeds."""

Verdict = Literal["accepted", "held"]


@dataclass(frozen=True)
class LandedObject:
    """What became of one object of a batch. `versions_stored` includes the tombstones of vanished records.

    rows_known_before: how many of the live records that it tells of, all where it tells what is missing, were known.
    """

    object_name: str
    extent: Extent
    rows_read: int
    versions_stored: int
    rows_quarantined: int
    rows_vanished: int
    rows_known_before: int
    cursor: str | None = None


@dataclass(frozen=True)
class LandedBatch:
    """A package that was landed."""

    batch_id: str
    source: str
    fetched_at: datetime
    landed_at: datetime
    objects: tuple[LandedObject, ...] = ()


def land(connection: duckdb.DuckDBPyConnection, settings: Settings, *, clock: Clock) -> list[LandedBatch]:
    """Take every complete package that is not a batch yet, in the order of fetching, in one transaction.

    Raises StorageFailed naming a package that cannot be read; then nothing was landed.
    """
    known = {batch_id for (batch_id,) in connection.execute("select batch_id from ops.batch").fetchall()}
    packages = complete_packages(settings, taken=known)
    landing_area(settings).make_known_to(connection)
    with _transaction(connection):
        return [_land_package(connection, settings, package, clock) for package in packages]


@contextmanager
def rehearsed(
    connection: duckdb.DuckDBPyConnection, settings: Settings, package: Package, *, clock: Clock
) -> Iterator[LandedBatch]:
    """Land a package for as long as the block lasts; then everything is as it was before."""
    connection.begin()
    try:
        yield _land_package(connection, settings, package, clock)
    finally:
        connection.rollback()


def record_decisions(
    connection: duckdb.DuckDBPyConnection, settings: Settings, seeds: Path, clock: Clock
) -> LandedBatch | None:
    """Store the settings that figures rest on and the seed files, where they changed, as a batch accepted at once.

    seeds: the folder of the `*.csv` files. Returns None if nothing changed since the last time.
    """
    company = orjson.dumps(settings.decisions(), option=orjson.OPT_SORT_KEYS).decode()
    decided = {"setting": [Record("company", None, False, company)], "seed": _seed_records(seeds)}
    with _transaction(connection):
        batch = _new_batch(connection, DECISIONS, None, clock(), clock)
        objects = []
        for name, records in decided.items():
            read = ObjectRead(name, "full", len(records), 0, can_tell_vanished=True)
            with _registered(connection, "decided", batch_of(name, records, [], batch.fetched_at).rows):
                connection.execute(_ARRIVING.format(rows="decided"))
            objects.append(_store(connection, batch, read))
        if not any(each.versions_stored for each in objects):
            return None
        batch = _record_batch(connection, batch, objects)
        judge(connection, [batch.batch_id], "accepted", None, clock)
    return batch


def pending_batches(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The ids of the batches that are landed and not judged yet, in the order of landing."""
    rows = connection.execute(
        "select batch_id from ops.batch anti join ops.batch_verdict using (batch_id) order by landed_at, batch_id"
    )
    return [batch_id for (batch_id,) in rows.fetchall()]


def held_batches(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The ids of the batches that the raw gate held: what they brought is not known, and has to be fetched again."""
    rows = connection.execute("select batch_id from ops.batch_verdict where verdict = 'held'")
    return {batch_id for (batch_id,) in rows.fetchall()}


def judge(
    connection: duckdb.DuckDBPyConnection, batch_ids: Sequence[str], verdict: Verdict, reason: str | None, clock: Clock
) -> None:
    """Record the verdict on pending batches; `reason` is for people. A batch is not judged before it was landed."""
    connection.execute(
        """
        insert into ops.batch_verdict (batch_id, verdict, judged_at, reason)
        select batch_id, $verdict, greatest($now, (select max(landed_at) from ops.batch)), $reason
        from ops.batch
        where list_contains($batch_ids, batch_id)
        """,
        {"verdict": verdict, "now": clock(), "reason": reason, "batch_ids": list(batch_ids)},
    )


def prepare_pending_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Show the raw gate what it judges: in schema `pending`, the rows of batches without a verdict, a view an object.

    `pending.batch_object` has what ops.batch_object has of them, and the shares of quarantined and vanished rows.
    """
    connection.execute(_PENDING_BATCHES)
    tables = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'raw' and table_type = 'BASE TABLE'"
    )
    for (table,) in tables.fetchall():
        connection.execute(
            f'create or replace view pending."{table}" as '
            f'select * from raw."{table}" where batch_id in (select batch_id from pending.batch)'
        )


# So many records of an API's object may vanish in a night, whatever their share.
FEW_VANISHED = 20

_PENDING_BATCHES = f"""
create schema if not exists pending;

create or replace view pending.batch as
select * from ops.batch where batch_id not in (select batch_id from ops.batch_verdict);

create or replace view pending.batch_object as
select
    *,
    coalesce(rows_quarantined / nullif(rows_read, 0), 0) as quarantined_share,
    -- where a source lists what it has, one stage of three that was taken away is no export that was cut short
    case
        when cursor is not null and rows_vanished <= {FEW_VANISHED} then 0
        else coalesce(rows_vanished / nullif(rows_known_before, 0), 0)
    end as vanished_share
from ops.batch_object
where batch_id in (select batch_id from pending.batch);
"""

# ---------------------------------------------------------------------------------------------------- one transaction


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, name: str, table: object) -> Iterator[None]:
    connection.register(name, table)
    try:
        yield
    finally:
        connection.unregister(name)


def _new_batch(
    connection: duckdb.DuckDBPyConnection, source: str, batch_id: str | None, fetched_at: datetime, clock: Clock
) -> LandedBatch:
    """A batch that lands now, but after every batch before it: clocks go back, the order of landing does not."""
    (last,) = connection.execute("select max(landed_at) from ops.batch").fetchone() or (None,)
    landed_at = max(clock(), last + timedelta(microseconds=1)) if last else clock()
    return LandedBatch(batch_id or f"{source}-{landed_at.timestamp():.6f}", source, fetched_at, landed_at)


def _record_batch(
    connection: duckdb.DuckDBPyConnection, batch: LandedBatch, objects: Sequence[LandedObject]
) -> LandedBatch:
    connection.execute(
        "insert into ops.batch (batch_id, source, fetched_at, landed_at) values (?, ?, ?, ?)",
        [batch.batch_id, batch.source, batch.fetched_at, batch.landed_at],
    )
    for each in objects:
        connection.execute(
            """
            insert into ops.batch_object (
                batch_id, source, object, extent,
                rows_read, versions_stored, rows_quarantined, rows_vanished, rows_known_before, cursor
            )
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                batch.batch_id,
                batch.source,
                each.object_name,
                each.extent,
                each.rows_read,
                each.versions_stored,
                each.rows_quarantined,
                each.rows_vanished,
                each.rows_known_before,
                each.cursor,
            ],
        )
    return replace(batch, objects=tuple(objects))


def _land_package(
    connection: duckdb.DuckDBPyConnection, settings: Settings, package: Package, clock: Clock
) -> LandedBatch:
    try:
        forgotten = forgotten_records(connection, settings, package.source)
        hashes = forgotten_texts(connection)
        if forgotten or hashes:
            erase_from_package(package, forgotten, Mentions(), hashes)
        reads, fetched_at = _account_of(connection, package)
        batch = _new_batch(connection, package.source, package.batch_id, fetched_at, clock)
        _quarantine(connection, batch, package)
        _record_schema_changes(connection, batch, package)
        listed = _stage_listings(connection, package)
        objects = []
        for read in reads:
            files = package.files(read.object_name)
            rows = "read_parquet($files)" if files else _NO_ROWS
            connection.execute(_ARRIVING.format(rows=rows), {"files": files} if files else None)
            objects.append(_store(connection, batch, read, is_listed=read.object_name in listed))
    except (duckdb.InvalidInputException, duckdb.IOException) as error:
        if "parquet" not in str(error).lower():
            raise
        raise StorageFailed(
            f"load package {package.load_id} in {package.area.path(package.source)} cannot be read: {error}; "
            f"remove its files ({package.load_id}.*) and fetch again"
        ) from error
    return _record_batch(connection, batch, objects)


def _account_of(connection: duckdb.DuckDBPyConnection, package: Package) -> tuple[list[ObjectRead], datetime]:
    """What was read of each object, and when."""
    columns = "object, extent, rows_read, rows_quarantined, can_tell_vanished, cursor, fetched_at"
    # Objects are read at the same time; they are told of in the order in which the source names them.
    rows = connection.execute(
        f"select {columns} from read_parquet($files) order by list_position($names, object)",
        {"files": package.files(OBJECT_TABLE), "names": list(object_names(package.source))},
    ).fetchall()
    return [ObjectRead(*row[:6]) for row in rows], rows[0][6].astimezone(UTC)


def _quarantine(connection: duckdb.DuckDBPyConnection, batch: LandedBatch, package: Package) -> None:
    files = package.files(QUARANTINE_TABLE)
    if files:
        connection.execute(
            """
            insert into ops.quarantine (batch_id, source, object, place, record_id, reason, payload, quarantined_at)
            select $batch_id, $source, object, place, record_id, reason, payload, $landed_at
            from read_parquet($files)
            """,
            {"batch_id": batch.batch_id, "source": batch.source, "landed_at": batch.landed_at, "files": files},
        )


def _record_schema_changes(connection: duckdb.DuckDBPyConnection, batch: LandedBatch, package: Package) -> None:
    files = package.files(SCHEMA_CHANGE_TABLE)
    if files:
        connection.execute(
            """
            insert into ops.schema_change (batch_id, source, object, field, change, was, is_now, seen_at)
            select $batch_id, $source, object, field, change, was, is_now, $fetched_at
            from read_parquet($files)
            """,
            {"batch_id": batch.batch_id, "source": batch.source, "fetched_at": batch.fetched_at, "files": files},
        )


def _stage_listings(connection: duckdb.DuckDBPyConnection, package: Package) -> set[str]:
    """Put the ids that the source listed, and the bounds of each listing, into `listing`; returns their objects."""
    files = package.files(LISTING_TABLE)
    if not files:
        return set()
    connection.execute("create or replace temp table listing as from read_parquet($files)", {"files": files})
    return {name for (name,) in connection.execute("select distinct object from listing").fetchall()}


def _seed_records(seeds: Path) -> list[Record]:
    """The seed files; a seed's id is its file's name."""
    if not seeds.is_dir():
        raise SettingsError(f"{seeds}: there is no such folder of seeds; it holds what people decide, as *.csv")
    texts = {path.name: path.read_text(encoding="utf-8-sig") for path in sorted(seeds.glob("*.csv"))}
    return [Record(name, None, False, orjson.dumps({"content": text}).decode()) for name, text in texts.items()]


# ----------------------------------------------------------------------------------------------- versions of an object

_NO_ROWS = """(
    select
        null::varchar as id,
        null::timestamptz as updated_at,
        null::boolean as is_deleted,
        null::varchar as payload,
        null::timestamptz as extracted_at
    where false
)"""

# The order in which rows arrive is that of their row ids: numbering them would take half the time.
_ARRIVING = """
create or replace temp table arriving as
select
    id,
    updated_at,
    is_deleted,
    payload,
    sha256(concat_ws('|', is_deleted, payload)) as payload_hash,
    extracted_at
from {rows}
"""

# What is not judged yet is known too: it is judged together with what lands now.
_KNOWN = """
create or replace temp view known as
select * from {table}
where batch_id not in (select batch_id from ops.batch_verdict where verdict = 'held')
"""

_LATEST = """
create or replace temp table latest as
select id, updated_at, is_deleted, payload, extracted_at
from known
{which}
qualify row_number() over (partition by id order by updated_at desc nulls last, landed_at desc) = 1
"""

_OF_WHAT_ARRIVES = "where id in (select id from arriving)"

# A source that is read live, or exported in full, shows its records as they are. One that had vanished and is back with
# its old updated_at would stay behind its tombstone, and one that lost its updated_at behind the dated versions, so it
# is dated by when it was extracted.
_DATE_WHAT_IS_BACK = """
update arriving
set updated_at = greatest(latest.updated_at, arriving.extracted_at)
from latest
where arriving.id = latest.id
    and not arriving.is_deleted
    and (
        (latest.is_deleted and latest.updated_at >= latest.extracted_at and arriving.updated_at <= latest.updated_at)
        or (arriving.updated_at is null and latest.updated_at is not null)
    )
    and arriving.rowid in (
        select rowid
        from arriving
        qualify row_number() over (partition by id order by updated_at desc nulls last, rowid desc) = 1
    )
"""

_STORE_NEW_VERSIONS = """
insert into {table} (id, updated_at, is_deleted, payload, payload_hash, extracted_at, landed_at, batch_id)
with

met_before as (

    select id, updated_at, payload_hash, landed_at
    from known
    where id in (select id from arriving)

),

in_order as (

    select
        arrival,
        lag(payload_hash) over (
            partition by id
            order by updated_at nulls first, landed_at nulls last, arrival
        ) as previous_hash
    from (
        select null as arrival, id, updated_at, payload_hash, landed_at from met_before
        union all
        select rowid as arrival, id, updated_at, payload_hash, null as landed_at from arriving
    )

),

-- A page that arrives late, or again, brings versions that are there already, somewhere in the past.
new_versions as (

    select arriving.*
    from arriving
    join in_order
        on arriving.rowid = in_order.arrival
    anti join met_before
        on arriving.id = met_before.id
        and arriving.updated_at = met_before.updated_at
        and arriving.payload_hash = met_before.payload_hash
    where in_order.previous_hash is distinct from arriving.payload_hash

)

select id, updated_at, is_deleted, payload, payload_hash, extracted_at, $landed_at, $batch_id
from new_versions
"""

_STORE_TOMBSTONES = """
insert into {table} (id, updated_at, is_deleted, payload, payload_hash, extracted_at, landed_at, batch_id)
select
    id,
    case when updated_at is not null then greatest(updated_at, $fetched_at) end as updated_at,
    true as is_deleted,
    payload,
    sha256(concat_ws('|', true, payload)) as payload_hash,
    $fetched_at as extracted_at,
    $landed_at as landed_at,
    $batch_id as batch_id
from latest
where not is_deleted
    and {is_missing}
    and id not in (
        select record_id from ops.quarantine
        where batch_id = $batch_id and object = $object and record_id is not null
    )
"""

_NOT_ARRIVING = "id not in (select id from arriving)"

_NOT_LISTED = """
    id not in (select id from listing where object = $object and id is not null)
    and exists (
        from listing as bounds
        where bounds.object = $object
            and bounds.id is null
            and (bounds.low_id is null or try_cast(latest.id as bigint) >= bounds.low_id)
            and (bounds.high_id is null or try_cast(latest.id as bigint) <= bounds.high_id)
    )
"""


def _store(
    connection: duckdb.DuckDBPyConnection, batch: LandedBatch, read: ObjectRead, *, is_listed: bool = False
) -> LandedObject:
    """Store the new versions among the rows in `arriving`, and what their absence, or that from `listing`, tells."""
    table = raw_table(batch.source, read.object_name)
    moment_and_id = {"landed_at": batch.landed_at, "batch_id": batch.batch_id}
    connection.execute(f"create table if not exists {table} ({RAW_COLUMNS})")
    connection.execute(_KNOWN.format(table=table))
    # Where nobody tells what is not there, what is known of all the other records need not be looked at.
    tells_absence = read.can_tell_vanished or is_listed
    connection.execute(_LATEST.format(which="" if tells_absence else _OF_WHAT_ARRIVES))
    known_before = _count(connection, "select count(*) from latest where not is_deleted")
    is_first = _count(connection, "select count(*) from latest") == 0
    if (read.extent == "full" or read.cursor is not None) and not is_first:
        connection.execute(_DATE_WHAT_IS_BACK)
    stored = _changes(connection, _STORE_NEW_VERSIONS.format(table=table), moment_and_id)
    tombstone = {**moment_and_id, "fetched_at": batch.fetched_at, "object": read.object_name}
    vanished = 0
    if read.can_tell_vanished:
        vanished += _changes(connection, _STORE_TOMBSTONES.format(table=table, is_missing=_NOT_ARRIVING), tombstone)
    if is_listed:
        # A record may have been read and then deleted before the ids were listed.
        connection.execute(_LATEST.format(which=""))
        vanished += _changes(connection, _STORE_TOMBSTONES.format(table=table, is_missing=_NOT_LISTED), tombstone)
    return LandedObject(
        object_name=read.object_name,
        extent=read.extent,
        rows_read=read.rows_read,
        versions_stored=stored + vanished,
        rows_quarantined=read.rows_quarantined,
        rows_vanished=vanished,
        rows_known_before=known_before,
        cursor=read.cursor,
    )


def _changes(connection: duckdb.DuckDBPyConnection, statement: str, parameters: dict[str, object]) -> int:
    (rows,) = connection.execute(statement, parameters).fetchone() or (0,)
    return int(rows)


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    (rows,) = connection.execute(query).fetchone() or (0,)
    return int(rows)
