"""Putting other folders in the place of releases, several at once, so that a kill leaves them replaceable or replaced.

The new folders lie ready beside the old ones, then a journal says which; from there on whoever comes next finishes.
"""

import shutil
from pathlib import Path

import orjson

from kpimart.publish.files import put_in_place, sync
from kpimart.publish.shelf import REPORTING_FILE

_JOURNAL = ".amending.json"


def coming_folder(place: Path, release_id: str) -> Path:
    """Where the folder that is to replace a release's is made; it must not be there yet."""
    return place / f".{release_id}.amended"


def replace_releases(home: Path, release_ids: list[str], served_id: str | None) -> None:
    """Put what lies in the coming folders in the place of these releases, and serve the one that was served."""
    place = _place(home)
    content = orjson.dumps({"releases": release_ids, "served": served_id})
    coming = place / f"{_JOURNAL}.next"
    coming.write_bytes(content)
    sync(coming)
    coming.replace(place / _JOURNAL)
    sync(place)
    finish_replacing(home)


def finish_replacing(home: Path) -> None:
    """Finish what a killed process began to replace; what it only prepared is removed."""
    place = _place(home)
    journal = place / _JOURNAL
    if journal.exists():
        begun = orjson.loads(journal.read_bytes())
        for release_id in begun["releases"]:
            _replace(place, release_id)
        sync(place)
        if begun["served"]:
            put_in_place(place / begun["served"] / REPORTING_FILE, home / "reporting" / REPORTING_FILE)
        for old in place.glob(".*.replaced"):
            shutil.rmtree(old)
        journal.unlink()
        sync(place)
    for prepared in place.glob(".*.amended"):
        shutil.rmtree(prepared)


def _replace(place: Path, release_id: str) -> None:
    coming, folder, replaced = coming_folder(place, release_id), place / release_id, place / f".{release_id}.replaced"
    if not coming.exists():
        return
    if folder.exists():
        folder.rename(replaced)
    coming.rename(folder)


def _place(home: Path) -> Path:
    return home / "reporting" / "releases"
