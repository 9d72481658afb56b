"""The manifest of a release: what it rests on, what judged it, what it holds, and the checksums to prove it.

Each names the release published before it and the SHA-256 of that one's manifest, so that an edit anywhere shows. The
last of the chain has no successor to vouch for it; the checksum of its own text does.
"""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from kpimart.errors import ReleaseDamaged

MANIFEST_FILE = "manifest.json"


class _Record(BaseModel):
    # Unknown keys are let through: an older program must be able to roll back from what a newer one published.
    model_config = ConfigDict(frozen=True)


class FileRecord(_Record):
    """A file of the release, by its path below the release's folder; size in bytes."""

    bytes: int
    sha256: str


class TableRecord(_Record):
    """Rows of a table and its control totals, decimals as text; a total is None where nothing could be summed."""

    rows: int
    control_totals: dict[str, str | None]


class BatchRecord(_Record):
    """A raw batch that the release rests on, summed over its objects.

    `payload_total` is the sum of a hash of every version it stored: independent of their order, another when one
    differs.
    """

    batch_id: str
    source: str
    landed_at: datetime
    rows_read: int
    versions_stored: int
    rows_quarantined: int
    payload_total: str


class GateCounts(_Record):
    """How many expectations of a boundary passed, failed without closing the gate, or errored."""

    passed: int = 0
    failed: int = 0
    errored: int = 0


class Gate(_Record):
    """What judged the batches and the build; `overrides` are the refusals that a person took upon themselves."""

    raw: GateCounts
    reporting: GateCounts
    overrides: tuple[dict[str, str], ...] = ()

    @property
    def overridden_by(self) -> str | None:
        """Who published the build although its own gate refused it; None where it passed."""
        names = {each["by"] for each in self.overrides if each["boundary"] == "reporting"}
        return ", ".join(sorted(names)) or None


class Previous(_Record):
    """The link to the release published before."""

    release_id: str
    manifest_sha256: str


class Amendment(_Record):
    """That mentions of a person were erased: when, by whom, and from which releases.

    A release that is not among them was renewed only in its link to the one before, or in the totals of its batches.
    """

    at: datetime
    by: str
    releases: tuple[str, ...]


class Manifest(_Record):
    """See the module. `sequence` counts releases as they were published: clocks may jump back, it does not."""

    format: Literal[1] = 1
    contract_version: str
    release_id: str
    sequence: int
    as_of: datetime
    known_at: datetime
    published_at: datetime
    code_version: str
    catalogue_sha256: str
    raw_batches: tuple[BatchRecord, ...]
    gate: Gate
    tables: dict[str, TableRecord]
    files: dict[str, FileRecord]
    previous: Previous | None
    amended: tuple[Amendment, ...] = ()


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `manifest.json` into a release's folder, with its own checksum."""
    content = manifest.model_dump(mode="json")
    content["checksum"] = _checksum(content)
    (folder / MANIFEST_FILE).write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def read_manifest(folder: Path) -> Manifest:
    """Read a release's manifest; raises ReleaseDamaged when it is missing, edited, or another release's."""
    path = folder / MANIFEST_FILE
    try:
        content = orjson.loads(path.read_bytes())
        manifest = Manifest.model_validate(content)
    except FileNotFoundError:
        raise _damaged(folder, "is missing") from None
    except OSError as error:
        raise _damaged(folder, f"cannot be read ({error.strerror})") from error
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise _damaged(folder, f"is not a manifest: {str(error).splitlines()[0]}") from error
    if content.pop("checksum", None) != _checksum(content):
        raise _damaged(folder, "was edited: its checksum is not that of its text")
    if manifest.release_id != folder.name:
        raise _damaged(folder, f"is that of release {manifest.release_id}")
    return manifest


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _damaged(folder: Path, finding: str) -> ReleaseDamaged:
    return ReleaseDamaged(f"release {folder.name} is damaged: {MANIFEST_FILE} {finding}")
