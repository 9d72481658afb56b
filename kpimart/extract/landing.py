"""Landing: load packages become batches of raw versions, in one transaction; and what people decided becomes raw too.

A version is stored where it differs from the version before it. Versions of a record are ordered by the source's
`updated_at` (those without one first), then by landing, and only accepted batches count: what a held batch stored is
never read, so the next package stores it again.

Batches are landed in runs: what many packages tell of an object is stored by one set of statements, with the outcome
of landing them one after the other.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
    ACCOUNTS,
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
from kpimart.seeds import seed_texts
from kpimart.settings import Settings
from kpimart.sql import literal
from kpimart.warehouse import RAW_COLUMNS, little_memory, raw_table, transaction

DECISIONS = "kpimart"
"""The source of what people decide: settings and seeds."""

RUN_RECORDS = 1_000_000
"""So many records of several packages are landed together: enough to keep all threads at work, and few to remember."""

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
    with little_memory(connection), transaction(connection):
        return _land_packages(connection, settings, packages, clock)


@contextmanager
def rehearsed(
    connection: duckdb.DuckDBPyConnection, settings: Settings, package: Package, *, clock: Clock
) -> Iterator[LandedBatch]:
    """Land a package for as long as the block lasts; then everything is as it was before."""
    connection.begin()
    try:
        (batch,) = _land_packages(connection, settings, [package], clock)
        yield batch
    finally:
        connection.rollback()


def record_decisions(
    connection: duckdb.DuckDBPyConnection, settings: Settings, seeds: Path, clock: Clock
) -> LandedBatch | None:
    """Store the settings that figures rest on and the seed files, where they changed, as a batch accepted at once.

    seeds: the folder of the `*.csv` files for which those of the setting `seeds` stand in. Returns None if nothing
    changed since the last time.
    """
    company = orjson.dumps(settings.decisions(), option=orjson.OPT_SORT_KEYS).decode()
    decided = {"setting": [Record("company", None, False, company)], "seed": _seed_records(seeds, settings)}
    with transaction(connection):
        batch = _new_batch(connection, DECISIONS, None, clock(), clock)
        objects = []
        for name, records in decided.items():
            read = ObjectRead(name, "full", len(records), 0, can_tell_vanished=True)
            with _registered(connection, "decided", batch_of(name, records, [], batch.fetched_at).rows):
                objects += _store(connection, [_Account(batch, read)], _DECIDED)
        if not any(each.versions_stored for each in objects):
            return None
        _record_batch(connection, batch)
        batch = _record_objects(connection, batch, objects)
        judge(connection, [batch.batch_id], "accepted", None, clock)
    return batch


def record_decision(
    connection: duckdb.DuckDBPyConnection, name: str, payloads: Mapping[str, str], clock: Clock
) -> LandedBatch:
    """Store what somebody decided once, record id → payload of the object `name`, as a batch accepted at once.

    Runs in the caller's transaction.
    """
    records = [Record(record_id, None, False, payload) for record_id, payload in payloads.items()]
    batch = _new_batch(connection, DECISIONS, None, clock(), clock)
    read = ObjectRead(name, "delta", len(records), 0, can_tell_vanished=False)
    with _registered(connection, "decided", batch_of(name, records, [], batch.fetched_at).rows):
        objects = _store(connection, [_Account(batch, read)], _DECIDED)
    _record_batch(connection, batch)
    batch = _record_objects(connection, batch, objects)
    judge(connection, [batch.batch_id], "accepted", None, clock)
    return batch


def held_together(connection: duckdb.DuckDBPyConnection, batch_id: str | None) -> list[str]:
    """The batches that one verdict holds: with this one, or by default the last that was held.

    What was judged together is accepted together: a batch stores only what those that landed before it do not have.
    Raises SettingsError for a batch that is not held, and for one behind which another of the same object was accepted:
    what it tells is out of date, and what is still true of it has been read again.
    """
    rows = connection.execute(
        """
        select
            batch.batch_id,
            coalesce(
                (select list(source || ' ' || object) from ops.batch_object where batch_id = batch.batch_id), []
            ) as objects,
            verdict.verdict,
            verdict.judged_at
        from ops.batch as batch
        left join ops.batch_verdict as verdict using (batch_id)
        where batch.source <> $decisions
        order by batch.landed_at
        """,
        {"decisions": DECISIONS},
    ).fetchall()
    asked = [row for row in rows if (row[0] == batch_id if batch_id else row[2] == "held")]
    if not asked:
        raise SettingsError(f"there is no batch {batch_id}" if batch_id else "the raw gate holds no batch")
    name, _, verdict, judged_at = asked[-1]
    if verdict != "held":
        raise SettingsError(f"batch {name} is not held but {verdict or 'not judged'}; there is nothing to override")
    group = [row for row in rows if row[2] == "held" and row[3] == judged_at]
    objects = {name for row in group for name in row[1]}
    later = [row[0] for row in rows if row[2] == "accepted" and row[3] > judged_at and objects & {*row[1]}]
    if later:
        raise SettingsError(
            f"batch {name} is out of date: {later[-1]} of the same source was accepted after it was held, and has read "
            "again what is still so"
        )
    return [row[0] for row in group]


def accept_held(connection: duckdb.DuckDBPyConnection, batch_ids: Sequence[str], reason: str, clock: Clock) -> None:
    """Accept batches that were held, as of now: what was built until then did not know them. `reason` is for people.

    Runs in the caller's transaction.
    """
    connection.execute("delete from ops.batch_verdict where list_contains(?, batch_id)", [list(batch_ids)])
    judge(connection, batch_ids, "accepted", reason, clock)


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
    """Record the verdict on pending batches; `reason` is for people. A batch is not judged before it was landed, and
    after all that were judged already, whatever the clock says: staging goes on behind the last verdict that it read.
    """
    connection.execute(
        """
        insert into ops.batch_verdict (batch_id, verdict, judged_at, reason)
        select
            batch_id,
            $verdict,
            greatest(
                $now,
                (select max(landed_at) from ops.batch),
                (select max(judged_at) + interval 1 microsecond from ops.batch_verdict)
            ),
            $reason
        from ops.batch
        where list_contains($batch_ids, batch_id)
        """,
        {"verdict": verdict, "now": clock(), "reason": reason, "batch_ids": list(batch_ids)},
    )


def prepare_pending_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Show the raw gate what it judges: in schema `pending`, the rows of batches without a verdict, a view an object.

    `pending.batch_object` has what ops.batch_object has of them, the shares of quarantined and vanished rows, how much
    was read in the nights before, which fields changed, and when the source changed last.
    """
    connection.execute(_PENDING_BATCHES)
    connection.execute(_LAST_CHANGES.format(changes=_changes_of_sources(connection) or _NO_CHANGES))
    connection.execute(_PENDING_OBJECTS)
    tables = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'raw' and table_type = 'BASE TABLE'"
    )
    for (table,) in tables.fetchall():
        connection.execute(
            f'create or replace view pending."{table}" as '
            f'select * from raw."{table}" where batch_id in (select batch_id from pending.batch)'
        )


