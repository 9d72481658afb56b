"""Amending releases: the same figures without the mentions of a person who was forgotten.

A release never changes otherwise. Its files are written anew, its manifest says that it was amended, when and by whom,
and the manifests published after it, which hold the checksum of the one before, are renewed along the chain.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kpimart.errors import ReleaseDamaged
from kpimart.mentions import Mentions, copy_erased, count_mentions
from kpimart.publish import tables
from kpimart.publish.files import seal, sha256
from kpimart.publish.manifest import (
    MANIFEST_FILE,
    Amendment,
    BatchRecord,
    Manifest,
    Previous,
    write_manifest,
)
from kpimart.publish.release import PARQUET_FOLDER, file_records
from kpimart.publish.shelf import REPORTING_FILE, Shelf
from kpimart.publish.swap import coming_folder, finish_replacing, replace_releases
from kpimart.warehouse import NEW_DATABASE, create_database, open_memory, storage_errors
from kpimart.warehouse import literal as path_literal

Totals = Mapping[str, tuple[str, str]]
"""The payload total of each batch whose raw rows change: before and after."""


@dataclass(frozen=True)
class Order:
    """What is to be erased from releases, on whose behalf, and when."""

    mentions: Mentions
    totals: Totals
    by: str
    at: datetime


def mentions_in_releases(home: Path, mentions: Mentions) -> dict[str, int]:
    """The releases that mention the person: release_id → values; raises ReleaseDamaged for one that cannot be read."""
    with storage_errors("reading the releases"):
        shelf = Shelf(home)
        if shelf.unreadable:
            raise ReleaseDamaged("\n".join([*shelf.unreadable.values(), "remove its folder, then rerun"]))
        found = {manifest.release_id: _count(shelf, manifest.release_id, mentions) for manifest in shelf.kept}
        return {release_id: values for release_id, values in found.items() if values}


def amend_releases(home: Path, order: Order, tell: Callable[[str], None]) -> dict[str, int]:
    """Amend every release that mentions the person or rests on raw that changes; returns release_id → values erased.

    The caller holds `warehouse.writer_lock`. Killed anywhere, it is called again. Raises ReleaseDamaged for a release
    that is not what its manifest says: to amend it would hide that.
    """
    with storage_errors("amending the releases"):
        if not (home / "reporting" / "releases").is_dir():
            return {}
        finish_replacing(home)
        found = mentions_in_releases(home, order.mentions)
        shelf = Shelf(home)
        served_id = shelf.served_id
        if shelf.served.exists() and served_id is None:
            raise ReleaseDamaged(f"{shelf.served} is none of the releases; serve a sound one with kpimart rollback")
        renewed: dict[str, str] = {}
        for manifest in reversed(shelf.newest_first):
            amended = _amended(manifest, order, sorted(found), renewed)
            if amended != manifest or manifest.release_id in found:
                if manifest.release_id not in shelf.removed:
                    shelf.verified(manifest.release_id)
                tell(f"amending release {manifest.release_id}")
                renewed[manifest.release_id] = _prepare(shelf, amended, order, manifest.release_id in found)
        if renewed:
            replace_releases(home, list(renewed), served_id)
        return found


def _amended(manifest: Manifest, order: Order, releases: list[str], renewed: Mapping[str, str]) -> Manifest:
    """The manifest with what follows from the change of others: the link to the one before, the totals of raw."""
    link = manifest.previous
    if link and link.release_id in renewed:
        link = Previous(release_id=link.release_id, manifest_sha256=renewed[link.release_id])
    batches = tuple(_with_total(batch, order.totals) for batch in manifest.raw_batches)
    if link == manifest.previous and batches == manifest.raw_batches and manifest.release_id not in releases:
        return manifest
    amendment = Amendment(at=order.at, by=order.by, releases=tuple(releases))
    return manifest.model_copy(
        update={"previous": link, "raw_batches": batches, "amended": (*manifest.amended, amendment)}
    )


def _with_total(batch: BatchRecord, totals: Totals) -> BatchRecord:
    """A total that is not what raw gave before shows that raw was spoilt, and must go on showing it."""
    before, after = totals.get(batch.batch_id, ("", ""))
    return batch.model_copy(update={"payload_total": after}) if batch.payload_total == before else batch


def _prepare(shelf: Shelf, manifest: Manifest, order: Order, is_mentioned: bool) -> str:
    """Make the folder that is to replace a release's; returns the SHA-256 of its manifest."""
    folder, coming = shelf.folder(manifest.release_id), coming_folder(shelf.place, manifest.release_id)
    if is_mentioned:
        manifest = _write_files(folder, coming, manifest, order.mentions)
    else:
        shutil.copytree(folder, coming, copy_function=os.link, ignore=shutil.ignore_patterns(MANIFEST_FILE))
    write_manifest(manifest, coming)
    seal(coming)
    return sha256(coming / MANIFEST_FILE)


def _write_files(folder: Path, coming: Path, manifest: Manifest, mentions: Mentions) -> Manifest:
    """Write the DuckDB and Parquet files without the mentions; raises ReleaseDamaged should a figure change by that."""
    coming.mkdir()
    with create_database(coming / REPORTING_FILE, beside={"published": folder / REPORTING_FILE}) as connection:
        connection.begin()
        copy_erased(connection, "published", NEW_DATABASE, mentions)
        connection.commit()
        # Not those of today's contract: an older release may lack some.
        tables.write_parquet(connection, coming / PARQUET_FOLDER, manifest.tables, lambda _: None)
        counted = tables.count_again(connection, manifest)
        catalogue = tables.hash_catalogue(connection)
    if counted != manifest.tables:
        changed = [name for name in counted if counted[name] != manifest.tables.get(name)]
        raise ReleaseDamaged(f"release {manifest.release_id}: {', '.join(changed)} would not be the same without names")
    return manifest.model_copy(update={"files": file_records(coming), "catalogue_sha256": catalogue})


def _count(shelf: Shelf, release_id: str, mentions: Mentions) -> int:
    with open_memory() as connection:
        file = path_literal(shelf.folder(release_id) / REPORTING_FILE)
        connection.execute(f"attach {file} as published (read_only)")
        return sum(count_mentions(connection, "published", mentions).values())
