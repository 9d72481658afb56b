"""amoCRM's connector against the demo's account, which refuses what the real one refuses."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from demo_crm import DemoCrm

from kpimart.demo.server.amocrm import (
    ACCESS_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    RATE,
    REDIRECT_URI,
    REFRESH_TOKEN,
    TOKEN,
)
from kpimart.demo.server.amocrm_records import EXPECTED_CLOSE_FIELD, Records, users
from kpimart.demo.server.app import serve
from kpimart.demo.server.faults import Kind
from kpimart.demo.server.served import Served
from kpimart.demo.server.table import Table
from kpimart.demo.server.world import World, person_of
from kpimart.errors import AccessRefused, SettingsError, SourceUnreachable
from kpimart.extract import amocrm
from kpimart.extract.amocrm import CALLS, EVENTS, NOTES, RATES, SOURCE, connect
from kpimart.extract.http import Http
from kpimart.extract.reading import keeper
from kpimart.extract.source import Cursor, Json, Page
from kpimart.settings import Settings

OPENED_ON, UNTIL = date(2026, 4, 1), date(2026, 7, 1)
LONG_AGO: Cursor = {"since": 0}
OBJECT = {each.name: each for each in SOURCE.objects}
ORDERED = ("leads", "companies", "contacts")
WINDOWED = ("events", "calls", "notes", "tasks")
WHOLE = ("users", "unsorted", "groups", "pipelines", "account")
FirstLoad = Callable[[str], list[Page]]
TYPES = {"events": EVENTS.types, "calls": CALLS.types, "notes": NOTES.types}


class AmoCrm(DemoCrm):
    """A small account, and how it is read."""

    source = SOURCE

    def access(self) -> dict[str, Any]:
        return {"url": f"{self.url}/amocrm", "token": TOKEN}

    def rows(self, name: str) -> list[Json]:
        """What the account has."""
        has = Records(self.world)
        tables: dict[str, Callable[[], Table]] = {
            "leads": has.leads,
            "companies": has.companies,
            "contacts": has.contacts,
            "tasks": has.tasks,
            "notes": has.notes,
            "unsorted": has.unsorted,
            "users": lambda: users(self.world),
        }
        table = tables.get(name, has.events)()
        rows = table.page([], (), offset=0, limit=len(table), count=False).rows
        wanted = TYPES.get(name)
        return [row for row in rows if not wanted or row["note_type" if name == "notes" else "type"] in wanted]


@contextmanager
def served_account(*, limits: bool = False) -> Iterator[AmoCrm]:
    served = Served(World(until=UNTIL, opened_on=OPENED_ON), limits=limits)
    with serve(served) as url:
        yield AmoCrm(served, url)


@pytest.fixture(scope="module")
def quiet_account() -> Iterator[AmoCrm]:
    with served_account() as account:
        yield account


@pytest.fixture
def account(quiet_account: AmoCrm) -> AmoCrm:
    """One in which nothing happens, without the faults of the test before."""
    quiet_account.served.faults.order("amocrm", [])
    return quiet_account


@pytest.fixture(scope="module")
def first_load(quiet_account: AmoCrm) -> FirstLoad:
    """The pages of an object's first load, in which nothing went wrong."""
    quiet_account.served.faults.order("amocrm", [])
    return lru_cache(lambda name: quiet_account.pages(name, {}))


@pytest.fixture
def busy_account() -> Iterator[AmoCrm]:
    """One in which the days pass."""
    with served_account() as account:
        yield account


def records(pages: Sequence[Page]) -> list[Json]:
    return [record for page in pages for record in page.records]


def ids(name: str, rows: Sequence[Json]) -> set[str]:
    return {OBJECT[name].id_of(row) for row in rows}


def payloads(name: str, pages: Sequence[Page], **settings: Any) -> dict[str, bytes]:
    """What raw keeps, by id; of a record that was read twice, the later one."""
    keep = keeper((*OBJECT[name].keep, *settings.get("personal", ())))
    return {OBJECT[name].id_of(one): orjson.dumps(keep(one), option=orjson.OPT_SORT_KEYS) for one in records(pages)}


def last_cursor(pages: Sequence[Page]) -> Cursor:
    return [page.cursor for page in pages if page.cursor is not None][-1]


