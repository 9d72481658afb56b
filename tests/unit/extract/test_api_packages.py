"""A CRM that is read over an API, from its pages to raw: packages, places to go on from, and what has vanished."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kpimart.errors import SourceUnreachable
from kpimart.extract import packages
from kpimart.extract.landing import (
    LandedBatch,
    accept_held,
    held_batches,
    held_together,
    judge,
    land,
    pending_batches,
)
from kpimart.extract.packages import FetchReport, complete_packages, fetch
from kpimart.extract.source import ApiObject, ApiSource, Cursor, Deals, Json, Listing, Page, amount_in_raw, iso_moment
from kpimart.settings import Settings
from kpimart.upkeep import keep_up
from kpimart.warehouse import open_warehouse

FIRST_NIGHT = datetime(2026, 11, 1, 2, tzinfo=UTC)


@dataclass
class Company:
    """A CRM of deals, two a page, by id at first and then by change; and the warehouse that takes it."""

    home: Path
    now: datetime = FIRST_NIGHT
    deals: dict[int, Json] = field(default_factory=dict)
    listings: list[Listing] = field(default_factory=list)
    asked: list[Cursor] = field(default_factory=list)
    breaks_after_pages: int | None = None

    def clock(self) -> datetime:
        return self.now

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, sources=("hubspot",))

    def write(self, number: int, amount: int, day: int = 1, **further: Any) -> None:
        changed = datetime(2026, 10, day, 12, tzinfo=UTC).isoformat()
        self.deals[number] = {"id": number, "amount": amount, "changed": changed, **further}

    def read(self, cursor: Cursor) -> Iterator[Page]:
        self.asked.append(cursor)
        since, after = cursor.get("since", ""), cursor.get("after", 0)
        found = [deal for number, deal in sorted(self.deals.items()) if number > after and deal["changed"] >= since]
        last = max((deal["changed"] for deal in self.deals.values()), default="")
        for number, start in enumerate(range(0, len(found), 2)):
            if number == self.breaks_after_pages:
                raise SourceUnreachable("hubspot: the CRM is away")
            records = found[start : start + 2]
            yield Page(records, {**cursor, "after": records[-1]["id"]})
        yield Page(cursor={"since": last}, listings=tuple(self.listings))

    def fetch(self, *objects: str) -> FetchReport:
        with open_warehouse(self.home) as connection:
            held = held_batches(connection)
        return fetch(self.settings, "hubspot", objects=objects, folder=None, clock=self.clock, held=held)

    def land(self, verdict: Any = "accepted") -> list[LandedBatch]:
        with open_warehouse(self.home) as connection:
            landed = land(connection, self.settings, clock=self.clock)
            judge(connection, pending_batches(connection), verdict, None, self.clock)
            return landed

    def accept(self) -> None:
        with open_warehouse(self.home) as connection:
            accept_held(connection, held_together(connection, None), "accepted by hand", self.clock)

    def night(self, verdict: Any = "accepted") -> list[LandedBatch]:
        self.fetch()
        landed = self.land(verdict)
        self.now += timedelta(days=1)
        return landed

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with open_warehouse(self.home) as connection:
            return connection.execute(sql).fetchall()

    def raw(self) -> list[tuple[Any, ...]]:
        """(id, amount, is_deleted) of every version that was not held, in the order of landing."""
        return self.query("""
            select id, cast(payload ->> 'amount' as integer), is_deleted
            from raw.hubspot__deals
            where batch_id not in (select batch_id from ops.batch_verdict where verdict = 'held')
            order by landed_at, cast(id as integer), updated_at
        """)


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Company:
    @contextmanager
    def connect(_: Settings) -> Iterator[Company]:
        yield company

    company = Company(tmp_path)
    tmp_path.mkdir(exist_ok=True)
    deals = ApiObject[Company](
        "deals", read=Company.read, keep=("id", "amount"), updated_at=iso_moment("changed"), needed={"id": (int,)}
    )
    people = ApiObject[Company]("owners", read=lambda _, __: iter([Page([{"id": 1}], {})]), keep=("id",))
    source = ApiSource(
        *("hubspot", connect, lambda _: {}, (deals, people), Company.clock),
        deals=Deals("deals", amount_in_raw("/amount")),
    )
    monkeypatch.setattr(packages, "api_source", lambda _: source)
    for number in range(1, 6):
        company.write(number, amount=10 * number)
    return company


FIVE = [("1", 10, False), ("2", 20, False), ("3", 30, False), ("4", 40, False), ("5", 50, False)]


def test_a_first_load_and_a_night_read_what_there_is_and_what_changed(company: Company) -> None:
    (batch,) = company.night()
    assert company.raw() == FIVE
    assert {each.object_name: (each.rows_read, each.cursor) for each in batch.objects} == {
        "deals": (5, '{"since":"2026-10-01T12:00:00+00:00"}'),
        "owners": (1, "{}"),
    }
    company.write(2, amount=21, day=2)
    company.night()
    assert company.asked == [{}, {"since": "2026-10-01T12:00:00+00:00"}]
    assert company.raw() == [*FIVE, ("2", 21, False)]


def test_a_long_load_leaves_several_packages_that_are_one_load(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "PACKAGE_RECORDS", 2)
    monkeypatch.setattr("kpimart.extract.reading.BATCH_RECORDS", 1)
    report = company.fetch()
    assert len(report.batch_ids) >= 3
    assert [package.batch_id for package in complete_packages(company.settings)] == list(report.batch_ids)
    company.land()
    assert sorted(company.raw()) == FIVE


def test_cycles_of_garbage_are_sought_as_before_after_a_fetch_that_failed(company: Company) -> None:
    before = gc.get_threshold()
    company.breaks_after_pages = 0
    with pytest.raises(SourceUnreachable):
        company.fetch()
    assert gc.get_threshold() == before


def test_an_interrupted_load_goes_on_where_it_was_interrupted(company: Company) -> None:
    company.breaks_after_pages = 1
    with pytest.raises(SourceUnreachable):
        company.fetch()
    company.breaks_after_pages = None
    company.fetch()
    assert company.asked == [{}, {"after": 2}]
    company.land()
    assert company.raw() == FIVE


def test_what_was_held_is_read_again(company: Company) -> None:
    company.night()
    company.write(3, amount=31, day=3)
    company.night("held")
    company.night()
    assert company.asked[1:] == [{"since": "2026-10-01T12:00:00+00:00"}] * 2
    assert company.raw() == [*FIVE, ("3", 31, False)]


def test_what_waits_for_its_verdict_is_not_read_again(company: Company) -> None:
    company.fetch()
    company.fetch()
    assert company.asked == [{}, {"since": "2026-10-01T12:00:00+00:00"}]
    company.land()
    assert company.raw() == FIVE


def test_each_object_goes_on_where_it_was_read_last_by_itself_or_with_the_others(company: Company) -> None:
    company.fetch("deals")
    company.fetch("owners")
    company.write(2, amount=21, day=2)
    company.fetch()
    company.write(3, amount=31, day=3)
    company.fetch("deals")
    since = [{"since": f"2026-10-0{day}T12:00:00+00:00"} for day in (1, 2)]
    assert company.asked == [{}, *since]
    company.land()
    assert sorted(company.raw()) == sorted([*FIVE, ("2", 21, False), ("3", 31, False)])


def test_a_part_that_was_held_is_not_out_of_date_because_another_was_accepted(company: Company) -> None:
    company.fetch("deals")
    company.land("held")
    company.fetch("owners")
    company.land()
    company.now += timedelta(days=400)
    assert keep_up(company.settings, clock=company.clock, tell=lambda _: None).held_versions == 0
    company.accept()
    assert company.raw() == FIVE
    company.fetch("deals")
    assert company.asked == [{}, {"since": "2026-10-01T12:00:00+00:00"}]


def test_parts_may_have_the_same_load_id(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    company.fetch()
    monkeypatch.setattr("dlt.extract.storage.create_load_id", lambda: "1895000000.5")
    company.fetch("deals")
    company.fetch("owners")
    assert [batch.batch_id for batch in company.land()][1:] == [
        "hubspot__deals-1895000000.5",
        "hubspot__owners-1895000000.5",
    ]


def test_what_is_not_listed_within_its_bounds_has_vanished(company: Company) -> None:
    company.night()
    del company.deals[2], company.deals[5]
    company.listings = [Listing(("1", "3"), low=1, high=3)]
    (batch,) = company.night()
    assert company.raw() == [*FIVE, ("2", 20, True)]
    assert [(each.rows_vanished, each.rows_known_before) for each in batch.objects if each.object_name == "deals"] == [
        (1, 5)
    ]


def test_a_listing_of_everything_has_no_bounds_and_tells_once(company: Company) -> None:
    company.night()
    del company.deals[2], company.deals[5]
    company.listings = [Listing(("1", "3", "4"))]
    company.night()
    company.night()
    assert company.raw() == [*FIVE, ("2", 20, True), ("5", 50, True)]


def test_what_was_deleted_while_it_was_read_is_gone_though_a_page_had_it(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "PACKAGE_RECORDS", 2)
    monkeypatch.setattr("kpimart.extract.reading.BATCH_RECORDS", 1)
    company.listings = [Listing(("1", "2", "3", "5"))]
    company.night()
    assert ("4", 40, True) in company.raw()


def test_what_had_vanished_and_is_back_unchanged_is_there_again(company: Company) -> None:
    company.night()
    gone = company.deals.pop(5)
    company.listings = [Listing(("1", "2", "3", "4"))]
    company.night()
    company.deals[5], company.listings = gone, []
    company.night()
    versions = company.query("select is_deleted from raw.hubspot__deals where id = '5' order by updated_at")
    assert versions == [(False,), (True,), (False,)]


def test_fields_that_changed_are_recorded(company: Company) -> None:
    company.night()
    company.write(1, amount=11, day=2, region="North")
    company.night()
    assert company.query("select source, object, field, change, was, is_now from ops.schema_change") == [
        ("hubspot", "deals", "region", "new", None, "text")
    ]
