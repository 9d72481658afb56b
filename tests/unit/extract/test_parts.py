"""Where an API sets no rate, several processes fetch parts of a source at the same time, and raw is the same."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kpimart.clock import utc_now
from kpimart.errors import SettingsError, WarehouseBusy
from kpimart.extract.landing import judge, land, pending_batches
from kpimart.extract.packages import complete_packages, fetch, object_names, parts_of
from kpimart.settings import Settings
from kpimart.warehouse import open_warehouse
from servers.odoo import DATABASE, TOKEN, USER, Odoo
from servers.serving import hosting


@pytest.mark.parametrize(
    ("source", "own", "is_divided"),
    [
        ("salesforce", {}, True),
        ("tryton", {}, True),
        ("odoo", {"url": "https://crm.company.example"}, True),
        ("odoo", {"url": "https://company.odoo.com/"}, False),
        ("salesforce", {"requests_per_second": 5}, False),
        ("hubspot", {}, False),
        ("pipedrive", {}, False),
        ("bitrix24", {}, False),
        ("amocrm", {}, False),
        ("files", {}, False),
        ("sql", {}, False),
    ],
)
def test_a_source_is_divided_by_its_objects_unless_requests_are_counted_or_it_is_one_moment(
    source: str, own: dict[str, Any], is_divided: bool
) -> None:
    parts = parts_of(Settings(**{source: own}), source)
    assert parts == (tuple((name,) for name in object_names(source)) if is_divided else (object_names(source),))


def test_what_cannot_be_asked_for_is_a_wrong_setting(crm: Any) -> None:
    for source, objects, refusal in (
        ("odoo", ["leads_and_deals", "deals"], "odoo has no object deals; it has leads_and_deals, stages, "),
        ("files", ["deals"], "files is read as a whole, because its objects belong to one moment"),
    ):
        with pytest.raises(SettingsError, match=refusal):
            fetch(crm.settings, source, objects=objects, folder=crm.folder, clock=crm.clock)


# A fetch of an object that stops, with all but the marker of its package written, until it is told to go on.
FETCH = """
import sys
from kpimart.clock import utc_now
from kpimart.extract import packages
from kpimart.settings import load_settings
packages.configure_dlt()
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient
complete = FilesystemClient.complete_load
def stop(*args):
    print("written", flush=True)
    sys.stdin.readline()
    complete(*args)
FilesystemClient.complete_load = stop
packages.fetch(load_settings(None), "odoo", objects=[sys.argv[1]], folder=None, clock=utc_now)
"""


class Reader:
    """A warehouse that reads a company's Odoo."""

    def __init__(self, home: Path, url: str) -> None:
        self.settings = Settings(
            home=home, sources=("odoo",), odoo={"url": url, "database": DATABASE, "user": USER, "token": TOKEN}
        )

    def fetch(self, *objects: str) -> None:
        fetch(self.settings, "odoo", objects=objects, folder=None, clock=utc_now)

    def begin(self, name: str) -> subprocess.Popen[str]:
        """A process that is fetching an object, and has written its records."""
        own = self.settings.odoo
        process = subprocess.Popen(
            [sys.executable, "-c", FETCH, name],
            env={
                **os.environ,
                "PYTHONPATH": ".",
                "KPIMART_HOME": str(self.settings.home),
                **{f"KPIMART_ODOO__{key.upper()}": str(getattr(own, key)) for key in ("url", "database", "user")},
                "KPIMART_ODOO__TOKEN": TOKEN,
            },
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        return process

    def written(self, name: str) -> set[str]:
        """The files with the records of an object that was fetched by itself."""
        return {path.name for path in self.settings.home.glob(f"landing/odoo__{name}/{name}/*")}

    def land(self) -> dict[str, list[tuple[Any, ...]]]:
        """Land what is complete; object → every version."""
        with open_warehouse(self.settings.home) as connection:
            land(connection, self.settings, clock=utc_now)
            judge(connection, pending_batches(connection), "accepted", None, utc_now)
            return {
                name: connection.execute(
                    f"select id, updated_at, is_deleted, payload from raw.odoo__{name} order by all"
                ).fetchall()
                for name in object_names("odoo")
            }


@pytest.fixture
def odoo() -> Iterator[str]:
    """A company with deals, customers and history; yields its address."""
    crm = Odoo()
    for number in range(1, 21):
        crm.add("res.partner", number, name=f"Customer {number}", is_company=True)
        crm.add_lead(number, partner_id=number)
        crm.change(number, expected_revenue=100.0 * number)
    with hosting() as host:
        host.application = crm.application()
        yield host.url


def test_parts_that_are_fetched_at_once_one_of_them_killed_leave_what_one_process_leaves(
    odoo: str, tmp_path: Path
) -> None:
    reader, alone = Reader(tmp_path / "parts", odoo), Reader(tmp_path / "alone", odoo)
    killed, neighbour = reader.begin("leads_and_deals"), reader.begin("partners")
    left, living = reader.written("leads_and_deals"), reader.written("partners")
    assert len(left) == len(living) == 1
    for objects in (["leads_and_deals"], []):
        with pytest.raises(WarehouseBusy, match="another process is fetching odoo leads_and_deals into "):
            reader.fetch(*objects)
    killed.kill()
    killed.wait()
    assert complete_packages(reader.settings) == []
    reader.fetch("leads_and_deals")
    assert len(reader.written("leads_and_deals") - left) == len(reader.written("leads_and_deals")) == 1
    assert reader.written("partners") == living
    reader.fetch(*{*object_names("odoo")} - {"leads_and_deals", "partners"})
    neighbour.communicate("\n")
    assert neighbour.returncode == 0
    assert len({package.batch_id for package in complete_packages(reader.settings)}) == 3
    alone.fetch()
    assert reader.land() == alone.land()
