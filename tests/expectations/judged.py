"""What a raw suite of one object finds in records of which each is as given."""

from typing import Any

import duckdb
import orjson

from kpimart.paths import EXPECTATIONS
from kpimart.quality.suites import read_suite


def found(table: str, payload: dict[str, Any]) -> set[str]:
    """The expectations, by what they are about, that fail on a batch of ten such live records."""
    suite = read_suite(EXPECTATIONS / "raw" / f"{table}.json")
    queries = {each["description"]: each["kwargs"]["unexpected_rows_query"] for each in suite.expectations}
    with duckdb.connect() as connection:
        connection.execute(
            """
            create table batch as
            select cast(i as varchar) as id, 'b' as batch_id, false as is_deleted, now() as landed_at,
                $payload as payload
            from range(10) as numbers (i)
            """,
            {"payload": orjson.dumps(payload).decode()},
        )
        return {told for told, query in queries.items() if connection.execute(query.format(batch="batch")).fetchall()}
