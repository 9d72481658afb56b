"""The dashboard of the small company as its users meet it: the command `kpimart dashboard`, and a browser."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright
from small_company import KPIMART, Company, company_in

STARTS_WITHIN_SECONDS, ENDS_WITHIN_SECONDS = 60, 20
expect.set_options(timeout=30_000)
# A page has figures, or says why it has none.
SHOWN = "[data-testid=stMetric], [data-testid=stCode], table.figures, [data-testid=stAlert], .st-key-sign-in"
CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium; skips where it is not installed, except in CI, which installs it."""
    if CHROMIUM is None:
        missing = "there is no chromium: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Company:
    """The company after its first night; it is asked for after the browser, without which it is of no use."""
    return company_in(tmp_path_factory)


@pytest.fixture(scope="module")
def url(company: Company, browser: Browser) -> Iterator[str]:
    """Where the dashboard is; it must end when it is told to, with a page open."""
    with _dashboard(company) as (url, served, log):
        yield url
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector(SHOWN)
        served.send_signal(signal.SIGTERM)
        assert served.wait(ENDS_WITHIN_SECONDS) in (0, -signal.SIGTERM)
    assert "for this machine only" in log.read_text()


@pytest.fixture(scope="module")
def guarded(company: Company) -> Iterator[str]:
    """Where the dashboard is for people whom a proxy names in a header; it tells Ann from Bob, and from their head."""
    access = company.root / "access.csv"
    access.write_text("login,person,manager_id,department_id\nann,,files:Ann,\nhead,,,files:North\n")
    variables = {
        "KPIMART_POSTGRES__ACCESS": str(access),
        "KPIMART_DASHBOARD__HEADER": "X-User",
        "KPIMART_DASHBOARD__SEES_ALL": '["olga"]',
    }
    with _dashboard(company, **variables) as (url, _, _):
        yield url


@contextmanager
def _dashboard(company: Company, **variables: str) -> "Iterator[tuple[str, subprocess.Popen[bytes], Path]]":
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = company.root / f"dashboard-{port}.log"
    with log.open("w") as told:
        served = subprocess.Popen(
            [*KPIMART, "dashboard", "--port", str(port)],
            cwd=company.root,
            env={**company.environment(), **variables},
            stdout=told,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/_stcore/health", served)
        yield f"http://127.0.0.1:{port}/", served, log
    finally:
        served.kill()
        served.wait()
    assert "Traceback" not in log.read_text()


def _wait_for(address: str, served: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while not _answers(address):
        assert served.poll() is None, "the dashboard ended"
        assert time.monotonic() < deadline, "the dashboard did not start"
        time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address).is_success
    except httpx.TransportError:
        return False


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """`visit("?lang=ru", viewport=…)`: open an address; in the end no page may have had an error, or asked elsewhere.

    has_clock: the page's clock can be moved on. login: of whom the proxy says that it is they; None: of nobody; without
    it the dashboard is the one that lets in everybody of this machine.
    """
    wrong: list[str] = []

    def opened(address: str = "", *, has_clock: bool = False, **options: Any) -> Page:
        is_guarded = "login" in options
        url = request.getfixturevalue("guarded" if is_guarded else "url")
        login = options.pop("login", None)
        headers = {"extra_http_headers": {"X-User": login}} if login else {}

        def on_console(message: ConsoleMessage) -> None:
            # Below the address of a page Streamlit looks for its server first, and finds it a step higher.
            if message.type == "error" and "/_stcore/" not in message.location["url"]:
                wrong.append(f"console: {message.text} {message.location}")

        def on_request(asked: Request) -> None:
            if not asked.url.startswith((url, "data:", "blob:", url.replace("http", "ws", 1))):
                wrong.append(f"asked elsewhere: {asked.url}")

        page = browser.new_context(**headers, **options).new_page()
        if has_clock:
            page.clock.install()
        page.on("console", on_console)
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on("request", on_request)
        page.goto(url + address)
        page.wait_for_selector(SHOWN)
        return page

    yield opened
    for context in browser.contexts:
        context.close()
    assert wrong == []
