"""The tables and views of the schema `reporting`, and who may read what of them.

Whether something changes is looked at first: a change of a table or a view waits for whoever reads it, and those who
come after wait behind.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from kpimart.errors import SettingsError
from kpimart.publish import contract
from kpimart.publish.postgres.access import AS_THE_DEAL, EVERYBODY, PUBLIC_COLUMNS, is_of_people, pair
from kpimart.publish.postgres.connection import Connection
from kpimart.publish.postgres.roles import ANALYST, HEAD, MANAGER, ROLES
from kpimart.publish.tables import WideView, wide_views
from kpimart.sql import literal, quoted

SCHEMA = "reporting"

OLDEST_SERVER = 15
"""The first version whose views can keep to the row-level security of who asks."""

PUBLIC_VIEW = "leaderboard_public"

_INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {"deal_event": (("deal_id",),)}
"""Beside the keys, and beside the manager, by whom everybody is asked who sees only their own rows."""
ASKED_BY_KPI = frozenset({"kpi_value_by_cut"})
"""Tables of which a KPI and a period are asked, which the key finds, before it is asked whose."""
_OWN_TABLES = ("served_release", "access_scope")
_CREATED = (
    f"""
create table if not exists {SCHEMA}.served_release (
    release_id text not null, manifest_sha256 text not null, access_sha256 text not null, rules_sha256 text not null,
    loaded_at timestamptz not null
)
""",
    f"""
create table if not exists {SCHEMA}.access_scope (
    login text, manager_id text, department_id text, is_own boolean not null,
    primary key (login, manager_id, department_id)
)
""",
)
_DESCRIPTIONS = {
    "served_release": "One row: the release that these tables hold, and when it was loaded.",
    "access_scope": (
        "One row per login and pair of manager and department (empty: none) whose rows it may see, if it is of "
        "kpi_head; if it is of kpi_manager, where is_own."
    ),
}


@dataclass(frozen=True)
class Table:
    """A table of a release: column → PostgreSQL's name of its type. `key` is empty where rows have none."""

    name: str
    columns: dict[str, str]
    comments: dict[str, str | None]
    description: str | None
    key: tuple[str, ...]

    @property
    def sql(self) -> str:
        """Its qualified name."""
        return f"{SCHEMA}.{self.name}"

    @property
    def names(self) -> str:
        """Its columns as SQL."""
        return ", ".join(map(quoted, self.columns))


@dataclass(frozen=True)
class Prepared:
    """What was found and made: the tables of the release, those of them that are new and empty, those beside them."""

    tables: tuple[Table, ...]
    fresh: frozenset[str]
    beside: tuple[str, ...]
    rules_sha256: str


def require_usable(server: Connection) -> None:
    """Raise SettingsError for a server that is too old, or whose administrator has not run roles.sql."""
    ((version, owner, user),) = server.ask(
        f"""
        select current_setting('server_version_num')::integer / 10000,
            (select nspowner::regrole::text from pg_namespace where nspname = '{SCHEMA}'), current_user::text
        """
    )
    if version < OLDEST_SERVER:
        raise SettingsError(f"PostgreSQL {version}: too old, {OLDEST_SERVER} or later is needed")
    roles = {name for (name,) in server.ask(f"select rolname::text from pg_roles where rolname in ({_list(ROLES)})")}
    missing = [name for name in ROLES if name not in roles]
    if missing or owner is None:
        what = ", ".join([*missing, *([] if owner else [f"schema {SCHEMA}"])])
        raise SettingsError(
            f"PostgreSQL: missing: {what}; let its administrator run what kpimart export postgres-roles prints"
        )
    if owner != quoted(user) and owner != user:
        raise SettingsError(f"PostgreSQL: schema {SCHEMA} belongs to {owner}, not to {user}; connect as {owner}")


def excess_rights(server: Connection) -> list[str]:
    """What the publishing role could do beyond its schema."""
    ((is_super, is_bypassing, owned),) = server.ask(
        f"""
        select rolsuper, rolbypassrls, (
            select count(*) from pg_class
            where relowner = pg_roles.oid and relnamespace <> '{SCHEMA}'::regnamespace
                and relnamespace::regnamespace::text not like 'pg\\_%'
        )
        from pg_roles
        where rolname = current_user
        """
    )
    told = {"is a superuser": is_super, "passes by row-level security": is_bypassing and not is_super}
    owns = [f"owns {owned:,} relations outside of {SCHEMA}"] if owned else []
    return [*(what for what, is_so in told.items() if is_so), *owns]


