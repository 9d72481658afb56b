"""Who may see which rows: people's logins, and the managers and departments that they stand for.

They are told in a file, `postgres.access`, and not in a seed: rights hold from now on, whichever release is served.
"""

import csv
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import orjson

from kpimart.errors import SettingsError
from kpimart.sql import literal

COLUMNS = ("login", "person", "manager_id", "department_id")

EVERYBODY = frozenset(
    {
        *("dim_department", "dim_department_closure", "dim_period", "kpi_catalogue", "period_close", "release"),
        "served_release",
    }
)
"""Tables that all roles see whole. Of those that name a manager or a department, heads and managers see their rows.

Any other table is for analysts only.
"""
AS_THE_DEAL = frozenset({"deal_next_step"})
"""Tables whose rows are seen by whoever sees their deal."""
PUBLIC_COLUMNS = (
    *("kpi_code", "period_grain", "period_start", "period_end", "is_complete", "manager_name", "department_name"),
    *("rank", "is_tied", "is_hidden"),
)
"""Of `leaderboard`: who stands where is for everybody; by how much is for those who see the row."""


@dataclass(frozen=True)
class Entry:
    """A manager who a person is, or a department whose head they are; the other is empty."""

    login: str
    person: str
    manager_id: str
    department_id: str


def read_entries(file: Path | None) -> list[Entry]:
    """The entries of the access file; none without one. Raises SettingsError that names the line."""
    if file is None:
        return []
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise SettingsError(f"postgres.access: {file}: the first line must be {','.join(COLUMNS)}")
            return [_entry(f"postgres.access: {file}, line {reader.line_num}", row) for row in reader]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"postgres.access: {file}: cannot be read: {error}") from error


def _entry(place: str, row: dict[str, str]) -> Entry:
    # What is too much stands under None, what is missing is None.
    if None in row or None in row.values() or not row["login"].strip():
        raise SettingsError(f"{place}: give {', '.join(COLUMNS)}, of which the login of PostgreSQL must not be empty")
    login, person, manager_id, department_id = (row[name].strip() for name in COLUMNS)
    if bool(manager_id) == bool(department_id):
        raise SettingsError(f"{place}: give {login} either a manager_id or a department_id, in a line each")
    return Entry(login, person or login, manager_id, department_id)


def is_of_people(table: str, columns: Collection[str]) -> bool:
    """Whether heads and managers see those rows of a table that are theirs."""
    return table not in EVERYBODY and bool({"manager_id", "department_id"} & set(columns))


def pair(columns: Collection[str]) -> str:
    """What is looked up in `access_scope` for a row of a table with these columns."""
    return f"({_id('manager_id', columns)}, {_id('department_id', columns)})"


def make_scope(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[tuple[str, Sequence[str]]], entries: list[Entry]
) -> str:
    """Make the temporary table `access_scope` of the release attached as `coming`; returns a hash of its rows.

    tables: the release's tables with their columns. One row per login and pair of manager and department (empty: none)
    whose rows all persons of the login may see; is_own: one of them is that manager. A person sees rows of the manager
    who they are, and of the departments in the tree below theirs on the release's last day; figures of managers, which
    name no department, if the manager sits in that tree then.
    """
    pairs = " union ".join(
        f"select {_id('manager_id', columns)} as manager_id, {_id('department_id', columns)} as department_id "
        f"from coming.{name}"
        for name, columns in tables
        if {"manager_id", "department_id"} & set(columns)
    )
    rows = ", ".join(
        f"({', '.join(map(literal, (each.login, each.person, each.manager_id, each.department_id)))})"
        for each in entries
    )
    connection.execute(
        f"""
        create temp table access_scope as
        with

        entry as (

            select * from (values {rows or "('', '', '', '')"}) as told ({", ".join(COLUMNS)}) where login <> ''

        ),

        tree as (

            select entry.login, entry.person, closure.department_id
            from entry
            inner join coming.dim_department_closure as closure
                on entry.department_id = closure.ancestor_department_id
            inner join (select max(period_start) as day from coming.dim_period where period_grain = 'day') as last
                on closure.valid_from <= last.day and closure.valid_to > last.day

        ),

        pair as ({pairs}),

        seen as (

            select entry.login, entry.person, pair.*, true as is_own
            from entry
            inner join pair on entry.manager_id = pair.manager_id and pair.manager_id <> ''
            union all
            select tree.login, tree.person, pair.*, false
            from tree
            inner join pair on tree.department_id = pair.department_id
            union all
            select tree.login, tree.person, pair.*, false
            from tree
            inner join coming.dim_manager as seller on tree.department_id = seller.department_id
            inner join pair on seller.manager_id = pair.manager_id and pair.department_id = ''

        ),

        seen_by_person as (

            select login, person, manager_id, department_id, bool_or(is_own) as is_own
            from seen
            group by login, person, manager_id, department_id

        )

        select login, manager_id, department_id, bool_or(is_own) as is_own
        from seen_by_person
        inner join (select login, count(distinct person) as persons from entry group by login) as sharing using (login)
        group by login, manager_id, department_id, persons
        having count(*) = persons
        order by login, manager_id, department_id
        """
    )
    return hashlib.sha256(orjson.dumps(connection.execute("from access_scope").fetchall())).hexdigest()


def unknown_ids(connection: duckdb.DuckDBPyConnection, entries: list[Entry]) -> list[str]:
    """Managers and departments of the entries that the release attached as `coming` lacks: they open nothing."""
    known = {
        row[0]
        for row in connection.execute(
            "select manager_id from coming.dim_manager union all select department_id from coming.dim_department"
        ).fetchall()
    }
    return sorted({each.manager_id or each.department_id for each in entries} - known)


def _id(name: str, columns: Collection[str]) -> str:
    return f"coalesce({name}, '')" if name in columns else "''"