def _changes_of_sources(connection: duckdb.DuckDBPyConnection) -> str:
    """A query of source and last change, a row an object, of all that raw has of the sources whose batches wait.

    A record that claims to have changed after it was read says nothing.
    """
    tables = connection.execute("select 'raw.' || table_name from duckdb_tables() where schema_name = 'raw'").fetchall()
    objects = connection.execute(
        """
        select distinct source, object
        from ops.batch_object
        where source in (select source from pending.batch)
        order by source, object
        """
    ).fetchall()
    return " union all ".join(
        f"select {literal(source)} as source, max(updated_at) as changed_at from {raw_table(source, name)} "
        "where updated_at <= extracted_at"
        for source, name in objects
        if (raw_table(source, name),) in tables
    )


# So many records of an API's object may vanish in a night, whatever their share.
FEW_VANISHED = 20
# What was read in so many days says how much is usual, if that often something was read, and at least so many records.
USUAL_DAYS, USUAL_TIMES, USUAL_RECORDS = 28, 7, 20

_PENDING_BATCHES = """
create schema if not exists pending;

create or replace view pending.batch as
select * from ops.batch where batch_id not in (select batch_id from ops.batch_verdict);
"""

# What was judged together is one night's: a long read leaves several packages of an object. A full export is a whole.
_EXPORT = "case when extent = 'full' then batch_id end"

