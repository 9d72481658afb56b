"""Bitrix24's connector against the demo's portal, and its calls against the methods' documented specifications."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest
from demo_crm import DemoCrm

from kpimart.demo.server import bitrix24_lists
from kpimart.demo.server import bitrix24_records as told
from kpimart.demo.server.app import serve
from kpimart.demo.server.bitrix24 import (
    ACCESS_TOKEN,
    BATCH,
    CLIENT_ID,
    CLIENT_SECRET,
    CRM_ONLY_TOKEN,
    RATE,
    REFRESH_TOKEN,
    WEBHOOK_TOKEN,
)
from kpimart.demo.server.faults import Kind
from kpimart.demo.server.nested import nested
from kpimart.demo.server.served import Served
from kpimart.demo.server.table import Table
from kpimart.demo.server.world import World, person_of
from kpimart.errors import AccessRefused, BadSourceData, SettingsError, SourceUnreachable
from kpimart.extract import bitrix24
from kpimart.extract.bitrix24 import RATES, SOURCE, MethodTime, connect
from kpimart.extract.http import Http
from kpimart.extract.reading import keeper
from kpimart.extract.source import Cursor, Json, Page
from kpimart.settings import Settings

OPENED_ON, UNTIL = date(2026, 4, 1), date(2026, 7, 1)
LONG_AGO: Cursor = {"since": "2000-01-01T00:00:00+00:00"}
OBJECT = {each.name: each for each in SOURCE.objects}
TABLES = ("deals", "deal_stage_history", "leads", "companies", "activities")
DIRECTORIES = ("users", "departments", "categories", "statuses")
SPECS = Path(__file__).parents[4] / "shared" / "data" / "bitrix24_method_specs"


class Bitrix24(DemoCrm):
    """A small portal, and how it is read."""

    source = SOURCE

    def access(self) -> dict[str, Any]:
        return {"webhook": self.webhook(WEBHOOK_TOKEN)}

    def webhook(self, token: str) -> str:
        return f"{self.url}/bitrix24/rest/1/{token}/"

    def rows(self, name: str) -> list[Json]:
        """What the portal has."""
        world = self.world
        tables: dict[str, Callable[[], Any]] = {
            "deals": lambda: told.items(world, told.DEAL),
            "leads": lambda: told.items(world, told.LEAD),
            "companies": lambda: told.items(world, told.COMPANY),
            "deal_stage_history": lambda: told.stage_history(world, told.DEAL),
            "activities": lambda: told.activities(world),
            "users": lambda: told.users(world),
            "departments": lambda: told.departments(world),
        }
        table = tables[name]()
        return list(table.page([], (), offset=0, limit=len(table), count=False).rows)


@contextmanager
def served_portal(*, limits: bool = False) -> Iterator[Bitrix24]:
    served = Served(World(until=UNTIL, opened_on=OPENED_ON), limits=limits)
    with serve(served) as url:
        yield Bitrix24(served, url)


@pytest.fixture(scope="module")
def quiet_portal() -> Iterator[Bitrix24]:
    with served_portal() as portal:
        yield portal


@pytest.fixture
def portal(quiet_portal: Bitrix24) -> Bitrix24:
    """One in which nothing happens, without the faults of the test before."""
    quiet_portal.served.faults.order("bitrix24", [])
    return quiet_portal


@pytest.fixture
def busy_portal() -> Iterator[Bitrix24]:
    """One in which the days pass."""
    with served_portal() as portal:
        yield portal


@pytest.fixture
def three_pages_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitrix24, "CALLS_A_BATCH", 3)


def records(pages: Sequence[Page]) -> list[Json]:
    return [record for page in pages for record in page.records]


def ids(name: str, rows: Sequence[Json]) -> list[str]:
    return [OBJECT[name].id_of(row) for row in rows]


def payloads(name: str, rows: Sequence[Json]) -> dict[str, bytes]:
    """What raw keeps, by id; of a record that was read twice, the later one."""
    keep = keeper(OBJECT[name].keep)
    return {OBJECT[name].id_of(one): orjson.dumps(keep(one), option=orjson.OPT_SORT_KEYS) for one in rows}


def last_cursor(pages: Sequence[Page]) -> Cursor:
    return [page.cursor for page in pages if page.cursor is not None][-1]


def gone(name: str, pages: Sequence[Page], known: Sequence[str]) -> set[str]:
    """Which known ids the listings leave out of what they span."""
    missing = set()
    for listing in (listing for page in pages for listing in page.listings):
        within = {one for one in known if (listing.low or 0) <= int(one) <= (listing.high or int(one))}
        missing |= within - set(listing.ids)
    return missing


# ------------------------------------------------------------------------------------------------------- what is read


def test_bitrix24_has_these_objects() -> None:
    assert tuple(OBJECT) == (*TABLES, *DIRECTORIES)


@pytest.mark.parametrize("name", TABLES)
def test_a_first_load_reads_every_record_once_and_to_the_byte_as_it_comes_when_it_changes(
    portal: Bitrix24, name: str
) -> None:
    first, changed = records(portal.pages(name, {})), records(portal.pages(name, LONG_AGO))
    assert ids(name, first) == sorted(ids(name, portal.rows(name)), key=int)
    assert payloads(name, first) == payloads(name, changed)


@pytest.mark.parametrize("name", DIRECTORIES)
def test_a_short_list_is_read_whole_with_all_its_ids(
    portal: Bitrix24, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    at_once = portal.pages(name, {})
    monkeypatch.setattr(bitrix24_lists, "PAGE", 5)
    page_by_page = portal.pages(name, {})
    assert page_by_page == at_once
    assert set(at_once[0].listings[0].ids) == set(ids(name, at_once[0].records))
    assert len(at_once[0].records) > 2


def test_users_who_were_dismissed_are_read_too(portal: Bitrix24) -> None:
    assert {record["ACTIVE"] for record in records(portal.pages("users", {}))} == {True, False}


def test_only_what_is_asked_for_and_listed_is_kept_and_nothing_of_it_is_a_customers(portal: Bitrix24) -> None:
    people = [person_of(lead) for lead in portal.world.crm.leads]
    secrets = {value.encode() for one in people for value in (one.email, one.phone)}
    for name in (*TABLES, *DIRECTORIES):
        text = b"".join(payloads(name, records(portal.pages(name, {}))).values())
        assert not [secret for secret in secrets if secret in text]


def test_further_fields_are_asked_for_where_the_settings_name_them(portal: Bitrix24) -> None:
    own = {"fields": {"product": "ufCrmProduct"}, "properties": {"leads": ["utmSource"]}}
    assert all(deal["ufCrmProduct"] for deal in records(portal.pages("deals", {}, **own)))
    assert all("utmSource" in lead for lead in records(portal.pages("leads", {}, **own)))
    assert "ufCrmProduct" not in records(portal.pages("deals", {}))[0]


def test_what_is_left_of_a_first_load_is_told_by_the_newest_id(portal: Bitrix24) -> None:
    estimate = OBJECT["deals"].estimate
    assert estimate
    newest = max(row["id"] for row in portal.rows("deals"))
    with portal.client() as client:
        assert [estimate(client, {}), estimate(client, {"after": 700}), estimate(client, LONG_AGO)] == [
            newest,
            newest - 700,
            None,
        ]


# ------------------------------------------------------------------------------------------------ one night to the next


@pytest.mark.usefixtures("three_pages_a_batch")
def test_an_interrupted_first_load_goes_on_after_the_last_page(portal: Bitrix24) -> None:
    with portal.client() as client:
        first = list(islice(OBJECT["deals"].read(client, {}), 2))
    rest = portal.pages("deals", json.loads(json.dumps(last_cursor(first))))
    assert len(records(first)) == 2 * 3 * 50
    assert ids("deals", [*records(first), *records(rest)]) == ids("deals", portal.rows("deals"))
    assert last_cursor(rest) == last_cursor(portal.pages("deals", {}))


def test_a_night_reads_what_changed_since_with_one_request_a_table(busy_portal: Bitrix24) -> None:
    cursors = {name: last_cursor(busy_portal.pages(name, {})) for name in TABLES}
    busy_portal.world.advance(1)
    before = busy_portal.requests
    for name, cursor in cursors.items():
        night = records(busy_portal.pages(name, cursor))
        changed_at, since = OBJECT[name].updated_at, datetime.fromisoformat(cursor["since"])
        changed = [row for row in busy_portal.rows(name) if (changed_at(row) or since) >= since]
        assert payloads(name, night) == payloads(name, changed)
        assert 0 < len(night) < len(busy_portal.rows(name)) / 10
    assert busy_portal.requests - before == len(TABLES)


@pytest.mark.usefixtures("three_pages_a_batch")
def test_an_interrupted_night_goes_on_after_the_last_page(portal: Bitrix24) -> None:
    with portal.client() as client:
        first = list(islice(OBJECT["deals"].read(client, LONG_AGO), 2))
    rest = portal.pages("deals", last_cursor(first))
    assert ids("deals", [*records(first), *records(rest)]) == ids("deals", portal.rows("deals"))


def test_an_answer_that_is_dated_ahead_does_not_hide_what_changes_meanwhile(busy_portal: Bitrix24) -> None:
    busy_portal.go_wrong("clock_skew", at=0, seconds=5 * 86_400)
    cursor = last_cursor(busy_portal.pages("deals", {}))
    assert datetime.fromisoformat(cursor["since"]) <= busy_portal.world.now - timedelta(minutes=10)


def test_nothing_is_lost_of_what_changes_while_it_is_read(
    busy_portal: Bitrix24, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bitrix24, "CALLS_A_BATCH", 4)
    known: dict[str, bytes] = {}
    deleted: set[str] = set()
    cursor: Cursor = {}
    for night in range(3):
        # The days pass before the second and the third request of the first load, then before each night's first.
        busy_portal.go_wrong("clock_advances", at=1 if night == 0 else 0, days=4, times=2 if night == 0 else 1)
        pages = busy_portal.pages("deals", cursor)
        cursor = last_cursor(pages)
        known |= payloads("deals", records(pages))
        deleted |= gone("deals", pages, list(known))
    there = payloads("deals", busy_portal.rows("deals"))
    assert {one: payload for one, payload in known.items() if one not in deleted} == there


# ----------------------------------------------------------------------------------------------------------- deletions


def test_only_the_range_that_lost_a_record_is_listed(busy_portal: Bitrix24, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitrix24, "IDS_A_RANGE", 20)
    first = busy_portal.pages("deals", {})
    known = ids("deals", records(first))
    deal = next(one for one in busy_portal.world.crm.deals if str(told.number(one.id)) == known[100])
    deal.deleted_at = busy_portal.world.now
    busy_portal.world.advance(1)
    before = busy_portal.requests
    night = busy_portal.pages("deals", last_cursor(first))
    (listing,) = [listing for page in night for listing in page.listings]
    assert gone("deals", night, known) == {known[100]}
    assert (listing.high or 0) - (listing.low or 0) == 19
    # What changed with the counts of groups, the counts of the ranges in one group, the ids in one range.
    assert busy_portal.requests - before == 3
    assert not [listing for page in busy_portal.pages("deals", last_cursor(night)) for listing in page.listings]


def test_the_census_counts_each_new_id_once_and_groups_all_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitrix24, "IDS_A_RANGE", 10)
    monkeypatch.setattr(bitrix24, "GROUPS", 2)
    census = bitrix24.Census(0, {})
    census.see([3, 9, 10, 25])
    census.see([9, 25, 26, 31])
    assert census.as_json() == {"high": 31, "counts": {"0": 2, "1": 1, "2": 2, "3": 1}}
    assert [(one.low, one.high, one.live) for one in census.groups()] == [(0, 19, 3), (20, 31, 3)]
    census.recount(census.spans()[2], 1)
    assert [(one.low, one.high, one.live) for one in census.spans()] == [
        (0, 9, 2),
        (10, 19, 1),
        (20, 29, 1),
        (30, 31, 1),
    ]


# -------------------------------------------------------------------------------------------------------- wrong answers


@pytest.mark.usefixtures("three_pages_a_batch")
@pytest.mark.parametrize("cursor", [{}, LONG_AGO], ids=["first load", "night"])
@pytest.mark.parametrize(
    "kind",
    [
        "rate_limited",
        "rate_limited_without_header",
        "server_error",
        "dropped_connection",
        "truncated_json",
        "malformed_json",
        "repeated_page",
        "out_of_order_page",
    ],
)
def test_what_goes_wrong_once_is_asked_for_again(portal: Bitrix24, kind: Kind, cursor: Cursor) -> None:
    portal.go_wrong(kind, at=1, **({"seconds": 0} if kind == "rate_limited" else {}))
    before = portal.requests
    assert ids("deals", records(portal.pages("deals", cursor))) == ids("deals", portal.rows("deals"))
    assert portal.requests - before == len(portal.rows("deals")) // 150 + 2


def test_an_old_answer_that_comes_again_and_again_ends_the_reading(portal: Bitrix24) -> None:
    portal.go_wrong("out_of_order_page", at=0, times=3)
    with pytest.raises(SourceUnreachable, match=r"POST batch: answered 200 with what cannot be right.*, 3 times"):
        portal.pages("deals", {})


def test_a_short_list_that_keeps_changing_ends_the_reading(portal: Bitrix24, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitrix24, "_all_of", lambda *_: ([{"ID": "1"}], 2))
    with pytest.raises(SourceUnreachable, match=r"user\.get: 1 records came, and the portal counts 2, 3 times"):
        portal.pages("users", {})


@pytest.mark.parametrize("code", ["QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT"])
def test_later_is_understood_wherever_it_is_said(code: str) -> None:
    error = {"error": code, "error_description": ""}
    inside = {"result": {"result": [], "result_error": {"c0": error}}}
    after_something = {"result": {"result": {"c0": []}, "result_error": {"c1": error}}}
    method_time = MethodTime()
    assert [method_time.is_later(200, answer) for answer in (error, inside, after_something, {"result": {}})] == [
        True,
        True,
        False,
        False,
    ]


def test_a_method_that_worked_too_long_is_left_alone_until_its_time_is_forgotten() -> None:
    method_time = MethodTime()
    worked = {"finish": 1_000.5, "operating": 481.0, "operating_reset_at": 1_090}
    blocked = {"error": "OPERATION_TIME_LIMIT", "error_description": "Method is blocked due to operation time limit."}
    assert method_time.pause(429, blocked) is None
    assert not method_time.is_later(200, {"result": {"result_time": {"c0": worked}}, "time": {"finish": 1_000.5}})
    assert method_time.pause(429, blocked) == pytest.approx(89.5, abs=1)
    assert method_time.pause(503, {"error": "QUERY_LIMIT_EXCEEDED"}) is None


def test_the_pace_never_fills_the_portals_bucket() -> None:
    (rate,) = RATES[""]
    meter = RATE.meter()
    for burst in range(10):
        for _ in range(rate.requests):
            assert meter.wait(burst * rate.seconds) == 0
            meter.count(burst * rate.seconds)


# --------------------------------------------------------------------------------------------------------------- access


def test_a_webhook_without_a_scope_is_told_which_method_needs_it(portal: Bitrix24) -> None:
    probe = OBJECT["users"].probe
    assert probe
    with (
        portal.client(webhook=portal.webhook(CRM_ONLY_TOKEN)) as client,
        pytest.raises(AccessRefused, match="insufficient_scope"),
    ):
        probe(client)


def test_a_wrong_webhook_is_refused_without_being_told(portal: Bitrix24) -> None:
    with pytest.raises(AccessRefused, match=r"bitrix24: POST batch: answered 401") as refused:
        portal.pages("deals", {}, webhook=portal.webhook("guessed-secret"))
    assert "guessed-secret" not in str(refused.value)


def test_a_call_that_the_portal_does_not_understand_is_told_in_its_words(portal: Bitrix24) -> None:
    with portal.client() as client, pytest.raises(BadSourceData, match=r"crm\.item\.list: NOT_FOUND \(SPA not found\)"):
        client.ask({"k": ("crm.item.list", {"entityTypeId": 999})}, required=["k"])


def test_without_a_webhook_or_a_portal_nothing_is_asked() -> None:
    with pytest.raises(SettingsError, match="KPIMART_BITRIX24__WEBHOOK"), connect(Settings()):
        pass


def test_an_access_token_that_has_ended_is_renewed_and_the_next_refresh_token_is_kept(
    busy_portal: Bitrix24, tmp_path: Path
) -> None:
    oauth = {
        "webhook": None,
        "url": f"{busy_portal.url}/bitrix24",
        "token_url": f"{busy_portal.url}/bitrix24/oauth/token/",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
    }
    busy_portal.go_wrong("expired_token", at=1)
    assert ids("deals", records(busy_portal.pages("deals", {}, home=tmp_path, **oauth))) == ids(
        "deals", busy_portal.rows("deals")
    )
    kept_tokens = (tmp_path / "tokens" / "bitrix24.json").read_text()
    assert json.loads(kept_tokens)["refresh_token"] != REFRESH_TOKEN
    assert ACCESS_TOKEN not in kept_tokens
    assert records(busy_portal.pages("users", {}, home=tmp_path, **oauth))


# --------------------------------------------------------------------------------------------------------------- totals


def test_totals_count_live_deals_and_leads_by_owner_and_month(portal: Bitrix24) -> None:
    expected: Counter[tuple[str, str, date]] = Counter()
    for name in ("deals", "leads"):
        for row in portal.rows(name):
            created = datetime.fromisoformat(row["createdTime"]).astimezone(portal.world.now.tzinfo)
            expected[name, str(row["assignedById"]), created.date().replace(day=1)] += 1
    totals = SOURCE.totals
    assert totals
    with portal.client() as client:
        counted = {(one.object, one.manager_id, one.month): one.count for one in totals(client, portal.settings())}
    assert counted == expected


def test_totals_name_owners_whom_the_portal_does_not_show(portal: Bitrix24, monkeypatch: pytest.MonkeyPatch) -> None:
    deals = Counter(str(row["assignedById"]) for row in portal.rows("deals"))
    (first, of_first), (second, of_second) = deals.most_common(2)
    shown = [row for row in portal.rows("users") if row["ID"] not in (first, second)]
    monkeypatch.setattr(
        told, "users", lambda _: Table(shown, identity="ID", values=lambda row: {**row, "ID": int(row["ID"])})
    )
    totals = SOURCE.totals
    assert totals
    found: Counter[str | None] = Counter()
    with portal.client() as client:
        for one in totals(client, portal.settings()):
            found[one.manager_id] += one.count if one.object == "deals" else 0
    assert (found[first], found[second], found[None]) == (of_first, of_second, 0)


def test_the_portals_clock_is_told(portal: Bitrix24) -> None:
    with portal.client() as client:
        assert SOURCE.server_time(client) == portal.world.now


# -------------------------------------------------------------------------------------------- documented specifications


@dataclass
class Traffic:
    """The calls that were made, and what was answered: (method, parameters, result, total), batches taken apart."""

    calls: list[tuple[str, dict[str, Any], Any, int | None]] = field(default_factory=list)
    longest_batch: int = 0

    def note(self, body: Any, answer: Any) -> None:
        self.longest_batch = max(self.longest_batch, len(body["cmd"]))
        for key, command in body["cmd"].items():
            method, _, query = command.partition("?")
            parts = answer["result"]
            if key in (parts["result"] or {}):
                params = nested(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
                total = (parts["result_total"] or {}).get(key)
                self.calls.append((method, params, parts["result"][key], total))


@pytest.fixture(scope="module")
def traffic(quiet_portal: Bitrix24) -> Traffic:
    """A first load of all objects and a night after it, with the totals."""
    quiet_portal.served.faults.order("bitrix24", [])
    seen, post = Traffic(), Http.post

    def noted(http: Http, path: str, body: Any, *args: Any, **how: Any) -> Any:
        answer = post(http, path, body, *args, **how)
        seen.note(body, answer.json)
        return answer

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Http, "post", noted)
        with quiet_portal.client() as client:
            for each in SOURCE.objects:
                cursor = last_cursor(list(each.read(client, {})))
                list(each.read(client, cursor))
            assert SOURCE.totals
            list(islice(SOURCE.totals(client, quiet_portal.settings()), 1))
    return seen


def spec_of(method: str) -> dict[str, Any]:
    path = SPECS / f"{method}.json"
    if not path.exists():
        pytest.skip(f"there is no specification of {method} here")
    spec: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return spec


IS_OF_TYPE: dict[str, Callable[[Any], bool]] = {
    "integer": lambda value: value.lstrip("-").isdecimal(),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: value in ("0", "1", "Y", "N"),
    "object": lambda value: isinstance(value, dict),
    # as PHP has it: keys that count up from 0
    "array": lambda value: isinstance(value, dict) and list(value) == [str(at) for at in range(len(value))],
}
METHODS = (
    *("crm.item.list", "crm.stagehistory.list", "crm.category.list", "crm.status.list"),
    *("user.get", "department.get"),
)


@pytest.mark.parametrize("method", METHODS)
def test_every_parameter_is_documented_and_of_its_type_and_none_that_is_required_is_missing(
    traffic: Traffic, method: str
) -> None:
    documented = {param["name"]: param for param in spec_of(method)["params"]}
    made = [params for called, params, *_ in traffic.calls if called == method]
    assert made
    for params in made:
        assert params.keys() <= documented.keys()
        assert {name for name, param in documented.items() if param["required"] is True} <= params.keys()
        for name, value in params.items():
            assert IS_OF_TYPE[documented[name]["base"]](value), f"{name}={value!r}"


@pytest.mark.parametrize("method", METHODS)
def test_what_is_read_from_an_answer_is_what_its_documentation_promises(traffic: Traffic, method: str) -> None:
    spec = spec_of(method)
    example = spec["resultExample"]["result"]
    wrapper = next(iter(example)) if isinstance(example, dict) else None
    answers = [(result, total) for called, _, result, total in traffic.calls if called == method]
    assert answers
    for result, total in answers:
        rows = result[wrapper] if wrapper else result
        assert isinstance(rows, list)
        assert isinstance(total, int)
    tables = [value for value in vars(bitrix24).values() if isinstance(value, bitrix24.Table | bitrix24.Directory)]
    for one in (table for table in tables if table.method == method):
        assert one.wrapper == (wrapper or "")
        assert one.id in spec["entityFields"]


@pytest.mark.parametrize("name", ["deal_stage_history", "categories", "statuses"])
def test_every_field_that_is_kept_is_one_of_the_documented_ones(name: str) -> None:
    method = {"deal_stage_history": bitrix24.STAGE_HISTORY, "categories": bitrix24.CATEGORIES}.get(
        name, bitrix24.STATUSES
    ).method
    assert set(OBJECT[name].keep) <= set(spec_of(method)["entityFields"])


def test_a_batch_has_no_more_calls_than_a_portal_runs(traffic: Traffic) -> None:
    assert traffic.longest_batch == BATCH
