"""What is served now: the release, what judged it, and whether it is still the same."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from kpimart.publish.manifest import Gate, read_manifest
from kpimart.publish.release import current, served_file
from kpimart.publish.shelf import Release
from kpimart.warehouse import open_database, storage_errors

FRESH_FOR = timedelta(hours=36)
"""For how long figures are as fresh as those of every night can be: a night and the day after it, and some hours."""

Identity = tuple[int, int, int]


@dataclass(frozen=True)
class Unmet:
    """An expectation of the figures that was not met, and yet did not keep the release from being published."""

    table: str
    expectation: str
    observed: str | None
    expected: str | None


@dataclass(frozen=True)
class Served:
    """A release with the verdict on it."""

    release: Release
    gate: Gate
    unmet: tuple[Unmet, ...]


def identity(home: Path) -> Identity | None:
    """Tells one served release from another, without reading it; None while nothing is served. Raises StorageFailed."""
    with storage_errors(f"looking for a release in {home}"):
        try:
            found = served_file(home).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def read_served(home: Path) -> Served | None:
    """The release that is served, or None before the first; raises ReleaseDamaged and StorageFailed.

    Whoever holds it reads the release's own file, so that all of a page is of one release.
    """
    seen = identity(home)
    return _read(home, seen) if seen else None


@lru_cache(maxsize=4)
def _read(home: Path, _: Identity) -> Served | None:
    with storage_errors(f"looking for a release in {home}"):
        release = current(home)
    if release is None:
        return None
    with open_database(release.database) as connection:
        rows = connection.execute(
            """
            select table_name, expectation, observed, expected
            from quality_result
            where boundary = 'reporting' and outcome <> 'passed'
            order by table_name, expectation
            """
        ).fetchall()
    return Served(release, read_manifest(release.folder).gate, tuple(Unmet(*row) for row in rows))
