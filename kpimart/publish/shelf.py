"""The releases on disk: which there are, which is served, and whether each still is what its manifest says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from kpimart.errors import ReleaseDamaged, ReleaseNotFound
from kpimart.publish.files import sha256
from kpimart.publish.manifest import MANIFEST_FILE, Manifest, read_manifest

REPORTING_FILE = "reporting.duckdb"
REMOVED_FILE = "removed"
"""Lies beside the manifest of a release whose data files upkeep has removed, or is about to."""
SEE_OTHERS = "\n  what now   take another, see kpimart releases"


@dataclass(frozen=True)
class Release:
    """A release on disk. `previous_release_id` is the one published before it, whichever was current then.

    `overridden_by`: who published it although the gate refused it.
    """

    release_id: str
    as_of: datetime
    known_at: datetime
    published_at: datetime
    code_version: str
    previous_release_id: str | None
    folder: Path
    is_current: bool
    overridden_by: str | None = None

    @property
    def database(self) -> Path:
        """The release's own DuckDB file, which stays what it is when another release becomes current."""
        return self.folder / REPORTING_FILE


class Shelf:
    """The releases of a home as they are at one moment. To make one reads the manifests, and nothing else.

    `manifests`: the sound ones, also of releases whose files were removed, without which the chain would have holes.
    `unreadable`: what is wrong with the others. Both by release_id.
    """

    def __init__(self, home: Path) -> None:
        self.place = home / "reporting" / "releases"
        self.served = home / "reporting" / REPORTING_FILE
        self.manifests: dict[str, Manifest] = {}
        self.unreadable: dict[str, str] = {}
        for folder in self._folders():
            try:
                self.manifests[folder.name] = read_manifest(folder)
            except ReleaseDamaged as error:
                self.unreadable[folder.name] = str(error)

    def _folders(self) -> list[Path]:
        if not self.place.is_dir():
            return []
        return sorted(path for path in self.place.iterdir() if path.is_dir() and not path.name.startswith("."))

    def folder(self, release_id: str) -> Path:
        """Where a release lies, or would lie."""
        return self.place / release_id

    @property
    def newest_first(self) -> list[Manifest]:
        """The sound manifests, last published first."""
        return sorted(self.manifests.values(), key=lambda manifest: manifest.sequence, reverse=True)

    @cached_property
    def removed(self) -> frozenset[str]:
        """The releases of which only the manifest was kept."""
        return frozenset(name for name in self.manifests if (self.folder(name) / REMOVED_FILE).exists())

    @property
    def kept(self) -> list[Manifest]:
        """The sound manifests of releases that can be opened, last published first."""
        return [manifest for manifest in self.newest_first if manifest.release_id not in self.removed]

    @cached_property
    def served_id(self) -> str | None:
        """The release whose file is the served one: the same inode, or where links are not possible an equal copy."""
        if not self.served.exists():
            return None
        for release_id in (*self.manifests, *self.unreadable):
            file = self.folder(release_id) / REPORTING_FILE
            if file.exists() and file.samefile(self.served):
                return release_id
        size = self.served.stat().st_size
        records = {release_id: manifest.files[REPORTING_FILE] for release_id, manifest in self.manifests.items()}
        alike = [release_id for release_id, record in records.items() if record.bytes == size]
        digest = sha256(self.served) if alike else ""
        return next((release_id for release_id in alike if records[release_id].sha256 == digest), None)

    def is_outdated(self, as_of: datetime, known_at: datetime) -> bool:
        """Whether figures of these two moments would take what is served back in time, or in knowledge."""
        if not self.served.exists():
            return False
        # If what is served cannot say what moment it speaks of, no sound release may be overtaken by an earlier one.
        rivals = [self.manifests[self.served_id]] if self.served_id in self.manifests else self.manifests.values()
        return any(as_of < rival.as_of or known_at < rival.known_at for rival in rivals)

    def release(self, release_id: str) -> Release:
        """A sound release; raises ReleaseDamaged and ReleaseNotFound."""
        if release_id in self.unreadable:
            raise ReleaseDamaged(self.unreadable[release_id] + SEE_OTHERS)
        if release_id not in self.manifests:
            newest = ", ".join(manifest.release_id for manifest in self.newest_first[:3])
            known = f"the newest are {newest}" if newest else "there is none at all; kpimart run makes the first"
            raise ReleaseNotFound(f"there is no release {release_id} in {self.place}; {known}")
        if release_id in self.removed:
            of = self.manifests[release_id]
            raise ReleaseNotFound(
                f"release {release_id} is older than the settings keep, so only its manifest is there; its figures are "
                f"made anew by  kpimart run --as-of {of.as_of.isoformat()} --known-at {of.known_at.isoformat()}"
            )
        manifest = self.manifests[release_id]
        return Release(
            release_id=release_id,
            as_of=manifest.as_of,
            known_at=manifest.known_at,
            published_at=manifest.published_at,
            code_version=manifest.code_version,
            previous_release_id=manifest.previous.release_id if manifest.previous else None,
            folder=self.folder(release_id),
            is_current=release_id == self.served_id,
            overridden_by=manifest.gate.overridden_by,
        )

    def last_before(self, as_of: datetime, known_at: datetime) -> Path | None:
        """The DuckDB file of a release of an earlier `as_of`, and of no later knowledge, to compare figures with.

        The one that is served, if it is one of them: who rolled back did not trust the ones after it. Else the latest.
        A file that is not of the size that its manifest tells is passed over.
        """
        earlier = [
            one
            for one in self.manifests.values()
            if one.as_of < as_of and one.known_at <= known_at and self._is_whole(one)
        ]
        if not earlier:
            return None
        served_or_latest = max(
            earlier, key=lambda one: (one.release_id == self.served_id, one.as_of, one.known_at, one.sequence)
        )
        return self.folder(served_or_latest.release_id) / REPORTING_FILE

    def whole(self, release_id: str) -> Path:
        """The DuckDB file of a release, if it has the size that its manifest tells: a look, where `verified` reads all.

        Raises ReleaseDamaged and ReleaseNotFound.
        """
        release = self.release(release_id)
        if not self._is_whole(self.manifests[release_id]):
            raise ReleaseDamaged(f"release {release_id}: {REPORTING_FILE} is not of the size that its manifest tells")
        return release.database

    def last_of(self, as_of: datetime) -> Manifest | None:
        """What was last published of a moment, whether its files are still there or not."""
        return next((manifest for manifest in self.newest_first if manifest.as_of == as_of), None)

    def _is_whole(self, manifest: Manifest) -> bool:
        file, record = self.folder(manifest.release_id) / REPORTING_FILE, manifest.files.get(REPORTING_FILE)
        return record is not None and file.exists() and file.stat().st_size == record.bytes

    def one_before(self) -> str:
        """The release before the served one: of those published earlier, the one with the latest `as_of` and knowledge.

        So a night that was backfilled in between is not taken for yesterday. When the served file is no sound
        release, the latest of all that are. Raises ReleaseNotFound.
        """
        served = self.manifests.get(self.served_id or "")
        earlier = [one for one in self.kept if served is None or one.sequence < served.sequence]
        if earlier:
            return max(earlier, key=lambda manifest: (manifest.as_of, manifest.known_at, manifest.sequence)).release_id
        if served:
            raise ReleaseNotFound(f"release {served.release_id} is the first; there is none before it to go back to")
        raise ReleaseNotFound(f"there is no sound release in {self.place}; kpimart run makes one")

    def verified(self, release_id: str) -> Release:
        """A release whose files, and whose place in the chain, are as recorded.

        Raises ReleaseDamaged that names everything found wrong, and ReleaseNotFound.
        """
        release = self.release(release_id)
        problems = [*self._wrong_files(release_id), *self._wrong_links(release_id)]
        if problems:
            listed = "".join(f"\n  {problem}" for problem in problems)
            raise ReleaseDamaged(f"release {release_id} is damaged:{listed}{SEE_OTHERS}")
        return release

    def broken_links(self) -> Iterator[str]:
        """What is wrong with the chain of manifests from the first to the last; each link is looked at once."""
        for manifest in self.newest_first:
            link = manifest.previous
            if link is None:
                continue
            if link.release_id in self.unreadable:
                yield self.unreadable[link.release_id]
            elif link.release_id not in self.manifests:
                yield f"release {link.release_id}, before {manifest.release_id}, is gone, with its {MANIFEST_FILE}"
            elif sha256(self.folder(link.release_id) / MANIFEST_FILE) != link.manifest_sha256:
                yield (
                    f"release {link.release_id}: {MANIFEST_FILE} is not the one that {manifest.release_id}, published "
                    "after it, names by its SHA-256"
                )

    def _wrong_files(self, release_id: str) -> Iterator[str]:
        folder = self.folder(release_id)
        stated = self.manifests[release_id].files
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        # One that was added matters too: DuckDB would replay a WAL that lies beside its file.
        for name in sorted(found - stated.keys() - {MANIFEST_FILE}):
            yield f"{name}: not in the manifest"
        for name, record in stated.items():
            if name not in found:
                yield f"{name}: missing"
            elif (size := (folder / name).stat().st_size) != record.bytes:
                yield f"{name}: {size:,} bytes, expected {record.bytes:,}"
            elif (digest := sha256(folder / name)) != record.sha256:
                yield f"{name}: SHA-256 {digest[:12]}…, expected {record.sha256[:12]}…"

    def _wrong_links(self, release_id: str) -> Iterator[str]:
        digest = sha256(self.folder(release_id) / MANIFEST_FILE)
        for later in self.manifests.values():
            link = later.previous
            if link and link.release_id == release_id and link.manifest_sha256 != digest:
                yield (
                    f"{MANIFEST_FILE}: SHA-256 {digest[:12]}…, expected {link.manifest_sha256[:12]}… "
                    f"by {later.release_id}, published after it"
                )
