"""Raw against the CRM's own aggregates: equal, explained, or found."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kpimart import cli
from kpimart.errors import SettingsError
from kpimart.extract import hubspot
from kpimart.extract.landing import judge, land, pending_batches
from kpimart.extract.packages import fetch
from kpimart.extract.source import (
    ApiObject,
    ApiSource,
    Counted,
    Cursor,
    Deals,
    Json,
    Listing,
    Page,
    Total,
    amount_in_raw,
    at,
    iso_moment,
)
from kpimart.reconcile import Cell, Reconciliation, Sum, reconcile
from kpimart.settings import Settings
from kpimart.warehouse import open_warehouse

FIRST_NIGHT = datetime(2026, 11, 1, 2, tzinfo=UTC)
SEPTEMBER, OCTOBER = date(2026, 9, 1), date(2026, 10, 1)


@dataclass
class Company:
    """A CRM of deals that sums them by owner and month, and the home that takes it."""

    home: Path
    now: datetime = FIRST_NIGHT
    deals: dict[int, Json] = field(default_factory=dict)
    deleted: list[int] = field(default_factory=list)
    then: Callable[[], None] | None = None

    def clock(self) -> datetime:
        return self.now

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, sources=("hubspot",))

    def write(self, number: int, **changes: Any) -> None:
        """Make or change a deal; a new one is of owner 7, created on 5 October, of 100.10."""
        new = {"id": number, "owner": 7, "created": "2026-10-05T12:00:00+00:00", "amount": "100.10"}
        self.deals[number] = {**self.deals.get(number, new), **changes, "changed": self.now.isoformat()}

    def delete(self, number: int) -> None:
        del self.deals[number]
        self.deleted.append(number)

    def read(self, cursor: Cursor) -> Iterator[Page]:
        found = [deal for _, deal in sorted(self.deals.items()) if deal["changed"] >= cursor.get("since", "")]
        gone = tuple(Listing((), number, number) for number in self.deleted)
        yield Page(found, {"since": self.now.isoformat()}, gone)

    def totals(self, _: Settings) -> Iterator[Total]:
        cells: dict[tuple[str | None, date], list[Decimal]] = {}
        for deal in self.deals.values():
            owner = str(deal["owner"]) if deal["owner"] else None
            month = date.fromisoformat(deal["created"][:10]).replace(day=1)
            cells.setdefault((owner, month), []).append(Decimal(deal["amount"]))
        yield from (Total("deals", *key, len(amounts), sum(amounts)) for key, amounts in cells.items())  # type: ignore[arg-type]
        if self.then:
            self.then()

    def fetch(self) -> None:
        fetch(self.settings, "hubspot", folder=None, clock=self.clock)

    def night(self, verdict: Any = "accepted") -> None:
        self.fetch()
        with open_warehouse(self.home) as connection:
            land(connection, self.settings, clock=self.clock)
            if verdict:
                judge(connection, pending_batches(connection), verdict, None, self.clock)
        self.now += timedelta(days=1)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with open_warehouse(self.home) as connection:
            return connection.execute(sql).fetchall()

    def reconciled(self) -> Reconciliation:
        return reconcile(self.settings, "hubspot", clock=self.clock, tell=lambda _: None)

    def cells(self) -> dict[tuple[str | None, date | None], Cell]:
        return {(cell.manager_id, cell.month): cell for cell in self.reconciled().cells}


def explanations(cell: Cell) -> list[tuple[str, tuple[str, ...], int, str]]:
    return [(each.why, each.ids, each.by.count, str(each.by.amount)) for each in cell.explanations]


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Company:
    """Three deals after a night: two of owner 7 in October, 200.20 together; one of nobody in September, 100.10."""

    @contextmanager
    def connect(_: Settings) -> Iterator[Company]:
        yield made

    made = Company(tmp_path)
    deals = ApiObject[Company](
        "deals",
        read=Company.read,
        keep=("id", "owner", "created", "amount"),
        updated_at=iso_moment("changed"),
    )
    counted = {"deals": Counted(at("owner"), iso_moment("created"), at("amount"))}
    source = ApiSource(
        *("hubspot", connect, lambda _: {}, (deals,), Company.clock, Company.totals, counted),
        deals=Deals("deals", amount_in_raw("/amount")),
    )
    monkeypatch.setattr(hubspot, "SOURCE", source)
    made.write(1)
    made.write(2)
    made.write(3, owner=None, created="2026-09-30T23:30:00+00:00")
    made.now += timedelta(hours=1)
    made.night()
    return made


def test_what_is_equal_is_told_as_a_whole(company: Company) -> None:
    compared = company.reconciled()
    assert (compared.cells, compared.unexplained) == ((), 0)
    (total,) = compared.objects
    assert total.ours == total.theirs == Sum(3, Decimal("300.30"))
    assert (total.cells, total.differing) == (2, 0)


def test_what_the_crm_changed_since_explains(company: Company) -> None:
    company.write(1, amount="150.00")
    company.write(2, owner=8)
    company.write(4, owner=9)
    company.delete(3)
    compared = company.reconciled()
    assert compared.unexplained == 0
    cells = {(cell.manager_id, cell.month): cell for cell in compared.cells}
    assert explanations(cells["7", OCTOBER]) == [
        ("changed, since the last fetch", ("1",), 0, "49.90"),
        ("gone to 8, 2026-10, since the last fetch", ("2",), -1, "-100.10"),
    ]
    assert (cells["7", OCTOBER].ours, cells["7", OCTOBER].theirs) == (
        Sum(2, Decimal("200.20")),
        Sum(1, Decimal("150.00")),
    )
    assert explanations(cells["8", OCTOBER]) == [("come from 7, 2026-10, since the last fetch", ("2",), 1, "100.10")]
    assert explanations(cells["9", OCTOBER]) == [("new, since the last fetch", ("4",), 1, "100.10")]
    assert explanations(cells[None, SEPTEMBER]) == [("deleted, since the last fetch", ("3",), -1, "-100.10")]


def test_a_row_deleted_by_hand_is_unexplained_and_comes_first(company: Company) -> None:
    company.write(4, created="2026-08-01T00:00:00+00:00")
    company.query("delete from raw.hubspot__deals where id = '2'")
    compared = company.reconciled()
    assert [(cell.month, cell.is_explained) for cell in compared.cells] == [(OCTOBER, False), (date(2026, 8, 1), True)]
    assert compared.cells[0].unexplained == Sum(1, Decimal("100.10"))
    assert compared.unexplained == compared.objects[0].unexplained == 1


def test_an_amount_changed_by_hand_is_unexplained_to_the_cent(company: Company) -> None:
    company.query("""update raw.hubspot__deals set payload = replace(payload, '100.10', '100.11') where id = '1'""")
    assert company.cells()["7", OCTOBER].unexplained == Sum(0, Decimal("-0.01"))


def test_a_record_in_quarantine_explains_where_it_is_missing_and_where_it_is_still(company: Company) -> None:
    company.write(1, owner=8)
    company.write(4, owner=8)
    company.deals[1]["changed"] = company.deals[4]["changed"] = "never"
    company.night()
    cells = company.cells()
    assert explanations(cells["8", OCTOBER]) == [("in quarantine", ("1", "4"), 2, "200.20")]
    assert explanations(cells["7", OCTOBER]) == [("in quarantine", ("1",), -1, "-100.10")]
    assert all(cell.is_explained for cell in cells.values())


def test_a_record_in_quarantine_that_nobody_can_place_explains_one_that_is_missing(company: Company) -> None:
    company.write(4, owner=8)
    company.now += timedelta(hours=1)
    company.night()
    company.query("""
        insert into ops.quarantine
        select batch_id, source, object, 'record 1', '4', 'no time', '{"created": "spoilt"}', landed_at
        from ops.batch_object inner join ops.batch using (batch_id, source);
        delete from raw.hubspot__deals where id = '4'
    """)
    (cell,) = company.reconciled().cells
    assert cell.is_explained
    assert explanations(cell) == [("in quarantine", ("4",), 1, "100.10")]


def test_what_a_held_batch_brought_explains_under_its_name(company: Company) -> None:
    company.write(4, owner=8)
    company.night("held")
    ((held,),) = company.query("select batch_id from ops.batch_verdict where verdict = 'held'")
    assert explanations(company.cells()["8", OCTOBER]) == [(f"new, held in {held}", ("4",), 1, "100.10")]


def test_what_is_landed_and_not_judged_explains_too(company: Company) -> None:
    company.write(4, owner=8)
    company.night(verdict=None)
    (explained,) = company.cells()["8", OCTOBER].explanations
    assert explained.why.startswith("new, not judged in hubspot-")


def test_what_is_fetched_and_not_landed_is_read_again(company: Company) -> None:
    company.write(4, owner=8)
    company.fetch()
    assert explanations(company.cells()["8", OCTOBER]) == [("new, since the last fetch", ("4",), 1, "100.10")]


def test_a_crm_that_changes_while_it_is_compared_is_looked_at_again(company: Company) -> None:
    def sell_once() -> None:
        company.then = None
        company.write(4, owner=8)

    company.then = sell_once
    assert company.reconciled().unexplained == 0


def test_an_api_that_only_counts_is_compared_by_counts(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    def counts(client: Company, settings: Settings) -> Iterator[Total]:
        return (replace(total, amount=None) for total in Company.totals(client, settings))

    monkeypatch.setattr(hubspot, "SOURCE", replace(hubspot.SOURCE, totals=counts))
    company.write(1, amount="5.00")
    assert company.reconciled().cells == ()
    company.query("delete from raw.hubspot__deals where id = '3'")
    (cell,) = company.reconciled().cells
    assert (cell.ours, cell.theirs, cell.unexplained) == (Sum(0, None), Sum(1, None), Sum(1, None))


def test_nothing_of_a_comparison_stays(company: Company) -> None:
    company.write(4)

    def stored() -> list[Any]:
        tables = ("raw.hubspot__deals", "ops.batch", "ops.batch_object", "ops.quarantine")
        files = {str(path.relative_to(company.home)) for path in company.home.rglob("*")} - {"writer.lock"}
        return [*(company.query(f"from {table} order by all") for table in tables), files]

    before = stored()
    company.reconciled()
    assert stored() == before


@pytest.mark.parametrize("source", ["files", "sql", "amocrm"])
def test_a_source_without_totals_says_so(
    company: Company, source: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KPIMART_HOME", str(company.home))
    assert ended("reconcile", "--source", source, monkeypatch=monkeypatch) == 0
    assert f"{source}: its API has no aggregates to compare with" in capsys.readouterr().out


def test_an_unknown_source_and_an_empty_home_are_refused(company: Company, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no source 'hubspt'"):
        reconcile(company.settings, "hubspt", clock=company.clock, tell=lambda _: None)
    empty = company.settings.model_copy(update={"home": tmp_path / "empty"})
    with pytest.raises(SettingsError, match="nothing has been extracted yet"):
        reconcile(empty, "hubspot", clock=company.clock, tell=lambda _: None)


def ended(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["kpimart", *arguments])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_command_ends_with_1_where_something_is_unexplained(
    company: Company, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KPIMART_HOME", str(company.home))
    assert ended("reconcile", "--source", "hubspot", monkeypatch=monkeypatch) == 0
    assert "hubspot: every cell is equal" in capsys.readouterr().out
    company.query("delete from raw.hubspot__deals where id = '2'")
    assert ended("reconcile", "--source", "hubspot", monkeypatch=monkeypatch) == 1
    assert "UNEXPLAINED +1, +100.10" in capsys.readouterr().out
    assert ended("reconcile", "--source", "hubspot", "--json", monkeypatch=monkeypatch) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert told["cells"][0]["unexplained"] == {"count": 1, "amount": "100.10"}
