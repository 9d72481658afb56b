"""The company as Bitrix24: what is told, how it is asked for, and where the portal refuses."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from kpimart.demo.crm import Crm, Deal
from kpimart.demo.server import Served, World, bitrix24, serve
from kpimart.demo.server.bitrix24 import (
    CLIENT_ID,
    CLIENT_SECRET,
    CRM_ONLY_TOKEN,
    REFRESH_TOKEN,
    WEBHOOK_TOKEN,
    Operating,
)

SPECS = Path(__file__).parents[3].parent / "shared" / "data" / "bitrix24_method_specs"
LEAD, DEAL, CONTACT, COMPANY = 1, 2, 3, 4
PORTAL_TIME = timezone(timedelta(hours=3))

Json = dict[str, Any]


def world() -> World:
    # A seed with which deals were deleted and merged.
    return World(seed=6, opened_on=date(2025, 9, 1), until=date(2026, 3, 2))


def connected(served: Served) -> Iterator[httpx.Client]:
    with serve(served) as url, httpx.Client(base_url=f"{url}/bitrix24/rest/1/{WEBHOOK_TOKEN}/", timeout=10) as client:
        yield client


@pytest.fixture(scope="module")
def standing() -> World:
    """The company on 2 March 2026, half a year old; its clock stands still."""
    return world()


@pytest.fixture(scope="module")
def portal(standing: World) -> Iterator[httpx.Client]:
    """Bitrix24 by webhook, without limits."""
    yield from connected(Served(standing, limits=False))


@pytest.fixture(scope="module")
def crm(standing: World) -> Crm:
    return standing.crm


@pytest.fixture
def young() -> World:
    """A company of a few weeks, with a clock that a test may move."""
    return World(opened_on=date(2026, 2, 9), until=date(2026, 3, 2))


@pytest.fixture
def young_portal(young: World) -> Iterator[httpx.Client]:
    yield from connected(Served(young, limits=False))


@pytest.fixture
def strict_portal(young: World) -> Iterator[httpx.Client]:
    """Bitrix24 with its limits."""
    yield from connected(Served(young, limits=True))


def call(client: httpx.Client, method: str, **params: Any) -> Json:
    response = client.post(method, json=params)
    assert response.status_code == 200, response.text
    return response.json()


def items(client: httpx.Client, entity: int, **params: Any) -> list[Json]:
    return call(client, "crm.item.list", entityTypeId=entity, **params)["result"]["items"]


def refusal(client: httpx.Client, method: str, **params: Any) -> tuple[int, str, str]:
    response = client.post(method, json=params)
    return response.status_code, response.json()["error"], response.json()["error_description"]


def all_items(client: httpx.Client, entity: int) -> list[Json]:
    """All items, each page after the last id of the one before it."""
    found: list[Json] = []
    while page := items(client, entity, order={"id": "ASC"}, filter={">id": found[-1]["id"] if found else 0}, start=-1):
        found += page
    return found


def all_pages(client: httpx.Client, method: str, **params: Any) -> Iterator[Json]:
    """All pages, by the `next` of each."""
    start: int | None = 0
    while start is not None:
        answer = call(client, method, start=start, **params)
        yield answer
        start = answer.get("next")


def rows_in(answer: Json) -> list[Json]:
    result = answer["result"]
    return result if isinstance(result, list) else next(iter(result.values()))


def ids(rows: list[Json]) -> list[int]:
    return [int(row.get("id") or row["ID"]) for row in rows]


def live(crm: Crm) -> list[Deal]:
    return [deal for deal in crm.deals if not deal.is_deleted]


def number(record_id: str) -> int:
    return int(record_id.partition("-")[2])


# ---------------------------------------------------------------------- items


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        (LEAD, lambda crm: [number(lead.id) for lead in crm.leads]),
        (DEAL, lambda crm: [number(deal.id) for deal in live(crm)]),
        (CONTACT, lambda crm: sorted(number(lead.deal.id) for lead in crm.leads if lead.deal)),
        (COMPANY, lambda crm: [number(account.id) for account in crm.accounts]),
    ],
)
def test_every_item_is_read_once_by_its_id(portal: httpx.Client, crm: Crm, entity: int, expected: Any) -> None:
    assert ids(all_items(portal, entity)) == expected(crm)


def test_pages_of_fifty_lead_to_the_next_and_tell_the_total(portal: httpx.Client, crm: Crm) -> None:
    pages = list(all_pages(portal, "crm.item.list", entityTypeId=DEAL))
    assert {page["total"] for page in pages} == {len(live(crm))}
    assert {len(page["result"]["items"]) for page in pages[:-1]} == {50}
    assert [page.get("next") for page in pages] == [*(50 * at for at in range(1, len(pages))), None]
    assert sum(len(page["result"]["items"]) for page in pages) == len(live(crm))


def test_a_page_without_counting_tells_no_total_and_no_next(portal: httpx.Client) -> None:
    answer = call(portal, "crm.item.list", entityTypeId=DEAL, start=-1)
    assert (len(answer["result"]["items"]), answer["total"], "next" in answer) == (50, 0, False)


def test_a_won_deal_is_told_as_the_portal_has_it(portal: httpx.Client, crm: Crm) -> None:
    deal = next(deal for deal in live(crm) if deal.stage.outcome == "won" and deal.lead and deal.account)
    assert deal.account
    assert deal.lead
    assert deal.closed_at
    assert deal.created_at
    (told,) = items(portal, DEAL, filter={"id": number(deal.id)})
    expected = {
        "title": deal.name,
        "stageId": "WON" if deal.pipeline.id == "new_business" else "C2:WON",
        "stageSemanticId": "S",
        "closed": "Y",
        "opportunity": deal.amount / 100 if deal.amount else 0,
        "currencyId": deal.currency,
        "companyId": number(deal.account.id),
        "leadId": number(deal.lead.id),
        "assignedById": 8 + number(deal.manager.id),
        "createdTime": deal.created_at.astimezone(PORTAL_TIME).isoformat(),
        "updatedTime": deal.updated_at.astimezone(PORTAL_TIME).isoformat(),
        "movedTime": deal.closed_at.astimezone(PORTAL_TIME).isoformat(),
        "closedate": f"{deal.closed_at.astimezone(PORTAL_TIME).date()}T03:00:00+03:00",
        "ufCrmProduct": deal.product.name,
    }
    assert {name: told[name] for name in expected} == expected
    (lead,) = items(portal, LEAD, filter={"id": told["leadId"]})
    assert (lead["stageId"], lead["stageSemanticId"], lead["companyId"]) == ("CONVERTED", "S", told["companyId"])
    (contact,) = items(portal, CONTACT, filter={"id": told["contactId"]})
    assert (contact["lastName"], contact["leadId"]) == (lead["lastName"], lead["id"])


def test_amounts_add_up_to_the_cent(portal: httpx.Client, crm: Crm) -> None:
    told: Counter[str] = Counter()
    for deal in all_items(portal, DEAL):
        told[deal["currencyId"]] += round(deal["opportunity"] * 100)
    expected: Counter[str] = Counter()
    for each in live(crm):
        expected[each.currency] += each.amount or 0
    assert told == expected


def test_a_portal_knows_when_a_deal_older_than_the_crm_was_entered(portal: httpx.Client) -> None:
    (told,) = items(portal, DEAL, filter={"id": 1})
    assert told["createdTime"] == "2025-09-01T01:00:00+03:00"


def test_only_what_is_selected_is_told(portal: httpx.Client) -> None:
    rows = items(portal, DEAL, select=["title", "opportunity", "nothing"])
    assert {tuple(row) for row in rows} == {("title", "opportunity", "id")}


# ---------------------------------------------------------------------- filters and orders


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ({">id": 5, "<=id": 9}, lambda row: 5 < row["id"] <= 9),
        ({">=id": "5", "<id": 9}, lambda row: 5 <= row["id"] < 9),
        ({"id": [3, 7]}, lambda row: row["id"] in (3, 7)),
        ({"@id": [3, 7], "!id": 3}, lambda row: row["id"] == 7),
        ({"stageSemanticId": "F", "!=categoryId": 0}, lambda row: row["stageSemanticId"] == "F" and row["categoryId"]),
        ({"!@stageSemanticId": ["F", "P"]}, lambda row: row["stageSemanticId"] == "S"),
        ({"=closed": "N", ">opportunity": 5000}, lambda row: row["closed"] == "N" and row["opportunity"] > 5000),
        ({"%title": "cloud"}, lambda row: "Cloud" in row["title"]),
        ({"leadId": ""}, lambda row: row["leadId"] is None),
        ({"0": {"logic": "OR", "0": {"<id": 4}, "1": {"id": 9}}}, lambda row: row["id"] in (1, 2, 3, 9)),
    ],
)
def test_a_filter_keeps_what_fits(portal: httpx.Client, given: Json, fits: Any) -> None:
    expected = [row["id"] for row in all_items(portal, DEAL) if fits(row)]
    answer = call(portal, "crm.item.list", entityTypeId=DEAL, filter=given, order={"id": "ASC"})
    assert (ids(answer["result"]["items"]), answer["total"]) == (expected[:50], len(expected))
    assert expected


def test_an_order_is_kept_even_among_equals(portal: httpx.Client) -> None:
    rows = all_items(portal, DEAL)
    expected = sorted(rows, key=lambda row: (row["categoryId"], -row["opportunity"], row["id"]))
    order = {"categoryId": "ASC", "opportunity": "DESC"}
    assert ids(items(portal, DEAL, order=order, start=100)) == ids(expected[100:150])


def test_a_change_is_found_by_its_time_in_any_offset(young: World, young_portal: httpx.Client) -> None:
    def changed_since(moment: datetime) -> set[int]:
        changed = {">=updatedTime": moment.isoformat()}
        pages = all_pages(young_portal, "crm.item.list", entityTypeId=DEAL, filter=changed)
        return {row["id"] for page in pages for row in page["result"]["items"]}

    night = young.now
    assert changed_since(night) == set()
    young.advance(2)
    expected = {number(deal.id) for deal in live(young.crm) if deal.updated_at >= night}
    assert expected
    for zone in (UTC, PORTAL_TIME, timezone(timedelta(hours=-5))):
        assert changed_since(night.astimezone(zone)) == expected
    assert changed_since(night.astimezone(PORTAL_TIME).replace(tzinfo=None)) == expected


@pytest.mark.parametrize(
    ("params", "described"),
    [
        ({"filter": {"bad": 1}}, "Invalid filter: field 'bad' is not allowed in filter"),
        ({"filter": {">id": [1, 2]}}, "Invalid filter: field 'id' has invalid value"),
        # What becomes of a plus sign that was not encoded in an address.
        ({"filter": {">updatedTime": "2026-01-01T00:00:00 03:00"}}, "field 'updatedTime' has invalid value"),
        ({"order": {"bad": "ASC"}}, "Invalid order: field 'bad' is not allowed in order"),
        ({"order": {"id": "UP"}}, "allowed sort directions are `ASC, DESC`. But got 'UP' for field 'id'"),
    ],
)
def test_items_refuse_what_they_do_not_have(portal: httpx.Client, params: Json, described: str) -> None:
    status, code, words = refusal(portal, "crm.item.list", entityTypeId=DEAL, **params)
    assert (status, code) == (400, "INVALID_ARG_VALUE")
    assert described in words


def test_an_unknown_type_is_refused(portal: httpx.Client) -> None:
    assert refusal(portal, "crm.item.list", entityTypeId=7)[:2] == (400, "NOT_FOUND")
    assert refusal(portal, "crm.item.list")[:2] == (400, "100")
    assert refusal(portal, "crm.stagehistory.list", entityTypeId=COMPANY)[:2] == (400, "ENTITY_TYPE_NOT_SUPPORTED")


def test_an_address_says_as_much_as_a_body(portal: httpx.Client) -> None:
    params = {"entityTypeId": DEAL, "filter[>id]": 5, "filter[@categoryId][]": 0, "order[id]": "DESC", "select[]": "id"}
    sent = {"entityTypeId": DEAL, "filter": {">id": 5, "@categoryId": [0]}, "order": {"id": "DESC"}, "select": ["id"]}
    expected = portal.post("crm.item.list", json=sent).json()["result"]
    assert portal.get("crm.item.list.json", params=params).json()["result"] == expected
    assert portal.post("crm.item.list", data=params).json()["result"] == expected


# ---------------------------------------------------------------------- other lists


def test_the_stage_history_leads_to_where_every_deal_stands(portal: httpx.Client, crm: Crm) -> None:
    pages = all_pages(portal, "crm.stagehistory.list", entityTypeId=DEAL, order={"ID": "ASC"})
    rows = [row for page in pages for row in page["result"]["items"]]
    assert len(rows) == len(crm.stage_changes)
    types: dict[int, list[int]] = {}
    for row in rows:
        types.setdefault(row["OWNER_ID"], []).append(row["TYPE_ID"])
        assert (row["TYPE_ID"] == 3) == (row["STAGE_SEMANTIC_ID"] != "P")
    assert all(of_one[0] == 1 and 1 not in of_one[1:] for of_one in types.values())
    last = {row["OWNER_ID"]: (row["STAGE_ID"], row["CATEGORY_ID"], row["CREATED_TIME"]) for row in rows}
    for deal in all_items(portal, DEAL):
        assert last[deal["id"]] == (deal["stageId"], deal["categoryId"], deal["movedTime"])


def test_what_happened_is_told_in_the_same_way_ever_after(young: World, young_portal: httpx.Client) -> None:
    def told() -> list[list[Json]]:
        return [
            [row for page in all_pages(young_portal, method, order={"ID": "ASC"}, **of) for row in rows_in(page)]
            for method, of in (
                ("crm.stagehistory.list", {"entityTypeId": LEAD}),
                ("crm.stagehistory.list", {"entityTypeId": DEAL}),
                ("crm.activity.list", {}),
            )
        ]

    before = told()
    # On the first of a month, deals and people change hands.
    young.advance(31)
    after = told()
    for earlier, later in zip(before, after, strict=True):
        assert len(later) > len(earlier) > 0
        assert later[: len(earlier)] == earlier
    leads = after[0]
    assert [row["CREATED_TIME"] for row in leads] == sorted(row["CREATED_TIME"] for row in leads)
    converted = sum(lead.converted_at is not None for lead in young.crm.leads)
    assert Counter(row["STATUS_ID"] for row in leads) == {"NEW": len(young.crm.leads), "CONVERTED": converted}


def test_activities_are_numbered_though_their_numbers_are_text(portal: httpx.Client, crm: Crm) -> None:
    rows = call(portal, "crm.activity.list", order={"ID": "ASC"}, filter={">ID": 9, "<=ID": "12"})["result"]
    assert [row["ID"] for row in rows] == ["10", "11", "12"]
    kinds = {"1": "meeting", "2": "call", "3": "task", "4": "email"}
    for row, activity in zip(rows, crm.activities[9:12], strict=True):
        of = activity.deal or activity.lead
        assert of
        assert (kinds[row["TYPE_ID"]], row["OWNER_ID"], row["OWNER_TYPE_ID"]) == (
            activity.kind,
            str(number(of.id)),
            "2" if activity.deal else "1",
        )
        assert datetime.fromisoformat(row["START_TIME"]) == activity.occurred_at


def test_an_older_list_passes_over_a_filter_it_does_not_know(portal: httpx.Client, crm: Crm) -> None:
    assert call(portal, "crm.activity.list", filter={"NOTHING": 1})["total"] == len(crm.activities)


def test_what_was_done_for_a_merged_deal_belongs_to_the_one_that_is_left() -> None:
    company = world()
    twin = next(deal for deal in company.crm.deals if deal.merged_into)
    company.crm.log("call", twin.manager, occurred_at=twin.updated_at, now=twin.updated_at, deal=twin)
    for client in connected(Served(company, limits=False)):
        (row,) = call(client, "crm.activity.list", filter={"ID": len(company.crm.activities)})["result"]
    assert twin.merged_into
    assert row["OWNER_ID"] == str(number(twin.merged_into.id))
    assert row["LAST_UPDATED"] == twin.updated_at.astimezone(PORTAL_TIME).isoformat()


def test_who_left_is_a_user_that_is_not_active(portal: httpx.Client, crm: Crm) -> None:
    users = [user for page in all_pages(portal, "user.get") for user in page["result"]]
    assert len(users) == 8 + len(crm.managers)
    gone = {8 + number(manager.id) for manager in crm.managers if manager.left_on}
    assert {int(user["ID"]) for user in users if not user["ACTIVE"]} == gone
    active = call(portal, "user.get", FILTER={"ACTIVE": True}, sort="ID", order="DESC")["result"]
    assert ids(active) == sorted({int(user["ID"]) for user in users} - gone, reverse=True)
    nordics = call(portal, "user.get", FILTER={"UF_DEPARTMENT": 4})["result"]
    assert {user["UF_DEPARTMENT"][0] for user in nordics} == {4}


def test_departments_form_a_tree_with_heads(portal: httpx.Client) -> None:
    rows = call(portal, "department.get")["result"]
    by_id = {row["ID"]: row for row in rows}
    assert [row["NAME"] for row in rows if "PARENT" not in row] == ["Sales"]
    dach = next(row for row in rows if row["NAME"] == "DACH")
    assert by_id[dach["PARENT"]]["NAME"] == "Europe"
    (head,) = call(portal, "user.get", FILTER={"ID": dach["UF_HEAD"]})["result"]
    assert (head["NAME"], head["LAST_NAME"]) == ("Jürgen", "Österreicher")
    assert call(portal, "department.get", PARENT=dach["PARENT"])["total"] == 3


def test_every_stage_is_in_the_list_of_its_pipeline(portal: httpx.Client) -> None:
    categories = call(portal, "crm.category.list", entityTypeId=DEAL)["result"]["categories"]
    assert [(row["id"], row["name"], row["isDefault"]) for row in categories] == [
        (0, "New business", "Y"),
        (1, "Renewals", "N"),
        (2, "Partner", "N"),
    ]
    for category in categories:
        entity = f"DEAL_STAGE_{category['id']}" if category["id"] else "DEAL_STAGE"
        stages = call(portal, "crm.status.list", filter={"ENTITY_ID": entity}, order={"SORT": "ASC"})["result"]
        used = {deal["stageId"] for deal in all_items(portal, DEAL) if deal["categoryId"] == category["id"]}
        assert used <= {stage["STATUS_ID"] for stage in stages}
        semantics = [stage["EXTRA"]["SEMANTICS"] for stage in stages]
        assert semantics == ["process"] * (len(stages) - 2) + ["success", "failure"]
    sources = call(portal, "crm.status.list", filter={"ENTITY_ID": "SOURCE"})["result"]
    assert {lead["sourceId"] for lead in all_items(portal, LEAD)} <= {source["STATUS_ID"] for source in sources}


# ---------------------------------------------------------------------- batches


def test_a_batch_reads_on_from_what_its_earlier_calls_gave(portal: httpx.Client, crm: Crm) -> None:
    query = "crm.item.list?entityTypeId=2&order[id]=ASC&start=-1&filter[>id]="
    cmd = {"page0": f"{query}0"}
    cmd |= {f"page{at}": f"{query}$result[page{at - 1}][items][49][id]" for at in range(1, 50)}
    answer = call(portal, "batch", halt=1, cmd=cmd)["result"]
    pages = [page["items"] for page in answer["result"].values()]
    assert [row["id"] for page in pages for row in page] == [number(deal.id) for deal in live(crm)]
    # After the last, short page the reference leads to no fiftieth record, and what it does lead to is no number.
    (stopped,) = answer["result_error"].values()
    assert (len(pages[-1]) < 50, stopped["error"]) == (True, "INVALID_ARG_VALUE")


def test_a_batch_is_told_as_php_writes_arrays(portal: httpx.Client) -> None:
    named = call(portal, "batch", cmd={"who": "profile", "bad": "no.such.method", "all": "user.get"})["result"]
    assert named["result"].keys() == {"who", "all"}
    assert named["result_error"]["bad"]["error"] == "ERROR_METHOD_NOT_FOUND"
    assert named["result_total"].keys() == {"all"}
    assert named["result_time"].keys() == {"who", "all"}
    counted = call(portal, "batch", cmd=["profile", "department.get?ID=$result[0][ID]&sort=$result[0][ID]"])["result"]
    assert [counted["result"][0]["ID"], counted["result"][1][0]["ID"]] == ["1", "1"]
    assert (counted["result_error"], counted["result_next"], counted["result_total"]) == ([], [], {"1": 1})


def test_a_batch_goes_on_after_an_error_unless_it_is_to_halt(portal: httpx.Client) -> None:
    cmd = {"bad": "no.such.method", "who": "profile"}
    assert call(portal, "batch", cmd=cmd, halt=0)["result"]["result"].keys() == {"who"}
    assert call(portal, "batch", cmd=cmd, halt=1)["result"]["result"] == []


def test_a_batch_has_fifty_calls_and_no_batch_in_it(portal: httpx.Client) -> None:
    answer = call(portal, "batch", cmd={"inner": "batch?cmd[0]=profile", **{f"at{at}": "profile" for at in range(51)}})
    assert len(answer["result"]["result"]) == 49
    errors = {name: error["error"] for name, error in answer["result"]["result_error"].items()}
    assert errors == {
        "inner": "ERROR_BATCH_METHOD_NOT_ALLOWED",
        "at49": "ERROR_BATCH_LENGTH_EXCEEDED",
        "at50": "ERROR_BATCH_LENGTH_EXCEEDED",
    }


# ---------------------------------------------------------------------- who may


def test_a_webhook_opens_what_it_was_made_for(portal: httpx.Client) -> None:
    crm_only = str(portal.base_url).replace(WEBHOOK_TOKEN, CRM_ONLY_TOKEN)
    unknown = str(portal.base_url).replace(WEBHOOK_TOKEN, "guessed")
    assert httpx.post(f"{crm_only}crm.status.list").status_code == 200
    refused = httpx.post(f"{crm_only}user.get")
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
    unheard_of = httpx.post(f"{unknown}profile")
    assert (unheard_of.status_code, unheard_of.json()["error"]) == (401, "NO_AUTH_FOUND")
    assert refusal(portal, "no.such.method")[:2] == (404, "ERROR_METHOD_NOT_FOUND")
    assert refusal(portal, "app.info")[:2] == (400, "ACCESS_DENIED")
    assert call(portal, "scope")["result"] == ["crm", "department", "user"]


def renewed(address: str, refresh_token: str) -> httpx.Response:
    form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": refresh_token}
    return httpx.get(f"{address}/oauth/token/", params={"grant_type": "refresh_token", **form})


def test_an_access_token_ends_and_each_refresh_token_is_used_once(young: World) -> None:
    with serve(Served(young, limits=False)) as url:
        address = f"{url}/bitrix24"
        first = renewed(address, REFRESH_TOKEN).json()
        assert first["expires_in"] == 3600
        assert first["client_endpoint"] == f"{address}/rest/"
        asked = {"auth": first["access_token"]}
        assert httpx.get(f"{address}/rest/app.info", params=asked).json()["result"]["CODE"] == CLIENT_ID
        assert httpx.post(f"{address}/rest/profile.json", json=asked).status_code == 200
        assert renewed(address, REFRESH_TOKEN).json()["error"] == "invalid_grant"

        young.advance(1)
        ended = httpx.get(f"{address}/rest/profile", params=asked)
        assert (ended.status_code, ended.json()["error"]) == (401, "expired_token")
        second = renewed(address, first["refresh_token"]).json()
        headers = {"Authorization": f"Bearer {second['access_token']}"}
        assert httpx.get(f"{address}/rest/profile", headers=headers).status_code == 200
    with serve(Served(young, limits=False)) as url:
        # A server that was started again gives out new tokens for those that were kept meanwhile.
        assert renewed(f"{url}/bitrix24", second["refresh_token"]).status_code == 200


# ---------------------------------------------------------------------- limits and faults


def test_more_than_fifty_requests_at_once_wait_for_the_bucket_to_leak(strict_portal: httpx.Client) -> None:
    answers = [strict_portal.get("server.time") for _ in range(60)]
    assert [answer.status_code for answer in answers[:50]] == [200] * 50
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert (refused.json()["error"], "retry-after" in refused.headers) == ("QUERY_LIMIT_EXCEEDED", False)
    time.sleep(0.55)
    assert strict_portal.get("server.time").status_code == 200


def test_a_method_that_worked_too_long_is_blocked_alone(
    strict_portal: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bitrix24, "OPERATING_SECONDS", 0.05)
    answers = [strict_portal.post("crm.item.list", json={"entityTypeId": DEAL}) for _ in range(4)]
    operating = [answer.json()["time"]["operating"] for answer in answers if answer.is_success]
    assert operating == pytest.approx([operating[0] * (at + 1) for at in range(len(operating))])
    assert operating[-2] <= 0.05 < operating[-1]
    assert (answers[-1].status_code, answers[-1].json()["error"]) == (429, "OPERATION_TIME_LIMIT")
    inner = call(strict_portal, "batch", cmd={"deals": "crm.item.list?entityTypeId=2", "who": "user.current"})["result"]
    assert inner["result_error"]["deals"]["error"] == "OPERATION_TIME_LIMIT"
    assert inner["result"].keys() == {"who"}


def test_working_time_is_forgotten_minute_by_minute() -> None:
    now = [0.0]
    operating = Operating(clock=lambda: now[0])
    for at, seconds in ((0, 3.0), (59, 4.0), (70, 5.0)):
        now[0] = at
        operating.spend("webhook", "crm.item.list", seconds)
    assert operating.spent("webhook", "crm.item.list") == 12
    assert operating.resets_in("webhook", "crm.item.list") == 530
    now[0] = 600
    assert operating.spent("webhook", "crm.item.list") == 5
    assert operating.spent("webhook", "user.get") == operating.spent("application", "crm.item.list") == 0


def test_counting_takes_longer_than_not_counting(portal: httpx.Client) -> None:
    counted, uncounted = (call(portal, "crm.activity.list", start=start)["time"]["processing"] for start in (0, -1))
    assert counted > uncounted


def test_faults_come_in_the_portals_words(young_portal: httpx.Client) -> None:
    kinds = ("rate_limited", "rate_limited_without_header", "expired_token", "server_error", "out_of_order_page")
    faults = [{"at": at, "kind": kind, "seconds": 2} for at, kind in enumerate(kinds)]
    control = young_portal.base_url.join("/_control/faults")
    right = call(young_portal, "batch", cmd={"deals": "crm.item.list?entityTypeId=2&order[id]=ASC"})["result"]["result"]
    assert httpx.post(str(control), json={"crm": "bitrix24", "faults": faults}).status_code == 200
    told = [young_portal.get("profile") for _ in range(4)]
    assert [(answer.status_code, answer.json()["error"]) for answer in told] == [
        (429, "OPERATION_TIME_LIMIT"),
        (503, "QUERY_LIMIT_EXCEEDED"),
        (401, "expired_token"),
        (500, "INTERNAL_SERVER_ERROR"),
    ]
    assert [answer.headers.get("retry-after") for answer in told] == ["2", None, None, None]
    wrong = call(young_portal, "batch", cmd={"deals": "crm.item.list?entityTypeId=2&order[id]=ASC"})["result"]["result"]
    assert wrong["deals"]["items"] == right["deals"]["items"][::-1]


# ---------------------------------------------------------------------- the method specifications

ASKED: dict[str, Json] = {
    "crm.item.list": {"entityTypeId": LEAD, "select": ["*"], "start": 0},
    "crm.stagehistory.list": {"entityTypeId": DEAL},
    "crm.category.list": {"entityTypeId": DEAL},
    "crm.status.list": {"filter": {"ENTITY_ID": "DEAL_STAGE"}},
    "user.get": {"start": 0},
    "department.get": {"START": 0},
}


def kind(value: Any) -> str:
    """The type of a value in JSON, where a number is a number."""
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize("method", ASKED)
def test_answers_fit_the_methods_specification(portal: httpx.Client, method: str) -> None:
    spec = json.loads((SPECS / f"{method}.json").read_text(encoding="utf-8"))
    assert ASKED[method].keys() <= {param["name"] for param in spec["params"]}
    answer, example = call(portal, method, **ASKED[method]), spec["resultExample"]
    assert answer.keys() - {"next"} == example.keys()
    assert example["time"].keys() <= answer["time"].keys()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+03:00", answer["time"]["date_start"])

    told, fields = rows_in(answer), [name for name in spec["entityFields"] if not name.endswith("...")]
    assert {name for name in fields if name != "PARENT"} <= told[-1].keys()
    for shown in rows_in(example):
        for name, value in shown.items():
            found = {kind(record[name]) for record in told if name in record} - {"NoneType"}
            assert value is None or found <= {kind(value)}, name
