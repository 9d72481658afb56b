"""A release's Parquet files in a folder of somebody else's, with the manifest that tells what they are."""

import shutil
from pathlib import Path

from kpimart.errors import SettingsError
from kpimart.publish.files import seal, sync
from kpimart.publish.manifest import MANIFEST_FILE
from kpimart.publish.release import PARQUET_FOLDER
from kpimart.publish.shelf import Release
from kpimart.warehouse import storage_errors


def export_parquet(release: Release, folder: Path) -> list[Path]:
    """Put a verified release's Parquet files and its manifest into a folder; returns the files.

    The folder comes whole. One that holds a former export is replaced; any other that is not empty is refused by
    SettingsError, because it would be removed.
    """
    with storage_errors(f"writing {folder}"):
        if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST_FILE).exists():
            raise SettingsError(
                f"{folder}: is not empty and holds no release; name another folder, or empty this one yourself"
            )
        coming, old = folder.with_name(f".{folder.name}.next"), folder.with_name(f".{folder.name}.replaced")
        for leftover in (coming, old):
            shutil.rmtree(leftover, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(release.folder / PARQUET_FOLDER, coming)
            shutil.copy(release.folder / MANIFEST_FILE, coming)
            seal(coming)
            if folder.exists():
                folder.rename(old)
            coming.rename(folder)
        finally:
            shutil.rmtree(coming, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
        sync(folder.parent)
    return sorted(folder.glob("*.parquet"))