def logins_without_role(server: Connection, logins: Collection[str]) -> list[str]:
    """Those of the logins that are not there, or that are members of neither kpi_head nor kpi_manager."""
    members = server.ask(
        f"""
        select distinct person.rolname::text
        from pg_roles as person
        inner join pg_roles as role on role.rolname in ({_list((HEAD, MANAGER))})
        where pg_has_role(person.oid, role.oid, 'usage')
        """
    )
    return sorted(set(logins) - {name for (name,) in members})


def create_own_tables(server: Connection) -> None:
    """Make the tables that are not a release's, where they are missing."""
    there = {name for (name,) in server.ask(f"select tablename::text from pg_tables where schemaname = '{SCHEMA}'")}
    if set(_OWN_TABLES) <= there:
        return
    for statement in _CREATED:
        server.execute(statement)
    for name, description in _DESCRIPTIONS.items():
        server.execute(f"comment on table {SCHEMA}.{name} is {literal(description)}")
    server.execute(f"grant select on {SCHEMA}.served_release to {', '.join(ROLES)}")
    server.execute(f"grant select on {SCHEMA}.access_scope to {HEAD}, {MANAGER}")
    server.execute(f"alter table {SCHEMA}.access_scope enable row level security")
    server.execute(
        f"create policy own_login on {SCHEMA}.access_scope for select to {HEAD}, {MANAGER} using (login = current_user)"
    )


def released_tables(release: duckdb.DuckDBPyConnection) -> tuple[Table, ...]:
    """The tables of the release attached as `coming`, as its own file describes them, whatever contract it keeps."""
    keys = {table.name: table.key for table in contract.PUBLISHED if table is not contract.QUALITY_RESULT}
    rows = release.execute(
        """
        select tables.table_name, tables.comment, columns.column_name, lower(columns.data_type), columns.comment
        from duckdb_tables() as tables
        inner join duckdb_columns() as columns using (database_name, table_name)
        where database_name = 'coming'
        order by tables.table_name, columns.column_index
        """
    ).fetchall()
    found: dict[str, list[tuple[str, str, str | None]]] = {}
    for name, _, *column in rows:
        found.setdefault(name, []).append(tuple(column))
    descriptions = {name: description for name, description, *_ in rows}
    return tuple(
        Table(
            name=name,
            columns={column: _pg_type(data_type) for column, data_type, _ in columns},
            comments={column: comment for column, _, comment in columns},
            description=descriptions[name],
            key=keys.get(name, ()),
        )
        for name, columns in found.items()
    )


def prepare(server: Connection, release: duckdb.DuckDBPyConnection, former_rules: str | None) -> Prepared:
    """Let the schema have every table and column of the release attached as `coming`, and the views over them.

    A column that is new is added; one that the release lacks stays, and will be empty. A table of which a column has
    another type, or that has another key, is made anew.
    """
    tables = released_tables(release)
    views = list(wide_views(release, f"coming.{contract.KPI_CATALOGUE.name}"))
    there, keys = _columns_there(server, "r"), _keys_there(server)
    outgrown = [
        table
        for table in tables
        if table.name in there
        and (_is_outgrown(table, there[table.name]) or set(table.key) != keys.get(table.name, set()))
    ]
    rules = _hash_of_rules(tables, views)
    if outgrown:
        _drop_rules(server, there)
        for table in outgrown:
            server.execute(f"drop table {table.sql}")
            del there[table.name]
    fresh = frozenset(table.name for table in tables if table.name not in there)
    for table in tables:
        _create_or_extend(server, table, there.get(table.name))
    is_new_rule = rules != former_rules or bool(outgrown)
    for table in tables:
        if is_new_rule or table.name in fresh:
            for statement in _rules_of(table):
                server.execute(statement)
    _create_views(server, views, anew=is_new_rule)
    _comment(server, tables, views)
    beside = tuple(sorted(there.keys() - {table.name for table in tables} - set(_OWN_TABLES)))
    return Prepared(tables, fresh, beside, rules)


