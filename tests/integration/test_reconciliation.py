"""Raw against what each CRM counts itself: what was lost or altered on either side is found, and where."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from odoo import DATABASE, USER, Odoo
from odoo import TOKEN as ODOO_TOKEN
from pipedrive import TOKEN as PIPEDRIVE_TOKEN
from pipedrive import USER as PIPEDRIVE_USER
from pipedrive import Pipedrive
from salesforce import CLIENT_ID, CLIENT_SECRET, Salesforce
from serving import hosting

from kpimart import cli
from kpimart.demo.crm import Deal
from kpimart.demo.server import bitrix24_records, hubspot_records
from kpimart.demo.server.app import serve
from kpimart.demo.server.bitrix24 import WEBHOOK_TOKEN
from kpimart.demo.server.hubspot import TOKEN as HUBSPOT_TOKEN
from kpimart.demo.server.served import Served
from kpimart.demo.server.world import World, number, user_number
from kpimart.extract.landing import judge, land, pending_batches
from kpimart.extract.packages import api_source, fetch
from kpimart.quality.evidence import received
from kpimart.reconcile import Cell, Explanation, Reconciliation, Sum, reconcile
from kpimart.settings import Settings
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse, raw_table

IN_A_HURRY = {"attempts": 3, "backoff_seconds": 0.001, "longest_wait_seconds": 0.01}
OCTOBER, JUNE = date(2026, 10, 1), date(2026, 6, 1)

Change = Callable[..., AbstractContextManager[None]]


@dataclass(frozen=True)
class Owner:
    """Whose deals of the month these are, by the CRM's id; what they come to; and one of them with its worth."""

    id: str
    has: Sum
    deal: str
    worth: Sum


@dataclass(frozen=True)
class Crm:
    """A CRM that is served, and the home that has taken it.

    live: lets days pass. figures: what it has of each object that it counts. given_away: Ann's deal is Bob's as long as
    the block runs, and the CRM dates the change, or not. deleted: it is gone.
    """

    source: str
    object: str
    settings: Settings
    clock: Callable[[], datetime]
    live: Callable[[int], None]
    figures: dict[str, Sum]
    month: date | None
    ann: Owner
    bob: Owner
    given_away: Change
    deleted: Change

    def night(self) -> None:
        fetch(self.settings, self.source, folder=None, clock=self.clock)
        with open_warehouse(self.settings.home) as connection:
            land(connection, self.settings, clock=self.clock)
            judge(connection, pending_batches(connection), "accepted", None, self.clock)

    def reconciled(self) -> Reconciliation:
        return reconcile(self.settings, self.source, clock=self.clock, tell=lambda _: None)

    def cells(self) -> dict[str | None, Cell]:
        """The cells that differ, by their owners."""
        found = self.reconciled().cells
        assert {(cell.object, cell.month) for cell in found} <= {(self.object, self.month)}
        return {cell.manager_id: cell for cell in found}

    def cell(
        self, of: Owner, ours: Sum, theirs: Sum, *, why: Explanation | None = None, left: Sum | None = None
    ) -> Cell:
        """The cell of an owner in the month, with the one reason that explains it, or with what nothing explains."""
        nothing = less(of.worth, of.worth)
        return Cell(self.object, of.id, self.month, ours, theirs, (why,) if why else (), left or nothing)

    @contextmanager
    def altered_in_raw(self, sql: str, **values: str) -> Iterator[None]:
        """As long as the block runs, something was done to the table of deals that nobody should do."""
        warehouse = self.settings.home / WAREHOUSE_FILE
        kept = shutil.copy(warehouse, warehouse.with_suffix(".kept"))
        with open_warehouse(self.settings.home) as connection:
            connection.execute(sql.format(table=raw_table(self.source, self.object)), values)
        try:
            yield
        finally:
            shutil.move(kept, warehouse)


def less(figures: Sum, other: Sum) -> Sum:
    return plus(figures, minus(other))


def plus(figures: Sum, other: Sum) -> Sum:
    amounts = None if figures.amount is None or other.amount is None else figures.amount + other.amount
    return Sum(figures.count + other.count, amounts)


def minus(figures: Sum) -> Sum:
    return Sum(-figures.count, None if figures.amount is None else -figures.amount)


# ------------------------------------------------------------------------------------------------- CRMs of four deals

ANNS, BOBS = Sum(2, Decimal("300.30")), Sum(1, Decimal("50.00"))
ANNS_FIRST = Sum(1, Decimal("100.10"))
ALL = Sum(4, Decimal("357.30"))
CREATED = datetime(2026, 10, 1, tzinfo=UTC)
# The last second of September, in UTC.
EARLIER = datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC)


