"""What the tasks of `kpi_backfill_check` and `warehouse_upkeep` do, a function each."""

import logging
import random
import tempfile
from pathlib import Path
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from kpimart import pipeline
from kpimart.backup import backup, restore
from kpimart.clock import utc_now
from kpimart.errors import BackupDamaged, ReleaseDamaged
from kpimart.publish.manifest import Manifest
from kpimart.publish.shelf import Shelf
from kpimart.publish.verify import Verification
from kpimart.scheduling.configuration import settings_of_run
from kpimart.settings import Settings
from kpimart.upkeep import keep_up as put_in_order

log = logging.getLogger(__name__)


def choose_release() -> str:
    """Draw a release by lot from those whose files are kept; the lot is the run's own: a rerun draws the same."""
    kept = _kept(settings_of_run())
    context: Any = get_current_context()
    lot = random.Random(context["run_id"])  # noqa: S311 - nobody gains by guessing it
    return lot.choice(sorted(manifest.release_id for manifest in kept))


def rebuild_and_compare(release_id: str) -> None:
    """Make a release again from raw, and compare; raises ReleaseDamaged that says what differs."""
    _require_right(pipeline.verify(settings_of_run(), release_id, rebuild=True, tell=log.info), release_id)
    log.info("release %s: every row is what raw gives at its two moments", release_id)


def back_up() -> str:
    """Back the home up to where the settings say; the backup's id. Skipped before there is a release."""
    settings = settings_of_run()
    place = _backup_place(settings)
    _kept(settings)
    done = backup(settings, place, keep=settings.backup.keep, clock=utc_now, tell=log.info)
    log.info("backup %s in %s: %s of %s files sent", done.backup_id, done.place, done.sent_files, done.files)
    return done.backup_id


def keep_up() -> None:
    """Remove what the settings do not keep, and make the warehouse's file small."""
    done = put_in_order(settings_of_run(), clock=utc_now, tell=log.info)
    log.info(
        "removed %s releases, the records of %s packages, %s held versions; the warehouse has %s bytes, had %s",
        *(len(done.releases), done.packages, done.held_versions, done.bytes_after, done.bytes_before),
    )


def restore_drill(backup_id: str) -> None:
    """Bring a backup back into an empty folder, and make its served release there again from raw.

    Raises BackupDamaged and ReleaseDamaged for what is not as it was.
    """
    settings = settings_of_run()
    with tempfile.TemporaryDirectory(prefix="kpimart-drill-") as folder:
        home = Path(folder) / "home"
        restored = restore(home, _backup_place(settings), backup_id, tell=log.info)
        if restored.served is None:
            raise BackupDamaged(f"backup {backup_id} has no served release; is anything published here?")
        drilled = settings.model_copy(update={"home": home, "landing": None})
        _require_right(pipeline.verify(drilled, restored.served, rebuild=True, tell=log.info), restored.served)
    log.info("backup %s: release %s came back, and raw gives every row of it", backup_id, restored.served)


def _kept(settings: Settings) -> list[Manifest]:
    """The releases whose files are kept."""
    kept = Shelf(settings.home).kept
    if not kept:
        raise AirflowSkipException("nothing was published yet")
    return kept


def _backup_place(settings: Settings) -> str:
    if not settings.backup.place:
        raise AirflowSkipException("the setting backup.place is not set, so nothing is backed up")
    return settings.backup.place


def _require_right(found: Verification, release_id: str) -> None:
    if not found.is_right:
        raise ReleaseDamaged(f"release {release_id} is not what raw gives: {found}")
