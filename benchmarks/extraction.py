"""What reading a CRM costs: over HTTP against a bare loop, and from ready pages into Parquet and into raw.

    python -m benchmarks.extraction [--pairs N] [--records N]

Over HTTP: the demo company after twelve years with its CRM, which is more than 300,000 records, served by a process of
its own without limits. The bare loop asks for the same pages, one after the other, with httpx, and parses them with
orjson; it keeps nothing. `kpimart` reads them, keeps what its allow-list names, and writes complete load packages. A
night is read after one day in the life of the company, and another one after some days that change about 1 % of it.

From ready pages: Arrow tables of 1,000 records go through dlt into load packages, and the packages into raw. The peak
of memory is that of a process that does it, for a quarter of the records and for all of them.
"""

import argparse
import contextlib
import importlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import requests

from benchmarks.run import machine, peak_memory
from kpimart.clock import utc_now
from kpimart.demo.nights import reading
from kpimart.extract import packages
from kpimart.extract.http import Session
from kpimart.extract.landing import land
from kpimart.extract.records import Batch, ObjectRead, Record, batch_of
from kpimart.settings import Settings
from kpimart.warehouse import open_warehouse

CRMS = ("hubspot", "bitrix24", "amocrm")
YEARS = 12
NIGHTS_DAYS = (1, 7)
STARTS_WITHIN_SECONDS = 60
PAGE_RECORDS = 1_000
AIMS = {"throughput": 0.8, "fetch": 200_000, "land": 500_000, "requests": 0.03}


@dataclass(frozen=True)
class Asked:
    """A request, to make it again."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | str | None


def main() -> None:
    options = parse(sys.argv[1:])
    if options.child:
        print(json.dumps(from_ready_pages(options.records)))
        return
    print(machine())
    with served() as url:
        for crm in CRMS:
            over_http(crm, url, options.pairs)
    ready_pages(options.records)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="how often each is run (5)")
    parser.add_argument("--records", type=int, default=1_000_000, help="how many ready records (a million)")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


# ---------------------------------------------------------------------------------------------------------- over HTTP


@contextlib.contextmanager
def served() -> Iterator[str]:
    """The demo company in a process of its own; gives its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "kpimart.cli", "demo", "serve", "--no-limits", "--years", str(YEARS)]
    server = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + STARTS_WITHIN_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{url}/_control")
                break
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()


def over_http(crm: str, url: str, pairs: int) -> None:
    """Print what a first load costs beside the bare loop, and what a night costs beside a first load."""
    # The first reading records what is asked, and lets the server build its indexes.
    asked, _ = recorded(lambda: fetch(crm, url, Path(tempfile.mkdtemp())))
    loops, loads = [], []
    for _ in range(pairs):
        loops.append(timed(lambda: bare_loop(asked)))
        with tempfile.TemporaryDirectory() as home:
            loads.append(timed(lambda: fetch(crm, url, Path(home))))
    ratio = statistics.median(loop / load for loop, load in zip(loops, loads, strict=True))
    print(
        f"{crm:<10} first load: {len(asked):,} requests, bare loop {statistics.median(loops):.2f} s, kpimart "
        f"{statistics.median(loads):.2f} s: {ratio:.0%} of the bare loop's throughput (aim ≥ {AIMS['throughput']:.0%})"
    )
    with tempfile.TemporaryDirectory() as home:
        rows = records_in(fetch(crm, url, Path(home)))
        for days in NIGHTS_DAYS:
            httpx.post(f"{url}/_control/clock", json={"advance_days": days})
            night_asked, night = recorded(lambda: fetch(crm, url, Path(home)))
            changed = records_in(night)
            print(
                f"{'':<10} a night {days} days later: {changed:,} of {rows:,} records ({changed / rows:.1%}) in "
                f"{len(night_asked):,} requests, {len(night_asked) / len(asked):.1%} of a first load's "
                f"(aim ≤ {AIMS['requests']:.0%} for 1 %)"
            )


