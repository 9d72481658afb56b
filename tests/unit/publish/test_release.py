import errno
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from kpimart.errors import BuildFailed, GateRefused, ReleaseDamaged, ReleaseNotFound, StorageFailed
from kpimart.publish import contract, files, release
from kpimart.publish.contract import PUBLISHED
from kpimart.publish.release import Release
from kpimart.publish.shelf import Shelf

EARLIER = datetime(2026, 1, 1, tzinfo=UTC)
WITH_UV = Path(__file__).parents[3] / ".ci" / "with-uv"

PUBLISHER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from kpimart.build import Build
from kpimart.publish.release import publish
home, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
for night in range(first, last):
    moment = datetime(2026, 11, 21, tzinfo=UTC) + timedelta(days=night)
    build_id = (moment + timedelta(hours=2)).strftime("%Y%m%dT%H%M%SZ")
    publish(Build(build_id, moment, datetime(2026, 11, 21, 1, tzinfo=UTC), home / "warehouse.duckdb"), home)
"""


def tables_of(company, made: Release) -> dict[str, list[tuple[object, ...]]]:
    names = [table.name for table in PUBLISHED if table.name not in ("release", "quality_result")]
    return {name: company.ask(f"from {name}", made.database) for name in names}


def overwrite(file: Path, position: int) -> None:
    """Flip one bit."""
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


# What is published


def test_a_release_is_served_under_the_name_of_the_schema(company) -> None:
    made = company.publish()
    assert made.is_current
    assert len(company.ask("select * from reporting.kpi_value")) > 0
    assert company.served_id() == made.release_id


def test_a_release_can_be_opened_under_any_name(company, tmp_path: Path) -> None:
    made = company.publish()
    renamed = tmp_path / "budget of 2027.duckdb"
    shutil.copy(made.database, renamed)
    rows = company.ask("from kpi_manager_month order by all", renamed)
    assert rows == company.ask("from kpi_manager_month order by all")
    assert len(rows) == 2


def test_a_release_is_one_file_and_no_wal(company) -> None:
    made = company.publish()
    assert sorted(path.name for path in made.folder.iterdir()) == ["manifest.json", "parquet", "reporting.duckdb"]
    assert sorted(path.name for path in (company.home / "reporting").iterdir()) == ["releases", "reporting.duckdb"]


def test_the_file_is_written_for_old_drivers(company) -> None:
    made = company.publish()
    tags = company.ask("select tags['storage_version'] from duckdb_databases() where database_name = 'reporting'")
    assert tags == [("v1.0.0+",)]
    assert made.database.read_bytes()[8:12] == b"DUCK"


READ_ALL = """
import json, sys
import duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    connection.execute("set TimeZone = 'UTC'")
    names = connection.execute("select table_name from information_schema.tables order by 1").fetchall()
    read_all = 'select columns(*)::varchar from "{}" order by all'
    rows = {name: connection.execute(read_all.format(name)).fetchall() for name, in names}
    print(json.dumps([duckdb.__version__, rows]))
