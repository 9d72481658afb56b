"""A company's Pipedrive, read over loopback: whole at first, then what changed; nothing is lost and no limit broken."""

import json
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fetching import Fetched, fetch_object
from pipedrive import CLIENT_ID, CLIENT_SECRET, MOST, REFRESH_TOKEN, TEAM, TOKEN, USER, Pipedrive, too_many
from serving import Host, hosting
from starlette.responses import JSONResponse, Response

from kpimart.errors import AccessRefused, SettingsError, SourceUnreachable
from kpimart.extract.pipedrive import SOURCE
from kpimart.extract.source import Total
from kpimart.settings import Settings


class Night:
    """The company, and the fetches of its objects, each going on where the last one ended."""

    def __init__(self, crm: Pipedrive, url: str, home: Path) -> None:
        self.crm, self.url, self._home = crm, url, home
        self.cursors: dict[str, Any] = {}
        self.own: dict[str, Any] = {"requests_per_second": 1000}

    @property
    def settings(self) -> Settings:
        """Settings that do not wait."""
        own = {"url": self.url, "token": TOKEN, **self.own}
        http = {"attempts": 4, "backoff_seconds": 0.001, "longest_wait_seconds": 0.01}
        values: dict[str, Any] = {"home": self._home, "pipedrive": own, "http": http}
        return Settings(**values)

    def fetch(self, name: str, **options: Any) -> Fetched:
        """The next fetch of an object; raises what it failed with."""
        fetched = self.attempt(name, **options)
        if fetched.failure:
            raise fetched.failure
        return fetched

    def attempt(self, name: str, **options: Any) -> Fetched:
        """The next fetch of an object, which may fail."""
        self.crm.requests.clear()
        fetched = fetch_object(SOURCE, self.settings, name, self.cursors.get(name, {}), **options)
        self.cursors[name] = fetched.cursor
        return fetched


@pytest.fixture
def crm() -> Pipedrive:
    return Pipedrive()


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with hosting() as host:
        yield host


@pytest.fixture
def night(crm: Pipedrive, host: Host, tmp_path: Path) -> Night:
    host.application = crm.application()
    return Night(crm, host.url, tmp_path)


@pytest.fixture
def many_deals(crm: Pipedrive) -> Pipedrive:
    """1,201 deals: the odd ones archived, and every hundredth deleted."""
    for number in range(1, 1202):
        crm.add_deal(number, is_archived=number % 2 == 1)
        if number % 100 == 0:
            crm.delete_deal(number)
    crm.pass_time(hours=1)
    return crm


def test_it_has_exactly_these_objects() -> None:
    assert [each.name for each in SOURCE.objects] == [
        "deals", "deal_changes", "leads", "organizations", "persons", "activities", "stages", "pipelines", "users",
        "teams",
    ]  # fmt: skip


def test_the_first_load_has_every_deal_archived_and_deleted_ones_too(night: Night, many_deals: Pipedrive) -> None:
    fetched = night.fetch("deals")
    assert fetched.ids == sorted(str(number) for number in range(1, 1202))
    assert fetched.deleted == {str(number) for number in range(100, 1202, 100)}
    assert len(night.crm.requests) == 1 + 2 + 2  # their number, 600 at hand, 601 archived


def test_an_interrupted_first_load_goes_on_where_it_was(night: Night, many_deals: Pipedrive) -> None:
    first = night.fetch("deals", until_cursor=1)
    many_deals.change_deal(2, value=7)
    many_deals.pass_time(hours=5)
    second = night.fetch("deals")
    assert first.payloads.keys() & second.payloads.keys() - second.deleted == {"2"}
    assert len(first.payloads.keys() | second.payloads.keys()) == 1201
    assert second.payloads["2"]["value"] == 7


def test_a_marker_that_counts_no_longer_starts_its_list_again(night: Night, many_deals: Pipedrive) -> None:
    night.cursors["deals"] = {"first": {"began": many_deals.time, "list": 0, "cursor": "old", "after": 9, "pages": 1}}
    assert len(night.fetch("deals").payloads) == 1201


def test_a_night_reads_only_what_changed(night: Night, many_deals: Pipedrive) -> None:
    night.fetch("deals")
    many_deals.pass_time(days=1)
    many_deals.change_deal(7, status="won", won_time=many_deals.time)
    many_deals.change_deal(8, owner_id=2)
    many_deals.pass_time(hours=1)
    fetched = night.fetch("deals")
    assert fetched.payloads.keys() - fetched.deleted == {"7", "8"}
    assert fetched.payloads["7"]["status"] == "won"


def test_deals_that_changed_in_one_second_fill_more_than_a_page(night: Night, crm: Pipedrive) -> None:
    for number in range(1, 2 * MOST + 2):
        crm.add_deal(number)
    night.fetch("deals")
    crm.pass_time(days=1)
    for number in crm.deals:
        crm.change_deal(number, value=5)
    crm.pass_time(hours=1)
    assert len(night.fetch("deals").payloads) == 2 * MOST + 1


