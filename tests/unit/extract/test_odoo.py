"""A company's Odoo, read over loopback: whole at first, then what changed; every version of it in its own words."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from fetching import Fetched, fetch_object
from odoo import DATABASE, TOKEN, USER, Odoo
from serving import Host, hosting

from kpimart.errors import AccessRefused, BadSourceData, SettingsError, SourceUnreachable
from kpimart.extract.odoo import ROWS, SOURCE
from kpimart.extract.source import Total
from kpimart.settings import Settings


class Night:
    """The company, and the fetches of its objects, each going on where the last one ended."""

    def __init__(self, crm: Odoo, url: str) -> None:
        self.crm = crm
        self.cursors: dict[str, Any] = {}
        self.own: dict[str, Any] = {"url": url, "database": DATABASE, "user": USER, "token": TOKEN}

    @property
    def settings(self) -> Settings:
        """Settings that do not wait."""
        http = {"attempts": 3, "backoff_seconds": 0.001, "longest_wait_seconds": 0.01}
        values: dict[str, Any] = {"odoo": self.own, "http": http}
        return Settings(**values)

    def fetch(self, name: str, **options: Any) -> Fetched:
        """The next fetch of an object; raises what it failed with."""
        self.crm.calls.clear()
        fetched = fetch_object(SOURCE, self.settings, name, self.cursors.get(name, {}), **options)
        if fetched.failure:
            raise fetched.failure
        self.cursors[name] = fetched.cursor
        return fetched

    def totals(self) -> set[Total]:
        """The CRM's own counts and sums."""
        assert SOURCE.totals
        with SOURCE.connect(self.settings) as client:
            return set(SOURCE.totals(client, self.settings))


@pytest.fixture
def version() -> int:
    return 17


@pytest.fixture
def crm(version: int) -> Odoo:
    return Odoo(version)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with hosting() as host:
        yield host


@pytest.fixture
def night(crm: Odoo, host: Host) -> Night:
    host.application = crm.application()
    return Night(crm, host.url)


@pytest.fixture
def many_leads(crm: Odoo) -> Odoo:
    """2,300 leads, more than two pages; every tenth is lost, and so archived."""
    for number in range(1, 2301):
        crm.add_lead(number, **({"active": False, "probability": 0.0} if number % 10 == 0 else {}))
    crm.pass_time(hours=1)
    return crm


def test_it_has_exactly_these_objects() -> None:
    assert [each.name for each in SOURCE.objects] == [
        "leads_and_deals", "stages", "teams", "team_members", "users", "partners", "lost_reasons", "currencies",
        "tracking", "activity_types", "activities", "done_activities",
    ]  # fmt: skip


# -------------------------------------------------------------------------------------------------- nothing is lost


def test_the_first_load_has_every_lead_archived_ones_too(night: Night, many_leads: Odoo) -> None:
    fetched = night.fetch("leads_and_deals")
    assert fetched.ids == sorted(str(number) for number in range(1, 2301))
    assert fetched.listed == {(None, None): [str(number) for number in range(1, 2301)]}
    assert [method for _, method in night.crm.calls] == ["search_count", "fields_get", *3 * ["search_read"], "search"]


def test_an_interrupted_first_load_goes_on_where_it_was(night: Night, many_leads: Odoo) -> None:
    first = night.fetch("leads_and_deals", until_cursor=1)
    many_leads.pass_time(hours=3)
    rest = night.fetch("leads_and_deals")
    assert (first.read, rest.read) == (ROWS, 2300 - ROWS)
    # Ten minutes before the first page was read, not before the last one.
    assert rest.cursor == {"since": "2026-11-01T01:50:00+00:00"}