def gone(pages: Sequence[Page]) -> set[str]:
    """Which ids are listed as no longer there, one by one."""
    listings = [listing for page in pages for listing in page.listings]
    assert all(listing.low == listing.high and not listing.ids for listing in listings)
    return {str(listing.low) for listing in listings}


# ------------------------------------------------------------------------------------------------------- what is read


def test_amocrm_has_these_objects() -> None:
    assert set(OBJECT) == {*ORDERED, *WINDOWED, *WHOLE}


@pytest.mark.parametrize("name", [*ORDERED, *WINDOWED, "users", "unsorted"])
def test_a_first_load_reads_every_record(account: AmoCrm, first_load: FirstLoad, name: str) -> None:
    there = account.rows(name)
    assert len(there) > 30
    assert ids(name, there) == ids(name, records(first_load(name)))


@pytest.mark.parametrize("name", [*ORDERED, *WINDOWED])
def test_a_record_is_the_same_to_the_byte_when_it_comes_as_a_change(
    account: AmoCrm, first_load: FirstLoad, name: str
) -> None:
    assert payloads(name, first_load(name)) == payloads(name, account.pages(name, LONG_AGO))


def test_more_records_of_one_second_than_a_page_holds_are_all_read(account: AmoCrm, first_load: FirstLoad) -> None:
    opened = [
        row for row in account.rows("companies") if row["created_at"] == account.rows("companies")[0]["created_at"]
    ]
    assert len(opened) > 2 * amocrm.ROWS_A_PAGE
    assert ids("companies", opened) <= ids("companies", records(first_load("companies")))


def test_a_deal_tells_its_customers_and_why_it_was_lost(first_load: FirstLoad) -> None:
    deals = records(first_load("leads"))
    lost = [deal for deal in deals if deal["status_id"] == 143]
    assert lost
    assert all(deal["_embedded"]["loss_reason"][0]["name"] for deal in lost)
    assert any(deal["_embedded"]["companies"] for deal in deals)
    assert any(deal["_embedded"]["contacts"] for deal in deals)


def test_nothing_of_a_customers_person_is_kept_unless_the_settings_say_so(
    account: AmoCrm, first_load: FirstLoad
) -> None:
    people = [person_of(lead) for lead in account.world.crm.leads]
    secrets = {
        value.encode() for one in people for value in (one.email, one.phone, f"{one.first_name} {one.last_name}")
    }
    for name in (*ORDERED, *WINDOWED, "unsorted"):
        text = b"".join(payloads(name, first_load(name)).values())
        assert not [secret for secret in secrets if secret in text]
    named = payloads("contacts", first_load("contacts"), personal=OBJECT["contacts"].personal)
    assert people[0].last_name.encode() in b"".join(named.values())


def test_of_the_custom_fields_only_those_are_read_that_the_settings_name(account: AmoCrm) -> None:
    def names(**own: Any) -> set[str]:
        deals = records(account.pages("leads", {}, **own))
        return {one["field_name"] for deal in deals for one in deal["custom_fields_values"]}

    assert "custom_fields_values" not in OBJECT["leads"].keep
    assert names(fields={"product": "Product"}) == {"Product"}
    assert names(properties={"leads": [str(EXPECTED_CLOSE_FIELD)]}) == {"Expected close"}


def test_the_account_tells_its_currency_and_its_groups(first_load: FirstLoad) -> None:
    assert [one["currency"] for one in records(first_load("account"))] == ["EUR"]
    assert len(records(first_load("groups"))) == 8
    assert first_load("groups")[0].listings[0].low is None


# ------------------------------------------------------------------------------------------------ one night to the next