def test_a_deal_that_changes_while_pages_are_read_hides_no_other(night: Night, crm: Pipedrive) -> None:
    for number in range(1, MOST + 3):
        crm.add_deal(number)
    night.fetch("deals")
    for number in list(crm.deals):
        crm.pass_time(seconds=60)
        crm.change_deal(number, value=5)

    def moves_to_the_end(path: str) -> None:
        if len(crm.requests) == 2:
            crm.pass_time(seconds=60)
            crm.change_deal(1, value=9)

    crm.before_answer = moves_to_the_end
    fetched = night.fetch("deals")
    assert len(fetched.payloads) == MOST + 2
    assert fetched.payloads["1"]["value"] == 9


def test_what_changes_as_a_fetch_begins_is_read_by_the_next(night: Night, crm: Pipedrive) -> None:
    crm.add_deal(1)
    night.fetch("deals")
    crm.change_deal(1, value=8)
    crm.pass_time(days=1)
    assert night.fetch("deals").payloads["1"]["value"] == 8


def test_a_deletion_that_did_not_touch_the_time_of_change_is_seen(night: Night, many_deals: Pipedrive) -> None:
    night.fetch("deals")
    many_deals.pass_time(days=3)
    changed_at = many_deals.deals[4]["update_time"]
    many_deals.delete_deal(4)
    many_deals.deals[4]["update_time"] = changed_at
    assert "4" in night.fetch("deals").deleted


def test_after_more_than_thirty_days_all_ids_are_compared(night: Night, many_deals: Pipedrive) -> None:
    night.fetch("deals")
    many_deals.delete_deal(4)
    many_deals.pass_time(days=40)
    gone = {4, *range(100, 1202, 100)}
    assert night.fetch("deals").listed == {
        (None, None): [
            *(str(number) for number in range(2, 1202, 2) if number not in gone),
            *(str(number) for number in range(1, 1202, 2)),
        ]
    }


def test_a_changelog_is_asked_for_of_changed_deals_only(night: Night, crm: Pipedrive) -> None:
    for number in range(1, 6):
        crm.add_deal(number)
    crm.pass_time(hours=1)
    assert night.fetch("deal_changes").payloads == {}
    crm.pass_time(days=1)
    crm.change_deal(3, stage_id=12, title="Ann Smith wants more", owner_id=2)
    crm.pass_time(hours=1)
    changed = night.fetch("deal_changes")
    assert [request for request in crm.requests if "changelog" in request] == ["/api/v1/deals/3/changelog?limit=500"]
    assert list(changed.payloads.values()) == [
        {"deal_id": 3, "time": "2026-11-02T02:00:00Z", "field_key": key, "old_value": old, "new_value": new}
        for key, old, new in (("user_id", "1", "2"), ("stage_id", "11", "12"))
    ]


def test_a_deal_deleted_meanwhile_has_no_changelog_and_stops_nothing(night: Night, crm: Pipedrive) -> None:
    crm.add_deal(1)
    crm.add_deal(2)
    crm.change_deal(2, stage_id=12)

    def deletes_the_first(path: str) -> None:
        if path.endswith("/1/changelog"):
            crm.delete_deal(1)

    crm.before_answer = deletes_the_first
    assert {each["deal_id"] for each in night.fetch("deal_changes").payloads.values()} == {2}


def test_without_the_changelog_no_request_is_made(night: Night, crm: Pipedrive) -> None:
    crm.add_deal(1)
    night.own["changelog"] = False
    night.fetch("deal_changes")
    assert crm.requests == []


def test_deleted_organizations_are_noticed_a_part_of_the_list_each_night(night: Night, crm: Pipedrive) -> None:
    for number in range(1, 1202):
        crm.add("organizations", number, name=f"Org {number}")
    crm.pass_time(days=1)
    assert night.fetch("organizations").listed == {}
    del crm.lists["organizations"][700]
    bounds, requests = [], []
    for _ in range(4):
        crm.pass_time(days=1)
        (((low, high), ids),) = night.fetch("organizations").listed.items()
        bounds.append((low, high, len(ids)))
        requests.append(len(crm.requests))
    assert bounds == [(1, 500, 500), (501, 1001, 500), (1002, 2**53, 200), (1, 500, 500)]
    assert requests == [2, 2, 2, 2]


def test_leads_are_all_listed_once_a_week(night: Night, crm: Pipedrive) -> None:
    crm.add_lead("aa")
    crm.add_lead("bb", is_archived=True)
    crm.pass_time(hours=1)
    assert night.fetch("leads").listed == {(None, None): ["aa", "bb"]}
    crm.pass_time(days=1)
    del crm.leads["aa"]
    crm.add_lead("cc")
    crm.pass_time(hours=1)
    changed = night.fetch("leads")
    assert (changed.ids, changed.listed) == (["cc"], {})
    crm.pass_time(days=7)
    assert night.fetch("leads").listed == {(None, None): ["cc", "bb"]}


