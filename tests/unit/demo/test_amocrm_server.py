"""The company as amoCRM: what is told, page by page, what happened, and where amoCRM refuses."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from kpimart.demo.clock import midnight
from kpimart.demo.crm import Crm, Deal
from kpimart.demo.server import Served, World, serve
from kpimart.demo.server.amocrm import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, REFRESH_TOKEN, TOKEN, Patience
from kpimart.demo.server.limits import Window

WON, LOST = 142, 143

Json = dict[str, Any]


def world() -> World:
    # A seed with which deals were deleted and merged.
    return World(seed=6, opened_on=date(2025, 9, 1), until=date(2026, 3, 2))


def connected(served: Served) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with serve(served) as url, httpx.Client(base_url=f"{url}/amocrm/api/v4/", headers=headers, timeout=10) as client:
        yield client


@pytest.fixture(scope="module")
def standing() -> World:
    """The company on 2 March 2026, half a year old; its clock stands still."""
    return world()


@pytest.fixture(scope="module")
def amocrm(standing: World) -> Iterator[httpx.Client]:
    """amoCRM without limits."""
    yield from connected(Served(standing, limits=False))


@pytest.fixture(scope="module")
def crm(standing: World) -> Crm:
    return standing.crm


@pytest.fixture
def young() -> World:
    """A company of a few weeks, with a clock that a test may move."""
    return World(opened_on=date(2026, 2, 9), until=date(2026, 3, 2))


@pytest.fixture
def young_amocrm(young: World) -> Iterator[httpx.Client]:
    yield from connected(Served(young, limits=False))


def everything(client: httpx.Client, path: str, **params: Any) -> list[Json]:
    """The records of all pages, by the link to the next."""
    found: list[Json] = []
    url: str | None = path
    given: Json | None = {"limit": 250, **params}
    while url:
        response = client.get(url, params=given)
        assert response.status_code == 200, response.text
        answer = response.json()
        (rows,) = answer["_embedded"].values()
        found += rows
        url, given = answer["_links"].get("next", {}).get("href"), None
    return found


def epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def live(crm: Crm) -> list[Deal]:
    return [deal for deal in crm.deals if not deal.is_deleted]


def leads_and_deals(client: httpx.Client, crm: Crm) -> list[tuple[Json, Deal]]:
    """Each lead with the deal that it is, told apart by their names and the moment of their last change."""
    leads = {(lead["name"], lead["updated_at"], lead["created_at"]): lead for lead in everything(client, "leads")}
    began = {change.deal.id: change.changed_at for change in reversed(crm.stage_changes)}
    of = {deal.id: deal.lead.created_at if deal.lead else deal.created_at or began[deal.id] for deal in live(crm)}
    return [(leads[deal.name, epoch(deal.updated_at), epoch(of[deal.id])], deal) for deal in live(crm)]


# ---------------------------------------------------------------------- lists


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("leads", lambda crm: len(live(crm))),
        ("leads/unsorted", lambda crm: sum(lead.deal is None for lead in crm.leads)),
        ("companies", lambda crm: len(crm.accounts)),
        ("contacts", lambda crm: len(crm.leads)),
        ("tasks", lambda crm: sum(activity.kind in ("task", "meeting") for activity in crm.activities)),
        ("leads/notes", lambda crm: sum(activity.kind in ("call", "email") for activity in crm.activities)),
        ("users", lambda crm: 8 + len(crm.managers)),
    ],
)
def test_every_record_is_read_once_page_by_page(amocrm: httpx.Client, crm: Crm, path: str, count: Any) -> None:
    rows = everything(amocrm, path)
    assert len({row.get("id") or row["uid"] for row in rows}) == len(rows) == count(crm)


def test_a_page_links_to_its_neighbours(amocrm: httpx.Client) -> None:
    answer = amocrm.get("leads", params={"limit": 2, "page": 2, "order[id]": "asc"}).json()
    address = f"{str(amocrm.base_url).rstrip('/')}/leads?limit=2&order%5Bid%5D=asc&page="
    assert answer["_page"] == 2
    links = {name: link["href"] for name, link in answer["_links"].items()}
    assert links == {name: f"{address}{page}" for name, page in (("self", 2), ("next", 3), ("first", 1), ("prev", 1))}


def test_an_empty_page_is_no_content(amocrm: httpx.Client) -> None:
    for path in ("leads?page=9999", "leads?filter[id]=1", "leads/1", "tasks?filter[is_completed]=0"):
        answer = amocrm.get(path)
        assert (answer.status_code, answer.content) == (204, b""), path


@pytest.mark.parametrize(("path", "longest"), [("leads", 250), ("tasks", 250), ("events", 100)])
def test_a_page_is_no_longer_than_documented(amocrm: httpx.Client, path: str, longest: int) -> None:
    (rows,) = amocrm.get(path, params={"limit": longest}).json()["_embedded"].values()
    assert len(rows) == longest
    refused = amocrm.get(path, params={"limit": longest + 1})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")


def test_what_was_changed_is_found_by_its_time_in_order(amocrm: httpx.Client, crm: Crm) -> None:
    times = sorted(epoch(deal.updated_at) for deal in live(crm))
    low, high = times[100], times[300]
    params = {"filter[updated_at][from]": low, "filter[updated_at][to]": high}
    found = [lead["updated_at"] for lead in everything(amocrm, "leads", **params, **{"order[updated_at]": "desc"})]
    assert found == [moment for moment in reversed(times) if low <= moment <= high]
    since = everything(amocrm, "leads", **{"filter[updated_at]": high})
    assert len(since) == sum(moment >= high for moment in times)


def test_a_filter_takes_one_value_or_several(amocrm: httpx.Client) -> None:
    leads = everything(amocrm, "leads")
    one, _, two = (lead["id"] for lead in leads[:3])
    asked = {"filter[id][]": [one, two]}
    assert [lead["id"] for lead in everything(amocrm, "leads", **asked)] == [one, two]
    stage = leads[0]["pipeline_id"], leads[0]["status_id"]
    in_stage = {"filter[statuses][0][pipeline_id]": stage[0], "filter[statuses][0][status_id]": stage[1]}
    found = everything(amocrm, "leads", **in_stage)
    assert len(found) == sum((lead["pipeline_id"], lead["status_id"]) == stage for lead in leads)


@pytest.mark.parametrize(
    "query", ["leads?filter[bad]=1", "leads?order[price]=asc", "tasks?order[updated_at]=asc", "leads?limit=no"]
)
def test_what_the_documentation_does_not_name_is_refused(amocrm: httpx.Client, query: str) -> None:
    refused = amocrm.get(query)
    assert (refused.status_code, refused.json()["detail"]) == (400, "Request validation failed")
    assert refused.json()["validation-errors"][0]["errors"][0]["code"] == "NotSupportedChoice"


# ---------------------------------------------------------------------- leads


def test_a_lead_is_told_as_amocrm_has_it(amocrm: httpx.Client, crm: Crm) -> None:
    for lead, deal in leads_and_deals(amocrm, crm):
        assert lead["responsible_user_id"] == 8_000_008 + int(deal.manager.id[2:])
        assert lead["closed_at"] == (epoch(deal.closed_at) if deal.closed_at else None)
        final = {"won": WON, "lost": LOST}.get(deal.stage.outcome)
        assert (lead["status_id"] == final) if final else (lead["status_id"] not in (WON, LOST))
        assert (lead["loss_reason_id"] is None) == (deal.loss_reason is None)
        assert len(lead["_embedded"]["companies"]) == (deal.account is not None)
        fields = {field["field_name"]: field["values"][0]["value"] for field in lead["custom_fields_values"]}
        assert fields["Product"] == deal.product.name
        assert fields.get("Expected close") == (
            epoch(midnight(deal.expected_close_on)) if deal.expected_close_on else None
        )


def test_a_price_is_in_whole_units_of_the_accounts_currency(amocrm: httpx.Client, crm: Crm) -> None:
    assert amocrm.get("account").json()["currency"] == "EUR"
    known = [(lead["price"], deal) for lead, deal in leads_and_deals(amocrm, crm) if deal.amount]
    assert all(isinstance(price, int) for price, _ in known)
    # 1.10 dollars to the euro; half a euro is lost at most.
    assert all(
        abs(price * (110 if deal.currency == "USD" else 100) - (deal.amount or 0)) <= 55 for price, deal in known
    )
    assert {deal.currency for _, deal in known} == {"EUR", "USD"}


def test_more_is_told_only_of_what_is_asked_for(amocrm: httpx.Client, crm: Crm) -> None:
    number = next(lead["id"] for lead, deal in leads_and_deals(amocrm, crm) if deal.lead and deal.loss_reason)
    plain = amocrm.get(f"leads/{number}").json()
    assert (plain["source_id"], plain["_embedded"].keys()) == (None, {"tags", "companies"})
    with_all = amocrm.get(f"leads/{number}", params={"with": "contacts,loss_reason,source_id,source"}).json()
    embedded = with_all["_embedded"]
    assert embedded["loss_reason"][0]["id"] == with_all["loss_reason_id"]
    assert embedded["source"]["id"] == with_all["source_id"]
    (contact,) = embedded["contacts"]
    assert amocrm.get(f"contacts/{contact['id']}").json()["_embedded"]["companies"] == embedded["companies"]


def test_a_deleted_lead_lies_in_the_bin_only(amocrm: httpx.Client, crm: Crm) -> None:
    gone = sorted(epoch(deal.deleted_at) for deal in crm.deals if deal.deleted_at)
    assert gone
    bin_ = everything(amocrm, "leads", **{"with": "only_deleted", "order[updated_at]": "asc"})
    assert [lead["updated_at"] for lead in bin_] == gone
    assert all(lead.keys() == {"id", "updated_by", "updated_at", "is_deleted", "_links"} for lead in bin_)
    assert not {lead["id"] for lead in bin_} & {lead["id"] for lead in everything(amocrm, "leads")}
    last = everything(amocrm, "leads", **{"with": "only_deleted", "filter[updated_at][from]": gone[-1]})
    assert len(last) == gone.count(gone[-1])


def test_an_inquiry_becomes_a_lead_of_the_same_number(young: World, young_amocrm: httpx.Client) -> None:
    waiting = {row["_embedded"]["leads"][0]["id"]: row for row in everything(young_amocrm, "leads/unsorted")}
    assert not waiting.keys() & {lead["id"] for lead in everything(young_amocrm, "leads")}
    night = young.now
    young.advance(3)
    leads = {lead["id"]: lead for lead in everything(young_amocrm, "leads")}
    accepted = waiting.keys() & leads.keys()
    assert len(accepted) == sum(
        lead.created_at < night <= lead.converted_at for lead in young.crm.leads if lead.converted_at
    )
    assert accepted
    still = {row["_embedded"]["leads"][0]["id"] for row in everything(young_amocrm, "leads/unsorted")}
    assert not accepted & still
    incoming = incoming_stages(young_amocrm)
    for number in accepted:
        assert leads[number]["created_at"] == waiting[number]["created_at"] < epoch(night)
        events = everything(young_amocrm, "events", **lead_events(number, "lead_status_changed"))
        assert events[-1]["value_before"][0]["lead_status"]["id"] in incoming
        assert events[-1]["created_at"] >= epoch(night)


def incoming_stages(client: httpx.Client) -> set[int]:
    pipelines = client.get("leads/pipelines").json()["_embedded"]["pipelines"]
    return {status["id"] for each in pipelines for status in each["_embedded"]["statuses"] if status["type"] == 1}


def lead_events(number: int, kind: str) -> Json:
    return {"limit": 100, "filter[entity]": "lead", "filter[entity_id]": number, "filter[type]": kind}


def test_numbers_stay_as_they_are_and_none_is_used_twice(young: World, young_amocrm: httpx.Client) -> None:
    def told() -> dict[int, tuple[str, Any]]:
        paths = ("leads", "companies", "contacts", "tasks", "leads/notes", "users")
        rows = [(path, row) for path in paths for row in everything(young_amocrm, path)]
        by_id = {row["id"]: (path, row.get("created_at")) for path, row in rows}
        assert len(by_id) == len(rows)
        return by_id

    before = told()
    young.advance(2)
    after = told()
    assert len(after) > len(before)
    assert {number: after.get(number) for number in before} == before


# ---------------------------------------------------------------------- events


def test_events_lead_to_where_every_lead_stands(amocrm: httpx.Client) -> None:
    types = "lead_status_changed,entity_responsible_changed,sale_field_changed"
    changes = {"lead_status": "status_id", "responsible_user": "responsible_user_id", "sale_field_value": "price"}
    stands: dict[tuple[int, str], Any] = {}
    for event in reversed(everything(amocrm, "events", limit=100, **{"filter[type]": types})):
        (((name, after),), ((_, before),)) = (event[value][0].items() for value in ("value_after", "value_before"))
        value, old = (each.get("id", each.get("sale")) for each in (after, before))
        assert stands.get((event["entity_id"], changes[name]), old) == old != value
        stands[event["entity_id"], changes[name]] = value
    leads = {lead["id"]: lead for lead in everything(amocrm, "leads")}
    known = {key: value for key, value in stands.items() if key[0] in leads}
    assert Counter(name for _, name in known).keys() == set(changes.values())
    assert known == {(number, name): leads[number][name] for number, name in known}


def test_events_come_newest_first_and_within_the_time_asked_for(amocrm: httpx.Client, crm: Crm) -> None:
    calls = sorted(epoch(activity.updated_at) for activity in crm.activities if activity.kind == "call")
    low, high = calls[10], calls[400]
    for within in (
        {"filter[created_at][from]": low, "filter[created_at][to]": high},
        {"filter[created_at]": f"{low},{high}"},
    ):
        found = everything(amocrm, "events", limit=100, **{"filter[type][]": ["outgoing_call"]}, **within)
        assert [event["created_at"] for event in found] == [
            moment for moment in reversed(calls) if low <= moment <= high
        ]
    assert all(one["id"] != another["id"] for one, another in pairwise(found))


def test_what_happened_is_told_in_the_same_way_ever_after(young: World, young_amocrm: httpx.Client) -> None:
    before = everything(young_amocrm, "events", limit=100)
    # On the first of a month, deals and people change hands.
    young.advance(31)
    after = {event["id"]: event for event in everything(young_amocrm, "events", limit=100)}
    assert len(after) > len(before)
    assert [after[event["id"]] for event in before] == before


def test_a_deletion_is_an_event_that_says_nothing_more(amocrm: httpx.Client) -> None:
    events = everything(amocrm, "events", limit=100, **{"filter[type]": "lead_deleted"})
    assert {(event["entity_type"], *event["value_after"], *event["value_before"]) for event in events} == {("lead",)}
    gone = {lead["id"] for lead in everything(amocrm, "leads", **{"with": "only_deleted"})}
    assert {event["entity_id"] for event in events} == gone


# ---------------------------------------------------------------------- what the account is set up with


def test_departments_are_groups_without_a_tree(amocrm: httpx.Client, crm: Crm) -> None:
    groups = amocrm.get("account", params={"with": "users_groups"}).json()["_embedded"]["users_groups"]
    by_id = {group["id"]: group["name"] for group in groups}
    assert (by_id[0], len(by_id)) == ("Sales", 8)
    users = {user["name"]: user for user in everything(amocrm, "users", **{"with": "group"})}
    for manager in crm.managers:
        user = users[manager.name]
        assert by_id[user["rights"]["group_id"]] == manager.department.name == user["_embedded"]["groups"][0]["name"]
        assert user["rights"]["is_active"] == (manager.left_on is None)


def test_every_pipeline_ends_in_the_same_two_stages(amocrm: httpx.Client) -> None:
    answer = amocrm.get("leads/pipelines").json()
    assert answer["_total_items"] == 3
    for pipeline in answer["_embedded"]["pipelines"]:
        statuses = pipeline["_embedded"]["statuses"]
        assert [status["type"] for status in statuses] == [1] + [0] * (len(statuses) - 1)
        assert [status["id"] for status in statuses[-2:]] == [WON, LOST]
        assert [status["sort"] for status in statuses] == sorted(status["sort"] for status in statuses)
        assert amocrm.get(f"leads/pipelines/{pipeline['id']}").json() == pipeline


# ---------------------------------------------------------------------- who may


def renewed(address: str, refresh_token: str, **other: str) -> httpx.Response:
    form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uri": REDIRECT_URI, **other}
    sent = {"grant_type": "refresh_token", "refresh_token": refresh_token, **form}
    return httpx.post(f"{address}/oauth2/access_token", json=sent)


def status_with(address: str, token: str) -> int:
    return httpx.get(f"{address}/api/v4/account", headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_refresh_token_is_good_for_one_use_and_an_access_token_for_a_day(young: World) -> None:
    with serve(Served(young, limits=False)) as url:
        address = f"{url}/amocrm"
        first = renewed(address, REFRESH_TOKEN).json()
        assert (first["token_type"], first["expires_in"]) == ("Bearer", 86_400)
        assert status_with(address, first["access_token"]) == 200
        revoked = renewed(address, REFRESH_TOKEN)
        assert (revoked.status_code, revoked.json()["hint"]) == (401, "Token has been revoked")
        young.advance(1)
        assert status_with(address, first["access_token"]) == 401
        second = renewed(address, first["refresh_token"]).json()
        assert status_with(address, second["access_token"]) == 200


def test_a_stranger_gets_no_token_and_no_record(amocrm: httpx.Client) -> None:
    address = str(amocrm.base_url).removesuffix("/api/v4/")
    assert renewed(address, REFRESH_TOKEN, client_secret="guessed").status_code == 401
    assert renewed(address, REFRESH_TOKEN, redirect_uri="https://elsewhere.example").status_code == 400
    refused = httpx.get(f"{address}/api/v4/leads")
    assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
    assert refused.json()["title"] == "Unauthorized"


# ---------------------------------------------------------------------- limits and faults


def test_the_eighth_request_of_a_second_is_refused_and_who_goes_on_is_blocked(young: World) -> None:
    answers: list[httpx.Response] = []
    for client in connected(Served(young, limits=True)):
        while not answers or answers[-1].status_code != 403:
            answers.append(client.get("account"))
            assert len(answers) < 1000
    statuses = [answer.status_code for answer in answers]
    assert statuses[:7] == [200] * 7
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert (refused.json()["retry_after"], "retry-after" in refused.headers) == (1, False)
    assert statuses.count(429) == 100
    assert answers[-1].headers["content-type"].startswith("text/html")


def test_a_block_ends() -> None:
    meter = Patience("blocked", Window("one a second", 1, 1.0), refusals=2, seconds=60.0).meter()
    meter.count(10.0)
    assert [meter.wait(10.1), meter.wait(10.2), meter.wait(10.3)] == [0.0, 0.0, 60.0]
    assert meter.wait(69.3) == pytest.approx(1.0)
    assert meter.wait(70.3) == 0.0


def test_faults_come_in_amocrms_words(young_amocrm: httpx.Client) -> None:
    kinds = ("rate_limited", "rate_limited_without_header", "expired_token", "server_error", "out_of_order_page")
    faults = [{"at": at, "kind": kind, "seconds": 2} for at, kind in enumerate(kinds)]
    control = str(young_amocrm.base_url.join("/_control/faults"))
    right = young_amocrm.get("leads").json()["_embedded"]["leads"]
    assert httpx.post(control, json={"crm": "amocrm", "faults": faults}).status_code == 200
    told = [young_amocrm.get("leads") for _ in range(4)]
    assert [answer.status_code for answer in told] == [429, 429, 401, 500]
    assert [answer.headers.get("retry-after") for answer in told] == ["2", None, None, None]
    assert young_amocrm.get("leads").json()["_embedded"]["leads"] == right[::-1]


def test_answers_are_dated_in_the_companys_time(young_amocrm: httpx.Client) -> None:
    assert young_amocrm.get("leads?page=999").headers["date"] == "Sun, 01 Mar 2026 23:00:00 GMT"
    yesterday = midnight(date(2026, 3, 2)) - timedelta(days=1)
    assert young_amocrm.get("leads", params={"filter[created_at][from]": epoch(yesterday)}).status_code in (200, 204)