@pytest.fixture
def narrow_windows(account: AmoCrm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few pages each, from the account's beginning on."""
    monkeypatch.setattr(amocrm, "EARLIEST", account.rows("events")[0]["created_at"])
    monkeypatch.setattr(amocrm, "MOST_PAGES_A_WINDOW", 5)
    monkeypatch.setattr(amocrm, "PAGES_A_WINDOW", 2)


@pytest.mark.usefixtures("narrow_windows")
@pytest.mark.parametrize("name", ["leads", "events"])
def test_an_interrupted_first_load_goes_on_where_it_stood(account: AmoCrm, name: str) -> None:
    with account.client() as client:
        first = list(islice(OBJECT[name].read(client, {}), 14 if name == "events" else 2))
    rest = account.pages(name, json.loads(json.dumps(last_cursor(first))))
    assert ids(name, records(first)) | ids(name, records(rest)) == ids(name, account.rows(name))
    assert len(ids(name, records(rest))) < len(account.rows(name))
    assert last_cursor(rest) == last_cursor(account.pages(name, {}))


def test_a_night_reads_what_changed_since_and_little_else(busy_account: AmoCrm) -> None:
    cursors = {name: last_cursor(busy_account.pages(name, {})) for name in (*ORDERED, *WINDOWED)}
    busy_account.world.advance(1)
    before = busy_account.requests
    for name, cursor in cursors.items():
        night = records(busy_account.pages(name, cursor))
        clock = "created_at" if name in ("events", "calls") else "updated_at"
        changed = [row for row in busy_account.rows(name) if row[clock] >= cursor["since"]]
        assert ids(name, night) == ids(name, changed)
        assert 0 < len(night) < len(busy_account.rows(name)) / 10
    # Of each what changed; and what was deleted of leads, companies, contacts and tasks.
    assert busy_account.requests - before == len(cursors) + 4


def test_deleted_deals_are_told_though_their_records_are_not_there(busy_account: AmoCrm) -> None:
    cursor = last_cursor(busy_account.pages("leads", {}))
    world = busy_account.world
    deal = next(one for one in world.crm.deals if not one.is_deleted)
    card = Records(world).cards.of_deal[deal.id].id
    deal.deleted_at = deal.updated_at = world.now + timedelta(hours=5)
    world.advance(1)
    pages = busy_account.pages("leads", cursor)
    assert str(card) in gone(pages)
    assert str(card) not in ids("leads", records(pages))


def test_the_first_load_lists_nothing_as_deleted(first_load: FirstLoad) -> None:
    assert not gone(first_load("leads"))


def test_an_answer_that_is_dated_ahead_does_not_hide_what_changes_meanwhile(account: AmoCrm) -> None:
    account.go_wrong("clock_skew", at=0, seconds=5 * 86_400)
    since = last_cursor(account.pages("leads", {}))["since"]
    assert datetime.fromtimestamp(since, UTC) <= account.world.now - timedelta(minutes=10)


@pytest.mark.parametrize("name", ["leads", "tasks", "events"])
def test_nothing_is_lost_of_what_changes_while_it_is_read(busy_account: AmoCrm, name: str) -> None:
    known: dict[str, bytes] = {}
    deleted: set[str] = set()
    cursor: Cursor = {}
    for night in range(3):
        busy_account.go_wrong("clock_advances", at=2 if night == 0 else 0, days=4, times=2 if night == 0 else 1)
        pages = busy_account.pages(name, cursor)
        cursor = last_cursor(pages)
        known |= payloads(name, pages)
        deleted |= gone(pages)
    busy_account.served.faults.order("amocrm", [])
    there = payloads(name, busy_account.pages(name, {}))
    assert {one: payload for one, payload in known.items() if one not in deleted} == there


def test_a_window_that_lost_a_record_between_two_pages_is_read_again(
    account: AmoCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, asked = Http.get, []

    def as_if_one_had_left(http: Http, path: str, params: Any, **how: Any) -> Any:
        answer = get(http, path, params, **how)
        asked.append(params.get("page", 1))
        # The last page of a window is another one the first time that it is asked for again.
        if len(asked) > 2 and asked[-1] == asked[-2] > 1 and asked.count("spoilt") == 0:
            asked.append("spoilt")
            answer.json["_embedded"]["tasks"].pop(0)
        return answer

    monkeypatch.setattr(Http, "get", as_if_one_had_left)
    assert ids("tasks", records(account.pages("tasks", {}))) == ids("tasks", account.rows("tasks"))
    assert "spoilt" in asked
    at = asked.index("spoilt")
    assert asked[at + 1 : at + 3] == [1, 2]


@pytest.mark.usefixtures("narrow_windows")
def test_a_window_with_too_much_in_it_is_left_for_narrower_ones(account: AmoCrm) -> None:
    pages = account.pages("events", {})
    assert ids("events", records(pages)) == ids("events", account.rows("events"))
    assert len({page.cursor["first"]["after"] for page in pages if page.cursor and "first" in page.cursor}) > 4


# -------------------------------------------------------------------------------------------------------- wrong answers


PAGE_FAULTS: tuple[Kind, ...] = ("repeated_page", "out_of_order_page")
FAULTS: tuple[Kind, ...] = (
    *("rate_limited_without_header", "server_error", "dropped_connection", "truncated_json", "malformed_json"),
    *PAGE_FAULTS,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("leads", kind) for kind in FAULTS),
        *((name, kind) for name in ("tasks", "events", "users") for kind in PAGE_FAULTS),
    ],
)
def test_what_goes_wrong_once_costs_nothing_but_a_request(
    account: AmoCrm, monkeypatch: pytest.MonkeyPatch, name: str, kind: Kind
) -> None:
    monkeypatch.setattr(amocrm, "ROWS_A_PAGE", 20)
    account.pages("contacts", {"since": account.rows("contacts")[-3]["updated_at"]})
    account.go_wrong(kind, at=1)
    assert ids(name, records(account.pages(name, {}))) == ids(name, account.rows(name))