def test_a_lead_that_slides_over_the_edge_of_a_page_is_not_lost(night: Night, crm: Pipedrive) -> None:
    for number in range(MOST + 3):
        crm.pass_time(seconds=1)
        crm.add_lead(f"lead-{number}")

    def one_goes(path: str) -> None:
        if len(crm.requests) == 3:
            crm.leads.pop("lead-0", None)

    crm.before_answer = one_goes
    assert len(night.fetch("leads").payloads) == MOST + 3


def test_users_carry_their_teams_and_plans_without_teams_have_none(night: Night, crm: Pipedrive) -> None:
    crm.users = [{**USER, "id": 1, "name": "Ann", "email": "ann@x.org"}]
    crm.teams = [{**TEAM, "id": 5, "users": [1, 2]}, {**TEAM, "id": 4, "users": [1]}, {**TEAM, "id": 3}]
    assert night.fetch("users").payloads == {
        "1": {"id": 1, "name": "Ann", "active_flag": True, "modified": None, "team_ids": [4, 5]}
    }
    crm.teams = None
    assert night.fetch("users").payloads["1"]["team_ids"] == []
    assert "402" in night.fetch("teams").cursor["not_available"]


def test_only_what_is_on_the_list_is_kept(night: Night, crm: Pipedrive) -> None:
    crm.add_deal(1)
    crm.add("persons", 3, name="Ann Smith", org_id=2, emails=[{"value": "ann@x.org"}])
    crm.add("activities", 4, type="call", subject="Call Ann Smith", note="She is ill", done=True, owner_id=1)
    payloads = [night.fetch(name).payloads for name in ("deals", "persons", "activities")]
    assert not any(word in str(payloads) for word in ("Ann", "ann@x.org", "ill", "secret"))
    night.cursors.clear()
    night.own |= {"personal_data": True, "properties": {"deals": ["c0ffee"]}}
    assert night.fetch("persons").payloads["3"]["name"] == "Ann Smith"
    assert night.fetch("deals").payloads["1"]["custom_fields"] == {"c0ffee": "secret"}


def test_the_burst_limit_is_never_met(night: Night, crm: Pipedrive) -> None:
    crm.enforces_burst = True
    for number in range(24):
        crm.add_deal(number + 1)
    del night.own["requests_per_second"]
    night.fetch("deal_changes")
    assert len(crm.requests) == 2 + 24  # each once, none again


@pytest.mark.parametrize(
    "refusal",
    [too_many, lambda: JSONResponse({}, 503), lambda: Response("<html>")],
    ids=["too many", "unavailable", "no JSON"],
)
def test_a_refused_request_is_made_again(night: Night, many_deals: Pipedrive, refusal: Any) -> None:
    many_deals.refusals.extend([refusal, refusal])
    assert len(night.fetch("deals").payloads) == 1201


def test_a_page_that_comes_again_or_in_no_order_is_asked_for_again(night: Night, many_deals: Pipedrive) -> None:
    whole = night.fetch("deals").payloads
    night.cursors.clear()
    ids = [{"id": number} for number in range(2, 1002, 2)]
    first_page, backwards = (
        JSONResponse({"data": data, "additional_data": {"next_cursor": "x"}}) for data in (ids, ids[::-1])
    )
    many_deals.refusals.extend([lambda: None, lambda: backwards, lambda: None, lambda: first_page])
    assert night.fetch("deals").payloads == whole
    assert len(many_deals.requests) == 1 + 4 + 2