@contextmanager
def as_long(records: dict[Any, dict[str, Any]], key: Any, **changes: Any) -> Iterator[None]:
    """A record is another one as long as the block runs."""
    kept = records[key]
    records[key] = {**kept, **changes}
    try:
        yield
    finally:
        records[key] = kept


@contextmanager
def without(records: dict[Any, dict[str, Any]], key: Any) -> Iterator[None]:
    """A record is not there as long as the block runs."""
    kept = records.pop(key)
    try:
        yield
    finally:
        records[key] = kept


def settings_of(source: str, home: Path, **own: Any) -> Settings:
    values: dict[str, Any] = {"home": home, "sources": (source,), "http": IN_A_HURRY, source: own}
    return Settings(**values)


@contextmanager
def salesforce(home: Path) -> Iterator[Crm]:
    org = Salesforce()
    ann, bob = "005000000000001AAA", "005000000000002AAA"
    deals = [(ann, 100.1, CREATED), (ann, 200.2, CREATED), (bob, 50.0, CREATED), (ann, 7.0, EARLIER)]
    for at, (owner, amount, created) in enumerate(deals, start=1):
        told = created.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        org.add("Opportunity", f"006{at:012}AAA", OwnerId=owner, Amount=amount, CreatedDate=told)
    org.add("Account", "001000000000001AAA", OwnerId=ann, Name="Acme")
    org.pass_time(days=1)
    records, first = org.records["Opportunity"], "006000000000001AAA"

    def dated(is_dated: bool) -> dict[str, Any]:
        return {"SystemModstamp": org.time} if is_dated else {}

    with hosting() as host:
        host.application = org.application()
        yield Crm(
            "salesforce",
            "opportunities",
            settings_of("salesforce", home, url=host.url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET),
            lambda: org.now,
            lambda days: org.pass_time(days=days),
            {"opportunities": ALL, "accounts": Sum(1, None), "leads": Sum(0, None)},
            OCTOBER,
            Owner(ann, ANNS, first, ANNS_FIRST),
            Owner(bob, BOBS, "006000000000003AAA", BOBS),
            lambda is_dated: as_long(records, first, OwnerId=bob, **dated(is_dated)),
            lambda: as_long(records, first, IsDeleted=True, **dated(True)),
        )


@contextmanager
def pipedrive(home: Path) -> Iterator[Crm]:
    """One deal lost, one archived. It counts by owner, not by month."""
    crm = Pipedrive()
    crm.users = [{**PIPEDRIVE_USER, "id": 1, "name": "Ann"}, {**PIPEDRIVE_USER, "id": 2, "name": "Bob"}]
    for at, amount in enumerate((100.1, 200.2, 50.0, 7.0), start=1):
        crm.add_deal(at, owner_id=2 if at == 3 else 1, value=amount)
    crm.deals[2]["status"] = "lost"
    crm.deals[3]["is_archived"] = True
    crm.deals[4]["currency"] = "USD"
    crm.pass_time(days=1)

    def dated(is_dated: bool) -> dict[str, Any]:
        return {"update_time": crm.time} if is_dated else {}

    with hosting() as host:
        host.application = crm.application()
        yield Crm(
            "pipedrive",
            "deals",
            settings_of("pipedrive", home, url=host.url, token=PIPEDRIVE_TOKEN, requests_per_second=1000),
            lambda: crm.now,
            lambda days: crm.pass_time(days=days),
            {"deals": ALL},
            None,
            Owner("1", Sum(3, Decimal("307.30")), "1", ANNS_FIRST),
            Owner("2", BOBS, "3", BOBS),
            lambda is_dated: as_long(crm.deals, 1, owner_id=2, **dated(is_dated)),
            lambda: as_long(crm.deals, 1, status="deleted", is_deleted=True, deleted_at=crm.now, **dated(True)),
        )


@contextmanager
def odoo(home: Path) -> Iterator[Crm]:
    """One deal lost, which is archived; one of nobody."""
    crm = Odoo()
    crm.add("res.users", 3, name="Bob Jones")
    deals = [(2, 100.1, CREATED), (2, 200.2, CREATED), (3, 50.0, CREATED), (None, 7.0, EARLIER)]
    for at, (owner, amount, created) in enumerate(deals, start=1):
        crm.add_lead(at, user_id=owner, expected_revenue=amount, create_date=created, active=at != 2)
    crm.pass_time(days=1)
    leads = crm.records["crm.lead"]

    def dated(is_dated: bool) -> dict[str, Any]:
        return {"write_date": crm.now} if is_dated else {}

    with hosting() as host:
        host.application = crm.application()
        yield Crm(
            "odoo",
            "leads_and_deals",
            settings_of("odoo", home, url=host.url, database=DATABASE, user=USER, token=ODOO_TOKEN),
            lambda: crm.now,
            lambda days: crm.pass_time(days=days),
            {"leads_and_deals": ALL},
            OCTOBER,
            Owner("2", ANNS, "1", ANNS_FIRST),
            Owner("3", BOBS, "3", BOBS),
            lambda is_dated: as_long(leads, 1, user_id=3, **dated(is_dated)),
            lambda: without(leads, 1),
        )