"""


def test_duckdb_1_0_reads_every_table_and_view_as_this_one_does(published) -> None:
    database = release.served_file(published.home)
    python = [WITH_UV, "run", "--no-project", "--isolated", "--no-build", "--python", sys.executable]
    read = subprocess.run([*python, "--with", "duckdb==1.0.0", "python", "-c", READ_ALL, database], capture_output=True)
    if b"duckdb==1.0.0" in read.stderr:
        pytest.skip(f"DuckDB 1.0 cannot be installed here: {read.stderr.decode().strip()}")
    version, then = json.loads(read.stdout)
    now = json.loads(subprocess.check_output([sys.executable, "-c", READ_ALL, database]))[1]
    assert (version, then) == ("1.0.0", now)
    assert len(then) == len(PUBLISHED) + len(contract.ENTITY_LEVELS) * len(contract.GRAINS)


def test_nobody_is_given_the_right_to_write_a_release(company) -> None:
    made = company.publish()
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o222 for path in made.folder.rglob("*") if path.is_file()}
    assert modes == {0}


def test_the_same_build_published_twice_gives_the_same_tables(company) -> None:
    first, second = company.publish(), company.publish()
    assert tables_of(company, first) == tables_of(company, second)
    for name in tables_of(company, first):
        file = f"parquet/{name}.parquet"
        assert (first.folder / file).read_bytes() == (second.folder / file).read_bytes()


def test_publishing_a_build_again_returns_its_release(company) -> None:
    build = company.build()
    first = release.publish(build, company.home)
    written = first.database.stat().st_mtime_ns
    assert release.publish(build, company.home) == first
    assert first.database.stat().st_mtime_ns == written


def test_another_build_of_the_same_name_is_refused(company) -> None:
    build = company.build()
    release.publish(build, company.home)
    other = type(build)(build.build_id, EARLIER, build.known_at, build.database)
    with pytest.raises(BuildFailed, match="is there already, as of 2026-11-21"):
        release.publish(other, company.home)


def test_the_table_release_tells_of_all_that_are_known(company) -> None:
    first, second = company.publish(), company.publish()
    assert company.ask("select release_id, previous_release_id, is_this_release from release") == [
        (first.release_id, None, False),
        (second.release_id, first.release_id, True),
    ]


def test_the_clock_is_the_one_that_is_given(company) -> None:
    made = company.publish(clock=lambda: datetime(2031, 2, 3, tzinfo=UTC))
    assert made.published_at == datetime(2031, 2, 3, tzinfo=UTC)
    assert company.ask("select published_at::varchar from release") == [("2031-02-03 00:00:00+00",)]


def test_each_table_is_told_of_when_it_is_begun(company) -> None:
    told: list[str] = []
    company.publish(tell=told.append)
    assert told[0] == "kpi_value"
    assert told[-1] == "checksums"


# Which release becomes current


def test_an_older_as_of_does_not_become_current(company) -> None:
    newer = company.publish()
    older = company.publish(EARLIER)
    assert not older.is_current
    assert older.folder.is_dir()
    assert company.served_id() == newer.release_id


def test_an_older_as_of_becomes_current_on_demand(company) -> None:
    company.publish()
    older = company.publish(EARLIER, make_current=True)
    assert older.is_current
    assert company.served_id() == older.release_id


def test_the_same_as_of_becomes_current(company) -> None:
    first = company.publish()
    assert company.publish(first.as_of).is_current


def test_the_order_of_releases_is_that_of_publishing_though_the_clock_jumps_back(company) -> None:
    first = company.publish(clock=lambda: datetime(2030, 1, 1, tzinfo=UTC))
    second = company.publish(clock=lambda: datetime(2020, 1, 1, tzinfo=UTC))
    assert [one.release_id for one in release.releases(company.home)] == [second.release_id, first.release_id]
    assert release.rollback(company.home).release_id == first.release_id


def test_what_is_served_is_known_where_links_are_not_possible(company, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    first, second = company.publish(), company.publish()
    assert not release.served_file(company.home).samefile(second.database)
    assert release.current(company.home) == second
    assert release.rollback(company.home) == release.current(company.home)
    assert company.served_id() == first.release_id


# The gate


@pytest.mark.parametrize("outcome", ["failed", "errored"])
def test_a_build_that_did_not_pass_is_refused(company, outcome: str) -> None:
    served = company.publish()
    with pytest.raises(GateRefused, match=rf"(?s)won_amount of company  \[{outcome}\].*observed  41"):
        release.publish(company.build(outcome=outcome), company.home)
    assert release.releases(company.home) == [served]


def test_an_expectation_that_errored_closes_the_gate_whatever_its_severity(company) -> None:
    with pytest.raises(GateRefused):
        release.publish(company.build(outcome="errored", severity="info"), company.home)


def test_a_warning_does_not_close_the_gate(company) -> None:
    assert release.publish(company.build(outcome="failed", severity="warning"), company.home).is_current


def test_a_build_on_which_no_expectation_ran_is_refused(company) -> None:
    with pytest.raises(GateRefused, match="no expectation ran"):
        release.publish(company.build(outcome=None), company.home)


# What a build is compared with


def test_a_build_is_compared_with_the_release_before_it_in_time(company) -> None:
    first, second = company.publish(), company.publish()
    shelf = Shelf(company.home)
    assert shelf.last_before(second.as_of, second.known_at) == first.database
    assert shelf.last_before(second.as_of + timedelta(days=1), second.known_at) == second.database
    assert shelf.last_before(first.as_of, first.known_at) is None


def test_a_build_is_not_compared_with_what_knew_more_than_it(company) -> None:
    first = company.publish()
    before = first.known_at - timedelta(seconds=1)
    assert Shelf(company.home).last_before(first.as_of + timedelta(days=1), before) is None


def test_who_rolled_back_is_compared_with_what_they_went_back_to(company) -> None:
    first, second = company.publish(), company.publish()
    release.rollback(company.home)
    assert Shelf(company.home).last_before(second.as_of + timedelta(days=1), second.known_at) == first.database


def test_a_torn_release_is_passed_over(company) -> None:
    first, second = company.publish(), company.publish()
    release.rollback(company.home)
    first.database.chmod(0o600)
    first.database.write_bytes(b"torn")
    assert Shelf(company.home).last_before(second.as_of + timedelta(days=1), second.known_at) == second.database


# Going back and forth


def test_rollback_goes_back_and_forth(company) -> None:
    first, second, third = company.publish(), company.publish(), company.publish()
    assert release.rollback(company.home).release_id == second.release_id
    assert release.rollback(company.home).release_id == first.release_id
    assert company.served_id() == first.release_id
    assert release.rollback(company.home, third.release_id).is_current
    assert company.served_id() == third.release_id
    assert [one.is_current for one in release.releases(company.home)] == [True, False, False]


def test_rollback_to_the_current_release_changes_nothing(company) -> None:
    made = company.publish()
    assert release.rollback(company.home, made.release_id) == made
    assert sorted(path.name for path in (company.home / "reporting").iterdir()) == ["releases", "reporting.duckdb"]


def test_a_backfilled_night_is_not_taken_for_yesterday(company) -> None:
    yesterday = company.publish()
    company.publish(EARLIER)
    company.publish()
    assert release.rollback(company.home).release_id == yesterday.release_id


def test_the_next_night_becomes_current_after_a_rollback(company) -> None:
    company.publish(), company.publish()
    release.rollback(company.home)
    assert company.publish().is_current


def test_there_is_nothing_before_the_first(company) -> None:
    assert release.current(company.home) is None
    with pytest.raises(ReleaseNotFound, match="kpimart run makes one"):
        release.rollback(company.home)
    made = company.publish()
    with pytest.raises(ReleaseNotFound, match=f"release {made.release_id} is the first"):
        release.rollback(company.home)


@pytest.mark.parametrize("name", ["20200101T000000Z", "..", "../releases", ""])
def test_a_release_that_is_not_there_is_not_found(company, name: str) -> None:
    made = company.publish()
    with pytest.raises(ReleaseNotFound, match=made.release_id):
        release.verify_release(company.home, name)


# Damage


def test_a_whole_release_is_verified(company) -> None:
    first, second = company.publish(), company.publish()
    assert release.verify_release(company.home, first.release_id).release_id == first.release_id
    assert release.verify_release(company.home, second.release_id) == second


@pytest.mark.parametrize("position", [0, 9000, -1])
def test_a_flipped_bit_is_noticed(company, position: int) -> None:
    first, second = company.publish(), company.publish()
    overwrite(first.database, position)
    with pytest.raises(ReleaseDamaged, match=r"(?s)reporting.duckdb: SHA-256 .*, expected .*take another"):
        release.rollback(company.home)
    assert company.served_id() == second.release_id


def test_all_that_is_wrong_is_named_at_once(company) -> None:
    made = company.publish()
    (made.folder / "parquet" / "deal.parquet").unlink()
    os.truncate(made.folder / "parquet" / "release.parquet", 10)
    (made.folder / "reporting.duckdb.wal").touch()
    with pytest.raises(ReleaseDamaged) as damage:
        release.verify_release(company.home, made.release_id)
    assert "parquet/deal.parquet: missing" in str(damage.value)
    assert "parquet/release.parquet: 10 bytes, expected" in str(damage.value)
    assert "reporting.duckdb.wal: not in the manifest" in str(damage.value)


def test_a_manifest_that_was_written_anew_is_noticed_by_the_next_one(company) -> None:
    first = company.publish()
    company.publish()
    path = first.folder / "manifest.json"
    path.chmod(0o644)
    path.write_text(json.dumps(json.loads(path.read_text())))
    with pytest.raises(ReleaseDamaged, match=r"manifest.json: SHA-256 .* published after it"):
        release.rollback(company.home)


def test_a_damaged_manifest_is_listed_apart_and_stops_no_night(company) -> None:
    first, second = company.publish(), company.publish()
    (second.folder / "manifest.json").unlink()
    assert [one.release_id for one in release.releases(company.home)] == [first.release_id]
    assert list(release.damaged_releases(company.home)) == [second.release_id]
    with pytest.raises(ReleaseDamaged, match=f"{second.release_id} is damaged: manifest.json is missing"):
        release.current(company.home)
    assert not company.publish(EARLIER).is_current
    third = company.publish()
    assert third.is_current
    assert third.previous_release_id != second.release_id


def test_rollback_leaves_a_damaged_current_release(company) -> None:
    first, second = company.publish(), company.publish()
    (second.folder / "manifest.json").unlink()
    assert release.rollback(company.home).release_id == first.release_id
    assert company.served_id() == first.release_id


def test_a_foreign_served_file_is_named_and_replaced_by_the_next_night(company) -> None:
    company.publish()
    served = release.served_file(company.home)
    served.unlink()
    served.write_bytes(b"not a database")
    with pytest.raises(ReleaseDamaged, match="is none of the releases"):
        release.current(company.home)
    assert company.publish().is_current


def test_a_damaged_release_is_not_published_again(company) -> None:
    build = company.build()
    made = release.publish(build, company.home)
    overwrite(made.database, 100)
    with pytest.raises(ReleaseDamaged):
        release.publish(build, company.home)


# Readers and crashes


def test_who_has_a_release_open_goes_on_reading_it(company) -> None:
    first = company.publish()
    with duckdb.connect(str(release.served_file(company.home)), read_only=True) as connection:
        company.publish()
        ask = "select release_id from release where is_this_release"
        assert connection.execute(ask).fetchall() == [(first.release_id,)]


def test_killed_at_any_moment_a_whole_release_is_served(company) -> None:
    started = time.monotonic()
    company.publish()
    took = time.monotonic() - started
    nights, begun = 60, 1
    for _ in range(nights - begun):
        company.build()
    chance = random.Random(20261123)  # noqa: S311 - the same moments of what this machine needs for one, every time
    for _ in range(10):
        command = [sys.executable, "-c", PUBLISHER, str(company.home), str(begun), str(nights)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as publisher:
            assert publisher.stdout
            publisher.stdout.readline()
            time.sleep(chance.uniform(0, 3 * took))
            publisher.send_signal(signal.SIGKILL)
        known = release.releases(company.home)
        assert release.damaged_releases(company.home) == {}
        for one in known:
            release.verify_release(company.home, one.release_id)
        serving = release.current(company.home)
        if serving:
            assert company.served_id() == serving.release_id
            assert serving in known[:2]
        begun = len(known)
    assert 1 < begun < nights
    company.nights = nights
    assert company.publish().is_current
    assert [path.name for path in (company.home / "reporting" / "releases").glob(".*")] == []
    assert sorted(path.name for path in (company.home / "reporting").iterdir()) == ["releases", "reporting.duckdb"]


@pytest.mark.parametrize("step", ["seal", "put_in_place", "write_manifest", "sha256", "code_version"])
def test_an_error_at_any_step_leaves_what_was_served(company, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    first = company.publish()
    build = company.build()

    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    with monkeypatch.context() as patch:
        patch.setattr(release, step, full_disk)
        with pytest.raises(StorageFailed, match="the disk is full"):
            release.publish(build, company.home)
    assert company.served_id() == first.release_id
    assert list((company.home / "reporting" / "releases").glob(".*")) == []
    assert release.publish(build, company.home).is_current


def test_an_error_while_the_file_is_replaced_leaves_nothing_behind(company, monkeypatch: pytest.MonkeyPatch) -> None:
    company.publish()
    made = company.publish()

    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(target))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageFailed, match="Read-only file system"):
        release.rollback(company.home)
    assert company.served_id() == made.release_id
    assert sorted(path.name for path in (company.home / "reporting").iterdir()) == ["releases", "reporting.duckdb"]


@pytest.fixture
def small_disk(company) -> Iterator[Path]:
    """The company's reporting folder on a file system of 24 MB."""
    place = company.home / "reporting"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a file system is not permitted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_named_and_the_old_release_served(company, small_disk: Path) -> None:
    served = company.publish()
    build = company.build()
    room = shutil.disk_usage(small_disk).free
    size = sum(path.stat().st_size for path in served.folder.rglob("*") if path.is_file())
    for left in range(0, size, size // 12):
        (small_disk / "ballast").write_bytes(bytes(room - left))
        with pytest.raises(StorageFailed):
            release.publish(build, company.home)
        assert company.served_id() == served.release_id
        assert release.releases(company.home) == [served]
        assert list((small_disk / "releases").glob(".*")) == []
    (small_disk / "ballast").unlink()
    assert release.publish(build, company.home).is_current


def test_a_read_only_file_system_is_named_and_the_old_release_served(company, small_disk: Path) -> None:
    served, build = company.publish(), company.build()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageFailed, match=rf"publishing release {build.build_id}: Read-only file system"):
        release.publish(build, company.home)
    assert company.served_id() == served.release_id
    with pytest.raises(StorageFailed, match="rolling back: Read-only file system"):
        release.rollback(company.home, served.release_id)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert release.publish(build, company.home).is_current


@pytest.mark.parametrize("moment", ["kpi_value", "release.parquet", "checksums"])
def test_a_home_that_vanishes_while_publishing_is_named(company, moment: str) -> None:
    build, aside = company.build(), company.home.with_name("aside")

    def vanish(table: str) -> None:
        if table == moment:
            company.home.rename(aside)

    with pytest.raises(StorageFailed, match=r"home/reporting/releases/.*No such file or directory|No such file"):
        release.publish(build, company.home, tell=vanish)
    shutil.rmtree(company.home, ignore_errors=True)
    aside.rename(company.home)
    assert release.publish(build, company.home).is_current


def test_a_checksum_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    # FIPS 180-4, the example of one block.
    assert files.sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_month_of_nights_is_listed_newest_first(company) -> None:
    made = [company.publish() for _ in range(3)]
    listed = release.releases(company.home)
    assert [one.release_id for one in listed] == [one.release_id for one in reversed(made)]
    assert [one.as_of for one in listed] == [made[0].as_of + timedelta(days=days) for days in (2, 1, 0)]
