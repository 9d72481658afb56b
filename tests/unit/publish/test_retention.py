import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from kpimart.errors import ReleaseDamaged, ReleaseNotFound
from kpimart.publish import release
from kpimart.publish.manifest import Manifest
from kpimart.publish.retention import outlived, remove_outlived
from kpimart.publish.verify import check
from kpimart.settings import Retention

NEW_YORK = ZoneInfo("America/New_York")
UTC_ZONE = ZoneInfo("UTC")


def remove(company, policy: Retention) -> list[str]:
    return remove_outlived(company.home, policy, UTC_ZONE, lambda _: None)


def listed(company) -> list[str]:
    return [one.release_id for one in release.releases(company.home)]


def manifest(sequence: int, as_of: datetime, known_at: datetime | None = None) -> Manifest:
    return Manifest.model_construct(
        release_id=f"r{sequence}", sequence=sequence, as_of=as_of, known_at=known_at or as_of + timedelta(hours=2)
    )


def november(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def test_the_last_published_are_kept_and_of_the_others_the_one_that_closes_each_month() -> None:
    """As of 30 and 31 October, 1 November at midnight, which is still October's, and 2 and 3 November."""
    moments = [datetime(2026, 10, day, tzinfo=UTC) for day in (30, 31)] + [november(day) for day in (1, 2, 3)]
    nights = [manifest(number, moment) for number, moment in enumerate(moments)]
    assert outlived(nights, Retention(releases=1), UTC_ZONE) == ["r0", "r1", "r3"]


def test_the_month_is_that_of_the_business_time_zone() -> None:
    """Two in the morning of 1 November in London is still October in New York."""
    nights = [manifest(0, november(1, 2)), manifest(1, november(3)), manifest(2, november(4))]
    assert outlived(nights, Retention(releases=1), NEW_YORK) == ["r1"]
    assert outlived(nights, Retention(releases=1), UTC_ZONE) == ["r0", "r1"]


def test_of_a_month_that_was_closed_twice_what_people_saw_first_is_kept() -> None:
    nights = [manifest(0, november(1)), manifest(1, november(1), november(20)), manifest(2, november(21))]
    assert outlived(nights, Retention(releases=1), UTC_ZONE) == ["r1"]


def test_a_release_that_a_month_was_closed_on_is_kept_though_the_month_was_reopened(company) -> None:
    frozen, second, _ = company.publish(), company.publish(), company.publish()
    company.change(f"""
        insert into raw.kpimart__close
        select '2026-10-01', null, false, payload, '', now(), now(), 'b'
        from (values
            ('{{"action": "closed", "release_id": "{frozen.release_id}"}}'),
            ('{{"action": "reopened", "release_id": "{frozen.release_id}"}}')
        ) as decided (payload)
    """)
    assert remove(company, Retention(releases=1, month_ends=False)) == [second.release_id]


def test_nothing_is_removed_while_nobody_can_say_which_months_were_closed(company) -> None:
    company.publish()
    company.publish()
    (company.home / "warehouse.duckdb").unlink()
    assert remove(company, Retention(releases=1, month_ends=False)) == []


def test_without_month_ends_only_the_last_are_kept(company) -> None:
    made = [company.publish().release_id for _ in range(4)]
    assert remove(company, Retention(releases=2, month_ends=False)) == made[:2]
    assert listed(company) == [made[3], made[2]]


def test_the_served_release_is_kept_however_old(company) -> None:
    first, second, third = company.publish(), company.publish(), company.publish()
    release.rollback(company.home, first.release_id)
    assert remove(company, Retention(releases=1, month_ends=False)) == [second.release_id]
    assert company.served_id() == first.release_id
    assert listed(company) == [third.release_id, first.release_id]


def test_a_removed_release_leaves_its_manifest_and_the_chain_goes_on(company) -> None:
    first, second = company.publish(), company.publish()
    remove(company, Retention(releases=1, month_ends=False))
    assert sorted(path.name for path in first.folder.iterdir()) == ["manifest.json", "removed"]
    third = company.publish()
    assert third.previous_release_id == second.release_id
    assert company.ask("select count(*) from release") == [(3,)]
    remove(company, Retention(releases=1, month_ends=False))
    assert check(company.home, third.release_id).chain == 3
    path = second.folder / "manifest.json"
    path.chmod(0o644)
    path.write_text(json.dumps(json.loads(path.read_text())))
    with pytest.raises(ReleaseDamaged, match=f"{second.release_id}: manifest.json is not the one"):
        check(company.home, third.release_id)


def test_a_removed_release_says_how_to_make_its_figures_anew(company) -> None:
    first, _ = company.publish(), company.publish()
    remove(company, Retention(releases=1, month_ends=False))
    with pytest.raises(
        ReleaseNotFound, match=r"kpimart run --as-of 2026-11-21T00:00:00\+00:00 --known-at 2026-11-21T01"
    ):
        release.rollback(company.home, first.release_id)
    with pytest.raises(ReleaseNotFound, match="is older than the settings keep"):
        release.verify_release(company.home, first.release_id)


def test_rollback_goes_to_one_that_is_still_there(company) -> None:
    oldest = company.publish(datetime(2026, 10, 30, tzinfo=UTC))
    company.publish(datetime(2026, 11, 20, tzinfo=UTC))
    company.publish(datetime(2026, 11, 21, tzinfo=UTC))
    remove(company, Retention(releases=1))
    assert release.rollback(company.home).release_id == oldest.release_id


def test_who_has_a_removed_release_open_goes_on_reading_it(company) -> None:
    first = company.publish()
    with duckdb.connect(str(first.database), read_only=True) as connection:
        company.publish()
        remove(company, Retention(releases=1, month_ends=False))
        assert connection.execute("select count(*) from kpi_value where value is not null").fetchall() != [(0,)]


def test_what_a_killed_removal_left_is_removed_by_the_next(company) -> None:
    first, _ = company.publish(), company.publish()
    (first.folder / "removed").touch()
    assert listed(company) == [release.current(company.home).release_id]
    assert remove(company, Retention(releases=5)) == []
    assert sorted(path.name for path in first.folder.iterdir()) == ["manifest.json", "removed"]


def test_nothing_is_removed_while_what_is_served_is_no_release(company) -> None:
    first, _ = company.publish(), company.publish()
    served: Path = release.served_file(company.home)
    served.unlink()
    served.write_bytes(b"")
    assert remove(company, Retention(releases=1, month_ends=False)) == []
    assert first.database.exists()