def records_in(report: packages.FetchReport) -> int:
    return sum(read.rows_read for read in report.objects)


def fetch(crm: str, url: str, home: Path) -> packages.FetchReport:
    settings = reading(Settings(home=home, sources=(crm,)), url)  # type: ignore[arg-type]
    own = getattr(settings, crm).model_copy(update={"requests_per_second": 100_000})
    return packages.fetch(settings.model_copy(update={crm: own}), crm, folder=None, clock=utc_now)


def recorded(read: Callable[[], packages.FetchReport]) -> tuple[list[Asked], packages.FetchReport]:
    """The requests that a reading makes."""
    asked: list[Asked] = []
    send = Session.send

    def recording(self: Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        asked.append(Asked(request.method or "", request.url or "", dict(request.headers), request.body))
        return send(self, request, **kwargs)

    Session.send = recording  # type: ignore[method-assign]
    try:
        return asked, read()
    finally:
        Session.send = send  # type: ignore[method-assign]


def bare_loop(asked: list[Asked]) -> None:
    with httpx.Client(timeout=60) as client:
        for one in asked:
            content = client.request(one.method, one.url, headers=one.headers, content=one.body).content
            if content:
                orjson.loads(content)


def timed(action: Callable[[], Any]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


# --------------------------------------------------------------------------------------------------------- ready pages


class _Ready:
    """A reading of pages that are there already; the same page again and again, under other ids."""

    def __init__(self, records: int) -> None:
        self.is_done = False
        self.failure = None
        self._records = records
        self._given = 0

    def take(self, extracted_at: datetime, is_enough: Callable[[], bool]) -> Iterator[Batch | ObjectRead]:
        changed = datetime(2026, 10, 1, tzinfo=UTC)
        began = self._given
        while self._given < self._records and not is_enough():
            page = [record(self._given + place, changed) for place in range(PAGE_RECORDS)]
            self._given += PAGE_RECORDS
            yield batch_of("deals", page, [], extracted_at)
        self.is_done = self._given >= self._records
        read = self._given - began
        yield ObjectRead("deals", "delta", read, 0, can_tell_vanished=False, cursor="{}", fields="{}")


def record(number: int, changed: datetime) -> Record:
    payload = orjson.dumps(
        {"id": number, "stage": f"stage {number % 7}", "amount": f"{number % 10_000}.50", "owner": number % 200}
    )
    return Record(str(number), changed + timedelta(seconds=number % 86_400), False, payload.decode())


def from_ready_pages(records: int) -> dict[str, float]:
    """Records a second into a load package, the making of the pages not counted, and into raw; the peak in MiB."""
    packages.configure_dlt()
    importlib.import_module("dlt")
    making = timed(lambda: [None for _ in _Ready(records).take(utc_now(), lambda: False)])
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), sources=("hubspot",))
        packages.SOURCES["hubspot"] = lambda *_: contextlib.nullcontext([_Ready(records)])
        writing = timed(lambda: packages.fetch(settings, "hubspot", folder=None, clock=utc_now))
        fetch_peak = peak_memory()
        with open_warehouse(settings.home) as connection:
            landing_took = timed(lambda: land(connection, settings, clock=utc_now))
    return {
        "fetch": records / (writing - making),
        "fetch peak": fetch_peak,
        "land": records / landing_took,
        "land peak": peak_memory(),
    }


def ready_pages(records: int) -> None:
    quarter, whole = (child(count) for count in (records // 4, records))
    for step in ("fetch", "land"):
        few, many = quarter[f"{step} peak"], whole[f"{step} peak"]
        print(
            f"{step} {records:,} ready records: {whole[step]:,.0f} records/s (aim ≥ {AIMS[step]:,}); peak of memory "
            f"{many:,.0f} MiB, {many / few:.2f} × that of a quarter of them"
        )


def child(records: int) -> dict[str, float]:
    """Measured in a process of its own, so that one peak does not hide the other."""
    command = [sys.executable, "-m", "benchmarks.extraction", "--child", "--records", str(records)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


if __name__ == "__main__":
    main()
