"""Verifying a release: its files and its place in the chain, its tables counted again, and, rebuilt, every row.

A rebuild reads raw as it was accepted by the release's `known_at`, and must give the release's own rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from kpimart.errors import ReleaseDamaged
from kpimart.publish import contract
from kpimart.publish.contract import Table
from kpimart.publish.manifest import Manifest
from kpimart.publish.shelf import SEE_OTHERS, Release, Shelf
from kpimart.publish.tables import count_again, payload_totals
from kpimart.sql import quoted
from kpimart.warehouse import WAREHOUSE_FILE, open_database, open_memory, storage_errors
from kpimart.warehouse import literal as path_literal

SHOWN_ROWS = 3


@dataclass(frozen=True)
class TableDifference:
    """A table whose rows the rebuild did not give: how many only either has, and a few of them, column → text."""

    table: str
    only_released: int
    only_rebuilt: int
    released_rows: tuple[dict[str, str | None], ...]
    rebuilt_rows: tuple[dict[str, str | None], ...]


@dataclass(frozen=True)
class Verification:
    """What was found of a release whose files, chain and totals are right.

    chain: how many manifests the chain has. rebuilt: the tables that differ; None where nothing was rebuilt.
    changed_batches: those whose versions in raw are not the ones that the manifest counted.
    """

    release: Release
    manifest: Manifest
    chain: int
    rebuilt: tuple[TableDifference, ...] | None = None
    changed_batches: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        """Nothing differs."""
        return not self.rebuilt and not self.changed_batches


def check(home: Path, release_id: str) -> Verification:
    """Check files, chain, rows and control totals; raises ReleaseDamaged that names all that is wrong."""
    with storage_errors(f"verifying release {release_id}"):
        shelf = Shelf(home)
        release = shelf.verified(release_id)
        manifest = shelf.manifests[release_id]
        problems = [*shelf.broken_links(), *_wrong_counts(release.database, manifest)]
        if problems:
            listed = "".join(f"\n  {problem}" for problem in problems)
            raise ReleaseDamaged(f"release {release_id} is not what its manifest says:{listed}{SEE_OTHERS}")
        return Verification(release, manifest, len(shelf.manifests))


def _wrong_counts(database: Path, manifest: Manifest) -> list[str]:
    with open_database(database) as connection:
        counted = count_again(connection, manifest)
    return [
        f"{name}: {counted[name].rows:,} rows, totals {counted[name].control_totals}, "
        f"expected {stated.rows:,}, {stated.control_totals}"
        for name, stated in manifest.tables.items()
        if counted[name] != stated
    ]


def recount_batches(home: Path, manifest: Manifest) -> tuple[str, ...]:
    """The batches of a manifest whose versions in raw are others than those it counted."""
    batch_ids = [batch.batch_id for batch in manifest.raw_batches]
    with open_memory() as connection:
        connection.execute(f"attach {path_literal(home / WAREHOUSE_FILE)} as warehouse (read_only)")
        objects = connection.execute(
            "select distinct source, object from warehouse.ops.batch_object where versions_stored > 0"
        ).fetchall()
        totals = payload_totals(connection, "warehouse", objects, batch_ids)
    return tuple(
        batch.batch_id for batch in manifest.raw_batches if str(totals.get(batch.batch_id, 0)) != batch.payload_total
    )


def compare(released: Path, built: Path, tell: Callable[[str], None]) -> tuple[TableDifference, ...]:
    """The published tables that a build does not give, row by row; `release` and `quality_result` tell of the run."""
    with open_memory() as connection:
        connection.execute(f"attach {path_literal(released)} as released (read_only)")
        connection.execute(f"attach {path_literal(built)} as built (read_only)")
        there = {
            name
            for (name,) in connection.execute(
                "select table_name from duckdb_tables() where database_name = 'released'"
            ).fetchall()
        }
        differences = []
        for table in contract.BUILT:
            if table.name in there:
                tell(f"comparing {table.name}")
                differences.append(_difference(connection, table))
    return tuple(difference for difference in differences if difference.only_released or difference.only_rebuilt)


def _difference(connection: duckdb.DuckDBPyConnection, table: Table) -> TableDifference:
    names = [
        name
        for (name,) in connection.execute(
            "select column_name from duckdb_columns() where database_name = 'released' and table_name = ? "
            "order by column_index",
            [table.name],
        ).fetchall()
    ]
    columns = ", ".join(map(quoted, names))
    released = f"select {columns} from released.{table.name}"
    built = f"select {columns} from built.{table.relation} where {table.only}"
    only_released, released_rows = _excess(connection, released, built)
    only_rebuilt, rebuilt_rows = _excess(connection, built, released)
    return TableDifference(table.name, only_released, only_rebuilt, released_rows, rebuilt_rows)


def _excess(
    connection: duckdb.DuckDBPyConnection, rows: str, others: str
) -> tuple[int, tuple[dict[str, str | None], ...]]:
    """How many rows the others have not, and the first of them."""
    connection.execute(f"create or replace temp table excess as ({rows}) except all ({others})")
    (count,) = connection.execute("select count(*) from excess").fetchall()[0]
    found = connection.execute(f"select columns(*)::varchar from excess order by all limit {SHOWN_ROWS}")
    names = [column[0] for column in found.description or ()]
    shown: list[tuple[Any, ...]] = found.fetchall()
    return count, tuple(dict(zip(names, row, strict=True)) for row in shown)
