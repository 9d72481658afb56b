"""SQL: a CRM's own database, described in the settings as files are.

Reads: the tables, views and queries mapped in `sql.<object>`, all in one read-only transaction that sees one moment.
Limits: one connection; rows are streamed, 20,000 of them in memory.
Cannot tell: who changed a record; when, unless `updated_at` is mapped; that it vanished, from a `delta`.
Source: SQLAlchemy 2, and the manuals of the four databases on transactions.
"""

import hashlib
import re
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import orjson

from kpimart.errors import AccessRefused, BadSourceData, KpiMartError, SettingsError, SourceUnreachable
from kpimart.extract.canonical import CanonicalObject, check_mappings, mappings_of, stage_names
from kpimart.extract.mapped import CHUNK_ROWS, Chunk, Context, Origin, read_object, refuse_lost_columns
from kpimart.extract.records import Batch, Known, ObjectRead, Progress, silent
from kpimart.extract.source import Cursor
from kpimart.extract.values import plain_value
from kpimart.settings import Settings, SqlSettings, TableMapping

if TYPE_CHECKING:
    import sqlalchemy as sa

# What is written by the wall clock before clocks go back may stand behind what is written after.
_CLOCK_CHANGE = timedelta(hours=1)


@dataclass(frozen=True)
class Database:
    """How a database is spoken to: by which driver, how a read-only transaction begins that sees one moment only.

    now: SQL of its own time, in UTC. isolation: the level by SQLAlchemy's name; None is the only one there is.
    """

    driver: str
    now: str
    isolation: str | None
    beginning: tuple[str, ...] = ()


_MYSQL = Database(
    "mysql+pymysql", "utc_timestamp()", "REPEATABLE READ", ("start transaction with consistent snapshot, read only",)
)
DATABASES = {
    "postgresql": Database(
        "postgresql+psycopg", "current_timestamp", "REPEATABLE READ", ("set transaction read only",)
    ),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "mssql": Database("mssql+pymssql", "sysutcdatetime()", "SNAPSHOT"),
    "sqlite": Database("sqlite", "current_timestamp", None, ("pragma query_only = on", "begin")),
}

# What the databases say, as SQLSTATE or as a number of their own, of somebody who may not.
_REFUSALS = {"28000", "28P01", "42501", 1044, 1045, 1142, 1143, 229, 230, 916, 18456}
_REFUSING = re.compile("authentication failed|access denied|permission denied|login failed", re.IGNORECASE)


def open_sql(
    settings: Settings,
    known: Mapping[str, Known],
    *,
    extracted_at: datetime,
    progress: Progress = silent,
) -> Generator[Batch | ObjectRead]:
    """The mapped objects of the database, batch by batch. `known`: how far earlier fetches got, by object.

    Raises SettingsError now; when read, SourceUnreachable, AccessRefused, BadSourceData.
    """
    check_mappings(settings, "sql")
    url = database_url(settings.sql)
    context = Context(stage_names(settings.sql), settings.zone, extracted_at, progress)
    return _read_all(settings, url, known, context)


def database_url(sql: SqlSettings) -> "sa.URL":
    """Where the database is; raises SettingsError that never shows it, because it holds a password."""
    # Not every company's CRM is read through its database.
    import sqlalchemy as sa

    variable = "KPIMART_SQL__URL"
    if sql.url is None:
        raise SettingsError(f"sql.url: no database to read from; set {variable}=postgresql://user:password@host/name")
    try:
        url = sa.make_url(sql.url.get_secret_value())
    except (sa.exc.ArgumentError, ValueError):
        raise SettingsError(f"sql.url: {variable} is no URL of a database; expected dialect://user@host/name") from None
    dialect = url.get_backend_name()
    if dialect not in DATABASES:
        raise SettingsError(f"sql.url: expected one of {', '.join(DATABASES)}, found {dialect!r} in {variable}")
    return url if "+" in url.drivername else url.set(drivername=DATABASES[dialect].driver)


@contextmanager
def snapshot(url: "sa.URL") -> "Iterator[sa.Connection]":
    """A connection in a transaction that reads only, and sees everything as it is at its beginning."""
    import sqlalchemy as sa

    database = DATABASES[url.get_backend_name()]
    try:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise SettingsError(f"sql.url: {error}; install the driver of {url.drivername}") from error
    with _errors("sql", url, SourceUnreachable):
        connection = engine.connect()
    try:
        with _errors("sql", url, SourceUnreachable):
            if database.isolation:
                connection = connection.execution_options(isolation_level=database.isolation)
            for statement in database.beginning:
                connection.exec_driver_sql(statement)
        yield connection
    finally:
        connection.close()


