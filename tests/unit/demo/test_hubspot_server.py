"""The company as HubSpot: what is told, page by page, and where HubSpot refuses."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from kpimart.demo.crm import Crm, Deal
from kpimart.demo.server import Served, World, serve
from kpimart.demo.server.hubspot import CLIENT_ID, CLIENT_SECRET, DEALS_ONLY_TOKEN, REFRESH_TOKEN, TOKEN

DEALS = "/crm/v3/objects/deals"
SEARCH = f"{DEALS}/search"
STAGES = ["appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "contractsent", "closedwon", "closedlost"]

Json = dict[str, Any]


def world() -> World:
    # A seed with which deals were deleted and merged.
    return World(seed=6, opened_on=date(2025, 9, 1), until=date(2026, 3, 2))


def connected(served: Served) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with serve(served) as url, httpx.Client(base_url=f"{url}/hubspot", headers=headers, timeout=5) as client:
        yield client


@pytest.fixture(scope="module")
def standing() -> World:
    """The company on 2 March 2026, half a year old; its clock stands still."""
    return world()


@pytest.fixture(scope="module")
def hubspot(standing: World) -> Iterator[httpx.Client]:
    """HubSpot without limits."""
    yield from connected(Served(standing, limits=False))


@pytest.fixture(scope="module")
def crm(standing: World) -> Crm:
    return standing.crm


@pytest.fixture
def living() -> World:
    """The same company, with a clock that a test may move."""
    return world()


@pytest.fixture
def living_hubspot(living: World) -> Iterator[httpx.Client]:
    yield from connected(Served(living, limits=False))


@pytest.fixture
def strict_hubspot() -> Iterator[httpx.Client]:
    """HubSpot with its limits."""
    yield from connected(Served(World(opened_on=date(2026, 2, 20), until=date(2026, 3, 2)), limits=True))


def pages(client: httpx.Client, path: str, **params: str | int) -> Iterator[list[Json]]:
    after: str | None = "0"
    while after:
        answer = client.get(path, params={**params, "after": after}).json()
        yield answer["results"]
        after = answer.get("paging", {}).get("next", {}).get("after")


def everything(client: httpx.Client, path: str, **params: str | int) -> list[Json]:
    return [record for page in pages(client, path, **{"limit": 100, **params}) for record in page]


def search(client: httpx.Client, *filters: Json, **more: Any) -> Json:
    response = client.post(SEARCH, json={"filterGroups": [{"filters": list(filters)}], **more})
    assert response.status_code == 200, response.text
    return response.json()


def having(name: str, operator: str, value: object) -> Json:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def live(crm: Crm) -> list[Deal]:
    return [deal for deal in crm.deals if not deal.is_deleted]


def deal_id(deal: Deal) -> str:
    """Where nothing was merged."""
    return str(17_210_000_000 + 7 * int(deal.id.removeprefix("D-")))


def duplicates(crm: Crm, *, merged: bool) -> list[Deal]:
    return [deal for deal in crm.deals if deal.duplicate_of and deal.is_deleted and bool(deal.merged_into) == merged]


# ---------------------------------------------------------------------- lists


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("companies", lambda crm: len(crm.accounts)),
        ("contacts", lambda crm: len(crm.leads)),
        ("deals", lambda crm: len(live(crm))),
        ("calls", lambda crm: sum(activity.kind == "call" for activity in crm.activities)),
        ("tasks", lambda crm: sum(activity.kind == "task" for activity in crm.activities)),
    ],
)
def test_the_pages_have_every_record_once_by_ascending_id(
    hubspot: httpx.Client, crm: Crm, name: str, counted: Any
) -> None:
    ids = [int(record["id"]) for record in everything(hubspot, f"/crm/v3/objects/{name}")]
    assert ids == sorted(set(ids))
    assert len(ids) == counted(crm) > 100


def test_pages_stay_stable_while_the_company_lives_on(living_hubspot: httpx.Client, living: World) -> None:
    before = {record["id"] for record in everything(living_hubspot, DEALS)}
    read = []
    for page in pages(living_hubspot, DEALS, limit=100):
        read += [record["id"] for record in page]
        living.advance(1)
    gone = before - {record["id"] for record in everything(living_hubspot, DEALS)}
    assert len(read) == len(set(read))
    assert before - gone <= set(read)


@pytest.mark.parametrize(("query", "status"), [("limit=100", 200), ("limit=101", 400)])
def test_a_page_has_at_most_100_records(hubspot: httpx.Client, query: str, status: int) -> None:
    assert hubspot.get(f"{DEALS}?{query}").status_code == status


def test_a_page_with_history_has_at_most_50_records(hubspot: httpx.Client) -> None:
    assert len(hubspot.get(f"{DEALS}?limit=50&propertiesWithHistory=amount").json()["results"]) == 50
    assert hubspot.get(f"{DEALS}?limit=51&propertiesWithHistory=amount").status_code == 400
    inputs = [{"id": str(number)} for number in range(51)]
    body = {"inputs": inputs, "propertiesWithHistory": ["amount"]}
    assert hubspot.post(f"{DEALS}/batch/read", json=body).status_code == 400


def test_what_is_asked_for_is_told_and_what_does_not_exist_is_left_out(hubspot: httpx.Client) -> None:
    (deal,) = hubspot.get(f"{DEALS}?limit=1&properties=product,hs_merged_object_ids&properties=nonsense").json()[
        "results"
    ]
    assert set(deal["properties"]) == {
        "createdate", "hs_lastmodifieddate", "hs_merged_object_ids", "hs_object_id", "product"
    }  # fmt: skip
    assert deal["properties"]["hs_merged_object_ids"] is None
    assert all(value is None or isinstance(value, str) for value in deal["properties"].values())


def test_a_company_is_linked_twice_as_the_primary_one_and_without_a_label(hubspot: httpx.Client, crm: Crm) -> None:
    listed = everything(hubspot, DEALS, associations="companies,contacts")
    told = {record["id"]: record.get("associations", {}) for record in listed}
    deal = next(deal for deal in live(crm) if deal.account and deal.lead and deal_id(deal) in told)
    types = [link["type"] for link in told[deal_id(deal)]["companies"]["results"]]
    assert types == ["deal_to_company", "deal_to_company_unlabeled"]
    assert len({link["id"] for link in told[deal_id(deal)]["companies"]["results"]}) == 1
    assert [link["type"] for link in told[deal_id(deal)]["contacts"]["results"]] == ["deal_to_contact"]


def test_associations_can_be_asked_for_by_id(hubspot: httpx.Client, crm: Crm) -> None:
    with_company = next(deal for deal in live(crm) if deal.account)
    body = {"inputs": [{"id": deal_id(with_company)}, {"id": "5"}]}
    response = hubspot.post("/crm/v4/associations/deals/companies/batch/read", json=body)
    (result,) = response.json()["results"]
    assert (response.status_code, response.json()["numErrors"]) == (207, 1)
    assert [kind["typeId"] for kind in result["to"][0]["associationTypes"]] == [5, 341]


# ---------------------------------------------------------------------- history


def test_the_history_of_a_stage_is_the_deals_way_newest_first(hubspot: httpx.Client, crm: Crm) -> None:
    listed = everything(hubspot, DEALS, limit=50, propertiesWithHistory="dealstage")
    told = {record["id"]: record for record in listed}
    merged = {deal.merged_into for deal in crm.deals}
    ways: dict[Deal, list[tuple[str, str]]] = {}
    for change in crm.stage_changes:
        if change.deal.pipeline.id == "new_business":
            stage = STAGES[[each.name for each in change.deal.pipeline.stages].index(change.stage.name)]
            at = change.changed_at.isoformat().replace("+00:00", "Z")
            ways.setdefault(change.deal, []).insert(0, (stage, at))
    compared = [deal for deal in live(crm) if deal in ways and deal not in merged]
    assert len(compared) > 100
    for deal in compared:
        record = told[deal_id(deal)]
        history = record["propertiesWithHistory"]["dealstage"]
        assert [(change["value"], change["timestamp"]) for change in history] == ways[deal]
        assert record["properties"]["dealstage"] == history[0]["value"]


def test_a_close_date_becomes_the_day_of_closing_and_comes_back_on_reopening(hubspot: httpx.Client, crm: Crm) -> None:
    listed = everything(hubspot, DEALS, limit=50, propertiesWithHistory="closedate")
    told = {record["id"]: record for record in listed}
    closings: dict[Deal, list[datetime]] = {}
    for change in crm.stage_changes:
        if change.stage.outcome != "open":
            closings.setdefault(change.deal, []).append(change.changed_at)
    reopened = [deal for deal in live(crm) if deal in closings and deal.is_open and deal_id(deal) in told]
    assert reopened
    for deal in reopened:
        values = [change["value"] for change in told[deal_id(deal)]["propertiesWithHistory"]["closedate"]]
        assert f"{closings[deal][-1]:%Y-%m-%dT%H:%M:%SZ}" in values
        assert values[0][:10] == (deal.expected_close_on.isoformat() if deal.expected_close_on else "")


def test_every_value_told_is_the_last_of_its_history(hubspot: httpx.Client) -> None:
    names = "dealstage,amount,closedate,hubspot_owner_id,pipeline"
    for record in everything(hubspot, DEALS, limit=50, propertiesWithHistory=names):
        for name, history in record["propertiesWithHistory"].items():
            assert (record["properties"][name] or "") == (history[0]["value"] if history else ""), record["id"]


# ---------------------------------------------------------------------- deletions and merges


def test_a_deleted_deal_is_archived_for_90_days(living_hubspot: httpx.Client, living: World) -> None:
    newest = duplicates(living.crm, merged=False)[-1]
    assert newest.deleted_at
    (told,) = [each for each in everything(living_hubspot, DEALS, archived="true") if each["id"] == deal_id(newest)]
    assert (told["archived"], told["archivedAt"]) == (True, f"{newest.deleted_at:%Y-%m-%dT%H:%M:%SZ}")
    assert living_hubspot.get(f"{DEALS}/{deal_id(newest)}").status_code == 404
    assert deal_id(newest) not in {each["id"] for each in everything(living_hubspot, DEALS)}
    living.move_to(newest.deleted_at.date() + timedelta(days=92))
    assert deal_id(newest) not in {each["id"] for each in everything(living_hubspot, DEALS, archived="true")}


def test_merged_deals_vanish_and_a_third_takes_their_place(hubspot: httpx.Client, crm: Crm) -> None:
    twin = duplicates(crm, merged=True)[0]
    assert twin.merged_into
    both = [deal_id(twin.merged_into), deal_id(twin)]
    listed = {
        record["id"] for archived in ("false", "true") for record in everything(hubspot, DEALS, archived=archived)
    }
    assert not listed & set(both)
    asked = [hubspot.get(f"{DEALS}/{each}?properties=hs_merged_object_ids").json() for each in both]
    assert asked[0] == asked[1]
    assert asked[0]["id"] in listed
    assert asked[0]["properties"]["hs_merged_object_ids"].split(";") == both
    batch = hubspot.post(f"{DEALS}/batch/read", json={"inputs": [{"id": both[0]}]})
    assert [each["id"] for each in batch.json()["results"]] == [asked[0]["id"]]


def test_what_hung_on_a_merged_deal_hangs_on_the_new_one(hubspot: httpx.Client, crm: Crm) -> None:
    twin = duplicates(crm, merged=True)[0]
    merged = hubspot.get(f"{DEALS}/{deal_id(twin)}").json()
    links = [
        link["id"]
        for contact in everything(hubspot, "/crm/v3/objects/contacts", associations="deals")
        for link in contact.get("associations", {}).get("deals", {}).get("results", [])
    ]
    assert merged["id"] in links
    assert set(links) <= {record["id"] for record in everything(hubspot, DEALS)}


def test_a_batch_tells_what_it_did_not_find(hubspot: httpx.Client, crm: Crm) -> None:
    first = deal_id(live(crm)[0])
    response = hubspot.post(f"{DEALS}/batch/read", json={"inputs": [{"id": "5"}, {"id": first}]})
    assert response.status_code == 207
    assert [each["id"] for each in response.json()["results"]] == [first]
    assert [(each["category"], each["context"]) for each in response.json()["errors"]] == [
        ("OBJECT_NOT_FOUND", {"ids": ["5"]})
    ]


# ---------------------------------------------------------------------- search


def test_a_search_by_change_finds_what_changed(hubspot: httpx.Client, crm: Crm) -> None:
    since = datetime(2026, 2, 20, tzinfo=UTC)
    expected = sum(deal.updated_at >= since for deal in live(crm))
    for value in (since.isoformat(), int(since.timestamp() * 1000)):
        assert search(hubspot, having("hs_lastmodifieddate", "GTE", value))["total"] == expected > 0


def test_the_pages_of_a_search_are_complete_and_sorted(hubspot: httpx.Client, crm: Crm) -> None:
    found: list[Json] = []
    after: str | None = "0"
    while after:
        sorts = [{"propertyName": "amount", "direction": "DESCENDING"}]
        page = search(hubspot, having("amount", "GT", 0), sorts=sorts, limit=200, after=after, properties=["amount"])
        found += page["results"]
        after = page.get("paging", {}).get("next", {}).get("after")
    amounts = [float(deal["properties"]["amount"]) for deal in found]
    assert amounts == sorted(amounts, reverse=True)
    assert len({deal["id"] for deal in found}) == len(found) == sum(bool(deal.amount) for deal in live(crm))


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        (having("hs_is_closed_won", "EQ", "true"), lambda deal: deal.stage.outcome == "won"),
        (having("deal_currency_code", "NEQ", "EUR"), lambda deal: deal.currency == "USD"),
        (
            {**having("amount", "BETWEEN", 1000), "highValue": "2000"},
            lambda deal: 100_000 <= (deal.amount or 0) <= 200_000,
        ),
        (
            {"propertyName": "product", "operator": "IN", "values": ["Training", "Field Kit"]},
            lambda deal: deal.product.name in ("Training", "Field Kit"),
        ),
        ({"propertyName": "amount", "operator": "NOT_HAS_PROPERTY"}, lambda deal: deal.amount is None),
    ],
)
def test_a_filter_finds_what_fits(hubspot: httpx.Client, crm: Crm, condition: Json, fits: Any) -> None:
    assert search(hubspot, condition)["total"] == sum(map(fits, live(crm))) > 0


def test_filters_hold_together_and_of_groups_one_is_enough(hubspot: httpx.Client, crm: Crm) -> None:
    won, dollars = having("hs_is_closed_won", "EQ", "true"), having("deal_currency_code", "EQ", "USD")
    both = sum(deal.stage.outcome == "won" and deal.currency == "USD" for deal in live(crm))
    either = sum(deal.stage.outcome == "won" or deal.currency == "USD" for deal in live(crm))
    assert search(hubspot, won, dollars)["total"] == both
    body = {"filterGroups": [{"filters": [won]}, {"filters": [dollars]}]}
    assert hubspot.post(SEARCH, json=body).json()["total"] == either > both


@pytest.mark.parametrize(
    "body",
    [
        {"after": "9900", "limit": 200},
        {"limit": 201},
        {"filterGroups": [{"filters": [having("nonsense", "EQ", 1)]}]},
        {"filterGroups": [{"filters": [having("createdate", "GTE", "yesterday")]}]},
        {"filterGroups": [{"filters": [having("amount", "GT", 1)] * 11}]},
    ],
    ids=["past 10,000", "more than 200", "unknown property", "no time", "too many filters"],
)
def test_a_search_that_hubspot_does_not_answer_is_refused(hubspot: httpx.Client, body: Json) -> None:
    response = hubspot.post(SEARCH, json=body)
    assert (response.status_code, response.json()["category"]) == (400, "VALIDATION_ERROR")


def test_the_last_page_before_10_000_is_answered(hubspot: httpx.Client) -> None:
    assert hubspot.post(SEARCH, json={"after": "9800", "limit": 200}).json()["results"] == []


# ---------------------------------------------------------------------- limits and access


def test_the_sixth_search_of_a_second_is_refused(strict_hubspot: httpx.Client) -> None:
    answers = [strict_hubspot.post(SEARCH, json={}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    told = answers[-1].json()
    assert (told["errorType"], told["policyName"]) == ("RATE_LIMIT", "SECONDLY")
    assert told["message"] == "You have reached your secondly limit."
    assert strict_hubspot.get(DEALS).status_code == 200


def test_the_hundred_and_first_request_in_ten_seconds_is_refused(strict_hubspot: httpx.Client) -> None:
    answers = [strict_hubspot.get("/settings/v3/users/teams") for _ in range(101)]
    assert [answer.status_code for answer in answers] == [200] * 100 + [429]
    assert answers[-1].json()["policyName"] == "TEN_SECONDLY_ROLLING"


def test_an_access_token_lives_for_half_an_hour_of_the_companys_time(
    living_hubspot: httpx.Client, living: World
) -> None:
    form = {
        "grant_type": "refresh_token",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
    }
    given = living_hubspot.post("/oauth/v1/token", data=form).json()
    headers = {"Authorization": f"Bearer {given['access_token']}"}
    assert (given["expires_in"], living_hubspot.get(DEALS, headers=headers).status_code) == (1800, 200)
    living.advance(1)
    refused = living_hubspot.get(DEALS, headers=headers)
    assert (refused.status_code, refused.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")
    wrong = living_hubspot.post("/oauth/v1/token", data={**form, "refresh_token": "guessed"})
    assert (wrong.status_code, wrong.json()["status"]) == (400, "BAD_REFRESH_TOKEN")


def test_a_token_without_the_scope_is_told_which_it_needs(hubspot: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {DEALS_ONLY_TOKEN}"}
    assert hubspot.get(DEALS, headers=headers).status_code == 200
    refused = hubspot.get("/crm/v3/objects/emails", headers=headers)
    assert (refused.status_code, refused.json()["category"]) == (403, "MISSING_SCOPES")
    assert refused.json()["errors"][0]["context"] == {"requiredGranularScopes": ["sales-email-read"]}


def test_an_unknown_token_is_refused(hubspot: httpx.Client) -> None:
    refused = hubspot.get(DEALS, headers={"Authorization": "Bearer guessed"})
    assert (refused.status_code, refused.json()["category"]) == (401, "INVALID_AUTHENTICATION")


# ---------------------------------------------------------------------- settings and people


def test_every_owner_of_a_deal_is_listed_with_a_team(hubspot: httpx.Client, crm: Crm) -> None:
    present, gone = (everything(hubspot, "/crm/v3/owners", archived=archived) for archived in ("false", "true"))
    assert len(present) == sum(manager.left_on is None for manager in crm.managers)
    assert len(present) + len(gone) == len(crm.managers)
    owners = {
        record["properties"]["hubspot_owner_id"] for record in everything(hubspot, DEALS, properties="hubspot_owner_id")
    }
    assert owners <= {owner["id"] for owner in present + gone}
    teams = {team["id"]: team for team in hubspot.get("/settings/v3/users/teams").json()["results"]}
    for owner in present:
        (team,) = owner["teams"]
        assert team["primary"]
        assert str(owner["userId"]) in teams[team["id"]]["userIds"]


def test_every_stage_of_a_deal_is_one_of_its_pipeline(hubspot: httpx.Client) -> None:
    pipelines = hubspot.get("/crm/v3/pipelines/deals").json()["results"]
    stages = {
        pipeline["id"]: {stage["id"]: stage["metadata"] for stage in pipeline["stages"]} for pipeline in pipelines
    }
    for record in everything(hubspot, DEALS, properties="pipeline,dealstage,hs_is_closed"):
        told = record["properties"]
        assert stages[told["pipeline"]][told["dealstage"]]["isClosed"] == told["hs_is_closed"]


def test_every_property_told_is_described(hubspot: httpx.Client) -> None:
    for name in ("deals", "companies", "contacts", "calls", "meetings", "emails", "tasks"):
        described = {each["name"] for each in hubspot.get(f"/crm/v3/properties/{name}").json()["results"]}
        (record,) = hubspot.get(
            f"/crm/v3/objects/{name}", params={"limit": 1, "properties": ",".join(described)}
        ).json()["results"]
        assert set(record["properties"]) == described


def test_contacts_carry_personal_data(hubspot: httpx.Client) -> None:
    contacts = everything(hubspot, "/crm/v3/objects/contacts", properties="email,phone,firstname,lastname")
    assert len({contact["properties"]["email"] for contact in contacts}) == len(contacts)
    assert all(contact["properties"]["firstname"] and contact["properties"]["phone"] for contact in contacts)
