"""Exports as they come: what is read, what is put aside and why, and what ends the reading."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kpimart.errors import BadSourceData, SettingsError, SourceUnreachable

GOOD = "D1,Ann,Won,2026-01-05,2026-02-01,1054"
SECOND = "D2,Bob,Talking,2026-01-06,,"


def only_deal(crm: Any) -> dict[str, Any]:
    rows, quarantined, _ = crm.read()
    assert quarantined == []
    (deal,) = rows["deals"]
    return deal


def refusal(crm: Any, kind: type[Exception]) -> str:
    with pytest.raises(kind) as error:
        crm.read()
    return str(error.value)


# ---- what is read


def test_a_record_keeps_the_mapped_columns_as_the_source_wrote_them(crm: Any) -> None:
    crm.write(
        "D1,Ann,Won,2026-01-05,2026-02-01,1054,secret", header="opportunity,agent,stage,created,closed,amount,phone"
    )
    deal = only_deal(crm)
    assert deal["id"] == "D1"
    assert deal["updated_at"] is None
    assert deal["is_deleted"] is False
    assert deal["extracted_at"] == crm.clock()
    assert deal["payload"] == {
        "opportunity": "D1",
        "agent": "Ann",
        "stage": "Won",
        "created": "2026-01-05",
        "closed": "2026-02-01",
        "amount": "1054",
    }


def test_padding_is_ignored_for_checks_and_ids_and_kept_in_the_payload(crm: Any) -> None:
    crm.write(
        " D1 ,\u00a0Ann ,\tWon , 2026-01-05,2026-02-01 , 1054 ",
        header=" opportunity ,agent, stage,created,closed,amount",
    )
    deal = only_deal(crm)
    assert deal["id"] == "D1"
    assert deal["payload"]["agent"] == "\u00a0Ann "


def test_a_byte_order_mark_and_crlf_are_no_part_of_the_data(crm: Any) -> None:
    crm.write(GOOD)
    expected = only_deal(crm)
    crm.write_bytes(b"\xef\xbb\xbf" + (crm.folder / "deals.csv").read_bytes().replace(b"\n", b"\r\n"))
    assert only_deal(crm) == expected


def test_blank_lines_are_no_records(crm: Any) -> None:
    crm.write("", GOOD, " ", "")
    assert only_deal(crm)["id"] == "D1"


def test_a_quoted_field_may_hold_delimiters_quotes_and_line_ends(crm: Any) -> None:
    crm.write('D1,"Ann ""the, fox""\nsecond line",Won,,,1', SECOND)
    rows, quarantined, _ = crm.read()
    assert quarantined == []
    assert rows["deals"][0]["payload"]["agent"] == 'Ann "the, fox"\nsecond line'


@pytest.mark.parametrize("encoding", ["windows-1251", "utf-16", "utf-8"])
def test_the_encoding_is_the_mappings(crm: Any, encoding: str) -> None:
    crm.map_deals(encoding=encoding, delimiter=";", columns={"manager": "Менеджер"})
    text = "opportunity;Менеджер;stage;created;closed;amount\nD1;Мария;Won;;;1\n"
    crm.write_bytes(text.encode(encoding))
    assert only_deal(crm)["payload"]["Менеджер"] == "Мария"


def test_a_clean_up_makes_a_stage_known(crm: Any) -> None:
    crm.write("D1,Ann, Gewonnen ,,,1")
    assert only_deal(crm)["payload"]["stage"] == " Gewonnen "


def test_local_formats_are_read_as_mapped(crm: Any) -> None:
    crm.map_deals(
        date_format="%d.%m.%Y",
        decimal_mark=",",
        delimiter=";",
        columns={"updated_at": {"column": "changed", "format": "%d.%m.%Y %H:%M"}},
    )
    header = "opportunity;agent;stage;created;closed;amount;changed"
    crm.write("D1;Ann;Won;05.01.2026;1.2.2026;1.054,50;02.07.2026 10:00", header=header)
    assert only_deal(crm)["updated_at"] == datetime(2026, 7, 2, 8, tzinfo=UTC)


def test_a_deal_of_an_unknown_manager_is_read(crm: Any) -> None:
    crm.write("D1,,Won,,,1")
    assert only_deal(crm)["payload"]["agent"] == ""


def test_columns_in_another_order_make_the_same_payload(crm: Any) -> None:
    crm.write(GOOD)
    before = only_deal(crm)["payload"]
    crm.write("1054,D1,2026-02-01,Won,Ann,2026-01-05", header="amount,opportunity,closed,stage,agent,created")
    after = only_deal(crm)["payload"]
    assert orjson.dumps(before) == orjson.dumps(after)


def test_progress_is_told_as_it_goes(crm: Any) -> None:
    from kpimart.extract.files import open_files

    told: list[tuple[str, int]] = []
    crm.write(GOOD, SECOND)
    list(
        open_files(
            crm.settings, crm.folder, extracted_at=crm.clock(), progress=lambda name, rows: told.append((name, rows))
        )
    )
    assert told == [("deals", 2)]


# ---- what is put aside


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("D2,Bob,Talking,2026-13-01,,", "created: expected a time as YYYY-MM-DD"),
        ("D2,Bob,Talking,0026-01-01,,", "created: expected a time"),
        ("D2,Bob,Talking,,,12x", "amount: expected an amount such as 1234.56, found '12x'"),
        ("D2,Bob,Talking,,,NaN", "amount: expected an amount such as 1234.56, found 'NaN'"),
        ("D2,Bob,Talking,,,99999999999999999", "amount: expected an amount such as 1234.56, found '99999999999999999'"),
        ("D2,Bob,Wno,,,1", "stage: expected a stage of the settings (Talking, Won, Lost), found 'Wno'"),
        ("D2,Bob,,,,1", "stage: expected a value, found nothing"),
        ("D2,Bob,Talking,,,1,more", "expected 6 fields, found 7"),
        ("D2,Bob", "expected 6 fields, found 2"),
    ],
)
def test_a_record_that_cannot_be_used_is_put_aside_with_the_reason(crm: Any, row: str, reason: str) -> None:
    crm.write(GOOD, row, "D3,Ann,Lost,,,0")
    rows, (refused,), (read,) = crm.read()
    assert [deal["id"] for deal in rows["deals"]] == ["D1", "D3"]
    assert refused["object"] == "deals"
    assert refused["place"] == "deals.csv, row 3"
    assert refused["record_id"] == "D2"
    assert reason in refused["reason"]
    assert "Bob" in refused["payload"]
    assert (read.rows_read, read.rows_quarantined) == (3, 1)
    assert read.can_tell_vanished


def test_a_record_without_an_id_is_put_aside_and_hides_what_vanished(crm: Any) -> None:
    crm.write(GOOD, " ,Bob,Talking,,,")
    _, (refused,), (read,) = crm.read()
    assert refused["reason"] == "expected an id in 'opportunity', found nothing"
    assert not read.can_tell_vanished


def test_a_duplicate_is_put_aside_and_the_first_stays(crm: Any) -> None:
    crm.write(GOOD, "D1 ,Bob,Lost,,,0", SECOND)
    rows, (refused,), _ = crm.read()
    assert [deal["payload"]["agent"] for deal in rows["deals"]] == ["Ann", "Bob"]
    assert refused["place"] == "deals.csv, row 3"
    assert refused["reason"] == "expected one record with id 'D1', found another: deals.csv, row 2 is first"


def test_a_duplicate_in_another_file_is_one_too(crm: Any) -> None:
    crm.map("deals", "more.csv", crm.files["deals"][0]["columns"])
    crm.write(GOOD)
    crm.write(SECOND, GOOD, file="more.csv")
    refused = crm.refused()
    assert refused["place"] == "more.csv, row 3"
    assert "deals.csv, row 2 is first" in refused["reason"]


def test_rows_that_differ_in_updated_at_are_versions_of_one_record(crm: Any) -> None:
    crm.map_deals(columns={"updated_at": "changed"})
    header = "opportunity,agent,stage,created,closed,amount,changed"
    crm.write("D1,Ann,Talking,,,1,2026-01-01", "D1,Ann,Won,,,1,2026-02-01", "D1,Ann,Lost,,,1,2026-02-01", header=header)
    rows, (refused,), _ = crm.read()
    assert [deal["payload"]["stage"] for deal in rows["deals"]] == ["Talking", "Won"]
    assert refused["place"] == "deals.csv, row 4"


def test_a_file_that_repeats_itself_by_design_is_read_once_a_record(crm: Any) -> None:
    crm.write(GOOD)
    crm.map("departments", "teams.csv", {"id": "team", "parent": "office"}, distinct=True)
    crm.write(
        "Ann,North,East",
        "Bob,North,East",
        "Cid,South,West",
        "Dan,North,West",
        file="teams.csv",
        header="agent,team,office",
    )
    rows, (refused,), reads = crm.read()
    assert [row["id"] for row in rows["departments"]] == ["North", "South"]
    assert refused["place"] == "teams.csv, row 5"
    assert reads[1].rows_read == 4


def test_broken_utf8_spoils_its_own_record_only(crm: Any) -> None:
    crm.write_bytes(
        f"opportunity,agent,stage,created,closed,amount\n{GOOD}\n".encode() + b"D2,J\xfcrgen,Won,,,1\nD3,Ann,Won,,,1\n"
    )
    rows, (refused,), _ = crm.read()
    assert [deal["id"] for deal in rows["deals"]] == ["D1", "D3"]
    assert refused["place"] == "deals.csv, row 3"
    assert refused["record_id"] == "D2"
    assert refused["reason"] == "agent: expected text in utf-8, found other bytes: 'J\ufffdrgen'"
    assert orjson.loads(refused["payload"])["agent"] == "J\ufffdrgen"


def test_a_quote_that_is_never_closed_costs_one_record(crm: Any) -> None:
    crm.write('D1,"Ann,Won,,,1', SECOND, 'D3,"Ann",Won,,,1')
    rows, (refused,), _ = crm.read()
    assert [deal["id"] for deal in rows["deals"]] == ["D2", "D3"]
    assert refused["payload"] == 'D1,"Ann,Won,,,1'
    assert "found quotes that do not fit" in refused["reason"]


def test_a_quote_that_is_never_closed_in_the_last_record_costs_no_other(crm: Any) -> None:
    crm.write(GOOD, 'D2,"Ann,Won,,,1', "D3,Ann,Won,,,1")
    rows, (refused,), _ = crm.read()
    assert [deal["id"] for deal in rows["deals"]] == ["D1", "D3"]
    assert refused["place"] == "deals.csv, row 3"


def test_a_choice_and_a_composed_id_are_checked_too(crm: Any) -> None:
    crm.write(GOOD)
    crm.map("stage_changes", "moves.csv", {"deal": "deal", "stage": "to", "changed_at": "at"})
    crm.map("activities", "calls.csv", {"id": "id", "type": "what", "occurred_at": "at"})
    crm.write(
        "D1,Talking,2026-01-05T10:00",
        "D1,Won,2026-02-01T10:00",
        ",Won,2026-02-01",
        file="moves.csv",
        header="deal,to,at",
    )
    crm.write("1,call,2026-01-05", "2,lunch,2026-01-05", file="calls.csv", header="id,what,at")
    rows, (call, move), _ = crm.read()
    assert [row["id"] for row in rows["stage_changes"]] == ["D1|2026-01-05T10:00|Talking", "D1|2026-02-01T10:00|Won"]
    assert move["reason"] == "expected an id in 'deal', found nothing"
    assert call["reason"] == "what: expected one of call, meeting, email, task, found 'lunch'"


@pytest.mark.parametrize(("mapped", "read"), [({}, ["1"]), ({"due_at": "due"}, ["1", "2"])])
def test_what_is_only_planned_has_not_taken_place(crm: Any, mapped: dict[str, str], read: list[str]) -> None:
    """Where the export tells plans, an activity need not have happened; elsewhere its time is missing."""
    crm.write(GOOD)
    crm.map("activities", "calls.csv", {"id": "id", "type": "what", "occurred_at": "at", **mapped})
    crm.write("1,call,2026-01-05,2026-01-04", "2,call,,2026-01-09", file="calls.csv", header="id,what,at,due")
    rows, refused, _ = crm.read()
    assert [row["id"] for row in rows["activities"]] == read
    assert [call["reason"] for call in refused] == ["at: expected a value, found nothing"] * (2 - len(read))


def test_a_part_of_an_id_that_nobody_needs_may_be_empty_or_missing(crm: Any) -> None:
    crm.write(GOOD)
    crm.map("deal_splits", "shares.csv", {"deal": "deal", "manager": "who", "share": "part", "valid_from": "since"})
    crm.write(
        "D1,Ann,0.6,",
        "D1,Bob,40%,",
        "D1,Bob,1,2026-02-01",
        "D1,,1,2026-02-01",
        "D1,Cid,60,2026-02-01",
        file="shares.csv",
        header="deal,who,part,since",
    )
    rows, (nobody, too_much), _ = crm.read()
    assert [row["id"] for row in rows["deal_splits"]] == ["D1|Ann|", "D1|Bob|", "D1|Bob|2026-02-01"]
    assert nobody["reason"] == "expected an id in 'who', found nothing"
    assert too_much["reason"].startswith("part: expected a share from 0 to 1, such as 0.6")


def test_a_deleted_record_may_be_hollow(crm: Any) -> None:
    crm.map_deals(columns={"is_deleted": "gone"})
    crm.write("D1,,,,,,Yes", "D2,,,,,,no", header="opportunity,agent,stage,created,closed,amount,gone")
    rows, (refused,), _ = crm.read()
    assert [(deal["id"], deal["is_deleted"]) for deal in rows["deals"]] == [("D1", True)]
    assert refused["record_id"] == "D2"


def test_targets_are_versioned_by_when_they_were_set(crm: Any) -> None:
    crm.write(GOOD)
    names = ["kpi_code", "entity_level", "entity", "period_grain", "period_start", "value", "set_at"]
    crm.map("targets", "targets.csv", {name: name for name in names})
    first = "won_amount,manager,Ann,month,2026-01-01,1000,2025-12-01"
    crm.write(first, first.replace("1000,2025-12-01", "1200,2026-01-10"), file="targets.csv", header=",".join(names))
    rows, quarantined, _ = crm.read()
    assert quarantined == []
    assert [row["updated_at"].date() for row in rows["targets"]] == [date(2025, 11, 30), date(2026, 1, 9)]
    assert {row["id"] for row in rows["targets"]} == {"won_amount|manager|Ann|month|2026-01-01"}


# ---- NDJSON


@pytest.fixture
def ndjson(crm: Any) -> Any:
    crm.map_deals(file="deals.ndjson")
    return crm


def ndjson_deal(**values: Any) -> bytes:
    deal = {"opportunity": "D1", "agent": "Ann", "stage": "Won", "created": None, "closed": None, "amount": 1}
    return orjson.dumps({**deal, **values}) + b"\n"


def test_ndjson_values_keep_their_types(ndjson: Any) -> None:
    ndjson.write_bytes(b"\xef\xbb\xbf" + ndjson_deal(opportunity=17, amount=10.5, phone="secret"), file="deals.ndjson")
    deal = only_deal(ndjson)
    assert deal["id"] == "17"
    assert deal["payload"] == {
        "opportunity": 17,
        "agent": "Ann",
        "stage": "Won",
        "created": None,
        "closed": None,
        "amount": 10.5,
    }


def test_a_number_too_fine_for_a_double_is_kept_as_text(ndjson: Any) -> None:
    line = ndjson_deal(amount=1).replace(b'"amount":1', b'"amount":1234567890123456.78')
    ndjson.write_bytes(line, file="deals.ndjson")
    assert only_deal(ndjson)["payload"]["amount"] == "1234567890123456.78"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1, 2]\n", "expected a JSON object, found list"),
        (b'{"opportunity": \n', "expected a JSON object, found no JSON"),
        (b'{"opportunity": "D2", "agent": "J\xfcrgen"}\n', "expected a JSON object, found no JSON"),
        (ndjson_deal(opportunity="D2", agent={"name": "Ann"}), "expected a plain value, found dict"),
        (ndjson_deal(opportunity="D2", amount=True), "amount: expected an amount"),
        (ndjson_deal(opportunity="D2", amount=1e300), "amount: expected an amount"),
        (ndjson_deal(opportunity=""), "expected an id in 'opportunity', found nothing"),
    ],
)
def test_a_line_that_is_no_record_is_put_aside(ndjson: Any, line: bytes, reason: str) -> None:
    ndjson.write_bytes(ndjson_deal() + b"\n" + line, file="deals.ndjson")
    rows, (refused,), _ = ndjson.read()
    assert len(rows["deals"]) == 1
    assert refused["place"] == "deals.ndjson, line 3"
    assert reason in refused["reason"]


def test_a_key_that_no_ndjson_record_has_is_a_missing_column(ndjson: Any) -> None:
    ndjson.write_bytes(ndjson_deal().replace(b'"amount"', b'"amounts"'), file="deals.ndjson")
    assert "no column 'amount', which is mapped to amount; did you mean 'amounts'?" in refusal(ndjson, BadSourceData)


# ---- Parquet


@pytest.fixture
def parquet(crm: Any) -> Any:
    crm.map_deals(file="deals.parquet", columns={"updated_at": "changed"})
    return crm


def parquet_deal(crm: Any, **columns: pa.Array) -> None:
    usual = {
        "opportunity": pa.array([17]),
        "agent": pa.array(["Ann"]).dictionary_encode(),
        "stage": pa.array(["Won"]),
        "created": pa.array([datetime(2026, 1, 5, 10)], pa.timestamp("ns")),  # noqa: DTZ001
        "closed": pa.array([date(2026, 2, 1)]),
        "amount": pa.array([Decimal("1054.00")]),
        "changed": pa.array([datetime(2026, 2, 1, 10, tzinfo=UTC)], pa.timestamp("ms", "Asia/Tokyo")),
    }
    pq.write_table(pa.table({**usual, **columns}), crm.folder / "deals.parquet")


def test_parquet_values_become_text_that_reads_back_exactly(parquet: Any) -> None:
    parquet_deal(parquet)
    deal = only_deal(parquet)
    assert deal["id"] == "17"
    assert deal["updated_at"] == datetime(2026, 2, 1, 10, tzinfo=UTC)
    assert deal["payload"] == {
        "opportunity": 17,
        "agent": "Ann",
        "stage": "Won",
        "created": "2026-01-05T10:00:00",
        "closed": "2026-02-01",
        "amount": "1054.00",
        "changed": "2026-02-01T10:00:00+00:00",
    }


def test_a_parquet_amount_that_is_no_number_is_put_aside(parquet: Any) -> None:
    parquet_deal(parquet, amount=pa.array([float("nan")]))
    assert parquet.refused()["reason"] == "amount: expected an amount such as 1234.56, found 'nan'"
    assert parquet.refused()["place"] == "deals.parquet, row 1"


def test_a_parquet_column_of_lists_is_refused(parquet: Any) -> None:
    parquet_deal(parquet, agent=pa.array([["Ann", "Bob"]]))
    assert "a mapped column is of type list<" in refusal(parquet, BadSourceData)


def test_a_file_that_is_not_parquet_says_so(parquet: Any) -> None:
    parquet.write_bytes(b"opportunity,agent\n", file="deals.parquet")
    assert "is not a Parquet file" in refusal(parquet, BadSourceData)


# ---- what ends the reading


def test_a_missing_file_is_an_unreachable_source(crm: Any) -> None:
    message = refusal(crm, SourceUnreachable)
    assert message.startswith(f"deals: {crm.folder / 'deals.csv'}: No such file or directory")
    assert SourceUnreachable.exit_code == 4


def test_a_missing_folder_is_an_unreachable_source(crm: Any) -> None:
    crm.folder = Path("/nowhere/at/all")
    assert "there is no folder /nowhere/at/all" in refusal(crm, SourceUnreachable)


def test_no_folder_at_all_is_a_setting_that_is_missing(crm: Any) -> None:
    crm.folder = None
    assert "name it there, or with --files FOLDER" in refusal(crm, SettingsError)


@pytest.mark.parametrize("locked", ["folder", "file"])
def test_a_folder_or_file_without_permission_is_an_unreachable_source(crm: Any, tmp_path: Path, locked: str) -> None:
    crm.write(GOOD)
    target = crm.folder if locked == "folder" else crm.folder / "deals.csv"
    target.chmod(0)
    script = (
        "import os, sys; from pathlib import Path; from datetime import UTC, datetime\n"
        "from kpimart.extract.files import open_files; from kpimart.settings import Settings\n"
        "import orjson; settings = Settings(**orjson.loads(sys.argv[1]))\n"
        # Root may read everything, so root becomes somebody else, now that all is imported.
        "os.geteuid() or os.setuid(65534)\n"
        "open_files(settings, Path(sys.argv[2]), extracted_at=datetime.now(UTC))"
    )
    for parent in (tmp_path, *tmp_path.parents):
        if parent.owner() == tmp_path.owner() and parent != Path(parent.anchor):
            parent.chmod(parent.stat().st_mode | 0o055)
    settings = orjson.dumps({"files": crm.settings.model_dump(mode="json")["files"]}).decode()
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, settings, str(crm.folder)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "PYTHONPATH": "."},
        )
    finally:
        target.chmod(0o755)
    assert "SourceUnreachable: deals: " in done.stderr
    assert "Permission denied; check the folder, the name and the rights" in done.stderr


def test_a_missing_column_is_told_with_what_is_there(crm: Any) -> None:
    crm.write(GOOD, header="opportunity,agent,stage,created,closed,amuont")
    message = refusal(crm, BadSourceData)
    assert "no column 'amount', which is mapped to amount; did you mean 'amuont'?" in message
    assert "the file has: opportunity, agent, stage, created, closed, amuont" in message


def test_a_wrong_delimiter_is_guessed_at(crm: Any) -> None:
    crm.write(GOOD.replace(",", ";"), header="opportunity;agent;stage;created;closed;amount")
    assert "is the delimiter ';'?" in refusal(crm, BadSourceData)


def test_a_mapped_column_that_stands_twice_is_refused(crm: Any) -> None:
    crm.write(GOOD + ",5", header="opportunity,agent,stage,created,closed,amount,amount")
    assert "column 'amount' stands 2 times" in refusal(crm, BadSourceData)


@pytest.mark.parametrize("file", ["deals.csv", "deals.ndjson"])
def test_an_empty_file_is_refused(crm: Any, file: str) -> None:
    crm.map_deals(file=file)
    crm.write_bytes(b"", file=file)
    assert f"{file}: is empty (0 bytes), expected records" in refusal(crm, BadSourceData)


def test_a_header_alone_is_no_full_export(crm: Any) -> None:
    crm.write()
    assert "holds no record, expected a full export" in refusal(crm, BadSourceData)


def test_a_header_alone_is_a_delta_without_news(crm: Any) -> None:
    crm.map_deals(extent="delta")
    crm.write()
    _, quarantined, (read,) = crm.read()
    assert quarantined == []
    assert read.rows_read == 0
    assert not read.can_tell_vanished


def test_a_header_in_another_encoding_is_refused(crm: Any) -> None:
    crm.map_deals(columns={"manager": "Менеджер"})
    crm.write_bytes("opportunity,Менеджер,stage,created,closed,amount\nD1,Мария,Won,,,1\n".encode("windows-1251"))
    assert "its header is not utf-8" in refusal(crm, BadSourceData)


def test_a_file_that_is_not_in_its_encoding_at_all_is_refused(crm: Any) -> None:
    crm.map_deals(encoding="utf-16")
    crm.write(GOOD)
    assert "cannot be read as utf-16" in refusal(crm, BadSourceData)


def test_a_wrong_mapping_is_told_before_a_file_is_opened(crm: Any) -> None:
    crm.map_deals(columns={"amuont": "amount"})
    assert "did you mean 'amount'?" in refusal(crm, SettingsError)


@pytest.mark.parametrize("change", ["grows", "goes"])
def test_an_export_that_changes_while_it_is_read_is_refused_as_a_whole(crm: Any, change: str) -> None:
    from kpimart.extract.files import open_files

    crm.write(GOOD)
    crm.map("managers", "agents.csv", {"id": "agent"})
    crm.write("Ann", file="agents.csv", header="agent")
    items = open_files(crm.settings, crm.folder, extracted_at=crm.clock())
    next(items)
    if change == "grows":
        crm.write(GOOD, SECOND)
    else:
        (crm.folder / "deals.csv").unlink()
    with pytest.raises(SourceUnreachable, match=r"deals\.csv changed while the export was read, of which nothing"):
        list(items)
