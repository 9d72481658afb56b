"""Raw keeps what was accepted, version by version, whatever happens in between."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpimart.errors import SettingsError, StorageFailed
from kpimart.extract.landing import (
    judge,
    land,
    pending_batches,
    prepare_pending_views,
    record_decisions,
)
from kpimart.extract.records import ObjectRead, Record, batch_of, object_table
from kpimart.schema import STEPS
from kpimart.settings import Settings
from kpimart.warehouse import open_memory, take_steps

ANN = "D1,Ann,Talking,2026-01-05,,100"
ANN_WON = "D1,Ann,Won,2026-01-05,2026-02-01,100"
BOB = "D2,Bob,Talking,2026-01-06,,200"
VERSIONED = "opportunity,agent,stage,created,closed,amount,changed"


def test_a_first_landing_stores_every_record(crm: Any) -> None:
    crm.write(ANN, BOB)
    batch = crm.night()
    (deals,) = batch.objects
    assert (deals.rows_read, deals.versions_stored, deals.rows_known_before) == (2, 2, 0)
    assert crm.latest()["D2"]["agent"] == "Bob"
    assert crm.query("select batch_id, source from ops.batch") == [(batch.batch_id, "files")]


def test_the_same_export_stores_nothing_more(crm: Any) -> None:
    crm.write(ANN, BOB)
    crm.night()
    (deals,) = crm.night().objects
    assert (deals.rows_read, deals.versions_stored, deals.rows_known_before) == (2, 0, 2)


def test_a_change_is_a_new_version_and_the_old_one_stays(crm: Any) -> None:
    crm.write(ANN, BOB)
    crm.night()
    crm.write(ANN_WON, BOB)
    assert crm.night().objects[0].versions_stored == 1
    assert [json.loads(payload)["stage"] for key, _, payload in crm.versions() if key == "D1"] == ["Talking", "Won"]


def test_a_change_back_is_a_version_too(crm: Any) -> None:
    for row in (ANN, ANN_WON, ANN):
        crm.write(row)
        crm.night()
    assert [json.loads(payload)["stage"] for _, _, payload in crm.versions()] == ["Talking", "Won", "Talking"]


def test_landing_twice_takes_a_package_once(crm: Any) -> None:
    crm.write(ANN)
    crm.fetch()
    assert len(crm.land()) == 1
    assert crm.land() == []
    assert crm.query("select count(*) from raw.files__deals") == [(1,)]


def test_a_package_that_waited_out_a_crash_is_landed_with_the_next(crm: Any) -> None:
    crm.write(ANN)
    first = crm.fetch()
    crm.write(ANN_WON)
    second = crm.fetch()
    landed = crm.land()
    assert [batch.batch_id for batch in landed] == [*first.batch_ids, *second.batch_ids]
    assert landed[0].landed_at < landed[1].landed_at
    crm.judge()
    assert crm.latest()["D1"]["stage"] == "Won"


def test_a_landing_that_fails_takes_nothing(crm: Any) -> None:
    crm.write(ANN)
    crm.fetch()
    crm.write(ANN_WON)
    crm.fetch()
    *_, damaged = sorted(crm.home.glob("landing/files/deals/*.parquet"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:100])
    with pytest.raises(StorageFailed, match=r"load package .* cannot be read"):
        crm.land()
    assert crm.query("select count(*) from ops.batch") == [(0,)]
    damaged.write_bytes(whole)
    assert len(crm.land()) == 2


def test_what_a_held_batch_stored_is_never_read_and_stored_again(crm: Any) -> None:
    crm.write(ANN)
    crm.night()
    crm.write(ANN_WON, BOB)
    assert crm.night("held").objects[0].versions_stored == 2
    assert set(crm.latest()) == {"D1"}
    assert crm.night().objects[0].versions_stored == 2
    assert crm.latest()["D1"]["stage"] == "Won"


def test_a_held_batch_can_be_accepted_and_is_read_from_then_on(crm: Any) -> None:
    crm.write(ANN)
    crm.night()
    crm.write(ANN_WON)
    crm.night("held")
    crm.accept()
    assert crm.latest()["D1"]["stage"] == "Won"
    assert crm.night().objects[0].versions_stored == 0


def test_batches_that_were_held_together_are_accepted_together(crm: Any) -> None:
    """The second stored only what the first did not have."""
    crm.write(ANN)
    crm.fetch()
    crm.land()
    crm.write(ANN, BOB)
    crm.fetch()
    crm.land()
    crm.judge("held")
    crm.accept()
    assert set(crm.latest()) == {"D1", "D2"}


def test_a_held_batch_behind_which_another_was_accepted_is_out_of_date(crm: Any) -> None:
    crm.write(ANN)
    crm.night("held")
    crm.write(ANN_WON)
    crm.night()
    with pytest.raises(
        SettingsError, match=r"batch files-\S+ is out of date: files-\S+ of the same source was accepted"
    ):
        crm.accept()
    assert crm.latest()["D1"]["stage"] == "Won"


def test_landed_at_never_goes_back(crm: Any) -> None:
    crm.write(ANN)
    first = crm.night()
    crm.clock.now -= timedelta(days=30)
    crm.write(ANN_WON)
    assert crm.night().landed_at > first.landed_at
    assert crm.latest()["D1"]["stage"] == "Won"


def test_quarantined_records_are_kept_with_their_reason(crm: Any) -> None:
    crm.write(ANN, "D2,Bob,Wno,,,1")
    batch = crm.night()
    ((place, record_id, reason, batch_id),) = crm.query("select place, record_id, reason, batch_id from ops.quarantine")
    assert (place, record_id, batch_id) == ("deals.csv, row 3", "D2", batch.batch_id)
    assert "found 'Wno'" in reason
    assert batch.objects[0].rows_quarantined == 1


def test_an_object_whose_records_are_all_put_aside_is_accounted_for(crm: Any) -> None:
    crm.write("D1,Ann,Wno,,,1")
    (deals,) = crm.night().objects
    assert (deals.rows_read, deals.versions_stored, deals.rows_quarantined) == (1, 0, 1)


# ---- vanishing


def test_a_record_that_vanished_from_a_full_export_gets_a_tombstone(crm: Any) -> None:
    crm.write(ANN, BOB)
    crm.night()
    crm.write(ANN)
    (deals,) = crm.night().objects
    assert (deals.rows_vanished, deals.rows_known_before) == (1, 2)
    assert set(crm.latest()) == {"D1"}
    ((is_deleted, agent),) = crm.query(
        "select is_deleted, payload ->> 'agent' from raw.files__deals where id = 'D2' and is_deleted"
    )
    assert (is_deleted, agent) == (True, "Bob")
    assert crm.night().objects[0].rows_vanished == 0


def test_a_delta_cannot_tell_that_a_record_vanished(crm: Any) -> None:
    crm.map_deals(extent="delta")
    crm.write(ANN, BOB)
    crm.night()
    crm.write(ANN)
    assert crm.night().objects[0].rows_vanished == 0
    assert set(crm.latest()) == {"D1", "D2"}


def test_a_quarantined_record_has_not_vanished(crm: Any) -> None:
    crm.write(ANN, BOB)
    crm.night()
    crm.write(ANN, "D2,Bob,Wno,,,1")
    assert crm.night().objects[0].rows_vanished == 0
    assert crm.latest()["D2"]["stage"] == "Talking"


def test_a_quarantined_record_that_lost_its_id_may_be_any_that_is_missing(crm: Any) -> None:
    crm.write(ANN, BOB)
    crm.night()
    crm.write(ANN, ",Bob,Talking,2026-01-06,,200")
    assert crm.night().objects[0].rows_vanished == 0


def test_several_full_files_decide_together_what_vanished(crm: Any) -> None:
    crm.map("deals", "more.csv", crm.files["deals"][0]["columns"])
    crm.write(ANN)
    crm.write(BOB, file="more.csv")
    crm.night()
    crm.write(BOB)
    crm.write(ANN, file="more.csv")
    assert crm.night().objects[0].rows_vanished == 0
    crm.write(ANN)
    assert crm.night().objects[0].rows_vanished == 1


def test_one_delta_among_the_files_keeps_what_is_missing(crm: Any) -> None:
    crm.map("deals", "more.csv", crm.files["deals"][0]["columns"], extent="delta")
    crm.write(ANN)
    crm.write(BOB, file="more.csv")
    crm.night()
    crm.write(file="more.csv")
    assert crm.night().objects[0].rows_vanished == 0


@pytest.mark.parametrize("versioned", [True, False])
def test_a_record_that_vanished_and_is_back_lives_again(crm: Any, versioned: bool) -> None:
    if versioned:
        crm.map_deals(columns={"updated_at": "changed"})
    header = VERSIONED
    for rows in ((f"{ANN},2026-02-01", f"{BOB},2026-02-01"), (f"{ANN},2026-02-01",)):
        crm.write(*rows, header=header)
        crm.night()
    assert set(crm.latest()) == {"D1"}
    crm.write(f"{ANN},2026-02-01", f"{BOB},2026-02-01", header=header)
    assert crm.night().objects[0].versions_stored == 1
    assert set(crm.latest()) == {"D1", "D2"}
    assert crm.night().objects[0].versions_stored == 0


def test_a_tombstone_of_a_held_batch_does_not_delete(crm: Any) -> None:
    crm.write(ANN, BOB)
    crm.night()
    crm.write(ANN)
    crm.night("held")
    assert set(crm.latest()) == {"D1", "D2"}
    crm.write(ANN, BOB)
    assert crm.night().objects[0].versions_stored == 0


def test_a_tombstone_is_dated_by_the_export_that_lacks_the_record(crm: Any) -> None:
    crm.map_deals(columns={"updated_at": "changed"})
    crm.write(f"{ANN},2026-02-01", f"{BOB},2026-02-01", header=VERSIONED)
    crm.night()
    crm.write(f"{ANN},2026-02-01", header=VERSIONED)
    batch = crm.night()
    assert crm.query("select updated_at, extracted_at from raw.files__deals where is_deleted") == [
        (batch.fetched_at, batch.fetched_at)
    ]


def test_a_mapping_that_lost_its_updated_at_still_brings_news(crm: Any) -> None:
    crm.map_deals(columns={"updated_at": "changed"})
    crm.write(f"{ANN},2026-02-01", header=VERSIONED)
    crm.night()
    crm.map_deals()
    crm.write(f"{ANN_WON},2026-03-01", header=VERSIONED)
    crm.night()
    assert crm.latest()["D1"]["stage"] == "Won"
    assert crm.night().objects[0].versions_stored == 0


# ---- versions by updated_at


def test_several_versions_in_one_package_are_all_kept(crm: Any) -> None:
    crm.map_deals(columns={"updated_at": "changed"})
    crm.write(f"{ANN_WON},2026-03-01", f"{ANN},2026-02-01", header=VERSIONED)
    assert crm.night().objects[0].versions_stored == 2
    assert crm.latest()["D1"]["stage"] == "Won"
    assert crm.night().objects[0].versions_stored == 0


def test_a_page_that_arrives_late_never_becomes_latest(crm: Any) -> None:
    crm.map_deals(columns={"updated_at": "changed"}, extent="delta")
    crm.write(f"{ANN_WON},2026-03-01", header=VERSIONED)
    crm.night()
    crm.write(f"{ANN},2026-02-01", header=VERSIONED)
    assert crm.night().objects[0].versions_stored == 1
    assert crm.latest()["D1"]["stage"] == "Won"
    assert crm.night().objects[0].versions_stored == 0


# ---- judging


def test_pending_batches_are_those_without_a_verdict(crm: Any) -> None:
    crm.write(ANN)
    crm.night()
    report = crm.fetch()
    crm.land()
    assert crm.query("select batch_id from ops.batch anti join ops.batch_verdict using (batch_id)") == [
        (report.batch_ids[0],)
    ]
    crm.judge("held")
    assert crm.query("select verdict from ops.batch_verdict order by judged_at") == [("accepted",), ("held",)]


def test_a_batch_is_never_judged_before_it_landed(crm: Any) -> None:
    crm.write(ANN)
    crm.fetch()
    crm.land()
    crm.clock.now -= timedelta(days=1)
    crm.judge()
    assert crm.query("select judged_at >= landed_at from ops.batch_verdict join ops.batch using (batch_id)") == [
        (True,)
    ]


def test_pending_views_show_what_is_to_be_judged_and_nothing_else(crm: Any) -> None:
    crm.write(ANN, BOB)
    crm.night()
    crm.write(ANN_WON, "D3,Cid,Wno,,,1")
    crm.fetch()
    crm.land()
    with_views = "select id, is_deleted from pending.files__deals order by id"
    with duckdb.connect(str(crm.home / "warehouse.duckdb")) as connection:
        prepare_pending_views(connection)
    assert crm.query(with_views) == [("D1", False), ("D2", True)]
    assert crm.query("select quarantined_share, vanished_share from pending.batch_object") == [(0.5, 0.5)]
    crm.judge()
    assert crm.query(with_views) == []


def pending(crm: Any, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(crm.home / "warehouse.duckdb")) as connection:
        prepare_pending_views(connection)
    return crm.query(f"select {columns} from pending.batch_object")


@pytest.mark.parametrize(("nights", "share"), [(6, None), (7, 1.5)], ids=["six nights", "seven nights"])
def test_the_size_of_a_batch_is_held_against_what_is_usual_if_that_is_known(
    crm: Any, nights: int, share: float | None
) -> None:
    crm.write(*(f"D{number},Ann,Talking,2026-01-05,,100" for number in range(20)))
    for _ in range(nights):
        crm.night()
    crm.write(*(f"D{number},Ann,Talking,2026-01-05,,100" for number in range(30)))
    crm.night("held")
    crm.fetch()
    crm.land()
    assert pending(crm, "share_of_usual") == [(share,)]


def test_what_was_usual_a_month_ago_is_usual_no_more(crm: Any) -> None:
    crm.write(*(f"D{number},Ann,Talking,2026-01-05,,100" for number in range(20)))
    for _ in range(7):
        crm.night()
    crm.clock.now += timedelta(days=28)
    crm.fetch()
    crm.land()
    assert pending(crm, "share_of_usual") == [(None,)]


def test_what_was_judged_together_is_one_night(crm: Any) -> None:
    """Nights of two packages of 20 records each, and one of three."""
    crm.map_deals(extent="delta")
    crm.write(*(f"D{number},Ann,Talking,2026-01-05,,100" for number in range(20)))
    for _ in range(3):
        crm.fetch()
    crm.land()
    crm.query("""
        insert into ops.batch
        select night || '-' || part, 'files', landed_at, landed_at
        from (select night, timestamptz '2026-10-20' + night * interval 1 day as landed_at from range(7) as r (night)),
            range(2) as p (part);
        insert into ops.batch_object
        select batch_id, 'files', 'deals', 'delta', 20, 20, 0, 0, 0, null from ops.batch where landed_at < '2026-11-01';
        insert into ops.batch_verdict
        select batch_id, 'accepted', landed_at, null from ops.batch where landed_at < '2026-11-01'
    """)
    assert pending(crm, "share_of_usual") == [(1.5,)] * 3


def test_a_source_changed_last_when_its_last_record_did(crm: Any) -> None:
    crm.map_deals(columns={"updated_at": "changed"})
    future = f"{crm.clock.now + timedelta(days=400):%Y-%m-%d}"
    crm.write(f"{ANN},2026-01-05", f"{BOB},2026-01-06", f"D9,Bob,Talking,2026-01-06,,1,{future}", header=VERSIONED)
    crm.fetch()
    crm.land()
    assert pending(crm, "last_change_at") == [(datetime(2026, 1, 5, 23, tzinfo=UTC),)]


def test_shares_of_nothing_are_zero(crm: Any) -> None:
    crm.map_deals(extent="delta")
    crm.write()
    crm.fetch()
    crm.land()
    with duckdb.connect(str(crm.home / "warehouse.duckdb")) as connection:
        prepare_pending_views(connection)
    assert crm.query("select quarantined_share, vanished_share from pending.batch_object") == [(0, 0)]


# ---- decisions of people


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    folder = tmp_path / "seeds"
    folder.mkdir()
    (folder / "kpi_catalogue.csv").write_text("\ufeffkpi_code\nwon_amount\n", encoding="utf-8")
    (folder / "notes.md").write_text("not a seed")
    return folder


def test_decisions_are_raw_and_accepted_at_once(warehouse: Any, crm: Any, seeds: Path) -> None:
    batch = record_decisions(warehouse, crm.settings, seeds, crm.clock)
    assert batch is not None
    assert pending_batches(warehouse) == []
    ((payload,),) = warehouse.execute("select payload from raw.kpimart__setting where id = 'company'").fetchall()
    assert json.loads(payload) == crm.settings.decisions()
    assert warehouse.execute("select id, payload ->> 'content' from raw.kpimart__seed").fetchall() == [
        ("kpi_catalogue.csv", "kpi_code\nwon_amount\n")
    ]


def test_decisions_that_did_not_change_are_no_batch(warehouse: Any, crm: Any, seeds: Path) -> None:
    assert record_decisions(warehouse, crm.settings, seeds, crm.clock)
    assert record_decisions(warehouse, crm.settings, seeds, crm.clock) is None
    assert warehouse.execute("select count(*) from ops.batch").fetchall() == [(1,)]


def test_a_changed_seed_and_a_removed_one_are_versions(warehouse: Any, crm: Any, seeds: Path) -> None:
    record_decisions(warehouse, crm.settings, seeds, crm.clock)
    (seeds / "kpi_catalogue.csv").write_text("kpi_code\nwon_deals\n")
    record_decisions(warehouse, crm.settings, seeds, crm.clock)
    (seeds / "kpi_catalogue.csv").unlink()
    record_decisions(warehouse, crm.settings, seeds, crm.clock)
    versions = warehouse.execute("select payload ->> 'content', is_deleted from raw.kpimart__seed order by landed_at")
    assert versions.fetchall() == [
        ("kpi_code\nwon_amount\n", False),
        ("kpi_code\nwon_deals\n", False),
        ("kpi_code\nwon_deals\n", True),
    ]
    assert warehouse.execute("select count(*) from raw.kpimart__setting").fetchall() == [(1,)]


# ---- whatever comes, in whatever order

MOMENTS = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 6)]
A_VERSION = st.tuples(st.sampled_from("ab"), st.sampled_from(MOMENTS), st.sampled_from(["x", "y"]), st.booleans())
HISTORIES = st.lists(A_VERSION, min_size=1, max_size=8, unique_by=lambda version: version[:2])


def as_record(version: tuple[str, datetime, str, bool]) -> Record:
    record_id, updated_at, content, is_deleted = version
    payload = json.dumps({"content": content, "updated": updated_at.isoformat()})
    return Record(record_id, updated_at, is_deleted, payload)


def leave_package(
    home: Path,
    number: int,
    records: Sequence[Record],
    extracted_at: datetime,
    read: ObjectRead | None = None,
    listed: Sequence[Any] = (),
) -> None:
    """A complete package as a fetch leaves it, without the time that a fetch takes."""
    folder = home / "landing" / "files"
    batch = batch_of("deals", records, [], extracted_at, listed)
    account = read or ObjectRead("deals", "delta", len(records), 0, False)
    tables = {"deals": batch.rows, "listing": batch.listed, "package_object": object_table(account, extracted_at)}
    for name, table in tables.items():
        if table.num_rows:
            (folder / name).mkdir(parents=True, exist_ok=True)
            pq.write_table(table, folder / name / f"{number}.0.abc.parquet")
    (folder / "_dlt_loads").mkdir(exist_ok=True)
    (folder / "_dlt_loads" / f"files__{number}.0.jsonl").write_text(json.dumps({"load_id": f"{number}.0"}))


def histories_in_raw(home: Path, packages: Sequence[Sequence[Record]]) -> dict[str, list[str]]:
    """Per id, the payload hashes in the order of versions, after landing the packages one by one."""
    now = datetime(2026, 2, 1, tzinfo=UTC)
    with open_memory() as connection:
        take_steps(connection, STEPS)
        for number, records in enumerate(packages, start=1):
            leave_package(home, number, records, now)
            land(connection, Settings(home=home), clock=lambda: now)
            judge(connection, pending_batches(connection), "accepted", None, lambda: now)
            assert land(connection, Settings(home=home), clock=lambda: now) == []
        rows = connection.execute(
            "select id, payload_hash from raw.files__deals order by id, updated_at nulls first, landed_at"
        ).fetchall()
    return {key: [payload_hash for _, payload_hash in versions] for key, versions in groupby(rows, lambda row: row[0])}


@settings(max_examples=25)
@given(history=HISTORIES, data=st.data())
def test_however_versions_are_ordered_and_split_into_packages_the_histories_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, datetime, str, bool]], data: st.DataObject
) -> None:
    records = [as_record(version) for version in history]
    shuffled = data.draw(st.permutations(records))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(records)), max_size=3)))
    pieces = [shuffled[start:end] for start, end in zip([0, *cuts], [*cuts, len(records)], strict=True)]
    overlapping = [*pieces, data.draw(st.lists(st.sampled_from(records), unique=True))]
    at_once = histories_in_raw(tmp_path_factory.mktemp("at_once"), [records])
    in_pieces = histories_in_raw(tmp_path_factory.mktemp("in_pieces"), [piece for piece in overlapping if piece])
    assert in_pieces == at_once


@st.composite
def packages_of_anything(draw: st.DrawFn) -> list[tuple[list[Record], ObjectRead, list[Any]]]:
    """Packages that may be whole or news, tell that records vanished, or list ids; no version is there twice in one."""
    version = st.tuples(st.sampled_from("123"), st.sampled_from([None, *MOMENTS]), st.sampled_from("xy"), st.booleans())
    versions = st.lists(version, min_size=1, max_size=4, unique_by=lambda version: version[:2])
    cursor = draw(st.sampled_from([None, "{}"]))
    tells_absence = st.booleans() if draw(st.booleans()) else st.just(False)
    packages = []
    for _ in range(draw(st.integers(2, 4))):
        records = [Record(*each[:2], each[3], json.dumps({"content": each[2]})) for each in draw(versions)]
        is_full = draw(tells_absence)
        ids = draw(st.sets(st.sampled_from("123"))) if draw(tells_absence) else None
        listed = [] if ids is None else [(None, 2, None), *((None, 2, each) for each in sorted(ids))]
        read = ObjectRead("deals", "full" if is_full else "delta", len(records), 0, is_full, cursor)
        packages.append((records, read, listed))
    return packages


@settings(max_examples=20)
@given(packages=packages_of_anything())
def test_packages_that_land_together_are_stored_as_those_that_land_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, packages: list[tuple[list[Record], ObjectRead, list[Any]]]
) -> None:
    now = datetime(2026, 2, 1, tzinfo=UTC)
    stored = []
    for lands_each in (False, True):
        home = tmp_path_factory.mktemp("home")
        with open_memory() as connection:
            take_steps(connection, STEPS)
            for number, (records, read, listed) in enumerate(packages, start=1):
                leave_package(home, number, records, now, read, listed)
                if lands_each:
                    land(connection, Settings(home=home), clock=lambda: now)
            land(connection, Settings(home=home), clock=lambda: now)
            tables = ("raw.files__deals", "ops.batch", "ops.batch_object")
            stored.append([connection.execute(f"select * from {table} order by all").fetchall() for table in tables])
    assert stored[0] == stored[1]
