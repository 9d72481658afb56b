"""What it costs to look at the figures: the first page, a change of what is chosen, and twenty users at once.

    python -m benchmarks.dashboard [--deals N] [--home FOLDER]

The company of benchmarks.incremental, with 200 managers in 20 departments and N deals (50,000) over 60 months, is built
and published, and `kpimart dashboard` serves it to Debian's chromium. The first page is timed from the moment the
server answers; then the open page is shown one department after the other. Twenty users then each open
the page of another manager, and the server is asked for the most memory that it ever had. The floor is what one such
change asks DuckDB for, by the same queries, with no server and no page.
"""

import argparse
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.incremental import home_in, land_world, settings_of
from benchmarks.publishing import night
from benchmarks.run import machine, peak_memory
from kpimart.figures import find_period, profile_kpis, read_entities, read_figures, read_history, read_kpis, read_scores
from kpimart.publish.release import find
from kpimart.warehouse import open_database

MONTHS, USERS, CHANGES = 60, 20, 5
AS_OF = datetime(2026, 1, 7, tzinfo=UTC)
AIM_FIRST, AIM_CHANGE, AIM_MEMORY = 3, 1, 1.5
STARTS_WITHIN_SECONDS, SHOWS_WITHIN_SECONDS = 120, 600
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


def main() -> None:
    options = parse(sys.argv[1:])
    print(machine())
    with home_in(options.home) as folder:
        home = folder / "home"
        land_world(home, options.deals, months=MONTHS)
        night(home, AS_OF)
        database = find(home).database
        departments = [each.key for each in read_entities(database) if each.level == "department"]
        floors = [timed(lambda: ask(home, database, of)) for of in departments[: CHANGES + 1]]  # noqa: B023
        with serving(home) as server, browser() as chromium:
            first, changes = look(chromium, server.url, departments)
            together = visit_at_once(chromium, server.url, database)
            memory = peak_memory(server.pid) / 1024
    print(f"first page: {first:.2f} s; the aim is {AIM_FIRST} s")
    floor = statistics.median(floors[1:])
    print(f"another department: {statistics.median(changes):.2f} s; the floor is {floor:.2f} s, the aim {AIM_CHANGE} s")
    print(
        f"{USERS} users at once: {together:.1f} s until all see theirs, {memory:.2f} GiB; the aim is {AIM_MEMORY} GiB"
    )


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deals", type=int, default=50_000, help="how many deals (50,000)")
    parser.add_argument("--home", type=Path, help="an empty folder to work in, and to leave (default: a temporary one)")
    return parser.parse_args(arguments)


# ------------------------------------------------------------------------------------------- the server and the browser


@dataclass(frozen=True)
class Server:
    """`kpimart dashboard`, which answers at `url`."""

    url: str
    pid: int


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    """Serve a home, from when the server answers on; raises TimeoutError if it never does."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = [f"--config={home / 'kpimart.toml'}"] if (home / "kpimart.toml").exists() else []
    command = [Path(sys.executable).with_name("kpimart"), "dashboard", "--port", str(port), *config]
    server = subprocess.Popen(
        command, env={**os.environ, "KPIMART_HOME": str(home.absolute())}, stdout=subprocess.DEVNULL
    )
    try:
        until(lambda: _answers(f"http://127.0.0.1:{port}/_stcore/health"), STARTS_WITHIN_SECONDS)
        yield Server(f"http://127.0.0.1:{port}/", server.pid)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def until(is_so: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {seconds} s")
        time.sleep(0.02)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address).is_success
    except httpx.TransportError:
        return False


@contextmanager
def browser() -> Iterator[Browser]:
    """Debian's chromium; raises SystemExit where it is not installed."""
    chromium = shutil.which("chromium") or sys.exit("there is no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield started
        started.close()


def wait_until_shown(page: Page) -> None:
    """Until the page has all that it is going to have."""
    page.set_default_timeout(SHOWS_WITHIN_SECONDS * 1000)
    page.wait_for_selector("h1")
    page.wait_for_selector("[data-test-script-state=notRunning]")
    # Controls and charts are loaded when they are needed for the first time.
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")


# -------------------------------------------------------------------------------------------------------- what is timed


def look(chromium: Browser, url: str, departments: list[str]) -> tuple[float, list[float]]:
    """Seconds of the first page, and of each change to another department of it."""
    page = chromium.new_page()
    first = timed(lambda: _open(page, url))
    page.locator("[data-testid=stSelectbox] input").first.wait_for()
    return first, [timed(lambda: _choose(page, place)) for place in range(1, min(CHANGES, len(departments)) + 1)]  # noqa: B023


def _open(page: Page, address: str) -> None:
    page.goto(address)
    wait_until_shown(page)


def _choose(page: Page, place: int) -> None:
    """Choose the entity at a place of the list, and wait until the title tells of another one."""
    title = page.locator("h1").inner_text()
    page.locator("[data-testid=stSelectbox] input").first.click()
    page.locator("[role=option]").nth(place).click()
    page.wait_for_function("title => document.querySelector('h1')?.innerText !== title", arg=title)
    wait_until_shown(page)


def visit_at_once(chromium: Browser, url: str, database: Path) -> float:
    """Seconds until each of the users, who all come at the same moment, sees the page of their manager."""
    managers = [each.key for each in read_entities(database) if each.level == "manager"][:USERS]
    pages = [chromium.new_context().new_page() for _ in managers]
    began = time.perf_counter()
    for page, key in zip(pages, managers, strict=True):
        page.goto(f"{url}manager?of=manager:{key}", wait_until="commit")
    for page in pages:
        wait_until_shown(page)
    return time.perf_counter() - began


def ask(home: Path, database: Path, department: str) -> None:
    """What a page of Overview asks DuckDB for."""
    settings = settings_of(home)
    codes = profile_kpis(settings.profile, settings.seeds)
    read_entities(database)
    read_kpis(database, codes)
    with open_database(database) as connection:
        period = find_period(connection, "month")
    read_history(database, level="department", entity_key=department, period=period, kpi_codes=codes, length=13)
    for level, found in (("department", "department"), ("manager", "manager_in_department")):
        read_scores(database, level=level, period=period)
        read_figures(database, level=found, period="month", kpi_codes=codes)


def timed(step: Callable[[], None]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
