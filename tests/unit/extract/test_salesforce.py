"""A Salesforce org, read over loopback: by REST and Bulk to the same payloads, then what changed and what is gone."""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fetching import Fetched, fetch_object
from salesforce import CLIENT_ID, CLIENT_SECRET, PASSWORD, REFRESH_TOKEN, SECURITY_TOKEN, USERNAME, Salesforce, error
from serving import Host, hosting
from starlette.responses import JSONResponse, Response

from kpimart.errors import AccessRefused, BadSourceData, SettingsError, SourceUnreachable
from kpimart.extract.salesforce import SOURCE
from kpimart.extract.source import Total
from kpimart.settings import Settings

ANN, BOB = "005000000000001AAA", "005000000000002AAA"


class Night:
    """The org, and the fetches of its objects, each going on where the last one ended."""

    def __init__(self, org: Salesforce, url: str, home: Path) -> None:
        self.org, self._url, self._home = org, url, home
        self.cursors: dict[str, Any] = {}
        self.own: dict[str, Any] = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}

    @property
    def settings(self) -> Settings:
        """Settings that do not wait."""
        http = {"attempts": 4, "backoff_seconds": 0.001, "longest_wait_seconds": 0.01}
        values: dict[str, Any] = {"home": self._home, "salesforce": {"url": self._url, **self.own}, "http": http}
        return Settings(**values)

    def fetch(self, name: str, **options: Any) -> Fetched:
        """The next fetch of an object; raises what it failed with."""
        fetched = self.attempt(name, **options)
        if fetched.failure:
            raise fetched.failure
        return fetched

    def attempt(self, name: str, **options: Any) -> Fetched:
        """The next fetch of an object, which may fail."""
        self.org.requests.clear()
        fetched = fetch_object(SOURCE, self.settings, name, self.cursors.get(name, {}), **options)
        self.cursors[name] = fetched.cursor
        return fetched

    def asked(self, word: str) -> int:
        """How many requests of the last fetch held this word."""
        return sum(word in request for request in self.org.requests)


@pytest.fixture
def org() -> Salesforce:
    return Salesforce()


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with hosting() as host:
        yield host


@pytest.fixture
def night(org: Salesforce, host: Host, tmp_path: Path) -> Night:
    host.application = org.application()
    return Night(org, host.url, tmp_path)


def deal_id(number: int) -> str:
    return f"006{number:012}AAA"


def add_deal(org: Salesforce, number: int, **values: Any) -> None:
    org.add(
        "Opportunity",
        deal_id(number),
        **{
            "Name": f"Deal {number}, the “best”\nof all",
            "OwnerId": ANN,
            "StageName": "Prospecting",
            "Amount": 1000.0 * number,
            "CloseDate": "2026-12-24",
            "Description": "Call Ann Smith",
            **values,
        },
    )


@pytest.fixture
def deals(org: Salesforce) -> Salesforce:
    """Five deals: one without an amount, one big, one won, one in the recycle bin."""
    add_deal(org, 1, Amount=None)
    add_deal(org, 2, Amount=12345678901.25, LeadSource="Web")
    add_deal(org, 3, IsClosed=True, IsWon=True, StageName="Closed Won")
    add_deal(org, 4)
    add_deal(org, 5)
    org.delete("Opportunity", deal_id(4))
    org.pass_time(hours=1)
    return org


def test_it_has_exactly_these_objects() -> None:
    assert [each.name for each in SOURCE.objects] == [
        "opportunities", "opportunity_history", "field_history", "splits", "split_types", "stages", "record_types",
        "accounts", "leads", "tasks", "events", "users", "roles",
    ]  # fmt: skip


def test_rest_and_bulk_give_the_same_payloads(night: Night, deals: Salesforce) -> None:
    by_rest = night.fetch("opportunities")
    assert night.asked("jobs") == 0
    night.cursors.clear()
    night.own["bulk_from"] = 3
    by_bulk = night.fetch("opportunities")
    assert night.asked("jobs") > 0
    assert night.asked("ORDER BY") == 0
    assert by_rest.payloads == by_bulk.payloads
    assert by_rest.deleted == by_bulk.deleted == {deal_id(4)}
    assert by_rest.payloads[deal_id(2)] == {
        "Name": "Deal 2, the “best”\nof all", "OwnerId": ANN, "StageName": "Prospecting", "IsClosed": False,
        "IsWon": False, "Amount": 12345678901.25, "CloseDate": "2026-12-24", "CreatedDate": "2026-11-01T01:00:00.000Z",
        "AccountId": None, "LeadSource": "Web", "Type": None,
    }  # fmt: skip