_NO_CHANGES = "select null::varchar as source, null::timestamptz as changed_at where false"

_LAST_CHANGES = """
create or replace view pending.last_change as
select source, max(changed_at) as last_change_at from ({changes}) as changes group by source;
"""

_PENDING_OBJECTS = f"""
create or replace view pending.batch_object as
with

waiting as (

    select
        objects.*,
        batch.landed_at,
        sum(rows_read) over (partition by source, object, extent, {_EXPORT}) as rows_tonight
    from ops.batch_object as objects
    inner join pending.batch as batch using (batch_id, source)

),

nights as (

    select source, object, extent, max(batch.landed_at) as landed_at, sum(rows_read) as rows_read
    from ops.batch_object as objects
    inner join ops.batch as batch using (batch_id, source)
    inner join ops.batch_verdict as verdict using (batch_id)
    where verdict.verdict = 'accepted'
    group by source, object, extent, verdict.judged_at, {_EXPORT}

),

usual as (

    select waiting.batch_id, waiting.object, count(*) as times_before, median(nights.rows_read) as usual_rows
    from waiting
    inner join nights
        on
            waiting.source = nights.source
            and waiting.object = nights.object
            and waiting.extent = nights.extent
            and nights.landed_at < waiting.landed_at
            and nights.landed_at >= waiting.landed_at - interval {USUAL_DAYS} day
    group by waiting.batch_id, waiting.object

),

changed as (

    select
        batch_id,
        object,
        count(*) as fields_changed,
        string_agg(field || ' ' || change, ', ' order by field) as changed_fields
    from ops.schema_change
    where change in ('vanished', 'retyped')
    group by batch_id, object

)

select
    waiting.* exclude (landed_at, rows_tonight),
    coalesce(rows_quarantined / nullif(rows_read, 0), 0) as quarantined_share,
    -- where a source lists what it has, one stage of three that was taken away is no export that was cut short
    case
        when cursor is not null and rows_vanished <= {FEW_VANISHED} then 0
        else coalesce(rows_vanished / nullif(rows_known_before, 0), 0)
    end as vanished_share,
    usual.usual_rows,
    case
        when usual.times_before >= {USUAL_TIMES} and usual.usual_rows >= {USUAL_RECORDS}
            then rows_tonight / usual.usual_rows
    end as share_of_usual,
    coalesce(changed.fields_changed, 0) as fields_changed,
    changed.changed_fields,
    last_change.last_change_at
from waiting
left join usual using (batch_id, object)
left join changed using (batch_id, object)
left join pending.last_change as last_change using (source);
"""

# ---------------------------------------------------------------------------------------------------- one transaction


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


def _record_batch(connection: duckdb.DuckDBPyConnection, batch: LandedBatch) -> None:
    connection.execute(
        "insert into ops.batch (batch_id, source, fetched_at, landed_at) values (?, ?, ?, ?)",
        [batch.batch_id, batch.source, batch.fetched_at, batch.landed_at],
    )


def _record_objects(
    connection: duckdb.DuckDBPyConnection, batch: LandedBatch, objects: Sequence[LandedObject]
) -> LandedBatch:
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


@dataclass(frozen=True)
class _Account:
    """What a batch tells of one object: the files with its records, and those of the package that list ids of it."""

    batch: LandedBatch
    read: ObjectRead
    package: Package | None = None
    files: tuple[str, ...] = ()
    listings: tuple[str, ...] = ()

    @property
    def tells_absence(self) -> bool:
        """Whether it matters what is known of records that it does not bring."""
        return self.read.can_tell_vanished or bool(self.listings)

    @property
    def shows_what_is(self) -> bool:
        """Whether a record in it is as it is now, and no news of an earlier day."""
        return self.read.extent == "full" or self.read.cursor is not None