def index(server: Connection, table: Table) -> None:
    """Make the primary key and the indexes of a table that was just filled, and its statistics."""
    if table.key:
        server.execute(f"alter table {table.sql} add primary key ({', '.join(map(quoted, table.key))})")
    for statement in _indexes_of(table):
        server.execute(statement)
    server.execute(f"analyze {table.sql}")


def _pg_type(data_type: str) -> str:
    """What PostgreSQL calls a type of the contract."""
    return data_type.replace("varchar", "text").replace("decimal", "numeric")


def _columns_there(server: Connection, kind: str) -> dict[str, dict[str, str]]:
    """Table or view → column → type, of the schema; in the order of the columns."""
    rows = server.ask(
        f"""
        select relname::text, attname::text, format_type(atttypid, atttypmod)
        from pg_class
        inner join pg_attribute on pg_class.oid = attrelid
        where relnamespace = '{SCHEMA}'::regnamespace and relkind = '{kind}' and attnum > 0 and not attisdropped
        order by relname, attnum
        """
    )
    found: dict[str, dict[str, str]] = {}
    for name, column, data_type in rows:
        found.setdefault(name, {})[column] = data_type
    return found


def _keys_there(server: Connection) -> dict[str, set[str]]:
    """Table → the columns of its primary key."""
    rows = server.ask(
        f"""
        select relname::text, attname::text
        from pg_index
        inner join pg_class on pg_class.oid = indrelid
        inner join pg_attribute on pg_class.oid = attrelid and attnum = any (indkey)
        where relnamespace = '{SCHEMA}'::regnamespace and indisprimary
        """
    )
    keys: dict[str, set[str]] = {}
    for name, column in rows:
        keys.setdefault(name, set()).add(column)
    return keys


def _is_outgrown(table: Table, there: Mapping[str, str]) -> bool:
    return any(there.get(name, data_type) != data_type for name, data_type in table.columns.items())


def _create_or_extend(server: Connection, table: Table, there: Mapping[str, str] | None) -> None:
    if there is None:
        columns = ", ".join(_column(table, name, data_type) for name, data_type in table.columns.items())
        server.execute(f"create table {table.sql} ({columns})")
        return
    for name, data_type in table.columns.items():
        if name not in there:
            server.execute(f"alter table {table.sql} add column {quoted(name)} {data_type}")


def _column(table: Table, name: str, data_type: str) -> str:
    """A column; if it is of a key or an index, in the order of its bytes, as rows come and as ids are compared fastest.

    Nothing of a key may be empty from the start, or making it would read the table once more.
    """
    is_ordered = data_type == "text" and any(name in columns for columns in (table.key, *_indexed(table)))
    collation = ' collate "C"' if is_ordered else ""
    return f"{quoted(name)} {data_type}{collation}{' not null' if name in table.key else ''}"


# -------------------------------------------------------------------------------------------------------------- rights


def _rules_of(table: Table) -> Iterator[str]:
    """What makes a table readable to whom; each can be said again."""
    if table.name not in EVERYBODY:
        yield f"alter table {table.sql} enable row level security"
        for name, role, condition in _policies(table):
            yield f"drop policy if exists {name} on {table.sql}"
            yield f"create policy {name} on {table.sql} for select to {role} using ({condition})"
    readers = ROLES if table.name in EVERYBODY | AS_THE_DEAL or is_of_people(table.name, table.columns) else (ANALYST,)
    yield f"grant select on {table.sql} to {', '.join(readers)}"


def _policies(table: Table) -> Iterator[tuple[str, str, str]]:
    """Name, role, and condition on a row."""
    yield "analyst", ANALYST, "true"
    if table.name in AS_THE_DEAL:
        yield "as_the_deal", f"{HEAD}, {MANAGER}", f"deal_id in (select deal.deal_id from {SCHEMA}.deal)"
    elif is_of_people(table.name, table.columns):
        scope = f"from {SCHEMA}.access_scope as scope where scope.login = current_user"
        within = f"{pair(table.columns)} in (select scope.manager_id, scope.department_id {scope}"
        yield "head", HEAD, f"{within})"
        if "manager_id" in table.columns:
            # The first condition is the second's, said so that an index can be used.
            own = f"manager_id = any (array(select scope.manager_id {scope} and scope.is_own))"
            yield "manager", MANAGER, f"{own} and {within} and scope.is_own)"