@pytest.mark.parametrize("seed", range(5))
def test_whatever_goes_wrong_everything_is_there_in_the_end(night: Night, crm: Pipedrive, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    for number in range(1, MOST + 30):
        crm.add_deal(number)

    def something_happens(path: str) -> None:
        crm.pass_time(seconds=chance.randrange(90))
        number = chance.choice(list(crm.deals))
        if not crm.deals[number]["is_deleted"]:
            chance.choice(
                [
                    lambda: crm.change_deal(number, value=chance.randrange(1000)),
                    lambda: crm.change_deal(number, is_archived=not crm.deals[number]["is_archived"]),
                    lambda: crm.delete_deal(number),
                    lambda: crm.add_deal(len(crm.deals) + 1),
                ]
            )()

    failing = [too_many, lambda: JSONResponse({}, 500), lambda: Response('{"success": true, "data": [{"id"')]
    crm.before_answer = something_happens
    stored: dict[str, Any] = {}
    deleted: set[str] = set()
    for is_calm in (*[False] * 6, True):
        if is_calm:
            crm.before_answer = lambda _: None
        crm.refusals.clear()
        if not is_calm:
            crm.refusals.extend(chance.choices([*failing, lambda: None], k=12))
        fetched = night.attempt("deals")
        stored |= fetched.payloads
        deleted = (deleted - fetched.payloads.keys()) | fetched.deleted
        crm.pass_time(hours=chance.randrange(1, 30))
    assert {key: payload["value"] for key, payload in stored.items()} == {
        str(number): deal["value"] for number, deal in crm.deals.items()
    }
    assert deleted == {str(number) for number, deal in crm.deals.items() if deal["is_deleted"]}


def test_a_deal_with_an_impossible_time_is_set_aside_and_the_others_are_read(
    night: Night, many_deals: Pipedrive
) -> None:
    many_deals.deals[3]["update_time"] = "yesterday"
    fetched = night.fetch("deals")
    assert len(fetched.payloads) == 1200
    assert [each["record_id"] for each in fetched.quarantined] == ["3"]


def test_a_night_costs_in_proportion_to_what_changed(night: Night, crm: Pipedrive) -> None:
    for number in range(1, 501):
        crm.add_deal(number)
    crm.pass_time(days=1)
    requests = []
    for _ in range(2):
        made = 0
        for name in ("deals", "deal_changes"):
            night.fetch(name)
            made += len(crm.requests)
        requests.append(made)
        crm.pass_time(days=1)
        for number in range(1, 6):
            crm.change_deal(number, value=number)
        crm.pass_time(hours=1)
    first, one_in_a_hundred = requests
    assert one_in_a_hundred <= 0.03 * first


def test_who_is_not_let_in_is_told_so_without_the_token(night: Night, crm: Pipedrive) -> None:
    night.own["token"] = "wrong-token"
    with pytest.raises(AccessRefused) as refusal:
        night.fetch("pipelines")
    assert "pipedrive" in str(refusal.value)
    assert "wrong-token" not in str(refusal.value)


def test_totals_are_by_owner_with_archived_and_lost_deals_and_without_deleted_ones(
    night: Night, crm: Pipedrive
) -> None:
    crm.users = [{**USER, "id": 1}, {**USER, "id": 2}]
    for number in range(1, 6):
        crm.add_deal(number, value=number + 0.1)
    crm.deals[2] |= {"is_archived": True, "currency": "USD"}
    crm.deals[3]["status"] = "lost"
    crm.delete_deal(4)
    crm.deals[5]["owner_id"] = 99
    with SOURCE.connect(night.settings) as client:
        assert SOURCE.totals
        found = list(SOURCE.totals(client, night.settings))
    # 1.1 + 2.1 + 3.1; nobody among the users has the deal of 5.1.
    assert found == [
        Total("deals", "1", None, 3, Decimal("6.30")),
        Total("deals", None, None, 1, Decimal("5.10")),
    ]


@pytest.fixture
def oauth(night: Night, crm: Pipedrive) -> Night:
    """The nights of an app that a user let in, which knows the company's address by its tokens alone."""
    night.own |= {"token": None, "url": None, "token_url": f"{night.url}/oauth/token"}
    night.own |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
    return night


def test_an_app_that_a_user_let_in_goes_on_with_its_own_tokens_from_night_to_night(
    oauth: Night, crm: Pipedrive
) -> None:
    crm.add_deal(1)
    assert oauth.fetch("deals").ids == ["1"]
    crm.pass_time(days=1)
    crm.add_deal(2)
    assert "2" in oauth.fetch("deals").ids


def test_a_token_that_ends_in_the_middle_is_renewed(oauth: Night, many_deals: Pipedrive) -> None:
    def ends(path: str) -> None:
        if len(many_deals.requests) == 3:
            many_deals.end_tokens()

    many_deals.before_answer = ends
    assert len(oauth.fetch("deals").payloads) == 1201
    kept = json.loads((oauth.settings.home / "tokens" / "pipedrive.json").read_text())
    assert kept["refresh_token"] == many_deals.refresh_token


def test_a_refused_refresh_token_is_told_without_it(oauth: Night) -> None:
    oauth.own["refresh_token"] = "used-up"
    with pytest.raises(AccessRefused, match="KPIMART_PIPEDRIVE__REFRESH_TOKEN") as refusal:
        oauth.fetch("deals")
    assert "used-up" not in str(refusal.value)


def test_a_crm_that_stays_away_is_unreachable(night: Night, crm: Pipedrive) -> None:
    crm.refusals.extend([lambda: JSONResponse({}, 500)] * 4)
    with pytest.raises(SourceUnreachable, match="500"):
        night.fetch("stages")


def test_the_company_has_to_be_named() -> None:
    with pytest.raises(SettingsError, match=r"pipedrive\.url"), SOURCE.connect(Settings()):
        pass
