"""The product as its users meet it: the command `kpimart` in a process of its own, and the files it leaves."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

REPOSITORY = Path(__file__).parents[2]
EXPORT = REPOSITORY.parent / "shared" / "data" / "crm_sales_opportunities"
CONFIG = REPOSITORY / "examples" / "crm_sales_opportunities" / "kpimart.toml"
RUN_SECONDS = 600


@dataclass(frozen=True)
class Release:
    """A published version; `is_current` as it was when its run had ended."""

    release_id: str
    path: Path
    is_current: bool

    def query(self, sql: str) -> pd.DataFrame:
        """The answer with exact decimals and dates as timestamps."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            rows: pd.DataFrame = connection.sql(sql).to_arrow_table().to_pandas(date_as_object=False)
        return rows

    def tables(self) -> dict[str, list[tuple[object, ...]]]:
        """Every table's rows, sorted."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            names = [name for (name,) in connection.sql("select table_name from duckdb_tables()").fetchall()]
            return {name: connection.sql(f"select * from {name} order by all").fetchall() for name in names}


@dataclass(frozen=True)
class Product:
    """`kpimart` working in `home`, with the example's configuration."""

    home: Path

    def run(self, files: Path, *options: str) -> Release:
        """`kpimart run` on the export in `files`; returns the one release that it added."""
        before = {release["release_id"] for release in self.releases()} if self.home.exists() else set()
        self.command("run", "--config", str(CONFIG), "--files", str(files), *options)
        added = [release for release in self.releases() if release["release_id"] not in before]
        if len(added) != 1:
            raise AssertionError(f"one run added the releases {added}")
        release_id = added[0]["release_id"]
        path = self.home / "reporting" / "releases" / release_id / "reporting.duckdb"
        return Release(release_id, path, added[0]["is_current"])

    def releases(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(self.command("releases", "--json"))
        return listed

    def command(self, *arguments: str) -> str:
        """What the command prints; raises AssertionError with all it said if it did not end well."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KPIMART_")}
        done = subprocess.run(
            [Path(sys.executable).with_name("kpimart"), *arguments],
            cwd=REPOSITORY,
            env={**kept, "KPIMART_HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
        if done.returncode != 0:
            raise AssertionError(
                f"kpimart {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout

    def raw_versions(self) -> dict[str, int]:
        """Raw table → the number of versions it holds."""
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as warehouse:
            names = warehouse.sql("select table_name from duckdb_tables() where schema_name = 'raw'").fetchall()
            return {name: warehouse.sql(f"select count(*) from raw.{name}").fetchall()[0][0] for (name,) in names}
