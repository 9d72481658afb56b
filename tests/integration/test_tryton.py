"""A real Tryton, read over two nights: opportunities with all their revisions, and what became of them meanwhile."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fetching import Fetched, fetch_object
from tryton import DATABASE, PASSWORD, USER, Tryton, running_tryton

from kpimart.errors import AccessRefused, BadSourceData, SettingsError
from kpimart.extract import tryton
from kpimart.extract.landing import judge, land, pending_batches
from kpimart.extract.packages import FetchReport, fetch
from kpimart.extract.tryton import SOURCE
from kpimart.paths import DBT_PROJECT
from kpimart.quality.evidence import received
from kpimart.reconcile import Reconciliation, Sum, reconcile
from kpimart.settings import Settings
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse

DBT = Path(sys.executable).with_name("dbt")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tryton]:
    with running_tryton(tmp_path_factory.mktemp("tryton")) as company:
        yield company


def settings_of(company: Tryton, home: Path, **own: Any) -> Settings:
    # Without an overlap, so that it shows what a night reads anew.
    standard = {"url": company.url, "database": DATABASE, "user": USER, "token": PASSWORD, "overlap_minutes": 0}
    values: dict[str, Any] = {"home": home, "sources": ("tryton",), "tryton": {**standard, **own}}
    return Settings(**values)


@contextmanager
def seconds_later() -> Iterator[None]:
    """Servers tell their time to the second: what is done in the block is surely later than what was before it."""
    time.sleep(1.1)
    yield
    time.sleep(1.1)


@dataclass
class Nights:
    """What was done in the company between two extracts, and the warehouse that they made."""

    home: Path
    first: FetchReport
    second: FetchReport
    numbers: dict[str, int]
    revisions: dict[str, list[datetime]]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer of the warehouse."""
        with duckdb.connect(str(self.home / WAREHOUSE_FILE), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(query).fetchall()

    def of(self, name: str) -> str:
        """The id of an opportunity in staging."""
        return f"tryton:{self.numbers[name]}"


@pytest.fixture(scope="module")
def nights(company: Tryton, tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """Of five opportunities one stays a lead, one is won, one lost and taken up again, one cancelled and deleted."""
    home = tmp_path_factory.mktemp("home")
    ann, bob = company.employees
    names = ("a lead", "won", "taken up again", "deleted", "cancelled")
    numbers = dict(zip(names, company.add_opportunities("10.00", "200.00", "300.00", "40.00", "50.00"), strict=True))
    company.call("company.employee.write", [ann], {"supervisor": bob})
    for name in names[1:]:
        company.move(numbers[name], "opportunity")
    company.move(numbers["taken up again"], "lost")
    with seconds_later():
        company.move(numbers["deleted"], "cancel")
    first = one_night(company, home)
    with seconds_later():
        company.change(numbers["won"], employee=bob)
        company.win(numbers["won"], "250.00")
        company.move(numbers["taken up again"], "lead")
        company.move(numbers["taken up again"], "opportunity")
        company.move(numbers["cancelled"], "cancel")
        company.call("sale.opportunity.delete", [numbers["deleted"]])
        (numbers["new"],) = company.add_opportunities("60.00", party=company.parties[1])
    second = one_night(company, home)
    revisions = {name: company.revisions(number) for name, number in numbers.items()}
    built = subprocess.run(
        [
            DBT, "run", "--select", "models/staging/tryton", "--vars", json.dumps({"crms": ["tryton"]}), "--quiet",
            "--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT, "--target-path", home / "target",
            "--log-path", home, "--no-use-colors",
        ],
        env={**os.environ, "DBT_KPIMART_DATABASE": str(home / WAREHOUSE_FILE)},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout
    return Nights(home, first, second, numbers, revisions)


def one_night(company: Tryton, home: Path) -> FetchReport:
    """Fetch, land, and accept what came."""
    settings = settings_of(company, home)

    def clock() -> datetime:
        return datetime.now(UTC)

    report = fetch(settings, "tryton", folder=None, clock=clock)
    with open_warehouse(home) as connection:
        land(connection, settings, clock=clock)
        judge(connection, pending_batches(connection), "accepted", None, clock)
    return report


def read_of(report: FetchReport, name: str) -> int:
    return sum(each.rows_read for each in report.objects if each.object_name == name)


def test_it_has_exactly_these_objects() -> None:
    assert [each.name for each in SOURCE.objects] == ["opportunities", "employees", "companies", "parties"]


def test_raw_has_every_revision_with_the_time_that_tryton_gives_it(nights: Nights) -> None:
    kept = nights.rows("select id, updated_at from raw.tryton__opportunities where not is_deleted order by all")
    # Where nothing that is kept changed, there is no version.
    assert kept == sorted(
        (str(nights.numbers[name]), at)
        for name, moments in nights.revisions.items()
        for at in (moments[:-1] if name == "deleted" else moments)
    )


def test_the_second_night_reads_only_what_was_done_since(nights: Nights) -> None:
    done = {"won": 4, "taken up again": 2, "cancelled": 1, "new": 1}
    assert read_of(nights.second, "opportunities") == sum(done.values())
    assert (read_of(nights.first, "parties"), read_of(nights.second, "parties")) == (5, 0)


def test_what_was_deleted_is_marked_and_nothing_else_is(nights: Nights) -> None:
    deleted = nights.rows("select distinct id from raw.tryton__opportunities where is_deleted")
    assert deleted == [(str(nights.numbers["deleted"]),)]


def test_a_deal_has_its_amounts_and_owners_with_their_own_times(nights: Nights) -> None:
    moments = nights.revisions["won"]
    assert nights.rows(
        f"""
        select native_amount, currency_code, manager_id, split_part(stage_id, ':', 3), effective_at
        from staging.stg_tryton__deal_version where deal_id = '{nights.of("won")}' order by version_number
        """
    ) == [
        (200, "EUR", "tryton:1", "opportunity", moments[1]),
        (200, "EUR", "tryton:2", "opportunity", moments[2]),
        (200, "EUR", "tryton:2", "converted", moments[3]),
        (250, "EUR", "tryton:2", "converted", moments[4]),
        (250, "EUR", "tryton:2", "won", moments[5]),
    ]
    assert nights.rows(
        f"""
        select manager_id, changed_at from staging.stg_tryton__deal_owner_change
        where deal_id = '{nights.of("won")}' order by changed_at
        """
    ) == [("tryton:1", moments[0]), ("tryton:2", moments[2])]


def test_a_deal_has_been_in_every_stage_since_it_was_a_lead(nights: Nights) -> None:
    changes = nights.rows(
        f"""
        select stage_name, changed_at from staging.stg_tryton__deal_stage_change
        where deal_id = '{nights.of("taken up again")}' order by changed_at
        """
    )
    stages = ("Lead", "Opportunity", "Lost", "Lead", "Opportunity")
    assert changes == list(zip(stages, nights.revisions["taken up again"], strict=True))


def test_what_never_was_more_than_a_lead_is_no_deal(nights: Nights) -> None:
    deals = {deal for (deal,) in nights.rows("select deal_id from staging.stg_tryton__deal where not is_deleted")}
    assert deals == {nights.of("won"), nights.of("taken up again")}
    leads = nights.rows("select lead_id, converted_at from staging.stg_tryton__lead where not is_deleted order by all")
    converted = {name: nights.revisions[name][1] for name in ("won", "taken up again")}
    assert leads == [(nights.of(name), converted.get(name)) for name in ("a lead", "won", "taken up again", "new")]


def test_the_gate_counts_in_raw_the_deals_that_staging_has(nights: Nights) -> None:
    counted = received("warehouse", "tryton", SOURCE.deals, datetime.now(UTC))
    deals = nights.rows(f"select deal_id, native_amount from ({counted}) where is_deal and not is_deleted order by all")
    assert deals == nights.rows(
        "select deal_id, native_amount from staging.stg_tryton__deal where not is_deleted order by all"
    )


def test_raw_has_what_tryton_counts_and_a_lost_opportunity_is_found(
    company: Tryton, nights: Nights, tmp_path: Path
) -> None:
    settings = settings_of(company, shutil.copytree(nights.home, tmp_path / "home"))

    def reconciled() -> Reconciliation:
        return reconcile(settings, "tryton", clock=lambda: datetime.now(UTC), tell=lambda _: None)

    (total,) = reconciled().objects
    # Six were made and one of them deleted; one of the others is Bob's.
    assert (total.ours, total.theirs, total.cells, total.differing) == (Sum(5, None), Sum(5, None), 2, 0)
    with open_warehouse(settings.home) as connection:
        connection.execute("delete from raw.tryton__opportunities where id = ?", [str(nights.numbers["a lead"])])
    (cell,) = reconciled().cells
    assert (cell.object, cell.manager_id) == ("opportunities", str(company.employees[0]))
    assert (cell.ours, cell.theirs, cell.unexplained) == (Sum(3, None), Sum(4, None), Sum(1, None))


def test_ann_and_her_supervisor_are_a_team_of_the_company(nights: Nights) -> None:
    assert nights.rows("select manager_name, department_id from staging.stg_tryton__manager order by all") == [
        ("Ann Smith", "tryton:team-2"),
        ("Bob Jones", "tryton:team-2"),
    ]
    columns = "department_id, parent_department_id, department_name, head_name, is_deleted"
    assert nights.rows(f"select {columns} from staging.stg_tryton__department order by all") == [
        ("tryton:company-1", None, "The Company", None, False),
        ("tryton:team-2", "tryton:company-1", "Bob Jones", "Bob Jones", False),
    ]


# ----------------------------------------------------------------------------------------------------- the connector


def read(settings: Settings, name: str, cursor: dict[str, Any] | None = None, **options: Any) -> Fetched:
    """A fetch of one object; raises what it failed with."""
    fetched = fetch_object(SOURCE, settings, name, cursor or {}, **options)
    if fetched.failure:
        raise fetched.failure
    return fetched


def test_an_interrupted_first_load_goes_on_where_it_was(
    company: Tryton, nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tryton, "ROWS", 2)
    settings = settings_of(company, tmp_path)
    whole = read(settings, "opportunities")
    first = read(settings, "opportunities", until_cursor=1)
    rest = read(settings, "opportunities", first.cursor)
    assert len(first.ids) == 2
    assert first.read + rest.read == whole.read
    assert first.payloads | rest.payloads == whole.payloads


@pytest.mark.parametrize("allowed", [False, True], ids=["without leave", "with leave"])
def test_the_names_of_parties_are_kept_only_with_leave(company: Tryton, tmp_path: Path, allowed: bool) -> None:
    fetched = read(settings_of(company, tmp_path, personal_data=allowed), "parties")
    assert ("Acme" in [party.get("name") for party in fetched.payloads.values()]) is allowed


def test_a_session_that_has_ended_is_opened_anew(company: Tryton, tmp_path: Path) -> None:
    with SOURCE.connect(settings_of(company, tmp_path)) as client:
        client.http.post(client.path, {"id": 1, "method": "common.db.logout", "params": []})
        before = client.http.requests_made
        found, _ = client.execute(tryton.COMPANIES, "search", [], 0, None, None)
        assert (found, client.http.requests_made - before) == ([company.company], 2)


def test_the_clock_is_the_servers(company: Tryton, tmp_path: Path) -> None:
    with SOURCE.connect(settings_of(company, tmp_path)) as client:
        assert abs((SOURCE.server_time(client) - datetime.now(UTC)).total_seconds()) < 5


REFUSED = {
    "a wrong password": ({"token": "not-the-right-one"}, AccessRefused, "the user admin was refused"),
    "a wrong database": ({"database": "compnay"}, SettingsError, r"tryton\.database: the server has no such database"),
    "no user": ({"user": None}, SettingsError, r"tryton\.user: is missing"),
    "a field that is not there": (
        {"properties": {"opportunities": ("colour",)}}, BadSourceData, "sale.opportunity search_read: 'colour'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("own", "error", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_named(
    company: Tryton, tmp_path: Path, own: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as refused:
        read(settings_of(company, tmp_path, **own), "opportunities")
    assert "not-the-right-one" not in str(refused.value)


def test_a_user_without_rights_is_told_which(company: Tryton, tmp_path: Path) -> None:
    company.call("res.user.create", [{"name": "Reader", "login": "reader", "password": PASSWORD, "groups": []}])
    with pytest.raises(AccessRefused, match=r"sale\.opportunity.*needs read access"):
        read(settings_of(company, tmp_path, user="reader"), "opportunities")
