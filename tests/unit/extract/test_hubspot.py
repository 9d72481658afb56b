"""HubSpot's connector against the demo's HubSpot, which refuses what the real one refuses."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from demo_crm import DemoCrm

from kpimart.demo.server import hubspot_search
from kpimart.demo.server.app import serve
from kpimart.demo.server.faults import Kind
from kpimart.demo.server.hubspot import CLIENT_ID, CLIENT_SECRET, DEALS_ONLY_TOKEN, REFRESH_TOKEN, SCOPES, TOKEN
from kpimart.demo.server.hubspot_records import FIRST_DEAL, Records, company_id, contact_id, owner_id
from kpimart.demo.server.served import Served
from kpimart.demo.server.world import World, number
from kpimart.errors import AccessRefused, BadSourceData, SettingsError
from kpimart.extract.http import Answer
from kpimart.extract.hubspot import OBJECTS, SOURCE, Client, connect
from kpimart.extract.landing import land
from kpimart.extract.packages import fetch
from kpimart.extract.reading import ApiReading, keeper
from kpimart.extract.records import Batch, Known, silent
from kpimart.extract.source import Cursor, Json, Page
from kpimart.warehouse import open_warehouse

OPENED_ON, UNTIL = date(2026, 4, 1), date(2026, 7, 1)
LONG_AGO: Cursor = {"since": "2000-01-01T00:00:00+00:00"}
OBJECT = {each.name: each for each in OBJECTS}
SEARCHED = ("deals", "companies", "contacts", "calls", "meetings", "emails", "tasks")


class HubSpot(DemoCrm):
    """A small account, and how it is read."""

    source = SOURCE

    def access(self) -> dict[str, Any]:
        return {"url": f"{self.url}/hubspot", "token": TOKEN}

    def live_ids(self, name: str) -> list[str]:
        return [str(row.id) for row in Records(self.world).rows(name)]


@contextmanager
def served_account() -> Iterator[HubSpot]:
    served = Served(World(until=UNTIL, opened_on=OPENED_ON), limits=False)
    with serve(served) as url:
        yield HubSpot(served, url)


@pytest.fixture(scope="module")
def quiet_account() -> Iterator[HubSpot]:
    with served_account() as account:
        yield account


@pytest.fixture(scope="module")
def first_loads(quiet_account: HubSpot) -> dict[str, list[Page]]:
    """Of every object of the account in which nothing happens."""
    return {name: quiet_account.pages(name, {}) for name in OBJECT}


@pytest.fixture
def account(quiet_account: HubSpot) -> HubSpot:
    """One in which nothing happens, without the faults of the test before."""
    quiet_account.served.faults.order("hubspot", [])
    return quiet_account


@pytest.fixture
def busy_account() -> Iterator[HubSpot]:
    """One in which the days pass."""
    with served_account() as account:
        yield account


def records(pages: Sequence[Page]) -> list[Json]:
    return [record for page in pages for record in page.records]


def ids(name: str, pages: Sequence[Page]) -> list[str]:
    """Of the live ones."""
    return [record["id"] for record in records(pages) if not OBJECT[name].is_deleted(record)]


def payloads(name: str, pages: Sequence[Page]) -> dict[str, bytes]:
    """What raw keeps, by id."""
    kept = keeper(OBJECT[name].keep)
    return {one["id"]: orjson.dumps(kept(one), option=orjson.OPT_SORT_KEYS) for one in records(pages)}


def last_cursor(pages: Sequence[Page]) -> Cursor:
    return [page.cursor for page in pages if page.cursor is not None][-1]


def since(pages: Sequence[Page]) -> datetime:
    return datetime.fromisoformat(last_cursor(pages)["since"])


def deal_id(deal: Any) -> str:
    return str(FIRST_DEAL + 7 * number(deal.id))


# ------------------------------------------------------------------------------------------------------- what is read


def test_hubspot_has_these_objects() -> None:
    assert tuple(OBJECT) == (*SEARCHED, "owners", "teams", "pipelines")


@pytest.mark.parametrize("name", SEARCHED)
def test_a_first_load_reads_every_record_once(account: HubSpot, first_loads: dict[str, list[Page]], name: str) -> None:
    assert ids(name, first_loads[name]) == account.live_ids(name)


@pytest.mark.parametrize("name", SEARCHED)
def test_a_record_is_the_same_to_the_byte_whether_it_was_listed_or_searched(
    account: HubSpot, first_loads: dict[str, list[Page]], name: str
) -> None:
    assert payloads(name, account.pages(name, LONG_AGO)) == payloads(name, first_loads[name])


def test_owners_who_left_are_owners_still_and_archived(account: HubSpot, first_loads: dict[str, list[Page]]) -> None:
    pages = first_loads["owners"]
    is_archived = {record["id"]: record["archived"] for record in records(pages)}
    assert is_archived == {str(owner_id(one)): one.left_on is not None for one in account.world.crm.managers}
    assert set(is_archived.values()) == {True, False}
    assert set(pages[-1].listings[0].ids) == is_archived.keys()


def test_a_deal_has_its_steps_and_the_ids_of_what_it_is_linked_to(
    account: HubSpot, first_loads: dict[str, list[Page]]
) -> None:
    deal = next(one for one in account.world.crm.deals if one.lead and one.account and not one.deleted_at)
    told = next(one for one in records(first_loads["deals"]) if one["id"] == deal_id(deal))
    steps = [change for change in account.world.crm.stage_changes if change.deal is deal]
    assert len(told["propertiesWithHistory"]["dealstage"]) == len(steps)
    assert deal.account
    assert deal.lead
    assert told["associations"]["companies"] == [str(company_id(deal.account))]
    assert told["associations"]["contacts"] == [str(contact_id(deal.lead))]


class CrowdedDeal:
    """A server that knows one deal, with more contacts than one answer holds, and with two companies."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def get(self, *asked: Any, **_: Any) -> Answer:
        if "archived" in asked[1]:
            return self._answer([])
        more = {"next": {"after": "2"}}
        companies = [{"id": "30", "type": "deal_to_company_unlabeled"}]
        contacts = [{"id": "20", "type": "deal_to_contact"}]
        links = {"companies": {"results": companies}, "contacts": {"results": contacts, "paging": more}}
        deal = {"id": "1", "properties": {}, "propertiesWithHistory": {}, "archived": False, "associations": links}
        return self._answer([deal])

    def post(self, path: str, body: Json, **_: Any) -> Answer:
        self.asked.append((path.split("/")[5], body["inputs"][0].get("after")))
        if "companies" in path:
            return self._answer([{"from": {"id": "1"}, "to": [_link(30, 341), _link(31, 341), _link(31, 5)]}])
        if "after" in body["inputs"][0]:
            return self._answer([{"from": {"id": "1"}, "to": [_link(9, 3)]}])
        return self._answer([{"from": {"id": "1"}, "to": [_link(20, 3)], "paging": {"next": {"after": "2"}}}])

    def _answer(self, results: list[Json]) -> Answer:
        return Answer(200, {"results": results}, datetime(2026, 7, 1, tzinfo=UTC), {})