def _indexed(table: Table) -> Iterator[tuple[str, ...]]:
    """The columns of each index beside the key's."""
    further = _INDEXES.get(table.name, ())
    if "manager_id" in table.columns and table.key != ("manager_id",) and table.name not in ASKED_BY_KPI:
        further = (*further, ("manager_id",))
    return (columns for columns in further if set(columns) <= table.columns.keys())


def _indexes_of(table: Table) -> Iterator[str]:
    for columns in _indexed(table):
        name = "_".join((table.name, *columns))
        yield f"create index {name} on {table.sql} ({', '.join(columns)})"


def _hash_of_rules(tables: Sequence[Table], views: Sequence[WideView]) -> str:
    """What changes when another version of this program has other rules, or turns kpi_value otherwise."""
    statements = [statement for table in tables for statement in _rules_of(table)]
    shape = views[0].query.partition("max(")[0] + views[0].query.rpartition(" as ")[2]
    return hashlib.sha256("\n".join([*statements, shape]).encode()).hexdigest()


def _drop_rules(server: Connection, there: Mapping[str, object]) -> None:
    """Before a table is dropped: policies of others, and views, may speak of it."""
    for view in _columns_there(server, "v"):
        server.execute(f"drop view {SCHEMA}.{quoted(view)}")
    policies = server.ask(f"select policyname::text, tablename::text from pg_policies where schemaname = '{SCHEMA}'")
    for name, table in policies:
        if table in there and table not in _OWN_TABLES:
            server.execute(f"drop policy {quoted(name)} on {SCHEMA}.{quoted(table)}")


# ----------------------------------------------------------------------------------------------- views, and comments


def _create_views(server: Connection, views: Sequence[WideView], *, anew: bool) -> None:
    """Views have the rights of who asks, but for the public one."""
    there = _columns_there(server, "v")
    for view in views:
        found = list(there.get(view.name, ()))
        if found != list(view.columns) or anew:
            server.execute(f"drop view if exists {SCHEMA}.{view.name}")
            server.execute(f"create view {SCHEMA}.{view.name} with (security_invoker = true) as {view.query}")
            server.execute(f"grant select on {SCHEMA}.{view.name} to {', '.join(ROLES)}")
    if PUBLIC_VIEW not in there or anew:
        server.execute(f"drop view if exists {SCHEMA}.{PUBLIC_VIEW}")
        server.execute(
            f"create view {SCHEMA}.{PUBLIC_VIEW} with (security_barrier = true) as "
            f"select {', '.join(PUBLIC_COLUMNS)} from {SCHEMA}.{contract.LEADERBOARD.name}"
        )
        server.execute(f"grant select on {SCHEMA}.{PUBLIC_VIEW} to {', '.join(ROLES)}")


def _comment(server: Connection, tables: Sequence[Table], views: Sequence[WideView]) -> None:
    """Let every comment be what the release says."""
    public = contract.LEADERBOARD
    texts = {column.name: column.description for column in public.columns if column.name in PUBLIC_COLUMNS}
    commented: list[tuple[str, str, str | None, Mapping[str, str | None]]] = [
        ("view", PUBLIC_VIEW, public.description, texts),
        *(("table", table.name, table.description, table.comments) for table in tables),
        *(("view", view.name, view.description, view.columns) for view in views),
    ]
    there = {
        (relation, column): comment
        for relation, column, comment in server.ask(
            f"""
            select relname::text, attname::text, description
            from pg_description
            inner join pg_class on pg_class.oid = objoid and classoid = 'pg_class'::regclass
            left join pg_attribute on pg_class.oid = attrelid and objsubid = attnum and objsubid > 0
            where relnamespace = '{SCHEMA}'::regnamespace
            """
        )
    }
    for kind, name, description, columns in commented:
        if there.get((name, None)) != description:
            server.execute(f"comment on {kind} {SCHEMA}.{name} is {literal(description)}")
        for column, comment in columns.items():
            if there.get((name, column)) != comment:
                server.execute(f"comment on column {SCHEMA}.{name}.{quoted(column)} is {literal(comment)}")


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(literal, names))
