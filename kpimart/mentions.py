"""Texts that tell who somebody is: finding them in tables and files, and putting `forgotten` in their place."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import duckdb

from kpimart.sql import literal, quoted

FORGOTTEN = "forgotten"

# What others wrote down, as they wrote it: a word that is a whole value there may be anybody's first name.
_RECEIVED = frozenset({"raw", "ops"})
_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True)
class Mentions:
    """What is to be erased where others speak of a person.

    phrases: erased wherever they stand as whole words, in capitals or not. names: single words that others may bear
    too, so they are erased only where one is a whole value of a built or published table.
    """

    phrases: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.phrases or self.names)

    def may_be_in(self, column: str, *, with_names: bool) -> str:
        """A cheap SQL condition that holds of every text, and of some more, in which the person is mentioned."""
        forms = [*self._forms, *(self.names if with_names else ())]
        return " or ".join(f"contains(lower({column}), {literal(form.lower())})" for form in sorted(forms)) or "false"

    def found_in(self, column: str, *, with_names: bool) -> str:
        """The SQL condition that a column mentions the person."""
        parts = []
        if self._forms:
            may_be = self.may_be_in(column, with_names=False)
            parts.append(f"(({may_be}) and regexp_matches({column}, {literal(self._pattern)}, 'i'))")
        if with_names and self.names:
            parts.append(self._is_name(column))
        return f"coalesce({' or '.join(parts)}, false)" if parts else "false"

    def erased_from(self, column: str, *, with_names: bool) -> str:
        """The SQL expression of a column's text without the mentions."""
        cases = ""
        if with_names and self.names:
            name = f"regexp_replace({column}, {literal(self._name_pattern)}, '{FORGOTTEN}\\2', 'i')"
            cases = f"when {self._is_name(column)} then {name} "
        if self._forms:
            # Twice: of two mentions in a row the first takes the blank between them.
            words = column
            for _ in range(2):
                words = f"regexp_replace({words}, {literal(self._pattern)}, '\\1{FORGOTTEN}\\3', 'gi')"
            cases += f"when {self.found_in(column, with_names=False)} then {words} "
        return f"case {cases}else {column} end" if cases else column

    def _is_name(self, column: str) -> str:
        return f"regexp_matches({column}, {literal(self._name_pattern)}, 'i')"

    def erased(self, text: str) -> str:
        """A text without the phrases."""
        if not self._forms:
            return text
        once = self._expression.sub(rf"\1{FORGOTTEN}\3", text)
        return self._expression.sub(rf"\1{FORGOTTEN}\3", once)

    def is_in(self, file: Path) -> bool:
        """Whether the bytes of a file mention the person."""
        if not self._forms:
            return False
        longest = max(len(form.encode()) for form in self._forms)
        with file.open("rb") as stream:
            before = b""
            while chunk := stream.read(_CHUNK_BYTES):
                if self._in_bytes.search(before + chunk):
                    return True
                before = chunk[-longest:]
        return False

    @cached_property
    def _forms(self) -> list[str]:
        """The phrases as they are written in plain text and in JSON, the longest first."""
        forms = {
            form
            for phrase in self.phrases
            for form in (phrase, json.dumps(phrase)[1:-1], json.dumps(phrase, ensure_ascii=False)[1:-1])
        }
        return sorted(forms, key=lambda form: (-len(form), form))

    @cached_property
    def _pattern(self) -> str:
        """For RE2: the phrase as a whole, after the beginning, no letter, or a line break as JSON writes it."""
        return rf"(^|[^\pL\pN_]|\\[nrt])({'|'.join(map(re.escape, self._forms))})($|[^\pL\pN_])"

    @cached_property
    def _name_pattern(self) -> str:
        """A whole value, or what stands before a comma: a manager in a department is called `Cid, South`."""
        return f"^({'|'.join(map(re.escape, sorted(self.names)))})($|, )"

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile(rf"(^|\W|\\[nrt])({'|'.join(map(re.escape, self._forms))})($|\W)", re.IGNORECASE)

    @cached_property
    def _in_bytes(self) -> re.Pattern[bytes]:
        forms = b"|".join(re.escape(form.encode()) for form in self._forms)
        return re.compile(rb"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))(?:" + forms + rb")(?![A-Za-z0-9_])", re.IGNORECASE)