def test_an_old_page_that_comes_again_and_again_ends_the_reading(account: AmoCrm) -> None:
    account.go_wrong("out_of_order_page", at=1, times=3)
    with pytest.raises(
        SourceUnreachable, match=r"GET /api/v4/leads: answered 200 with what cannot be right.*, 3 times"
    ):
        account.pages("leads", {})


def test_a_deleted_deal_that_comes_for_a_live_one_is_not_taken_for_it(
    account: AmoCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = Http.get

    def from_the_bin(http: Http, path: str, params: Any, **how: Any) -> Any:
        return get(http, path, {**params, "with": "only_deleted"}, **how)

    monkeypatch.setattr(Http, "get", from_the_bin)
    with pytest.raises(SourceUnreachable):
        account.pages("leads", {})


def test_the_pace_is_one_that_the_account_bears() -> None:
    (rate,) = RATES[""]
    meter = RATE.meter()
    for second in range(3):
        for _ in range(rate.requests):
            assert meter.wait(second * rate.seconds + 0.001) == 0
            meter.count(second * rate.seconds + 0.001)


def test_a_real_pace_is_never_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with served_account(limits=True) as account:
        account_pages = account.pages("leads", {}, requests_per_second=None)
        assert ids("leads", records(account_pages)) == ids("leads", account.rows("leads"))
        assert account.requests == 3


@pytest.mark.parametrize(("status", "parsed", "is_blocked"), [(403, None, True), (403, {"title": "Forbidden"}, False)])
def test_a_blocked_address_is_waited_for_and_a_missing_right_is_not(status: int, parsed: Any, is_blocked: bool) -> None:
    assert amocrm._is_blocked(status, parsed) is is_blocked
    assert (amocrm._pause_of_block(status, parsed) is not None) is is_blocked


# --------------------------------------------------------------------------------------------------------------- access


def test_a_wrong_token_is_refused_without_being_told(account: AmoCrm) -> None:
    with pytest.raises(AccessRefused, match=r"amocrm: GET /api/v4/leads: answered 401") as refused:
        account.pages("leads", {}, token="guessed-secret")
    assert "guessed-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("own", "missing"), [({}, "amocrm.url"), ({"url": "https://x.amocrm.ru"}, "KPIMART_AMOCRM__TOKEN")]
)
def test_without_an_address_or_a_token_nothing_is_asked(own: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingsError, match=missing), connect(Settings(amocrm=own)):
        pass


def test_a_refresh_token_is_used_once_and_the_next_one_is_kept(busy_account: AmoCrm, tmp_path: Path) -> None:
    oauth = {
        "token": None,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
        "redirect_uri": REDIRECT_URI,
    }
    busy_account.go_wrong("expired_token", at=2)
    assert ids("leads", records(busy_account.pages("leads", {}, home=tmp_path, **oauth))) == ids(
        "leads", busy_account.rows("leads")
    )
    kept_tokens = (tmp_path / "tokens" / "amocrm.json").read_text()
    assert json.loads(kept_tokens)["refresh_token"] != REFRESH_TOKEN
    assert ACCESS_TOKEN not in kept_tokens
    assert records(busy_account.pages("users", {}, home=tmp_path, **oauth))


def test_the_servers_clock_is_told(account: AmoCrm) -> None:
    with account.client() as client:
        assert SOURCE.server_time(client) == account.world.now