def server_time(connection: "sa.Connection") -> datetime:
    """The database's own time, in UTC."""
    import sqlalchemy as sa

    dialect = connection.engine.url.get_backend_name()
    now: datetime | str = connection.execute(sa.text(f"select {DATABASES[dialect].now}")).scalar_one()
    moment = datetime.fromisoformat(now) if isinstance(now, str) else now
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Table(Origin[TableMapping]):
    """A table, a view or a query to read.

    end: the last change that an earlier fetch saw. since: only what changed from then on is read, or nobody knows when.
    """

    what: ClassVar[str] = "table"
    whole: ClassVar[str] = "database"

    end: "_Moment | None" = None
    since: "_Moment | None" = None

    @property
    def is_delta(self) -> bool:
        """Whether only what changed is read."""
        return self.mapping.extent == "delta"

    @property
    def version_column(self) -> str | None:
        """The source's column that says when a record changed."""
        version = self.mapping.columns.get(self.each.version)
        return version.column if version else None

    def place(self, row: int) -> str:
        """Where a record stood among those that were read."""
        return f"{self.mapping.label}, row {row}"

    def rows(self) -> "sa.FromClause":
        """What the rows are selected from."""
        import sqlalchemy as sa

        if self.mapping.query is not None:
            # A colon begins a parameter, but a query of the settings has none.
            query = re.sub(r"(?<!:):(?=\w)", r"\\:", self.mapping.query.strip().rstrip(";"))
            return sa.text(query).columns(*map(sa.column, self.columns)).subquery("mapped")
        schema, _, name = (self.mapping.table or "").rpartition(".")
        return sa.table(name, *map(sa.column, self.columns), schema=schema or None)

    def select(self) -> "sa.Select[Any]":
        """The wanted columns of the wanted rows."""
        import sqlalchemy as sa

        rows = self.rows()
        wanted = sa.select(*(rows.c[name] for name in self.columns))
        if self.since is None:
            return wanted
        changed = rows.c[str(self.version_column)]
        return wanted.where(sa.or_(changed >= self.since, changed.is_(None)))


def _read_all(
    settings: Settings, url: "sa.URL", known: Mapping[str, Known], context: Context
) -> Generator[Batch | ObjectRead]:
    with snapshot(url) as connection:
        with _errors("sql", url, SourceUnreachable):
            now = server_time(connection)
        objects = [
            [_table(connection, url, each, mapping, settings, known.get(each.name)) for mapping in mappings]
            for each, mappings in mappings_of(settings.sql).items()
        ]
        for tables in objects:
            reader = _Reader(connection, url, now, settings)
            for item in read_object(tables, reader.read_chunks, context):
                yield replace(item, cursor=reader.cursor_of(tables)) if isinstance(item, ObjectRead) else item


def _table(
    connection: "sa.Connection",
    url: "sa.URL",
    each: CanonicalObject,
    mapping: TableMapping,
    settings: Settings,
    known: Known | None,
) -> Table:
    """The table, after a look whether it is there with all its columns."""
    import sqlalchemy as sa

    ends: dict[str, Cursor] = orjson.loads(known.cursor) if known and known.cursor else {}
    saved = ends.get(_key(mapping, settings))
    end = _of_json(saved) if saved else None
    since = _since(end, timedelta(minutes=settings.sql.overlap_minutes)) if end else None
    table = Table(each, mapping, end=end, since=since)
    with _errors(str(table), url, BadSourceData):
        nothing = sa.select(sa.text("*")).select_from(table.rows()).where(sa.false())
        refuse_lost_columns(table, list(connection.execute(nothing).keys()))
        return replace(table, ids_are_unique=_is_key(connection, table))


def _is_key(connection: "sa.Connection", table: Table) -> bool:
    """Whether the database itself keeps the ids apart; then nobody has to remember them all."""
    import sqlalchemy as sa

    if table.mapping.query is not None:
        return False
    schema, _, name = (table.mapping.table or "").rpartition(".")
    inspector = sa.inspect(connection)
    if name not in inspector.get_table_names(schema=schema or None):
        return False
    key = inspector.get_pk_constraint(name, schema=schema or None)["constrained_columns"]
    with warnings.catch_warnings():
        # Columns of types that SQLAlchemy does not know are nothing to worry about here.
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        types = {column["name"]: column["type"] for column in inspector.get_columns(name, schema=schema or None)}
    # Texts that differ in blanks only are different keys and one id.
    return key == [table.id_column] and isinstance(types[key[0]], sa.Integer | sa.Uuid)


