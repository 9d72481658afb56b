"""What publishing asks of the file system: durable folders, checksums, and one atomic replace."""

import errno
import hashlib
import os
import shutil
import stat
from pathlib import Path

_NO_LINKS_HERE = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Return when a file's bytes, or a folder's list of names, would survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def seal(folder: Path) -> None:
    """Make every file below a folder read-only and durable, and the folders durable.

    Read-only, because a program that opens a DuckDB file for writing locks every other reader out of it.
    """
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            file = Path(place, name)
            file.chmod(stat.S_IMODE(file.stat().st_mode) & ~0o222)
            sync(file)
        sync(Path(place))


def put_in_place(file: Path, served: Path) -> None:
    """Make `served` be `file`, in one step that readers and crashes see wholly or not at all.

    A hard link costs nothing, whatever the size, and shows without reading a byte which release is served. It survives
    the removal of the release's folder and, unlike a symbolic link, is not resolved by tools to the path of a release
    on which they then stay. Where the file system has no links, a copy is put in place. Who has the old file open
    goes on reading it.
    """
    coming = served.with_name(f".{served.name}.next")
    coming.unlink(missing_ok=True)
    try:
        _link_or_copy(file, coming)
        coming.replace(served)
    finally:
        # Still there after an error; and after success too where both names were one file already (POSIX rename).
        coming.unlink(missing_ok=True)
    sync(served.parent)


def _link_or_copy(file: Path, target: Path) -> None:
    try:
        target.hardlink_to(file)
    except OSError as error:
        if error.errno not in _NO_LINKS_HERE:
            raise
        shutil.copy(file, target)
        sync(target)
