"""What can go wrong, named by what a person has to do about it.

Every error carries its exit code and whether trying the same again can help, so that the command line and
the scheduler need no tables of their own.
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar


class KpiMartError(Exception):
    """Base of everything this package raises on purpose; its text is meant for the person on call."""

    exit_code: ClassVar[int] = 1
    is_retryable: ClassVar[bool] = False


class SettingsError(KpiMartError):
    """A setting, an option or a configuration file is wrong; nothing was started."""

    exit_code = 2


class GateRefused(KpiMartError):
    """A batch or a build did not pass its gate; what was published before stays."""

    exit_code = 3


class SourceUnreachable(KpiMartError):
    """The source, a folder or a server, could not be reached or read; it may be back later."""

    exit_code = 4
    is_retryable = True


class AccessRefused(KpiMartError):
    """The source knows the token or the user, or does not, and gives nothing: a right is missing or has ended."""

    exit_code = 2


class BadSourceData(KpiMartError):
    """The source was read, but what it holds cannot be used: a column is missing, a file is empty."""


class WorkbookRefused(KpiMartError):
    """A budget workbook cannot be read back as it is; nothing of it was."""


class BuildFailed(KpiMartError):
    """A model or a test of the build failed."""


class WarehouseBusy(KpiMartError):
    """Another process holds the warehouse; there is one writer at a time."""

    is_retryable = True


class UpgradeNeeded(KpiMartError):
    """The warehouse is that of an older program; nothing was started."""

    exit_code = 2


class ProgramTooOld(KpiMartError):
    """The warehouse, or a backup of it, is that of a newer program; nothing was changed."""

    exit_code = 2


class StorageFailed(KpiMartError):
    """A disk is full, or a folder cannot be written."""

    is_retryable = True


class TargetUnavailable(KpiMartError):
    """A database that releases are loaded into is away, full, or held by others; what was served there stays."""

    exit_code = 4
    is_retryable = True


class TargetFailed(KpiMartError):
    """A database could not take a release, or would have held something else; what was served there stays."""


class ReleaseNotFound(KpiMartError):
    """There is no release of that name, or none at all."""

    exit_code = 2


class ReleaseDamaged(KpiMartError):
    """A release on disk is not what its manifest says it is."""


class BackupDamaged(KpiMartError):
    """A backup is not what its manifest says it is, or there is none."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that looks most like this one; empty if none does."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
