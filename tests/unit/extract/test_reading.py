"""Records of an API as rows: what is kept, what is refused, and what is told of fields that changed."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from kpimart.errors import BadSourceData, SourceUnreachable
from kpimart.extract.reading import ApiReading, keeper
from kpimart.extract.records import Batch, Known, ObjectRead, SchemaChange, silent
from kpimart.extract.source import ApiObject, Cursor, Json, Listing, Page, epoch_moment, id_at, iso_moment
from kpimart.settings import ApiSettings

NOW = datetime(2026, 11, 1, 2, tzinfo=UTC)

Pages = Sequence[Page | Exception]


def deals(**changed: Any) -> ApiObject[Pages]:
    """Deals that are read from a list of pages, beginning with the one that the cursor names."""

    def read(pages: Pages, cursor: Cursor) -> Iterator[Page]:
        for page in pages[cursor.get("page", 0) :]:
            if isinstance(page, Exception):
                raise page
            yield page

    parts: dict[str, Any] = {
        "name": "deals",
        "read": read,
        "keep": ("id", "fields.stage", "fields.amount"),
        "needed": {"id": (int,), "fields.stage": (str,)},
        "updated_at": iso_moment("changed"),
        "personal": ("fields.phone",),
    }
    return ApiObject(**{**parts, **changed})


NOTHING = Known(None, None)


def reading(pages: Pages, known: Known = NOTHING, settings: ApiSettings | None = None) -> ApiReading[Pages]:
    return ApiReading("crm", deals(), pages, settings or ApiSettings(), known, silent)


def deal(number: int, stage: Any = "new", changed: str = "2026-10-01T09:30:00+02:00", **fields: Any) -> Json:
    return {"id": number, "changed": changed, "fields": {"stage": stage, **fields}}


def taken(read: ApiReading[Any], *, is_enough: bool = False) -> tuple[list[Batch], ObjectRead]:
    *batches, account = read.take(NOW, lambda: is_enough)
    assert isinstance(account, ObjectRead)
    return batches, account  # type: ignore[return-value]


def rows(batches: list[Batch]) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.rows.to_pylist()]


# What is kept


def test_a_record_becomes_a_row_of_what_the_allow_list_lets_through() -> None:
    batches, account = taken(reading([Page([deal(7, amount=1.50, phone="0123", note="x")], {"page": 1})]))
    (row,) = rows(batches)
    assert row == {
        "id": "7",
        "updated_at": datetime(2026, 10, 1, 7, 30, tzinfo=UTC),
        "is_deleted": False,
        "payload": '{"fields":{"amount":1.5,"stage":"new"},"id":7}',
        "extracted_at": NOW,
    }
    assert (account.rows_read, account.rows_quarantined, account.cursor) == (1, 0, '{"page":1}')


def test_personal_data_and_further_properties_are_kept_where_the_settings_say_so() -> None:
    chosen = ApiSettings(personal_data=True, properties={"deals": ("fields.note",)})
    batches, _ = taken(reading([Page([deal(7, phone="0123", note="x")], {})], settings=chosen))
    assert orjson.loads(rows(batches)[0]["payload"])["fields"] == {"stage": "new", "phone": "0123", "note": "x"}


def test_an_allow_list_looks_through_lists_and_keeps_whole_what_lies_under_a_path() -> None:
    kept = keeper(("users.id", "history", "history.by"))
    record = {"users": [{"id": 1, "mail": "a@b"}, {"mail": "c@d"}], "history": [{"by": 1, "at": 2}], "mail": "e@f"}
    assert kept(record) == {"users": [{"id": 1}, {}], "history": [{"by": 1, "at": 2}]}


@pytest.mark.parametrize(
    ("record", "record_id", "reason"),
    [
        ({"changed": None, "fields": {"stage": "new"}}, None, "expected an id at 'id', found None"),
        (
            {"id": 8, "changed": "yesterday", "fields": {"stage": "new"}},
            "8",
            "Invalid isoformat string: 'yesterday'",
        ),
        (
            {"id": 8, "changed": "2026-10-01T09:30:00", "fields": {"stage": "new"}},
            "8",
            "expected a time with its offset at 'changed', found '2026-10-01T09:30:00'",
        ),
        ("deal 8", None, "expected an object, found str"),
    ],
)
def test_a_record_that_cannot_be_used_goes_to_quarantine(record: Any, record_id: str | None, reason: str) -> None:
    batches, account = taken(reading([Page([deal(7), record], {})]))
    (refused,) = batches[0].quarantined.to_pylist()
    assert (refused["place"], refused["record_id"], refused["reason"]) == ("record 2", record_id, reason)
    assert (account.rows_read, account.rows_quarantined) == (2, 1)


def test_what_is_quarantined_holds_no_more_than_what_may_be_kept() -> None:
    batches, _ = taken(reading([Page([deal(7, changed="never", phone="0123")], {})]))
    assert batches[0].quarantined.to_pylist()[0]["payload"] == '{"id":7,"fields":{"stage":"new"}}'


def test_a_listing_is_its_bounds_and_its_ids() -> None:
    batches, _ = taken(reading([Page(listings=(Listing(("1", "2"), 1, 50), Listing(())), cursor={})]))
    assert [tuple(row.values()) for row in batches[0].listed.to_pylist()] == [
        ("deals", 1, 50, None),
        ("deals", 1, 50, "1"),
        ("deals", 1, 50, "2"),
        ("deals", None, None, None),
    ]


def test_moments_and_ids_are_read_as_they_are_written() -> None:
    assert epoch_moment("at")({"at": 1_790_000_000}) == datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
    assert epoch_moment("at")({"at": None}) is None
    with pytest.raises(ValueError, match="expected seconds since 1970 at 'at', found 'soon'"):
        epoch_moment("at")({"at": "soon"})
    assert id_at("a.id")({"a": {"id": 5}}) == "5"


def test_fields_and_allow_list_hold_for_more_kinds_of_records_than_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kpimart.extract.reading.REMEMBERED_SHAPES", 1)
    records = [deal(1, amount=5), deal(2), deal(3, amount=None), deal(4, amount="6"), deal(5, amount=5, note="x")]
    batches, account = taken(reading([Page(records, {})]))
    kept = [orjson.loads(row["payload"])["fields"].get("amount", "–") for row in rows(batches)]
    assert kept == [5, "–", None, "6", 5]
    assert orjson.loads(account.fields or "")["fields.amount"] == ["number", "text"]


# Where it goes on


def test_a_piece_ends_at_a_place_to_go_on_from_and_the_next_one_begins_there() -> None:
    pages = [Page([deal(1)]), Page([deal(2)], {"page": 2}), Page([deal(3)], {"page": 3})]
    read = reading(pages)
    first, account = taken(read, is_enough=True)
    assert [row["id"] for row in rows(first)] == ["1", "2"]
    assert (account.cursor, read.is_done) == ('{"page":2}', False)
    second, account = taken(read)
    assert [row["id"] for row in rows(second)] == ["3"]
    assert (account.cursor, read.is_done) == ('{"page":3}', True)


def test_pages_are_handed_over_together_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpimart.extract.reading.BATCH_RECORDS", 4)
    pages = [Page([deal(number), deal(number + 1)], {"page": number}) for number in (1, 3, 5)]
    batches, account = taken(reading(pages))
    assert [[row["id"] for row in rows([batch])] for batch in batches] == [["1", "2", "3", "4"], ["5", "6"]]
    assert account.rows_read == 6


def test_a_later_fetch_goes_on_from_the_cursor_that_is_known() -> None:
    batches, _ = taken(reading([Page([deal(1)], {"page": 1}), Page([deal(2)], {"page": 2})], Known('{"page":1}', None)))
    assert [row["id"] for row in rows(batches)] == ["2"]


def test_a_failure_keeps_what_was_read_and_the_place_before_it() -> None:
    away = SourceUnreachable("the CRM is away")
    read = reading([Page([deal(1)], {"page": 1}), Page([deal(2)]), away])
    batches, account = taken(read)
    assert [row["id"] for row in rows(batches)] == ["1", "2"]
    assert (account.cursor, account.rows_read, read.failure) == ('{"page":1}', 2, away)


# Fields that change


def known_fields(*pages: Page) -> str:
    _, account = taken(reading(list(pages)))
    assert account.fields is not None
    return account.fields


FIFTY = [deal(number, amount=1) for number in range(50)]


def test_fields_are_not_new_when_nothing_was_known() -> None:
    _, account = taken(reading([Page(FIFTY, {})]))
    assert account.schema_changes == ()
    assert orjson.loads(account.fields or "") == {
        "id": ["number"],
        "changed": ["text"],
        "fields": ["object"],
        "fields.stage": ["text"],
        "fields.amount": ["number"],
    }


def test_a_new_a_retyped_and_a_vanished_field_are_told_once() -> None:
    known = Known(None, known_fields(Page(FIFTY, {})))
    later = [deal(number, region="N") for number in range(50)]
    later[0]["changed"], later[1]["fields"]["stage"] = None, None
    read = reading([Page([{**one, "id": one["id"], "extra": [1]} for one in later], {})], known)
    _, account = taken(read)
    assert account.schema_changes == (
        SchemaChange("deals", "extra", "new", None, "list"),
        SchemaChange("deals", "fields.region", "new", None, "text"),
        SchemaChange("deals", "fields.amount", "vanished", "number", None),
    )
    _, again = taken(reading([Page([{**one, "extra": [1]} for one in later], {})], Known(None, account.fields)))
    assert again.schema_changes == ()


def test_a_field_that_staging_does_not_need_may_change_its_type() -> None:
    known = Known(None, known_fields(Page(FIFTY, {})))
    _, account = taken(reading([Page([deal(1, amount="1,50 €")], {})], known))
    assert account.schema_changes == (SchemaChange("deals", "fields.amount", "retyped", "number", "text"),)


def test_few_records_do_not_tell_that_a_field_has_vanished() -> None:
    known = Known(None, known_fields(Page(FIFTY, {})))
    _, account = taken(reading([Page([deal(1)], {})], known))
    assert account.schema_changes == ()


def test_a_needed_field_of_another_type_stops_the_run_before_its_page_is_kept() -> None:
    read = reading([Page([deal(1)], {"page": 1}), Page([deal(2, stage={"id": 5})], {"page": 2})])
    batches, account = taken(read)
    assert isinstance(read.failure, BadSourceData)
    assert "crm deals: field fields.stage is of type object now, expected text" in str(read.failure)
    assert ([row["id"] for row in rows(batches)], account.cursor) == (["1"], "{}")


def test_a_needed_field_that_no_record_has_stops_the_run() -> None:
    read = reading([Page([{"id": 1, "changed": None, "fields": {}}], {"page": 1})])
    _, account = taken(read)
    assert isinstance(read.failure, BadSourceData)
    assert account.cursor == "{}"  # so that it stops the next run too, until somebody mended it
    assert "crm deals: no record of 1 has fields.stage any more, which staging needs" in str(read.failure)


def test_nothing_read_tells_nothing_of_fields() -> None:
    read = reading([Page(cursor={"page": 1})], Known(None, known_fields(Page(FIFTY, {}))))
    _, account = taken(read)
    assert (read.failure, account.schema_changes) == (None, ())