def test_the_next_night_reads_what_changed_and_nothing_else(night: Night, many_leads: Odoo) -> None:
    night.fetch("leads_and_deals")
    many_leads.pass_time(days=1)
    many_leads.change(7, expected_revenue=900.0)
    many_leads.add_lead(2301)
    fetched = night.fetch("leads_and_deals")
    assert fetched.ids == ["2301", "7"]
    assert [method for _, method in night.crm.calls] == ["fields_get", "search_read", "search"]


def test_a_whole_import_within_one_second_is_read(night: Night, many_leads: Odoo) -> None:
    night.fetch("leads_and_deals")
    many_leads.pass_time(days=1)
    for number in range(1, ROWS + 300):
        many_leads.change(number, user_id=3)
    many_leads.pass_time(days=1)
    assert night.fetch("leads_and_deals").read == ROWS + 299


def test_what_changes_while_it_is_paged_is_read_the_next_night_at_the_latest(night: Night, many_leads: Odoo) -> None:
    def change_one_that_was_passed(_: str, method: str) -> None:
        if method == "search":
            many_leads.change(5, expected_revenue=1.0)

    many_leads.before_answer = change_one_that_was_passed
    assert night.fetch("leads_and_deals").payloads["5"]["expected_revenue"] == 0
    many_leads.before_answer = lambda _, __: None
    many_leads.pass_time(days=1)
    assert night.fetch("leads_and_deals").payloads["5"]["expected_revenue"] == 1


def test_a_lead_that_was_deleted_is_not_listed(night: Night, crm: Odoo) -> None:
    for number in (1, 2, 3):
        crm.add_lead(number)
    night.fetch("leads_and_deals")
    crm.pass_time(days=1)
    del crm.records["crm.lead"][2]
    assert night.fetch("leads_and_deals").listed == {(None, None): ["1", "3"]}


def test_a_lead_that_is_lost_and_restored_is_read_each_time(night: Night, crm: Odoo) -> None:
    crm.add_lead(1)
    seen = [night.fetch("leads_and_deals").payloads["1"]]
    for active, probability in ((False, 0.0), (True, 25.0)):
        crm.pass_time(days=1)
        crm.change(1, active=active, probability=probability)
        seen.append(night.fetch("leads_and_deals").payloads["1"])
    assert [(lead["active"], lead["probability"]) for lead in seen] == [(True, 10.0), (False, 0.0), (True, 25.0)]


def test_messages_that_the_user_may_not_see_do_not_end_the_reading(night: Night, crm: Odoo) -> None:
    for number in range(1, ROWS + 11):
        crm.add("mail.message", number, model="crm.lead", res_id=1, date=crm.now, mail_activity_type_id=2, create_uid=2)
    crm.hidden = set(range(1, 21))
    assert night.fetch("done_activities").read == ROWS - 10


# ------------------------------------------------------------------------------------------------- what is kept of it


def test_of_a_lead_only_the_allow_list_is_kept_and_names_of_persons_are_not(night: Night, crm: Odoo) -> None:
    crm.add("res.partner", 9, name="Joe Person", commercial_partner_id=9)
    crm.add("utm.source", 3, name="Fair")
    crm.add_lead(1, partner_id=9, source_id=3, phone="+49 30 123456", expected_revenue=10.5)
    assert night.fetch("leads_and_deals").payloads["1"] == {
        "id": 1, "name": "Deal 1", "type": "opportunity", "active": True, "probability": 10.0, "stage_id": 1,
        "user_id": 2, "team_id": None, "partner_id": 9, "source_id": [3, "Fair"], "lost_reason_id": None,
        "expected_revenue": 10.5, "company_currency": 1, "date_conversion": None, "date_closed": None,
        "date_deadline": None, "create_date": "2026-11-01 01:00:00", "write_date": "2026-11-01 01:00:00",
    }  # fmt: skip