def _land_packages(
    connection: duckdb.DuckDBPyConnection, settings: Settings, packages: Sequence[Package], clock: Clock
) -> list[LandedBatch]:
    accounts = [account for package in packages for account in _accounts_of(connection, settings, package, clock)]
    tables: dict[str, list[_Account]] = {}
    for account in accounts:
        tables.setdefault(raw_table(account.batch.source, account.read.object_name), []).append(account)
    landed: dict[int, LandedObject] = {}
    for of_one_table in tables.values():
        for run in _runs(of_one_table):
            with _naming_unreadable([account.package for account in run if account.package]):
                landed.update(zip(map(id, run), _store(connection, run, _rows_in(run)), strict=True))
    batches: dict[str, LandedBatch] = {}
    objects: dict[str, list[LandedObject]] = {}
    for account in accounts:
        batches[account.batch.batch_id] = account.batch
        objects.setdefault(account.batch.batch_id, []).append(landed[id(account)])
    return [_record_objects(connection, batch, objects[batch_id]) for batch_id, batch in batches.items()]


def _accounts_of(
    connection: duckdb.DuckDBPyConnection, settings: Settings, package: Package, clock: Clock
) -> list[_Account]:
    """Make a batch of a package, with all but the versions of its records."""
    with _naming_unreadable([package]):
        forgotten = forgotten_records(connection, settings, package.source)
        hashes = forgotten_texts(connection)
        if forgotten or hashes:
            erase_from_package(package, forgotten, Mentions(), hashes)
        reads, fetched_at = _account_of(connection, package)
        batch = _new_batch(connection, package.source, package.batch_id, fetched_at, clock)
        _record_batch(connection, batch)
        _quarantine(connection, batch, package)
        _record_schema_changes(connection, batch, package)
        listings = tuple(package.files(LISTING_TABLE))
        listed = _listed_objects(connection, listings)
    return [
        _Account(
            batch,
            read,
            package,
            tuple(package.files(read.object_name)),
            listings if read.object_name in listed else (),
        )
        for read in reads
    ]


def _runs(accounts: Sequence[_Account]) -> Iterator[list[_Account]]:
    """The accounts of one object, in the order of landing, cut into runs that can be landed together."""
    run: list[_Account] = []
    for account in accounts:
        if run and not _may_join(run, account):
            yield run
            run = []
        run.append(account)
    if run:
        yield run


def _may_join(run: Sequence[_Account], account: _Account) -> bool:
    """What is absent shows only once all before it is stored, and before anything after it is."""
    return (
        not run[-1].tells_absence
        and not account.tells_absence
        and run[-1].shows_what_is == account.shows_what_is
        and sum(each.read.rows_read for each in (*run, account)) <= RUN_RECORDS
    )


@contextmanager
def _naming_unreadable(packages: Sequence[Package]) -> Iterator[None]:
    """Say which of the packages it is that DuckDB cannot read."""
    try:
        yield
    except (duckdb.InvalidInputException, duckdb.IOException) as error:
        if "parquet" not in str(error).lower():
            raise
        named = [package for package in packages if package.load_id in str(error)] or packages
        files = [package.area.path(package.folder, "*", f"{package.load_id}.*") for package in named]
        raise StorageFailed(
            f"load package {' or '.join(package.batch_id for package in named)} cannot be read: {error}; remove its "
            f"files ({', '.join(files)}) and fetch again"
        ) from error