def test_values_of_any_type_are_the_same_by_rest_and_bulk(night: Night, org: Salesforce) -> None:
    for number, (field, old, new) in enumerate((("Amount", 10.0, 1250.50), ("Owner", ANN, BOB), ("Amount", None, 3e7))):
        org.add(
            "OpportunityFieldHistory", f"017{number}", OpportunityId=deal_id(1), Field=field, OldValue=old, NewValue=new
        )
    org.add("OpportunityFieldHistory", "0179", OpportunityId=deal_id(1), Field="NextStep", NewValue="Call Ann Smith")
    by_rest = night.fetch("field_history").payloads
    night.cursors.clear()
    night.own["bulk_from"] = 1
    assert night.fetch("field_history").payloads == by_rest
    assert [(each["OldValue"], each["NewValue"]) for each in by_rest.values()] == [
        ("10", "1250.5"),
        (ANN, BOB),
        (None, "30000000"),
    ]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 20 records, so that a few deals fill several."""
    monkeypatch.setattr("kpimart.extract.salesforce.PAGE", 20)


def test_a_first_load_by_rest_goes_on_where_it_was_interrupted(
    night: Night, org: Salesforce, small_pages: None
) -> None:
    for number in range(1, 46):
        add_deal(org, number)
    org.pass_time(hours=1)
    first = night.fetch("opportunities", until_cursor=1)
    org.change("Opportunity", deal_id(1), Amount=7.0)
    org.pass_time(hours=5)
    second = night.fetch("opportunities")
    assert first.payloads.keys() & second.payloads.keys() == {deal_id(1)}
    assert (len(first.payloads), len(second.payloads)) == (20, 26)
    assert second.payloads[deal_id(1)]["Amount"] == 7.0


def test_a_first_load_by_bulk_goes_on_with_its_job(night: Night, deals: Salesforce, monkeypatch: Any) -> None:
    monkeypatch.setattr("kpimart.extract.salesforce.BULK_PAGE", 2)
    night.own["bulk_from"] = 1
    first = night.fetch("opportunities", until_cursor=2)
    second = night.fetch("opportunities")
    assert (len(first.payloads), len(second.payloads)) == (2, 3)
    assert night.asked("POST /jobs/query") == 0


def test_a_job_that_is_gone_is_started_again(night: Night, deals: Salesforce) -> None:
    night.own["bulk_from"] = 1
    night.fetch("opportunities", until_cursor=1)
    deals.jobs.clear()
    assert len(night.fetch("opportunities").payloads) == 5


def test_a_night_reads_only_what_changed(night: Night, deals: Salesforce) -> None:
    night.fetch("opportunities")
    deals.pass_time(days=1)
    deals.change("Opportunity", deal_id(5), StageName="Negotiation")
    deals.pass_time(hours=1)
    fetched = night.fetch("opportunities")
    assert fetched.ids == [deal_id(5)]
    assert len(night.org.requests) == 3  # described, asked for changes, asked for what is gone


def test_deals_of_one_moment_fill_pages_however_the_server_cuts_them(
    night: Night, org: Salesforce, small_pages: None
) -> None:
    for number in range(1, 46):
        add_deal(org, number)
    org.pass_time(days=1)
    night.fetch("opportunities")
    for number in range(1, 46):
        org.change("Opportunity", deal_id(number), Amount=5.0)
    org.batch = 9
    org.pass_time(hours=1)
    assert night.fetch("opportunities").read == 45


def test_a_deal_that_changes_while_pages_are_read_hides_no_other(
    night: Night, org: Salesforce, small_pages: None
) -> None:
    night.fetch("opportunities")
    for number in range(1, 23):
        org.pass_time(seconds=1)
        add_deal(org, number)

    def moves_to_the_end(path: str) -> None:
        if night.asked("SystemModstamp >") == 2 and org.records["Opportunity"][deal_id(1)]["Amount"] != 9.0:
            org.pass_time(seconds=1)
            org.change("Opportunity", deal_id(1), Amount=9.0)

    org.before_answer = moves_to_the_end
    fetched = night.fetch("opportunities")
    assert len(fetched.payloads) == 22
    assert fetched.payloads[deal_id(1)]["Amount"] == 9.0


def test_what_was_deleted_for_good_leaves_its_id(night: Night, deals: Salesforce) -> None:
    night.fetch("opportunities")
    deals.pass_time(days=1)
    deals.delete("Opportunity", deal_id(1))
    deals.purge("Opportunity", deal_id(2))
    deals.pass_time(hours=1)
    fetched = night.fetch("opportunities")
    assert fetched.deleted == {deal_id(1), deal_id(2)}
    assert fetched.payloads[deal_id(1)]["StageName"] == "Prospecting"
    assert set(fetched.payloads[deal_id(2)].values()) == {None}


def test_after_more_than_two_weeks_all_ids_are_compared(night: Night, deals: Salesforce) -> None:
    night.fetch("opportunities")
    deals.purge("Opportunity", deal_id(2))
    deals.pass_time(days=20)
    assert night.fetch("opportunities").listed == {(None, None): [deal_id(number) for number in (1, 3, 4, 5)]}


def test_stages_are_read_whole_and_listed(night: Night, org: Salesforce) -> None:
    org.add("OpportunityStage", "01J2", ApiName="Closed Won", MasterLabel="Gewonnen", IsWon=True, IsClosed=True,
            SortOrder=2, DefaultProbability=100.0)  # fmt: skip
    org.add("OpportunityStage", "01J1", ApiName="Prospecting", MasterLabel="Suche", SortOrder=1, DefaultProbability=10)
    for _ in range(2):
        fetched = night.fetch("stages")
        assert fetched.payloads["01J1"]["DefaultProbability"] == 10.0
        assert fetched.listed == {(None, None): ["01J1", "01J2"]}


def test_an_org_without_splits_has_none_and_says_so(night: Night, org: Salesforce) -> None:
    fetched = night.fetch("splits")
    assert fetched.payloads == {}
    assert "OpportunitySplit" in fetched.cursor["not_available"]
    org.enable_splits()
    org.add("OpportunitySplit", "1SP", OpportunityId=deal_id(1), SplitOwnerId=ANN, SplitPercentage=60.0)
    org.pass_time(days=10)
    assert night.fetch("splits").ids == ["1SP"]


def test_an_object_that_every_org_has_is_a_missing_right(night: Night, org: Salesforce) -> None:
    del org.schema["Account"]
    with pytest.raises(AccessRefused, match="Account"):
        night.fetch("accounts")


def test_the_currency_is_read_where_there_are_several(night: Night, deals: Salesforce) -> None:
    assert "CurrencyIsoCode" not in night.fetch("opportunities").payloads[deal_id(1)]
    deals.schema["Opportunity"]["CurrencyIsoCode"] = "picklist"
    for deal in deals.records["Opportunity"].values():
        deal["CurrencyIsoCode"] = "CHF"
    night.cursors.clear()
    assert night.fetch("opportunities").payloads[deal_id(1)]["CurrencyIsoCode"] == "CHF"


def test_only_what_is_on_the_list_is_kept(night: Night, deals: Salesforce) -> None:
    deals.add("Account", "001a", Name="Ann Smith", IsPersonAccount=True)
    deals.add("Account", "001b", Name="Acme", IsPersonAccount=False)
    payloads = [night.fetch(name).payloads for name in ("opportunities", "accounts")]
    assert "Ann Smith" not in str(payloads)
    assert payloads[1]["001b"]["Name"] == "Acme"
    night.cursors.clear()
    night.own |= {"personal_data": True, "properties": {"opportunities": ["Description"]}}
    assert night.fetch("accounts").payloads["001a"]["Name"] == "Ann Smith"
    assert night.fetch("opportunities").payloads[deal_id(1)]["Description"] == "Call Ann Smith"


def test_who_was_logged_out_logs_in_again(night: Night, deals: Salesforce) -> None:
    def logs_out(path: str) -> None:
        if len(deals.requests) == 2:
            deals.end_sessions()

    deals.before_answer = logs_out
    assert len(night.fetch("opportunities").payloads) == 5


def test_a_user_logs_in_with_a_password_and_a_security_token(night: Night, deals: Salesforce) -> None:
    night.own = {"username": USERNAME, "password": PASSWORD, "security_token": SECURITY_TOKEN}
    assert len(night.fetch("opportunities").payloads) == 5


@pytest.fixture
def oauth(night: Night, deals: Salesforce) -> Night:
    """The nights of an app that a user let in; each refresh token is for one use."""
    night.own["refresh_token"] = REFRESH_TOKEN
    deals.rotates = True
    return night


def test_an_app_that_a_user_let_in_goes_on_with_its_own_tokens_from_night_to_night(
    oauth: Night, deals: Salesforce
) -> None:
    assert len(oauth.fetch("opportunities").payloads) == 5
    add_deal(deals, 6)
    deals.pass_time(days=1)
    deals.end_sessions()
    assert deal_id(6) in oauth.fetch("opportunities").ids


def test_a_session_that_ends_in_the_middle_is_renewed_by_the_next_refresh_token(
    oauth: Night, deals: Salesforce
) -> None:
    def ends_twice(path: str) -> None:
        if len(deals.requests) in (2, 5):
            deals.end_sessions()

    deals.before_answer = ends_twice
    assert len(oauth.fetch("opportunities").payloads) == 5
    kept = json.loads((oauth.settings.home / "tokens" / "salesforce.json").read_text())
    # One to begin with, one for each end.
    assert kept["refresh_token"] == deals.refresh_token == f"{REFRESH_TOKEN}-3"


def test_processes_of_one_home_never_use_a_refresh_token_twice(oauth: Night, deals: Salesforce) -> None:
    def process(_: int) -> None:
        with SOURCE.connect(oauth.settings):
            pass

    with ThreadPoolExecutor(4) as processes:
        list(processes.map(process, range(8)))
    assert deals.refresh_token == f"{REFRESH_TOKEN}-8"


def test_an_app_may_be_one_without_a_secret(oauth: Night, deals: Salesforce) -> None:
    deals.needs_secret = False
    del oauth.own["client_secret"]
    assert len(oauth.fetch("opportunities").payloads) == 5


def test_a_refused_refresh_token_is_told_without_it(oauth: Night, deals: Salesforce) -> None:
    oauth.own["refresh_token"] = "used-up"
    with pytest.raises(AccessRefused, match="KPIMART_SALESFORCE__REFRESH_TOKEN") as refusal:
        oauth.fetch("opportunities")
    assert "used-up" not in str(refusal.value)


@pytest.mark.parametrize(
    "own",
    [{"client_id": CLIENT_ID, "client_secret": "wrong-one"}, {"username": USERNAME, "password": "wrong-one"}],
    ids=["client", "user"],
)
def test_a_refused_login_is_told_without_the_secret(night: Night, own: dict[str, str]) -> None:
    night.own = own
    with pytest.raises(AccessRefused) as refusal:
        night.fetch("opportunities")
    assert "login was refused" in str(refusal.value)
    assert "wrong-one" not in str(refusal.value)


PASSING = {
    "busy": lambda: error("SERVER_UNAVAILABLE", "Server too busy", 503),
    "too_many_at_once": lambda: error("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded.", 403),
    "half_an_answer": lambda: Response('{"records": [', media_type="application/json"),
    "query_timeout": lambda: error("QUERY_TIMEOUT", "Your query request was running for too long.", 400),
}


@pytest.mark.parametrize("refusal", PASSING.values(), ids=PASSING)
def test_a_refused_request_is_made_again(night: Night, deals: Salesforce, refusal: Any) -> None:
    night.cursors["opportunities"] = {"first": {"began": "2026-11-01T02:00:00.000Z", "after": deal_id(1)}}
    deals.refusals.extend([lambda: None, refusal, refusal])
    assert len(night.fetch("opportunities").payloads) == 4


def test_a_page_that_comes_again_or_in_no_order_is_asked_for_again(night: Night, deals: Salesforce) -> None:
    night.cursors["opportunities"] = {"first": {"began": "2026-11-01T02:00:00.000Z", "after": deal_id(2)}}
    records = [deals.records["Opportunity"][deal_id(number)] for number in (1, 2, 3)]
    again, backwards = (
        JSONResponse({"done": True, "totalSize": 3, "records": page}) for page in (records, records[::-1])
    )
    deals.refusals.extend([lambda: None, lambda: again, lambda: backwards])
    assert night.fetch("opportunities").ids == [deal_id(3), deal_id(4), deal_id(5)]


def test_a_csv_that_is_cut_short_is_asked_for_again(night: Night, deals: Salesforce) -> None:
    night.own["bulk_from"] = 1
    cut = Response('"Id"\n"006"\n', media_type="text/csv", headers={"Sforce-NumberOfRecords": "5"})
    # described, counted, job made, twice not done, done
    deals.refusals.extend([*[lambda: None] * 5, lambda: cut])
    assert len(night.fetch("opportunities").payloads) == 5


def test_a_limit_met_while_results_are_fetched_is_told_as_one(night: Night, deals: Salesforce) -> None:
    night.own["bulk_from"] = 1
    spent = error("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", 403)
    deals.refusals.extend([*[lambda: None] * 7, lambda: spent])
    with pytest.raises(SourceUnreachable, match="last 24 hours"):
        night.fetch("opportunities")


def test_a_field_that_is_hidden_from_the_user_stops_the_run(night: Night, deals: Salesforce) -> None:
    del deals.schema["Opportunity"]["Amount"]
    with pytest.raises(BadSourceData, match="Amount"):
        night.fetch("opportunities")


@pytest.mark.parametrize("seed", range(5))
def test_whatever_goes_wrong_on_the_way_everything_is_there_in_the_end(
    night: Night, org: Salesforce, small_pages: None, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    night.own["bulk_from"] = chance.choice([1, 1000])
    for number in range(1, 90):
        add_deal(org, number)
    ever = {deal_id(number) for number in range(1, 90)}

    def something_happens(path: str) -> None:
        org.pass_time(seconds=chance.randrange(90))
        number = chance.randrange(1, 90)
        if not org.records["Opportunity"].get(deal_id(number), {"IsDeleted": True})["IsDeleted"]:
            chance.choice(
                [
                    lambda: org.change("Opportunity", deal_id(number), Amount=float(chance.randrange(1000))),
                    lambda: org.delete("Opportunity", deal_id(number)),
                    lambda: org.purge("Opportunity", deal_id(number)),
                    org.end_sessions,
                ]
            )()

    failing = [PASSING["busy"], PASSING["half_an_answer"], PASSING["too_many_at_once"]]
    org.before_answer = something_happens
    stored: dict[str, Any] = {}
    deleted: set[str] = set()
    for is_calm in (*[False] * 6, True):
        if is_calm:
            org.before_answer = lambda _: None
        org.refusals.clear()
        if not is_calm:
            org.refusals.extend(chance.choices([*failing, lambda: None], k=12))
        fetched = night.attempt("opportunities")
        stored |= fetched.payloads
        deleted = (deleted - fetched.payloads.keys()) | fetched.deleted
        org.pass_time(hours=chance.randrange(1, 30))
    live = {key: record for key, record in org.records["Opportunity"].items() if not record["IsDeleted"]}
    assert stored.keys() - deleted == live.keys()
    assert {key: stored[key]["Amount"] for key in live} == {key: record["Amount"] for key, record in live.items()}
    assert stored.keys() <= ever


def test_a_part_of_the_days_requests_is_left_to_others(night: Night, deals: Salesforce) -> None:
    deals.allowed, deals.used = 1000, 948
    with pytest.raises(SourceUnreachable, match=r"950 of 1,000 requests"):
        night.fetch("opportunities")
    assert len(deals.requests) == 2


def test_a_spent_day_is_unreachable_and_not_tried_again(night: Night, deals: Salesforce) -> None:
    deals.allowed = deals.used = 1000
    with pytest.raises(SourceUnreachable, match="last 24 hours"):
        night.fetch("opportunities")
    assert len(deals.requests) == 1


def test_a_query_that_is_refused_for_good_names_the_reason(night: Night, deals: Salesforce) -> None:
    deals.refusals.extend([lambda: None, lambda: error("MALFORMED_QUERY", "unexpected token", 400)])
    with pytest.raises(BadSourceData, match="MALFORMED_QUERY: unexpected token"):
        night.fetch("opportunities")


def test_totals_are_by_owner_and_month_in_utc_without_deleted_deals(night: Night, deals: Salesforce) -> None:
    add_deal(deals, 6, OwnerId=BOB, CreatedDate="2026-10-31T23:59:59.000+0000", Amount=0.1)
    add_deal(deals, 7, OwnerId=BOB, CreatedDate="2026-10-01T00:00:00.000+0000", Amount=0.2)
    with SOURCE.connect(night.settings) as client:
        assert SOURCE.totals
        found = list(SOURCE.totals(client, night.settings))
    # Of the five deals one has no amount and one is deleted: 12345678901.25 + 3000 + 5000.
    assert [each for each in found if each.object == "opportunities"] == [
        Total("opportunities", ANN, date(2026, 11, 1), 4, Decimal("12345686901.25")),
        Total("opportunities", BOB, date(2026, 10, 1), 2, Decimal("0.3")),
    ]


def test_an_org_has_to_be_named_by_who_logs_in() -> None:
    with pytest.raises(SettingsError, match=r"salesforce\.client_id"), SOURCE.connect(Settings()):
        pass
