"""A release whose files somebody, or a disk, has altered: noticed, named, and the one before it is served."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from small_company import Company

from kpimart.errors import ReleaseDamaged
from kpimart.publish import release
from kpimart.publish.release import Release
from sampling import IS_FULL, sample

SEED = 20261125
DAMAGES = 200 if IS_FULL else 12
PAGE = 4096


def flip_a_bit(content: bytes, chance: random.Random) -> bytes:
    place, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]


def cut_short(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def tear(content: bytes, chance: random.Random) -> bytes:
    """A page that was never written, as after a loss of power; where it was empty anyway, one written twice."""
    place = chance.randrange(0, len(content), PAGE)
    torn = content[:place] + bytes(len(content[place : place + PAGE])) + content[place + PAGE :]
    return torn if torn != content else content + content[place : place + PAGE]


@pytest.fixture
def two_releases(company: Company) -> tuple[Release, Release]:
    """The last good release, and the one after it, which is served."""
    former = release.current(company.home)
    assert former
    return former, company.publish_numbered(1)


def overwrite(file: Path, content: bytes) -> None:
    """In place, because what is served is the same file under another name."""
    file.chmod(0o644)
    with file.open("r+b") as opened:
        opened.write(content)
        opened.truncate()
        os.fsync(opened.fileno())


def require_noticed(company: Company, latter: Release, former: Release, name: str) -> None:
    """Whoever verifies the damaged release or goes to it is told the file; the one before it is served on demand."""
    with pytest.raises(ReleaseDamaged, match=latter.release_id) as damage:
        release.verify_release(company.home, latter.release_id)
    assert name in str(damage.value)
    assert release.rollback(company.home).release_id == former.release_id
    served = company.ask_served(
        "select release_id, (select count(*) from kpi_value) > 0 from release where is_this_release"
    )
    assert served == [(former.release_id, True)]
    with pytest.raises(ReleaseDamaged):
        release.rollback(company.home, latter.release_id)


@pytest.mark.parametrize("damage", [flip_a_bit, cut_short, tear])
def test_a_damaged_file_is_named_and_the_release_before_is_served(
    damage: Callable[[bytes, random.Random], bytes],
    company: Company,
    two_releases: tuple[Release, Release],
    record_property: Callable[[str, object], None],
) -> None:
    former, latter = two_releases
    chance = random.Random(f"{SEED} {damage.__name__}")  # noqa: S311 - the same damages every time
    files = sorted(path for path in latter.folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    # Those of a table without rows are of few bytes; the database is hit as often as all of them.
    weights = [1 + (len(files) - 1) * (path == latter.database) for path in files]
    for file in chance.choices(files, weights, k=DAMAGES):
        whole = file.read_bytes()
        overwrite(file, damage(whole, chance))
        require_noticed(company, latter, former, file.relative_to(latter.folder).as_posix())
        overwrite(file, whole)
        assert release.rollback(company.home, latter.release_id).is_current
    record_property(
        "figure", f"{DAMAGES} times of {DAMAGES} a file of a release was noticed and named after: {damage.__name__}"
    )


def leaves(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values in a JSON text."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    if not inner:
        yield path
    for key, value in inner:
        yield from leaves(value, (*path, key))


def edited(content: Any, path: tuple[Any, ...]) -> Any:
    """The same with another value at a place."""
    key, *further = path
    value = edited(content[key], tuple(further)) if further else another(content[key])
    if isinstance(content, dict):
        return {**content, key: value}
    return [*content[:key], value, *content[key + 1 :]]


def another(value: Any) -> Any:
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1:] != "0" else "1")
    return value + 1 if isinstance(value, int) and not isinstance(value, bool) else "another"


def test_a_manifest_that_was_edited_anywhere_is_named_and_the_release_before_is_served(
    company: Company, two_releases: tuple[Release, Release], record_property: Callable[[str, object], None]
) -> None:
    former, latter = two_releases
    file = latter.folder / "manifest.json"
    whole = file.read_bytes()
    content = orjson.loads(whole)
    places = sample(list(leaves(content)), DAMAGES)
    for place in places:
        overwrite(file, orjson.dumps(edited(content, place), option=orjson.OPT_INDENT_2))
        require_noticed(company, latter, former, "manifest.json")
        overwrite(file, whole)
        assert release.rollback(company.home, latter.release_id).is_current
    record_property(
        "figure", f"{len(places)} edits of {len(places)}, each of another value of a manifest, were noticed"
    )