def _account_of(connection: duckdb.DuckDBPyConnection, package: Package) -> tuple[list[ObjectRead], datetime]:
    """What was read of each object, and when."""
    columns = "object, extent, rows_read, rows_quarantined, can_tell_vanished, cursor, fetched_at"
    # Objects are read at the same time; they are told of in the order in which the source names them.
    rows = connection.execute(
        f"select {columns} from {ACCOUNTS} order by list_position($names, object)",
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


def _listed_objects(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> set[str]:
    if not files:
        return set()
    rows = connection.execute("select distinct object from read_parquet($files)", {"files": list(files)})
    return {name for (name,) in rows.fetchall()}


def _seed_records(seeds: Path, settings: Settings) -> list[Record]:
    """The seed files; a seed's id is its file's name."""
    texts = seed_texts(settings.seeds, seeds)
    return [Record(name, None, False, orjson.dumps({"content": text}).decode()) for name, text in texts.items()]


# ----------------------------------------------------------------------------------------------- versions of an object

# `arrival` numbers the rows of a run in the order in which they arrive; `batch` is the place of a row's batch in it.
_ARRIVING = """
create or replace temp view arriving as
select arrival, batch, id, updated_at, is_deleted, payload, extracted_at
from ({rows})
"""

_DECIDED = "select *, row_number() over () as arrival, 1 as batch from decided"

_NO_ROWS = """
    select
        null::bigint as arrival,
        null::integer as batch,
        null::varchar as id,
        null::timestamptz as updated_at,
        null::boolean as is_deleted,
        null::varchar as payload,
        null::timestamptz as extracted_at
    where false
"""

# The files are read again by each statement. Within a transaction, a table of them would take room until its end.
_READ = """
    select *, list_position({files}, filename) * {file_rows} + file_row_number as arrival, {batches}[filename] as batch
    from read_parquet({files}, file_row_number = true)
"""

_FILE_ROWS = 2**40

# What is not judged yet is known too: it is judged together with what lands now.
_KNOWN = """
create or replace temp view known as
select * from {table}
where batch_id not in (select batch_id from ops.batch_verdict where verdict = 'held')
"""

_HASH = "sha256(concat_ws('|', is_deleted, payload))"

_LATEST_OF = """(
    select *
    from {versions}
    qualify row_number() over (partition by id order by updated_at desc nulls last, landed_at desc) = 1
)"""

# Of all that is known, no more is looked at than the ids, unless some of them are met again.
_MET = """
create or replace temp table met as
select id from {table} where id in (select id from arriving)
"""

_MET_BEFORE = """
create or replace temp table met_before as
select id, updated_at, is_deleted, payload_hash, extracted_at, landed_at
from (select * from {table} where id in (select id from met)) as met_again
where batch_id not in (select batch_id from ops.batch_verdict where verdict = 'held')
"""

# The rows that may be there already: of records that were met before, or are met several times. What a batch stores of
# a record depends on what the batches before it stored of it, and of no other record, so that batches take turns only
# where they tell of the same record.
_DOUBTED = f"""
create or replace temp table doubted as
select
    arrival,
    batch,
    id,
    updated_at,
    is_deleted,
    {_HASH} as payload_hash,
    extracted_at,
    dense_rank() over (partition by id order by batch) as turn,
    true as is_new
from arriving
where id in (
    select id from met_before
    union all
    select id from arriving group by id having count(*) > 1
)
"""

_IN_TURN = "create or replace temp view in_turn as select * from doubted where turn = {turn}"

_LATEST_MET = _LATEST_OF.format(versions="met_before where id in (select id from in_turn)")

_LIVE_BEFORE = f"""
select batch, count(distinct id)
from in_turn
where id in (select id from {_LATEST_MET} where not is_deleted)
group by batch
"""

# A source that is read live, or exported in full, shows its records as they are. One that had vanished and is back with
# its old updated_at would stay behind its tombstone, and one that lost its updated_at behind the dated versions, so it
# is dated by when it was extracted.
_DATE_WHAT_IS_BACK = f"""
update doubted
set updated_at = greatest(latest.updated_at, doubted.extracted_at)
from {_LATEST_MET} as latest
where doubted.id = latest.id
    and not doubted.is_deleted
    and (
        (latest.is_deleted and latest.updated_at >= latest.extracted_at and doubted.updated_at <= latest.updated_at)
        or (doubted.updated_at is null and latest.updated_at is not null)
    )
    and doubted.arrival in (
        select arrival
        from in_turn
        qualify row_number() over (partition by id order by updated_at desc nulls last, arrival desc) = 1
    )
"""

# A page that arrives late, or again, brings versions that are there already, somewhere in the past.
_FIND_UNCHANGED = """
update doubted
set is_new = false
where arrival in (
    select arrival
    from (
        select
            arrival,
            payload_hash,
            lag(payload_hash) over (
                partition by id
                order by updated_at nulls first, landed_at nulls last, arrival
            ) as previous_hash
        from (
            select null as arrival, id, updated_at, payload_hash, landed_at
            from met_before
            where id in (select id from in_turn)
            union all
            select arrival, id, updated_at, payload_hash, null as landed_at from in_turn
        )
    )
    where arrival is not null and previous_hash = payload_hash
    union all
    select arrival
    from in_turn
    semi join met_before
        on in_turn.id = met_before.id
        and in_turn.updated_at = met_before.updated_at
        and in_turn.payload_hash = met_before.payload_hash
)
"""

_MEET = """
insert into met_before
select id, updated_at, is_deleted, payload_hash, extracted_at, $landed_at[batch] from in_turn where is_new
"""

_STORE_NEW_VERSIONS = f"""
insert into {{table}} (id, updated_at, is_deleted, payload, payload_hash, extracted_at, landed_at, batch_id)
select
    arriving.id,
    case when doubted.arrival is null then arriving.updated_at else doubted.updated_at end as updated_at,
    arriving.is_deleted,
    payload,
    coalesce(doubted.payload_hash, {_HASH.replace("is_deleted", "arriving.is_deleted")}) as payload_hash,
    arriving.extracted_at,
    $landed_at[arriving.batch] as landed_at,
    $batch_ids[arriving.batch] as batch_id
from arriving
left join doubted
    on arriving.arrival = doubted.arrival
where coalesce(doubted.is_new, true)
"""

# ---------------------------------------------------------------------------------------------------- what has vanished

_LISTING = """
create or replace temp table listing as
select id, low_id, high_id from read_parquet($files) where object = $object
"""

_LATEST = f"""
create or replace temp table latest as
select id, updated_at, is_deleted
from {_LATEST_OF.format(versions="known")}
"""

_LIVE_ELSEWHERE = "select count(*) from latest where not is_deleted and id not in (select id from arriving)"

_VANISHED = """
create or replace temp table vanished as
select id
from latest
where not is_deleted
    and ({is_missing})
    and id not in (
        select record_id from ops.quarantine
        where batch_id = $batch_id and object = $object and record_id is not null
    )
"""

_NOT_ARRIVING = "id not in (select id from arriving)"

_NOT_LISTED = """
    id not in (select id from listing where id is not null)
    and exists (
        from listing as bounds
        where bounds.id is null
            and (bounds.low_id is null or try_cast(latest.id as bigint) >= bounds.low_id)
            and (bounds.high_id is null or try_cast(latest.id as bigint) <= bounds.high_id)
    )
"""

_STORE_TOMBSTONES = f"""
insert into {{table}} (id, updated_at, is_deleted, payload, payload_hash, extracted_at, landed_at, batch_id)
select
    id,
    case when updated_at is not null then greatest(updated_at, $fetched_at) end as updated_at,
    true as is_deleted,
    payload,
    sha256(concat_ws('|', true, payload)) as payload_hash,
    $fetched_at as extracted_at,
    $landed_at as landed_at,
    $batch_id as batch_id
from {_LATEST_OF.format(versions="known where id in (select id from vanished)")}
"""


def _rows_in(run: Sequence[_Account]) -> str:
    """A query for the records of a run."""
    batches = {file: place for place, account in enumerate(run, start=1) for file in account.files}
    if not batches:
        return _NO_ROWS
    return _READ.format(
        files=f"[{', '.join(map(literal, batches))}]",
        batches=f"map {{{', '.join(f'{literal(file)}: {place}' for file, place in batches.items())}}}",
        file_rows=_FILE_ROWS,
    )


def _store(connection: duckdb.DuckDBPyConnection, run: Sequence[_Account], rows: str) -> list[LandedObject]:
    """Store the new versions among the rows of a run, and what the absence of others tells; an object an account."""
    table = raw_table(run[0].batch.source, run[0].read.object_name)
    connection.execute(f"create table if not exists {table} ({RAW_COLUMNS})")
    connection.execute(_KNOWN.format(table=table))
    connection.execute(_ARRIVING.format(rows=rows))
    connection.execute(_MET.format(table=table))
    connection.execute(_MET_BEFORE.format(table=table))
    connection.execute(_DOUBTED)
    known = _take_turns(connection, run)
    stored = _store_versions(connection, table, run)
    vanished = 0
    if run[0].tells_absence:
        # Versions first: a record may have been read and then deleted before the ids were listed.
        connection.execute(_LATEST)
        known[1] += _count(connection, _LIVE_ELSEWHERE)
        vanished = _store_tombstones(connection, table, run[0])
    return [
        LandedObject(
            object_name=account.read.object_name,
            extent=account.read.extent,
            rows_read=account.read.rows_read,
            versions_stored=stored[place] + vanished,
            rows_quarantined=account.read.rows_quarantined,
            rows_vanished=vanished,
            rows_known_before=known[place],
            cursor=account.read.cursor,
        )
        for place, account in enumerate(run, start=1)
    ]


def _take_turns(connection: duckdb.DuckDBPyConnection, run: Sequence[_Account]) -> Counter[int]:
    """Date the rows in `doubted`, and find those that are not new.

    Returns how many of the live records that a batch brings were known, by its place in the run.
    """
    known: Counter[int] = Counter()
    turns = _count(connection, "select coalesce(max(turn), 0) from doubted")
    for turn in range(1, turns + 1):
        connection.execute(_IN_TURN.format(turn=turn))
        known.update(_counts(connection, _LIVE_BEFORE))
        if run[0].shows_what_is:
            connection.execute(_DATE_WHAT_IS_BACK)
        connection.execute(_FIND_UNCHANGED)
        if turn < turns:
            connection.execute(_MEET, {"landed_at": [account.batch.landed_at for account in run]})
    return known


def _store_versions(connection: duckdb.DuckDBPyConnection, table: str, run: Sequence[_Account]) -> Counter[int]:
    """Store what is new of what arrives; returns how many versions, by the place of their batch in the run."""
    batches = {
        "landed_at": [account.batch.landed_at for account in run],
        "batch_ids": [account.batch.batch_id for account in run],
    }
    connection.execute(_STORE_NEW_VERSIONS.format(table=table), batches)
    stored = Counter(_counts(connection, "select batch, count(*) from arriving group by batch"))
    stored.subtract(_counts(connection, "select batch, count(*) from doubted where not is_new group by batch"))
    return stored


def _store_tombstones(connection: duckdb.DuckDBPyConnection, table: str, account: _Account) -> int:
    """Mark what is in `latest`, and by this account no longer in the source; returns how many records that are."""
    batch, name = account.batch, account.read.object_name
    tests = [_NOT_ARRIVING] if account.read.can_tell_vanished else []
    if account.listings:
        connection.execute(_LISTING, {"files": list(account.listings), "object": name})
        tests.append(_NOT_LISTED)
    is_missing = " or ".join(f"({test})" for test in tests)
    connection.execute(_VANISHED.format(is_missing=is_missing), {"batch_id": batch.batch_id, "object": name})
    vanished = _count(connection, "select count(*) from vanished")
    if vanished:
        connection.execute(
            _STORE_TOMBSTONES.format(table=table),
            {"fetched_at": batch.fetched_at, "landed_at": batch.landed_at, "batch_id": batch.batch_id},
        )
    return vanished


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    (rows,) = connection.execute(query).fetchone() or (0,)
    return int(rows)


def _counts(connection: duckdb.DuckDBPyConnection, query: str) -> dict[int, int]:
    return dict(connection.execute(query).fetchall())
