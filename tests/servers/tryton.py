"""A real Tryton, from the packages in tryton.txt: a server of its own on SQLite, and a company that works with it.

Its environment and an empty database with its modules are made once, in `.venv-tryton`, which takes half a minute; each
server then works on a copy of the database.
"""

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = REPOSITORY / ".venv-tryton"
PACKAGES = Path(__file__).with_name("tryton.txt")
DATABASE, USER, PASSWORD = "company", "admin", "a-tryton-password"
MADE_WITHIN_SECONDS, STARTS_WITHIN_SECONDS = 300, 60

CONFIG = """
[database]
uri = sqlite://
path = {folder}
[web]
listen = 127.0.0.1:{port}
"""


@contextlib.contextmanager
def running_tryton(folder: Path) -> Iterator["Tryton"]:
    """A server with a company of two employees and two customers, for as long as the block runs."""
    empty = _empty_database()
    shutil.copy(empty, folder / empty.name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "trytond.conf"
    config.write_text(CONFIG.format(folder=folder, port=port))
    with (folder / "trytond.log").open("w") as log:
        server = subprocess.Popen(
            [ENVIRONMENT / "bin" / "trytond", "-c", config, "-d", DATABASE], stdout=log, stderr=log
        )
    try:
        _wait_for(port, server, folder / "trytond.log")
        yield Tryton(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(30)


def _empty_database() -> Path:
    """The database without a company, made if it is not there yet, or was made with other packages."""
    database = ENVIRONMENT / f"{DATABASE}.sqlite"
    made_with = ENVIRONMENT / "made-with.txt"
    with FileLock(Path(tempfile.gettempdir()) / "kpimart-tryton.lock"):
        if not (made_with.exists() and made_with.read_text() == PACKAGES.read_text()):
            uv = REPOSITORY / ".ci" / "with-uv"
            python = ENVIRONMENT / "bin" / "python"
            _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, ENVIRONMENT)
            _run(uv, "pip", "install", "--quiet", "--python", python, "-r", PACKAGES)
            _make(database)
            made_with.write_text(PACKAGES.read_text())
    return database


def _make(database: Path) -> None:
    config, password = ENVIRONMENT / "trytond.conf", ENVIRONMENT / "password"
    config.write_text(CONFIG.format(folder=ENVIRONMENT, port=0))
    password.write_text(PASSWORD)
    database.touch()
    modules = ("-u", "ir", "res", "sale_opportunity", "--activate-dependencies", "--email", "admin@company.example")
    _run(ENVIRONMENT / "bin" / "trytond-admin", "-c", config, "-d", DATABASE, *modules, TRYTONPASSFILE=str(password))


def _run(*command: Path | str, **environment: str) -> None:
    subprocess.run(command, env={**os.environ, **environment}, cwd=REPOSITORY, check=True, timeout=MADE_WITHIN_SECONDS)


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"Tryton did not start:\n{log.read_text()[-2000:]}")


class _Encoder(json.JSONEncoder):
    """Values as Tryton's clients write them."""

    def default(self, o: Any) -> Any:
        if isinstance(o, datetime):
            parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
            return {"__class__": "datetime", **{part: getattr(o, part) for part in parts}}
        if isinstance(o, date):
            return {"__class__": "date", "year": o.year, "month": o.month, "day": o.day}
        return {"__class__": "Decimal", "decimal": str(o)}


def moment(value: dict[str, Any]) -> datetime:
    """A moment as Tryton writes it."""
    return datetime(**{name: part for name, part in value.items() if name != "__class__"}, tzinfo=UTC)


@dataclass
class Tryton:
    """The company at work, by the same protocol as Tryton's own client."""

    url: str
    company: int = 0
    employees: list[int] = field(default_factory=list)
    parties: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        user_id, session, *_ = self._call("common.db.login", USER, {"password": PASSWORD}, None)
        key = base64.b64encode(f"{USER}:{user_id}:{session}".encode()).decode()
        self._authorization = f"Session {key}"
        rates = [["create", [{"date": date(2020, 1, 1), "rate": Decimal(1)}]]]
        euro = {"name": "Euro", "symbol": "€", "code": "EUR", "rounding": Decimal("0.01"), "rates": rates}
        (self._currency,) = self.call("currency.currency.create", [euro])
        names = ("The Company", "Ann Smith", "Bob Jones", "Acme", "Globex")
        addressed = [{"name": name, "addresses": [["create", [{"street": "1 Main Street"}]]]} for name in names]
        own, ann, bob, *self.parties = self.call("party.party.create", addressed)
        (self.company,) = self.call("company.company.create", [{"party": own, "currency": self._currency}])
        self.call("res.user.write", [user_id], {"companies": [["add", [self.company]]], "company": self.company})
        self.employees = self.call(
            "company.employee.create", [{"party": party, "company": self.company} for party in (ann, bob)]
        )

    def call(self, method: str, *arguments: Any) -> Any:
        """What a model's method gives."""
        context = {"company": self.company} if self.company else {}
        return self._call(f"model.{method}", *arguments, context)

    def _call(self, method: str, *parameters: Any) -> Any:
        body = json.dumps({"id": 1, "method": method, "params": parameters}, cls=_Encoder)
        headers = {"Content-Type": "application/json", "Authorization": getattr(self, "_authorization", "")}
        response = requests.post(f"{self.url}/{DATABASE}/rpc/", body, headers=headers, timeout=60)
        response.raise_for_status()
        answer = response.json()
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def add_opportunities(self, *amounts: str, **values: Any) -> list[int]:
        """Opportunities of Ann and Acme, leads at first."""
        standard = {
            "party": self.parties[0], "employee": self.employees[0], "company": self.company,
            "currency": self._currency, "start_date": date(2026, 11, 1),
        }  # fmt: skip
        created = [{**standard, "amount": Decimal(amount), **values} for amount in amounts]
        ids: list[int] = self.call("sale.opportunity.create", created)
        return ids

    def change(self, opportunity: int, **values: Any) -> None:
        """Write an opportunity."""
        self.call("sale.opportunity.write", [opportunity], values)

    def move(self, opportunity: int, to: str) -> None:
        """Press one of its buttons: lead, opportunity, convert, lost, cancel."""
        self.call(f"sale.opportunity.{to}", [opportunity])

    def win(self, opportunity: int, amount: str) -> None:
        """Make a quotation of an opportunity, at an amount, and have it confirmed."""
        self.move(opportunity, "convert")
        origin = f"sale.opportunity,{opportunity}"
        sales = self.call("sale.sale.search", [["origin", "=", origin]], 0, None, None)
        self.call("sale.line.create", [{"sale": sales[0], "quantity": 1.0, "unit_price": Decimal(amount)}])
        self.call("sale.sale.write", sales, {"invoice_method": "manual", "shipment_method": "manual"})
        self.call("sale.sale.quote", sales)
        self.call("sale.sale.confirm", sales)

    def revisions(self, opportunity: int) -> list[datetime]:
        """When it was written, as Tryton's own history tells, first things first."""
        told = self.call("sale.opportunity.history_revisions", [opportunity])
        return sorted(moment(at) for at, *_ in told)