@pytest.mark.parametrize("allowed", [False, True], ids=["without leave", "with leave"])
def test_a_persons_name_is_kept_only_with_leave_and_a_companys_always(night: Night, crm: Odoo, allowed: bool) -> None:
    crm.add("res.partner", 8, name="Acme", is_company=True, commercial_partner_id=8)
    crm.add("res.partner", 9, name="Joe Person", parent_id=8, commercial_partner_id=8)
    night.own["personal_data"] = allowed
    payloads = night.fetch("partners").payloads
    assert payloads["8"]["name"] == "Acme"
    assert ("Joe Person" in payloads["9"].values()) is allowed


def test_a_further_field_is_kept_as_odoo_gives_it_and_a_standard_one_as_staging_needs_it(
    night: Night, crm: Odoo
) -> None:
    crm.add_lead(1, phone="+49 30 123456")
    night.own["properties"] = {"leads_and_deals": ("phone", "stage_id", "x_product_id")}
    lead = night.fetch("leads_and_deals").payloads["1"]
    assert (lead["phone"], lead["stage_id"], lead["x_product_id"]) == ("+49 30 123456", 1, False)


def test_customers_who_sign_in_are_no_users(night: Night, crm: Odoo) -> None:
    crm.add("res.users", 30, name="A Customer", share=True)
    crm.add("res.users", 31, name="Who Left", active=False)
    assert night.fetch("users").ids == ["2", "31"]


def test_the_companys_own_fields_come_under_their_canonical_names(night: Night, crm: Odoo) -> None:
    crm.add("product.product", 5, name="GTX Pro")
    crm.add_lead(1, x_product_id=5)
    crm.add_lead(2)
    night.own["fields"] = {"product": "x_product_id"}
    payloads = night.fetch("leads_and_deals").payloads
    assert [payloads[number]["own"] for number in ("1", "2")] == [{"product": "GTX Pro"}, {"product": None}]


# ----------------------------------------------------------------------------------------------------------- versions


@pytest.mark.parametrize("version", [16, 17, 18, 19])
def test_what_was_tracked_names_its_field_and_its_lead_in_every_version(night: Night, crm: Odoo) -> None:
    crm.add_lead(41)
    crm.change(41, stage_id=4, expected_revenue=20.0, active=False, team_id=3)
    tracked = night.fetch("tracking").payloads.values()
    amounts = ("monetary" if crm.version == 16 else "float", "integer")
    told = [(one["changed"], one["lead_id"], *(one[f"new_value_{kind}"] for kind in amounts)) for one in tracked]
    assert told == [("stage_id", 41, 0, 4), ("expected_revenue", 41, 20, 0), ("active", 41, 0, 0)]


@pytest.mark.parametrize("version", [16, 17, 18, 19])
def test_totals_are_by_owner_and_month_of_creation_in_every_version(night: Night, crm: Odoo) -> None:
    crm.add_lead(1, expected_revenue=10.1)
    crm.add_lead(2, expected_revenue=20.2, active=False)
    crm.add_lead(3, user_id=None)
    crm.pass_time(days=31)
    crm.add_lead(4, expected_revenue=5.0)
    assert night.totals() == {
        Total("leads_and_deals", "2", date(2026, 11, 1), 2, Decimal("30.30")),
        Total("leads_and_deals", None, date(2026, 11, 1), 1, Decimal("0.00")),
        Total("leads_and_deals", "2", date(2026, 12, 1), 1, Decimal("5.00")),
    }


@pytest.mark.parametrize("version", [16, 19])
def test_a_field_that_is_not_there_in_this_version_is_not_asked_for(night: Night, crm: Odoo) -> None:
    crm.add_lead(1)
    assert ("won_status" in night.fetch("leads_and_deals").payloads["1"]) is (crm.version == 19)


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("version", [17, 19])
def test_a_right_that_is_missing_is_named_with_its_model(night: Night, crm: Odoo) -> None:
    crm.is_administrator = False
    with pytest.raises(AccessRefused, match=r"mail\.tracking\.value.*the group Administration / Settings"):
        night.fetch("tracking")


