"""Raw can be trusted: it has what the CRM has, and who is to be forgotten is forgotten in the whole home."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
from small_company import CONFIG, Company, Rows, differing

from kpimart.demo.server.app import serve
from kpimart.demo.server.hubspot import TOKEN
from kpimart.demo.server.served import Served
from kpimart.demo.server.world import World
from kpimart.extract.landing import judge, land, pending_batches
from kpimart.extract.packages import fetch
from kpimart.publish.release import verify_release
from kpimart.reconcile import Reconciliation, reconcile
from kpimart.settings import HubSpotSettings, Settings
from kpimart.warehouse import open_warehouse

# ------------------------------------------------------------------------------ a CRM over HTTP, and what is read of it


class ReadOverHttp:
    """The demo company's HubSpot, and the home that takes it."""

    def __init__(self, world: World, url: str, home: Path) -> None:
        self.world = world
        own = HubSpotSettings.model_validate({"url": f"{url}/hubspot", "token": TOKEN, "requests_per_second": 10_000})
        self.settings = Settings(home=home, sources=("hubspot",), hubspot=own)

    def clock(self) -> datetime:
        return self.world.now

    def night(self) -> None:
        fetch(self.settings, "hubspot", folder=None, clock=self.clock)
        with open_warehouse(self.settings.home) as connection:
            land(connection, self.settings, clock=self.clock)
            judge(connection, pending_batches(connection), "accepted", None, self.clock)

    def reconciled(self) -> Reconciliation:
        return reconcile(self.settings, "hubspot", clock=self.clock, tell=lambda _: None)


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadOverHttp]:
    world = World(until=date(2026, 7, 1), opened_on=date(2026, 4, 1))
    with serve(Served(world, limits=False)) as url:
        made = ReadOverHttp(world, url, tmp_path_factory.mktemp("home"))
        made.night()
        yield made


def test_raw_has_what_hubspot_counts_and_what_came_later_is_explained(crm: ReadOverHttp) -> None:
    first = crm.reconciled()
    (deals,) = first.objects
    assert first.cells == ()
    assert deals.ours.count == deals.theirs.count > 100
    crm.world.advance(5)
    later = crm.reconciled()
    reasons = {each.why for cell in later.cells for each in cell.explanations}
    assert later.unexplained == 0
    assert "new, since the last fetch" in reasons
    crm.night()
    assert crm.reconciled().cells == ()


def test_a_deal_that_was_lost_from_raw_is_found(crm: ReadOverHttp) -> None:
    with open_warehouse(crm.settings.home) as connection:
        (lost,) = connection.execute("select min(id) from raw.hubspot__deals").fetchall()[0]
        connection.execute("delete from raw.hubspot__deals where id = ?", [lost])
    found = crm.reconciled()
    assert found.unexplained == 1
    assert found.cells[0].unexplained.count == 1


# ---------------------------------------------------------------------------------------------------- a whole home


def test_a_manager_is_forgotten_and_keeps_the_figures(company: Company) -> None:
    name = "Annabel Lee"
    company.start_anew()
    company.configure(CONFIG.replace('name = "agent"', 'name = "name"'))
    company.write("agents.csv", f"agent,name,team\nAnn,{name},North\nBob,Bobby Shaftoe,North\nCid,El Cid,South\n")
    company.run_here()
    before = company.tables()
    assert name in json.dumps(before, default=str)

    arguments = ("forget", "files:managers:Ann", "--by", "DPO", "--reason", "asked for it", "--yes", "--json")
    ended = company.kpimart(*arguments)
    assert ended.code == 0, ended.said
    assert mentioning(company.home, name) == []
    forgotten = company.tables()
    assert in_order(forgotten, name) == in_order(before, name)
    (release,) = (company.home / "reporting" / "releases").iterdir()
    verify_release(company.home, release.name)

    # The next export names her still.
    company.run_here()
    assert mentioning(company.home, name) == []
    assert differing(company.tables(), forgotten) == []


def in_order(tables: dict[str, Rows], name: str) -> dict[str, Rows]:
    """The rows sorted, with `forgotten` in the place of a name."""
    return {
        table: sorted((tuple(renamed(value, name) for value in row) for row in rows), key=repr)
        for table, rows in tables.items()
    }


def renamed(value: object, name: str) -> object:
    return value.replace(name, "forgotten") if isinstance(value, str) else value


def mentioning(home: Path, name: str) -> list[str]:
    """The files of a home in which a name stands, in their bytes or in what their bytes mean."""
    return [
        str(path.relative_to(home))
        for path in sorted(home.rglob("*"))
        if path.is_file() and (name.encode() in path.read_bytes() or name in meaning_of(path))
    ]


def meaning_of(file: Path) -> str:
    if file.suffix == ".parquet":
        return str(duckdb.sql(f"from '{file}'").fetchall())
    if file.suffix != ".duckdb":
        return ""
    with duckdb.connect(str(file), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        return "".join(str(connection.execute(f'from "{schema}"."{table}"').fetchall()) for schema, table in tables)