def count_mentions(connection: duckdb.DuckDBPyConnection, database: str, mentions: Mentions) -> dict[str, int]:
    """How many values of an attached database mention the person: qualified table → values, without zeros."""
    counted = {table: _mentioning(connection, database, table, mentions) for table in _tables(connection, database)}
    return {f"{table.schema}.{table.name}": sum(columns.values()) for table, columns in counted.items() if columns}


def copy_erased(
    connection: duckdb.DuckDBPyConnection,
    old: str,
    new: str,
    mentions: Mentions,
    only: Mapping[str, str] | None = None,
) -> None:
    """Fill the empty database `new` with what `old` has, rows in their order, without the mentions.

    What is left out is never written: a file that was only updated still holds the old bytes in its free blocks.
    only: qualified table → SQL condition of the rows to take; all rows of the others are taken.
    """
    connection.execute(f"copy from database {quoted(old)} to {quoted(new)} (schema)")
    for table in _tables(connection, old):
        found = _mentioning(connection, old, table, mentions)
        values = ", ".join(_expressions(table, found.keys(), mentions))
        wanted = (only or {}).get(f"{table.schema}.{table.name}", "true")
        connection.execute(f"insert into {table.within(new)} select {values} from {table.within(old)} where {wanted}")


class _Test(Protocol):
    """Makes the SQL condition of a column."""

    def __call__(self, column: str, *, with_names: bool) -> str: ...


@dataclass(frozen=True)
class _Table:
    """A table of a database; of its columns those that hold text are told apart."""

    schema: str
    name: str
    columns: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def with_names(self) -> bool:
        return self.schema not in _RECEIVED

    def within(self, database: str) -> str:
        return f"{quoted(database)}.{quoted(self.schema)}.{quoted(self.name)}"


def _mentioning(
    connection: duckdb.DuckDBPyConnection, database: str, table: _Table, mentions: Mentions
) -> dict[str, int]:
    """The columns of a table that mention the person, with how many of their values do."""
    if not (mentions and table.texts):
        return {}
    # Most tables and most columns mention nobody, which is cheap to see; the exact test costs twenty times as much.
    row = f"concat_ws(chr(10), {', '.join(map(quoted, table.texts))})"
    may_be = mentions.may_be_in(row, with_names=table.with_names)
    if connection.execute(f"select 1 from {table.within(database)} where {may_be} limit 1").fetchone() is None:
        return {}
    candidates = _counted(connection, database, table, table.texts, mentions.may_be_in)
    return _counted(connection, database, table, tuple(candidates), mentions.found_in)


def _counted(
    connection: duckdb.DuckDBPyConnection, database: str, table: _Table, columns: tuple[str, ...], test: _Test
) -> dict[str, int]:
    """The columns of which a test holds, with how many of their values it does."""
    tests = ", ".join(f"count_if({test(quoted(column), with_names=table.with_names)})" for column in columns)
    (counts,) = connection.execute(f"select {tests} from {table.within(database)}").fetchall()
    return {column: count for column, count in zip(columns, counts, strict=True) if count}


def _expressions(table: _Table, mentioning: Collection[str], mentions: Mentions) -> Iterator[str]:
    """The columns of a table without the mentions; the hash of a raw payload is that of what it has become."""
    for name in table.columns:
        column = quoted(name)
        if table.schema == "raw" and name == "payload_hash" and "payload" in mentioning:
            found = mentions.found_in("payload", with_names=False)
            payload = mentions.erased_from("payload", with_names=False)
            yield f"case when {found} then sha256(concat_ws('|', is_deleted, {payload})) else {column} end"
        elif name in mentioning:
            yield mentions.erased_from(column, with_names=table.with_names)
        else:
            yield column


def _tables(connection: duckdb.DuckDBPyConnection, database: str) -> list[_Table]:
    """Every table of an attached database."""
    rows = connection.execute(
        f"""
        select
            columns.schema_name,
            columns.table_name,
            list(columns.column_name order by columns.column_index),
            list(columns.column_name order by columns.column_index)
                filter (where columns.data_type in ('VARCHAR', 'JSON'))
        from duckdb_columns() as columns
        semi join duckdb_tables() as tables
            on columns.database_name = tables.database_name
            and columns.schema_name = tables.schema_name
            and columns.table_name = tables.table_name
        where columns.database_name = {literal(database)} and not columns.internal
        group by columns.schema_name, columns.table_name
        order by columns.schema_name, columns.table_name
        """
    ).fetchall()
    return [_Table(schema, name, tuple(columns), tuple(texts or ())) for schema, name, columns, texts in rows]