class _Reader:
    """Reads the tables of one object, and remembers how far."""

    def __init__(self, connection: "sa.Connection", url: "sa.URL", now: datetime, settings: Settings) -> None:
        self._connection = connection
        self._url = url
        self._now = now
        self._settings = settings
        self._ends: Cursor = {}

    def read_chunks(self, table: Table) -> Iterator[Chunk]:
        """The rows of a table in chunks."""
        mark = table.mapping.decimal_mark
        version = table.columns.index(table.version_column) if table.is_delta and table.version_column else None
        numbers = count(1)
        last: _Moment | None = None
        with _errors(str(table), self._url, SourceUnreachable):
            result = self._connection.execution_options(yield_per=CHUNK_ROWS).execute(table.select())
            for rows in result.partitions():
                if version is not None:
                    last = _last([last, *(row[version] for row in rows)])
                records = [tuple([plain_value(value, mark) for value in row]) for row in rows]
                yield Chunk(records=list(zip(numbers, records, strict=False)))
        if table.is_delta:
            zone = ZoneInfo(table.mapping.time_zone) if table.mapping.time_zone else self._settings.zone
            end = table.end if last is None else _not_after(last, self._now.astimezone(zone), table)
            self._ends |= {_key(table.mapping, self._settings): _as_json(end)} if end else {}

    def cursor_of(self, tables: list[Table]) -> str | None:
        """Where the next fetch goes on, as JSON; None if it reads everything again."""
        return orjson.dumps(self._ends).decode() if any(table.is_delta for table in tables) else None


def _key(mapping: TableMapping, settings: Settings) -> str:
    """What a delta is a delta of. Whoever maps it otherwise gets everything again, what was quarantined included."""
    meaning = [mapping.model_dump(), stage_names(settings.sql)]
    return hashlib.blake2b(orjson.dumps(meaning, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


# ------------------------------------------------------------------------------------------------------ how far it is

_Moment = datetime | date | str
"""A time of change in the type in which the database has it, and in which it compares it."""

_COMPARABLE_TEXT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?", re.ASCII)
_FROM_JSON: dict[str, Callable[[str], _Moment]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "str": str,
}


def _last(values: Iterable[_Moment | None]) -> _Moment | None:
    """The last of some times. A text among times of a type is none that could be read, such as MySQL's zero."""
    known = [value for value in values if value]
    typed = [value for value in known if not isinstance(value, str)]
    return max(typed or known, default=None)


def _as_json(end: _Moment) -> Cursor:
    return {"last": end if isinstance(end, str) else end.isoformat(), "type": type(end).__name__}


def _of_json(end: Cursor) -> _Moment:
    return _FROM_JSON[end["type"]](end["last"])


def _since(end: _Moment, overlap: timedelta) -> _Moment:
    """Where to go on: the last change less the overlap."""
    moment = _as_datetime(end)
    return _like(end, moment - overlap if moment.tzinfo else moment - overlap - _CLOCK_CHANGE)


def _not_after(last: _Moment, now: datetime, table: Table) -> _Moment:
    """The last change, or now if it lies in the future: nothing may hide behind a record with a wrong time."""
    is_comparable = _COMPARABLE_TEXT.fullmatch(last) if isinstance(last, str) else isinstance(last, date)
    if not is_comparable:
        raise BadSourceData(
            f"{table}: {table.version_column}: a delta goes by it, and a database does not compare such as {last!r} by "
            "time; cast it to a timestamp in a query, or say extent = 'full', then rerun"
        )
    moment = _as_datetime(last)
    limit = now if moment.tzinfo else now.replace(tzinfo=None)
    return last if moment <= limit else _like(last, limit)


def _as_datetime(value: _Moment) -> datetime:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return value if isinstance(value, datetime) else datetime.combine(value, time.min)


def _like(example: _Moment, moment: datetime) -> _Moment:
    """A moment in the type, and as long, as the database has others."""
    if isinstance(example, str):
        return moment.isoformat(sep=example[10:11] or "T")[: min(len(example), len("2026-01-01T00:00:00"))]
    return moment if isinstance(example, datetime) else moment.date()


# ------------------------------------------------------------------------------------------------------------- errors


@contextmanager
def _errors(what: str, url: "sa.URL", otherwise: type[KpiMartError]) -> Iterator[None]:
    """Say of what the database says what it was asked for, and what to do; a password never shows."""
    import sqlalchemy as sa

    try:
        yield
    except sa.exc.DBAPIError as error:
        told = error.orig.args if error.orig else ()
        # SQL Server's driver gives a pair in one, with the bytes that it received.
        told = told[0] if len(told) == 1 and isinstance(told[0], tuple) else told
        texts = [part.decode(errors="replace") if isinstance(part, bytes) else str(part) for part in told]
        said = " ".join(" ".join(texts).split())
        said = said.replace(str(url.password), "***") if url.password else said
        codes = {getattr(error.orig, "sqlstate", None), *told[:1]}
        if codes & _REFUSALS or _REFUSING.search(said):
            raise AccessRefused(f"{what}: {said}; give the user of KPIMART_SQL__URL the right to read it") from error
        is_away = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) and otherwise is SourceUnreachable
        if is_away or error.connection_invalidated:
            raise SourceUnreachable(f"{what}: {said}; check that the database is up, then rerun") from error
        raise BadSourceData(f"{what}: {said}; correct the mapping, then rerun") from error