def test_a_user_that_is_not_known_is_refused_without_showing_the_token(night: Night) -> None:
    night.own["token"] = "not-the-right-token"
    with pytest.raises(AccessRefused, match=f"does not know the user {USER}") as refused:
        night.fetch("stages")
    assert "not-the-right-token" not in str(refused.value)


def test_a_database_that_is_not_there_is_a_matter_of_the_settings(night: Night) -> None:
    night.own["database"] = "compnay"
    with pytest.raises(SettingsError, match=r"odoo\.database: the server has no such database"):
        night.fetch("stages")


@pytest.mark.parametrize("missing", ["url", "database", "user", "token"])
def test_a_setting_that_is_missing_is_named(night: Night, missing: str) -> None:
    del night.own[missing]
    with pytest.raises(SettingsError, match=f"odoo.{missing}: is missing"):
        night.fetch("stages")


def test_a_database_without_the_app_is_said_to_be_one(night: Night, crm: Odoo) -> None:
    del crm.models["crm.stage"]
    with pytest.raises(BadSourceData, match=r"Object crm\.stage doesn't exist; install the app CRM"):
        night.fetch("stages")


def test_a_field_of_the_settings_that_is_not_there_is_said_to_be_one_of_them(night: Night) -> None:
    night.own["properties"] = {"stages": ("colour",)}
    with pytest.raises(BadSourceData, match=r"Invalid field 'colour'.*look after odoo\.fields and odoo\.properties"):
        night.fetch("stages")


def test_an_address_where_odoo_does_not_answer_is_a_matter_of_the_settings(night: Night) -> None:
    night.own["url"] += "/web"
    with pytest.raises(SettingsError, match=r"odoo\.url: there is no /jsonrpc"):
        night.fetch("stages")


def failing(name: str) -> Any:
    """An error of the database in place of an answer."""
    data = {"name": name, "message": "could not serialize access due to concurrent update"}
    return lambda right: {
        "jsonrpc": "2.0", "id": right["id"],
        "error": {"code": 200, "message": "Odoo Server Error", "data": data},
    }  # fmt: skip


IN_VAIN = {
    "a serialization failure": failing("psycopg2.errors.SerializationFailure"),
    "a concurrency error of Odoo 19": failing("odoo.exceptions.ConcurrencyError"),
    "the answer to another request": lambda right: {**right, "id": right["id"] - 1},
    "a page in the wrong order": lambda right: {**right, "result": right["result"][::-1]},
}


@pytest.mark.parametrize("instead", IN_VAIN.values(), ids=IN_VAIN)
def test_an_answer_that_cannot_be_used_is_asked_for_again(night: Night, crm: Odoo, instead: Any) -> None:
    version_and_user = [None, None]
    crm.answers.extend([*version_and_user, instead])
    assert night.fetch("stages").ids == ["1", "4"]


def test_an_answer_that_never_can_be_used_ends_the_fetch(night: Night, crm: Odoo) -> None:
    crm.answers.extend([None, None, *3 * [IN_VAIN["a serialization failure"]]])
    with pytest.raises(SourceUnreachable, match="could not serialize access"):
        night.fetch("stages")


def with_a_thirteenth_month(right: Any) -> Any:
    """The right answer, but for the time of the second record."""
    right["result"][1]["write_date"] = "2026-13-01 01:00:00"
    return right


def test_a_time_that_is_none_sets_its_record_aside(night: Night, crm: Odoo) -> None:
    crm.add_lead(1)
    crm.add_lead(2)
    crm.answers.extend([*4 * [None], with_a_thirteenth_month])
    fetched = night.fetch("leads_and_deals")
    assert (fetched.ids, [one["record_id"] for one in fetched.quarantined]) == (["1"], ["2"])


def test_the_clock_is_the_servers(night: Night, crm: Odoo) -> None:
    with SOURCE.connect(night.settings) as client:
        assert SOURCE.server_time(client) == crm.now.replace(microsecond=0)
