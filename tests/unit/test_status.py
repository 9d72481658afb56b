"""Is it fresh, is it right, and how did the last runs end."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kpimart.errors import ReleaseDamaged
from kpimart.status import SHOWN, LastBatch, LastBuild, read_quarantine, read_status
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse

NOON = datetime(2027, 1, 9, 12, tzinfo=UTC)

RUN = """
import sys
from pathlib import Path
from kpimart.warehouse import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("running", flush=True)
    sys.stdin.read()
"""


def at_noon() -> datetime:
    return NOON


def change(home: Path, statement: str) -> None:
    with open_warehouse(home) as connection:
        connection.execute(statement)


@pytest.fixture
def a_run(home: Path) -> Iterator[int]:
    """The process of a run that is under way, and has the warehouse closed just now."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def test_an_empty_home_serves_nothing(tmp_path: Path) -> None:
    status = read_status(tmp_path / "home", at_noon)
    assert (status.release, status.age, status.gate, status.busy) == (None, None, None, None)
    assert status.batches == status.builds == ()
    assert not (tmp_path / "home").exists()


def test_the_served_release_its_age_and_its_gate_are_told(published: Path) -> None:
    status = read_status(published, at_noon)
    assert status.release is not None
    assert status.release.release_id == "20270108T020000Z"
    assert status.age == timedelta(days=1, hours=12)
    assert status.gate is not None
    assert (status.gate.reporting.passed, status.gate.reporting.failed) == (1, 0)


def test_a_batch_is_summed_over_its_objects(published: Path) -> None:
    landed_at = datetime(2027, 1, 7, 1, tzinfo=UTC)
    assert read_status(published, at_noon).batches == (LastBatch("files-1", landed_at, 8885, 8883, 2, "accepted"),)


def test_builds_come_the_last_first_with_what_the_gate_made_of_them(home: Path) -> None:
    change(
        home,
        f"""
        insert into ops.build values
            ('broke off', '2027-01-09', '2027-01-09', '2027-01-09 03:00:00+00', null, '{WAREHOUSE_FILE}'),
            ('refused', '2027-01-09', '2027-01-09', '2027-01-09 02:00:00+00', '2027-01-09 02:01:00+00', 'x');
        insert into ops.quality_result
        select 'refused', 'reporting', 'kpi_value', outcome, 'critical', outcome, null, null, null, now()
        from unnest(['passed', 'failed', 'errored']) as outcomes (outcome)
        """,
    )
    builds = read_status(home, at_noon).builds
    assert [(build.build_id, build.finished_at is None, build.failed) for build in builds] == [
        ("broke off", True, None),
        ("refused", False, 2),
        ("20270108T020000Z", False, 0),
        ("20270107T020000Z", False, 0),
    ]
    assert builds[1] == LastBuild(
        "refused", datetime(2027, 1, 9, tzinfo=UTC), datetime(2027, 1, 9, 2, 1, tzinfo=UTC), 2
    )


def test_a_batch_may_be_held_or_not_judged_yet_and_decisions_are_not_shown(home: Path) -> None:
    change(
        home,
        """
        insert into ops.batch
        select id, source, day, day
        from (values
            ('held', 'files', timestamptz '2027-01-08'), ('new', 'files', timestamptz '2027-01-09'),
            ('decided', 'kpimart', timestamptz '2027-01-10')
        ) as rows (id, source, day);
        insert into ops.batch_object
        select batch_id, source, 'deals', 'full', 10, 9, 1, 0, 0, null from ops.batch where batch_id <> 'files-1';
        insert into ops.batch_verdict values ('held', 'held', '2027-01-08', 'too many vanished');
        """,
    )
    batches = read_status(home, at_noon).batches
    assert [(batch.batch_id, batch.verdict) for batch in batches] == [
        ("new", None),
        ("held", "held"),
        ("files-1", "accepted"),
    ]


def test_what_was_judged_together_is_told_of_together(home: Path) -> None:
    change(
        home,
        """
        insert into ops.batch
        select 'part ' || second, 'files', landed_at, landed_at
        from (
            select second, timestamptz '2027-01-08' + second * interval 1 second as landed_at
            from range(13) as r (second)
        );
        insert into ops.batch_object
        select batch_id, source, 'deals', 'delta', 10, 9, 1, 0, 0, null from ops.batch where batch_id like 'part %';
        insert into ops.batch_verdict
        select batch_id, 'accepted', '2027-01-08 01:00:00+00', null from ops.batch where batch_id like 'part %';
        insert into ops.quarantine
        select batch_id, source, 'deals', batch_id, null, 'no id', '{}', now()
        from ops.batch where batch_id in ('files-1', 'part 0', 'part 12')
        """,
    )
    batches = read_status(home, at_noon).batches
    assert [(batch.batch_id, batch.rows_read, len(batch.others)) for batch in batches] == [
        ("part 12", 130, 12),
        ("files-1", 8885, 0),
    ]
    assert [record.place for record in read_quarantine(home)] == ["part 0", "part 12"]


def test_fields_that_changed_in_the_last_batches_are_told(home: Path) -> None:
    change(
        home,
        """
        insert into ops.schema_change values
            ('files-1', 'hubspot', 'deals', 'region', 'new', null, 'text', '2027-01-07 00:30:00+00'),
            ('long ago', 'hubspot', 'deals', 'amount', 'retyped', 'number', 'text', '2026-01-07 00:30:00+00')
        """,
    )
    (changed,) = read_status(home, at_noon).changed_fields
    assert (changed.object, changed.field, changed.change, changed.is_now) == ("deals", "region", "new", "text")


def test_only_the_last_few_are_shown(home: Path) -> None:
    change(
        home,
        """
        insert into ops.build
        select 'build ' || n, day, day, day, day, 'x'
        from (select n, timestamptz '2027-02-01' + n * interval 1 day as day from range(20) as r (n))
        """,
    )
    builds = read_status(home, at_noon).builds
    assert [build.build_id for build in builds] == [f"build {number}" for number in range(19, 19 - SHOWN, -1)]


def test_a_run_that_is_writing_is_told_of_and_not_disturbed(home: Path, a_run: int) -> None:
    """Even while it has the warehouse closed: it will open it again any moment."""
    status = read_status(home, at_noon)
    assert status.busy is not None
    assert status.busy.startswith(f"another run (process {a_run}) is writing {home}")
    assert status.release is not None
    assert status.batches == status.builds == ()


def test_a_served_file_that_is_no_release_is_damaged(home: Path) -> None:
    served = home / "reporting" / "reporting.duckdb"
    served.unlink()
    served.write_text("somebody's notes")
    with pytest.raises(ReleaseDamaged, match="is none of the releases; go back to a sound one with kpimart rollback"):
        read_status(home, at_noon)
