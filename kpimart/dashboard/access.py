"""Who opens the pages, and what of the release they see: the same rows that the serving database gives their login.

A page does not know whose it is. Who does not see all is given, in place of the release, a database in memory of the
same tables, as views over the release's that leave out the rows that are not theirs. The folder of the release is none
that could be opened, so a page that reads past the tables finds nothing.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import duckdb
import streamlit as st

from kpimart.dashboard.served import Served
from kpimart.publish.contract import LEADERBOARD
from kpimart.publish.postgres.access import (
    AS_THE_DEAL,
    EVERYBODY,
    PUBLIC_COLUMNS,
    Entry,
    is_of_people,
    make_scope,
    pair,
    read_entries,
)
from kpimart.publish.shelf import Release
from kpimart.settings import DashboardSettings, Settings
from kpimart.sql import literal, quoted
from kpimart.warehouse import MEMORY, open_memory, storage_errors

_HELD = 64
"""So many people's views of a release are kept; those of others are made anew."""


@dataclass(frozen=True)
class Sight:
    """What somebody sees of what is served.

    scope: pairs of manager and department (empty: none) whose rows they see; None: they see all. connection: keeps what
    they see in memory for as long as a page has it.
    """

    served: Served
    scope: frozenset[tuple[str, str]] | None = None
    connection: duckdb.DuckDBPyConnection | None = None

    @property
    def sees_all(self) -> bool:
        """Whether all rows of all tables are seen."""
        return self.scope is None

    def sees(self, level: str, key: str) -> bool:
        """Whether somebody whom the release seen names has figures that are seen."""
        if self.scope is None or level == "manager":
            return True
        return level == "department" and ("", key) in self.scope


def signed_in(settings: DashboardSettings) -> str | None:
    """The login of whoever opens the page; None: they have not signed in. Ask only where there is a sign-in."""
    if settings.header:
        return (st.context.headers.get(settings.header) or "").strip() or None
    # An address that nobody has proved to be theirs could be anybody's.
    if not st.user.is_logged_in or st.user.get("email_verified") is False:
        return None
    return str(st.user.get(settings.oidc_claim) or "") or None


def sight(settings: Settings, served: Served, login: str | None) -> Sight:
    """What a login sees; None is whoever can open pages for which nobody signs in. Raises SettingsError."""
    if login is None or login in settings.dashboard.sees_all:
        return Sight(served)
    entries = tuple(read_entries(settings.postgres.access))
    scope = _scopes(served.release.database, entries).get(login, frozenset())
    release, connection = _narrowed(served.release, scope)
    # What a check found wrong is told with rows, and those are for who sees all.
    return Sight(Served(release, served.gate, ()), scope, connection)


@lru_cache(maxsize=2)
def _scopes(database: Path, entries: tuple[Entry, ...]) -> dict[str, frozenset[tuple[str, str]]]:
    """Login → what it may see, of all logins that may see something of a release; to find it reads all tables."""
    scopes: dict[str, set[tuple[str, str]]] = {}
    with storage_errors(f"reading {database}"), open_memory() as connection:
        make_scope(connection, _attached(connection, database), list(entries))
        rows = connection.execute("select login, manager_id, department_id from access_scope").fetchall()
    for login, *found in rows:
        scopes.setdefault(login, set()).add((found[0], found[1]))
    return {login: frozenset(scope) for login, scope in scopes.items()}


@lru_cache(maxsize=_HELD)
def _narrowed(release: Release, scope: frozenset[tuple[str, str]]) -> tuple[Release, duckdb.DuckDBPyConnection]:
    """A release whose database has only the rows of a scope."""
    seen = replace(release, folder=Path(f"{MEMORY}{secrets.token_hex()}"))
    with storage_errors(f"reading {release.database}"):
        connection = open_memory(seen.database)
        tables = _attached(connection, release.database)
        connection.execute("create table scope (manager_id varchar, department_id varchar)")
        if scope:
            connection.executemany("insert into scope values (?, ?)", sorted(scope))
        for name, columns in sorted(tables, key=lambda table: table[0] in AS_THE_DEAL):
            connection.execute(f"create view {quoted(name)} as {_seen(name, columns)}")
    return seen, connection


def _attached(connection: duckdb.DuckDBPyConnection, database: Path) -> list[tuple[str, list[str]]]:
    """Attach a release as `coming`; returns its tables with their columns."""
    connection.execute(f"attach {literal(str(database))} as coming (read_only)")
    return connection.execute(
        """
        select table_name, list(column_name order by column_index)
        from duckdb_columns()
        where database_name = 'coming' and schema_name = 'main'
        group by table_name
        order by table_name
        """
    ).fetchall()


def _seen(table: str, columns: Sequence[str]) -> str:
    """The query of what heads and managers see of a table of the release, by the rules of the serving database."""
    own = f"{pair(columns)} in (select manager_id, department_id from scope)"
    if table in EVERYBODY:
        rule = "true"
    elif table in AS_THE_DEAL:
        rule = "deal_id in (select deal.deal_id from deal)"
    elif table == LEADERBOARD.name:
        shown = [
            quoted(column)
            if column in PUBLIC_COLUMNS
            else f"case when {own} then {quoted(column)} end as {quoted(column)}"
            for column in columns
        ]
        return f"select {', '.join(shown)} from coming.{quoted(table)}"
    else:
        rule = own if is_of_people(table, columns) else "false"
    return f"select * from coming.{quoted(table)} where {rule}"