# ------------------------------------------------------------------------------------------------- the demo's company


ONE = Sum(1, None)


@dataclass(frozen=True)
class Demo:
    """The company over three months, and two managers to whom deals came in June."""

    world: World
    _ticks: Iterator[int] = field(default_factory=itertools.count)

    @property
    def deals(self) -> list[Deal]:
        return [deal for deal in self.world.crm.deals if not deal.is_deleted]

    def of_june(self) -> list[Deal]:
        """Deals that came in June and then rested for a day at least, each of a manager of their own."""
        rested = [deal for deal in self.deals if came_in_june(deal) and (self.world.now - deal.updated_at).days > 1]
        return list({deal.manager.id: deal for deal in rested if deal.duplicate_of is None}.values())[:2]

    def has(self, of: Deal) -> Sum:
        return Sum(sum(deal.manager is of.manager and came_in_june(deal) for deal in self.deals), None)

    @contextmanager
    def given_away(self, is_dated: bool) -> Iterator[None]:
        deal, other = self.of_june()
        with self._as_long(deal, manager=other.manager, **({"updated_at": self.world.now} if is_dated else {})):
            yield

    @contextmanager
    def deleted(self) -> Iterator[None]:
        deal, _ = self.of_june()
        with self._as_long(deal, deleted_at=self.world.now, updated_at=self.world.now):
            yield

    @contextmanager
    def _as_long(self, deal: Deal, **changes: Any) -> Iterator[None]:
        kept = {name: getattr(deal, name) for name in changes}
        self._write(deal, changes)
        try:
            yield
        finally:
            self._write(deal, kept)

    def _write(self, deal: Deal, values: dict[str, Any]) -> None:
        with self.world.lock:
            for name, value in values.items():
                setattr(deal, name, value)
            # It tells of a record what it told before, unless its time of change differs: by less than any API shows.
            deal.updated_at += next(self._ticks) * timedelta(microseconds=1)
            self.world._derived.clear()


def came_in_june(deal: Deal) -> bool:
    return deal.created_at is not None and deal.created_at.astimezone(UTC).date().replace(day=1) == JUNE


@contextmanager
def hubspot(home: Path) -> Iterator[Crm]:
    demo = Demo(World(until=date(2026, 7, 1), opened_on=date(2026, 5, 20)))
    with serve(Served(demo.world, limits=False)) as url:
        access = {"url": f"{url}/hubspot", "token": HUBSPOT_TOKEN, "requests_per_second": 10_000}
        yield Crm(
            "hubspot",
            "deals",
            settings_of("hubspot", home, **access),
            lambda: demo.world.now,
            demo.world.advance,
            {"deals": Sum(len(demo.deals), None)},
            JUNE,
            *(
                Owner(str(hubspot_records.owner_id(of.manager)), demo.has(of), str(hubspot_records._own_id(of)), ONE)
                for of in demo.of_june()
            ),
            demo.given_away,
            demo.deleted,
        )


@contextmanager
def bitrix24(home: Path) -> Iterator[Crm]:
    demo = Demo(World(until=date(2026, 7, 1), opened_on=date(2026, 5, 20)))
    with serve(Served(demo.world, limits=False)) as url:
        webhook = f"{url}/bitrix24/rest/{bitrix24_records.ADMINISTRATOR}/{WEBHOOK_TOKEN}/"
        yield Crm(
            "bitrix24",
            "deals",
            settings_of("bitrix24", home, webhook=webhook, requests_per_second=10_000),
            lambda: demo.world.now,
            demo.world.advance,
            {"deals": Sum(len(demo.deals), None), "leads": Sum(len(demo.world.crm.leads), None)},
            JUNE,
            *(Owner(str(user_number(of.manager.id)), demo.has(of), str(number(of.id)), ONE) for of in demo.of_june()),
            demo.given_away,
            demo.deleted,
        )


@pytest.fixture(scope="module", params=[salesforce, pipedrive, odoo, bitrix24, hubspot], ids=lambda made: made.__name__)
def crm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crm]:
    """A CRM after its first night."""
    with request.param(tmp_path_factory.mktemp("home")) as made:
        made.night()
        yield made


# ------------------------------------------------------------------------------------------------------------- found