def _link(to: int, kind: int) -> Json:
    return {"toObjectId": to, "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": kind, "label": None}]}


def test_a_deal_with_more_contacts_than_an_answer_holds_has_them_all_and_its_primary_company_first() -> None:
    server = CrowdedDeal()
    client = Client(server, timedelta(0), {"deals": ()})  # type: ignore[arg-type]  # what is asked of Http here
    (deal,) = records(list(OBJECT["deals"].read(client, {})))
    assert deal["associations"] == {"companies": ["31", "30"], "contacts": ["9", "20"]}
    assert server.asked == [("companies", None), ("contacts", None), ("contacts", "2")]


def test_a_deal_without_the_history_that_was_asked_for_stops_the_run(
    account: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with account.client() as client:
        get = client.http.get

        def without_history(*args: Any, **how: Any) -> Any:
            answer = get(*args, **how)
            for record in answer.json["results"]:
                record.pop("propertiesWithHistory", None)
            return answer

        monkeypatch.setattr(client.http, "get", without_history)
        with pytest.raises(BadSourceData, match=r"deals: record \d+ has no history of dealstage"):
            list(OBJECT["deals"].read(client, {}))


# ------------------------------------------------------------------------------------------------ one night to the next


def test_an_interrupted_first_load_goes_on_after_the_last_page(account: HubSpot) -> None:
    with account.client() as client:
        first = list(islice(OBJECT["deals"].read(client, {}), 3))
    rest = account.pages("deals", last_cursor(first))
    assert [*ids("deals", first), *ids("deals", rest)] == account.live_ids("deals")


def test_a_night_reads_what_changed_since_the_last_began_and_little_else(busy_account: HubSpot) -> None:
    first = busy_account.pages("deals", {})
    began = busy_account.world.now
    busy_account.world.advance(1)
    before = busy_account.requests
    night = busy_account.pages("deals", last_cursor(first))
    changed = [
        row for row in Records(busy_account.world).rows("deals") if row.updated_at >= began - timedelta(minutes=10)
    ]
    assert ids("deals", night) == [str(row.id) for row in changed]
    # A search, the history of up to 50 deals, their companies, their contacts, what is archived.
    assert 0 < len(changed) <= 50
    assert busy_account.requests - before == 5


def test_what_changed_while_a_first_load_was_interrupted_is_read_with_its_rest(busy_account: HubSpot) -> None:
    with busy_account.client() as client:
        first = list(islice(OBJECT["deals"].read(client, {}), 3))
    began = busy_account.world.now
    busy_account.world.advance(2)
    rest = busy_account.pages("deals", last_cursor(first))
    changed = {str(row.id) for row in Records(busy_account.world).rows("deals") if row.updated_at >= began}
    latest = payloads("deals", [*first, *rest])
    assert changed & set(ids("deals", first))
    assert {one: latest[one] for one in changed} == {
        one: payload for one, payload in payloads("deals", busy_account.pages("deals", {})).items() if one in changed
    }
    assert since(rest) == busy_account.world.now - timedelta(minutes=10)


def test_a_night_that_finds_nothing_does_not_move_on(account: HubSpot) -> None:
    cursor = {"since": account.world.now.isoformat()}
    assert last_cursor(account.pages("deals", cursor)) == cursor


def test_an_answer_that_is_dated_ahead_does_not_hide_what_changes_meanwhile(account: HubSpot) -> None:
    account.go_wrong("clock_skew", at=0, seconds=86_400)
    assert since(account.pages("deals", {})) == account.world.now - timedelta(minutes=10)


def test_more_changes_than_a_search_gives_are_all_read(account: HubSpot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubspot_search, "MOST_RESULTS", 300)
    found = ids("contacts", account.pages("contacts", LONG_AGO))
    assert len(found) > 600
    assert found == account.live_ids("contacts")


def test_an_interrupted_night_goes_on_after_the_last_page(account: HubSpot) -> None:
    with account.client() as client:
        first = list(islice(OBJECT["contacts"].read(client, LONG_AGO), 2))
    rest = account.pages("contacts", last_cursor(first))
    assert [*ids("contacts", first), *ids("contacts", rest)] == account.live_ids("contacts")


def test_a_deleted_deal_is_told_with_the_moment_at_which_it_was_archived(account: HubSpot) -> None:
    bin_begins = account.world.now - timedelta(days=90)
    deleted = {
        deal_id(one): one.deleted_at
        for one in account.world.crm.deals
        if one.deleted_at and one.deleted_at > bin_begins and not one.merged_into
    }
    told = records(account.pages("deals", {"since": account.world.now.isoformat()}))
    assert deleted
    assert {one["id"]: OBJECT["deals"].updated_at(one) for one in told if OBJECT["deals"].is_deleted(one)} == deleted


def test_the_deal_that_others_were_merged_into_tells_that_they_are_gone(
    account: HubSpot, first_loads: dict[str, list[Page]]
) -> None:
    merged = [one for one in account.world.crm.deals if one.merged_into]
    gone = {int(deal_id(one)) for pair in merged for one in (pair, pair.merged_into)}
    listings = [listing for page in first_loads["deals"] for listing in page.listings]
    assert gone
    assert {(one.ids, one.low, one.high) for one in listings} == {((), one, one) for one in gone}


# ----------------------------------------------------------------------------------------------------- wrong answers


@pytest.mark.parametrize("cursor", [{}, LONG_AGO], ids=["listed", "searched"])
@pytest.mark.parametrize("kind", ["repeated_page", "out_of_order_page"])
def test_a_page_that_cannot_be_the_one_asked_for_is_asked_for_again(
    account: HubSpot, kind: Kind, cursor: Cursor
) -> None:
    account.go_wrong(kind, at=2)
    assert sorted(ids("contacts", account.pages("contacts", cursor))) == account.live_ids("contacts")


# ---------------------------------------------------------------------------------------------------- access and trust


def test_each_object_names_the_scope_that_the_server_asks_for() -> None:
    assert {name: OBJECT[name].right for name in SEARCHED} == {name: f"scope {SCOPES[name]}" for name in SEARCHED}


def test_a_token_without_the_scope_is_refused(account: HubSpot) -> None:
    assert ids("deals", account.pages("deals", {}, token=DEALS_ONLY_TOKEN))
    with pytest.raises(AccessRefused, match="/crm/v3/objects/contacts: answered 403"):
        account.pages("contacts", {}, token=DEALS_ONLY_TOKEN)


def test_a_refresh_token_does_instead_of_a_token(account: HubSpot, tmp_path: Path) -> None:
    oauth = {"token": None, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
    with connect(account.settings(tmp_path, **oauth)) as client:
        assert records(list(OBJECT["teams"].read(client, {})))


def test_no_token_at_all_is_a_setting_that_is_missing(account: HubSpot) -> None:
    with pytest.raises(SettingsError, match="KPIMART_HUBSPOT__TOKEN"), account.client(token=None):
        pass


def test_persons_are_not_asked_for_and_not_kept_unless_the_settings_say_so(
    account: HubSpot, first_loads: dict[str, list[Page]]
) -> None:
    personal = set(OBJECT["contacts"].personal)
    assert personal == {f"properties.{name}" for name in ("firstname", "lastname", "email", "phone")}
    assert personal.isdisjoint(OBJECT["contacts"].keep)
    assert not any("email" in one["properties"] for one in records(first_loads["contacts"]))
    assert all("email" in one["properties"] for one in records(account.pages("contacts", {}, personal_data=True)))


# ---------------------------------------------------------------------------------------------------------- to the end


def test_raw_holds_what_the_account_holds_after_a_first_load_and_after_a_night(
    busy_account: HubSpot, tmp_path: Path
) -> None:
    """In the night one deal is deleted, and of two more a third one is made."""
    settings = busy_account.settings(tmp_path)

    def live_in_raw() -> list[str]:
        fetch(settings, "hubspot", folder=None, clock=lambda: datetime.now(UTC))
        with open_warehouse(tmp_path) as connection:
            land(connection, settings, clock=lambda: datetime.now(UTC))
            latest = """
                select id from raw.hubspot__deals
                qualify not is_deleted
                    and row_number() over (partition by id order by updated_at desc, landed_at desc) = 1
                order by cast(id as bigint)
            """
            return [row[0] for row in connection.execute(latest).fetchall()]

    assert live_in_raw() == busy_account.live_ids("deals")
    deleted, kept_one, twin = [one for one in busy_account.world.crm.deals if one.closed_at and not one.deleted_at][:3]
    deleted.deleted_at = deleted.updated_at = busy_account.world.now + timedelta(hours=9)
    twin.deleted_at, twin.merged_into = busy_account.world.now + timedelta(hours=10), kept_one
    gone = {deal_id(one) for one in (deleted, kept_one, twin)}
    busy_account.world.advance(1)
    after_the_night = live_in_raw()
    assert after_the_night == busy_account.live_ids("deals")
    assert gone.isdisjoint(after_the_night)


def test_properties_that_the_settings_name_are_asked_for_and_kept(account: HubSpot) -> None:
    own = account.settings(properties={"deals": ("dealtype",)}, fields={"product": "product"})
    with connect(own) as client:
        reading = ApiReading("hubspot", OBJECT["deals"], client, own.hubspot, Known(None, None), silent)
        batch = next(part for part in reading.take(datetime.now(UTC), lambda: True) if isinstance(part, Batch))
    properties = orjson.loads(batch.rows["payload"][0].as_py())["properties"]
    assert {"dealtype", "product"} <= properties.keys()
    assert "hs_is_closed_won" not in properties


def test_the_totals_are_the_deals_of_each_owner_by_month_of_creation(
    account: HubSpot, first_loads: dict[str, list[Page]]
) -> None:
    with account.client() as client:
        assert SOURCE.totals
        told = Counter({(one.manager_id, one.month): one.count for one in SOURCE.totals(client, account.settings())})
    live = [one for one in records(first_loads["deals"]) if not OBJECT["deals"].is_deleted(one)]
    created = [(one["properties"]["hubspot_owner_id"], one["properties"]["createdate"]) for one in live]
    assert told == Counter((owner, at and date.fromisoformat(f"{at[:7]}-01")) for owner, at in created)


def test_a_first_load_knows_how_much_there_is_to_read(account: HubSpot) -> None:
    estimate = OBJECT["deals"].estimate
    assert estimate
    with account.client() as client:
        assert estimate(client, {}) == len(account.live_ids("deals"))
