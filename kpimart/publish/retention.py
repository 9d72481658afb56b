"""Which releases are kept, and the removal of the others' files.

A removed release leaves its manifest where it was: the next one names its SHA-256, and the published table `release`
tells of it. With the manifest's two moments its figures can be made anew from raw.
"""

import shutil
from collections.abc import Callable, Collection, Sequence
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from kpimart.publish.files import sync
from kpimart.publish.manifest import MANIFEST_FILE, Manifest
from kpimart.publish.shelf import REMOVED_FILE, Shelf
from kpimart.settings import Retention
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse, storage_errors


def outlived(
    manifests: Sequence[Manifest], policy: Retention, zone: ZoneInfo, frozen: Collection[str] = ()
) -> list[str]:
    """The releases that the policy does not keep, oldest first.

    Kept are those that somebody closed a month on (`frozen`), whatever the policy; the last published ones; and, of
    each month of business time, the one that speaks of its latest moment; of several that speak of the same one, that
    which was known first: what people saw when the month ended.
    """
    ordered = sorted(manifests, key=lambda manifest: manifest.sequence)
    kept = {*frozen, *(manifest.release_id for manifest in ordered[-policy.releases :])}
    if policy.month_ends:
        closing: dict[date, Manifest] = {}
        for manifest in ordered:
            month = _month(manifest, zone)
            if month not in closing or _closes_later(manifest, closing[month]):
                closing[month] = manifest
        kept |= {manifest.release_id for manifest in closing.values()}
    return [manifest.release_id for manifest in ordered if manifest.release_id not in kept]


def _month(manifest: Manifest, zone: ZoneInfo) -> date:
    """The month of the last day that the figures speak of: midnight of the first belongs to the month before."""
    return (manifest.as_of - timedelta(microseconds=1)).astimezone(zone).date().replace(day=1)


def _closes_later(one: Manifest, other: Manifest) -> bool:
    return (one.as_of, other.known_at) > (other.as_of, one.known_at)


def remove_outlived(home: Path, policy: Retention, zone: ZoneInfo, tell: Callable[[str], None]) -> list[str]:
    """Remove the files of releases that the policy does not keep; never those of the served one. Returns which.

    The caller holds `warehouse.writer_lock`. The mark comes first: killed after it, the next call removes the rest. Who
    has such a release open reads on. Nothing is removed while the served file is none of the sound releases, or while
    there is no warehouse to tell on which releases months were closed.
    """
    with storage_errors("removing old releases"):
        shelf = Shelf(home)
        if shelf.served_id not in shelf.manifests or not (home / WAREHOUSE_FILE).exists():
            return []
        old = outlived(shelf.kept, policy, zone, _frozen(home))
        removed = [name for name in old if name != shelf.served_id]
        for release_id in removed:
            tell(f"removing release {release_id}")
            (shelf.folder(release_id) / REMOVED_FILE).touch()
            sync(shelf.folder(release_id))
        for release_id in [*shelf.removed, *removed]:
            _empty(shelf.folder(release_id))
        return removed


def _frozen(home: Path) -> set[str]:
    """The releases that a month was closed on, whether or not it was reopened since."""
    with open_warehouse(home) as connection:
        rows = connection.execute("select payload ->> '$.release_id' from raw.kpimart__close").fetchall()
    return {release_id for (release_id,) in rows}


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in (MANIFEST_FILE, REMOVED_FILE):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