def test_raw_has_what_the_crm_counts(crm: Crm) -> None:
    compared = crm.reconciled()
    assert {total.object: total.ours for total in compared.objects} == crm.figures
    assert {total.object: total.theirs for total in compared.objects} == crm.figures
    assert compared.cells == ()


def test_the_gate_counts_in_raw_what_the_crm_counts(crm: Crm) -> None:
    deals = api_source(crm.source).deals
    with open_warehouse(crm.settings.home) as connection:
        query = received("warehouse", crm.source, deals, crm.clock())
        ((count, amount),) = connection.execute(
            f"select count(*), sum(native_amount) from ({query}) where is_deal and not is_deleted"
        ).fetchall()
    expected = crm.figures[deals.object]
    assert (count, amount if expected.amount is not None else None) == (expected.count, expected.amount)
    # Where the CRM only counts, there is something to sum all the same.
    assert amount > 0


def test_the_command_names_the_cell_of_a_deal_that_is_lost_from_raw(
    crm: Crm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "load_settings", lambda _: crm.settings)
    monkeypatch.setattr("sys.argv", ["kpimart", "reconcile", "--json"])
    lost = crm.altered_in_raw("delete from {table} where id = $lost", lost=crm.ann.deal)
    with lost, pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert told["cells"] == [
        {
            "object": crm.object,
            "manager_id": crm.ann.id,
            "month": crm.month.isoformat() if crm.month else None,
            "ours": as_told(less(crm.ann.has, crm.ann.worth)),
            "theirs": as_told(crm.ann.has),
            "explanations": [],
            "unexplained": as_told(crm.ann.worth),
        }
    ]


def as_told(figures: Sum) -> dict[str, Any]:
    return {"count": figures.count, "amount": None if figures.amount is None else str(figures.amount)}


def test_a_deal_that_was_altered_in_raw_is_found_where_it_was_and_where_it_is(crm: Crm) -> None:
    """Ann's deal is told as if it were Bob's."""
    altered = """
        update {table} set payload = (select payload from {table} where id = $bobs) where id = $anns
    """
    with crm.altered_in_raw(altered, anns=crm.ann.deal, bobs=crm.bob.deal):
        cells = crm.cells()
    ann, bob = crm.ann, crm.bob
    assert cells == {
        ann.id: crm.cell(ann, ours=less(ann.has, ann.worth), theirs=ann.has, left=ann.worth),
        bob.id: crm.cell(bob, ours=plus(bob.has, bob.worth), theirs=bob.has, left=minus(bob.worth)),
    }


def test_what_the_crm_changed_since_the_fetch_is_explained(crm: Crm) -> None:
    with crm.given_away(is_dated=True):
        cells = crm.cells()
    ann, bob = crm.ann, crm.bob
    month = f"{crm.month:%Y-%m}" if crm.month else "undated"
    gone = Explanation(f"gone to {bob.id}, {month}, since the last fetch", (ann.deal,), minus(ann.worth))
    come = Explanation(f"come from {ann.id}, {month}, since the last fetch", (ann.deal,), ann.worth)
    assert cells == {
        ann.id: crm.cell(ann, ours=ann.has, theirs=less(ann.has, ann.worth), why=gone),
        bob.id: crm.cell(bob, ours=bob.has, theirs=plus(bob.has, ann.worth), why=come),
    }


def test_what_the_crm_deleted_since_the_fetch_is_explained(crm: Crm) -> None:
    with crm.deleted():
        cells = crm.cells()
    ann = crm.ann
    why = Explanation("deleted, since the last fetch", (ann.deal,), minus(ann.worth))
    assert cells == {ann.id: crm.cell(ann, ours=ann.has, theirs=less(ann.has, ann.worth), why=why)}


def test_what_the_crm_changed_and_did_not_date_is_found(crm: Crm) -> None:
    with crm.given_away(is_dated=False):
        cells = crm.cells()
    ann, bob = crm.ann, crm.bob
    assert cells == {
        ann.id: crm.cell(ann, ours=ann.has, theirs=less(ann.has, ann.worth), left=minus(ann.worth)),
        bob.id: crm.cell(bob, ours=bob.has, theirs=plus(bob.has, ann.worth), left=ann.worth),
    }


@pytest.mark.parametrize("served", [bitrix24, hubspot])
def test_days_that_passed_are_explained_until_the_next_night(served: Any, tmp_path: Path) -> None:
    with served(tmp_path) as crm:
        crm.night()
        crm.live(5)
        later = crm.reconciled()
        reasons = {each.why for cell in later.cells for each in cell.explanations}
        assert "new, since the last fetch" in reasons
        assert later.unexplained == 0
        crm.night()
        assert crm.reconciled().cells == ()
