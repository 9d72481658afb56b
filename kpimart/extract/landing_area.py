"""The landing area: a folder, or a place in a bucket, in which load packages lie. Both are spoken to through fsspec."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import duckdb
import fsspec  # type: ignore[import-untyped]
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from kpimart.errors import KpiMartError, SettingsError, StorageFailed

UNFINISHED = ".next"
"""How the name of a file ends that was not written to its end."""


@dataclass(frozen=True)
class LandingArea:
    """A folder or a place in a bucket. `url`: as people and dlt name it; `root`: the same within its filesystem."""

    url: str
    root: str = field(compare=False)
    filesystem: Any = field(compare=False, repr=False)

    @classmethod
    def at(cls, place: str | Path, called: str = "landing") -> "LandingArea":
        """The area at a path or a URL such as s3://bucket/path; raises SettingsError for one that nothing can open.

        called: what people named it with, for that message.
        """
        url = str(place) if "://" in str(place) else str(Path(place).absolute())
        try:
            # Another process writes there too, so nothing that was listed is remembered.
            filesystem, root = fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
        except (ImportError, ValueError) as error:
            raise SettingsError(
                f"{called}: {url!r} cannot be opened: {error}; give a folder or a URL such as s3://bucket/path"
            ) from error
        return cls(url, str(root), filesystem)

    @property
    def is_bucket(self) -> bool:
        """Whether it lies elsewhere than in a folder."""
        return not isinstance(self.filesystem, LocalFileSystem)

    def names(self, *place: str) -> list[str]:
        """The names of what lies at a place in it, sorted; none if there is no such place, or if it is a file."""
        folder = self._path(*place)
        with self.errors():
            try:
                found = self.filesystem.ls(folder, detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found if path.rstrip("/") != folder)

    def path(self, *place: str) -> str:
        """A file in it, as DuckDB reads it once the area was made known to it."""
        path = self._path(*place)
        return str(self.filesystem.unstrip_protocol(path)) if self.is_bucket else path

    def read(self, *place: str) -> bytes:
        """The content of a file in it."""
        with self.errors():
            return bytes(self.filesystem.cat_file(self._path(*place)))

    def changed_at(self, *place: str) -> datetime:
        """When a file in it was last written, by the clock of what holds it."""
        with self.errors():
            moment: datetime = self.filesystem.modified(self._path(*place))
            return moment

    def remove(self, *place: str) -> None:
        """Remove a file in it."""
        with self.errors():
            self.filesystem.rm_file(self._path(*place))

    @contextmanager
    def reading(self, path: str) -> Iterator[IO[bytes]]:
        """Open a file of it; `path` is as `path` gives it."""
        with self.errors(), self.filesystem.open(path, "rb") as stream:
            yield stream

    @contextmanager
    def rewriting(self, path: str) -> Iterator[IO[bytes]]:
        """Write a file of it anew, in one step; `path` is as `path` gives it."""
        if self.is_bucket:
            # An object is there when it was written to its end.
            with self.errors(), self.filesystem.open(path, "wb") as stream:
                yield stream
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        coming = Path(path).with_name(f".{Path(path).name}{UNFINISHED}")
        with coming.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        coming.replace(path)

    def make_known_to(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let DuckDB read what lies in it."""
        protocols = (
            {self.filesystem.protocol} if isinstance(self.filesystem.protocol, str) else self.filesystem.protocol
        )
        if self.is_bucket and not any(map(connection.filesystem_is_registered, protocols)):
            connection.register_filesystem(self.filesystem)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what a bucket says into a StorageFailed that names it; folders have errors of their own."""
        try:
            yield
        except KpiMartError:
            raise
        except Exception as error:
            if not self.is_bucket:
                raise
            # Each kind of bucket has a library with errors of its own, of no common kind.
            raise StorageFailed(
                f"{self.url}: {error}; look after the bucket, its rights and the access to it, then rerun"
            ) from error

    def _path(self, *place: str) -> str:
        return "/".join((self.root.rstrip("/"), *place))
