"""SQLAlchemy's `duckdb+buffered`: duckdb-engine's dialect, with each result read as soon as there is one.

Great Expectations reads a result after its connection has gone back to the pool. By then DuckDB, where a cursor is its
connection, has forgotten the result, and every expectation fails with an IndexError (GX #10738, #11579). All rows are
held in memory: a query of a suite should return what is wrong in groups, not row by row.
"""

from typing import Any

import duckdb_engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg2 import PGExecutionContext_psycopg2
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy


class BufferedExecutionContext(PGExecutionContext_psycopg2):
    def post_exec(self) -> None:
        super().post_exec()  # type: ignore[no-untyped-call]
        cursor: Any = self.cursor
        if cursor.description:
            self.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(cursor, initial_buffer=cursor.fetchall())


class BufferedDialect(duckdb_engine.Dialect):
    driver = "buffered"
    execution_ctx_cls = BufferedExecutionContext
    supports_statement_cache = False


NAME = "duckdb+buffered"

registry.register("duckdb.buffered", __name__, "BufferedDialect")
