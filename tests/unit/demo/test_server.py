"""The served company: its clock, the faults and limits that can be ordered, and what is counted."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from itertools import takewhile
from pathlib import Path

import httpx
import pytest

from kpimart.demo.server import Served, World, serve
from kpimart.demo.server.hubspot import TOKEN
from kpimart.demo.server.limits import Bucket, Window
from kpimart.demo.world import TIME_ZONE
from kpimart.errors import SettingsError

DEALS = "/hubspot/crm/v3/objects/deals"
ACCESS = {"Authorization": f"Bearer {TOKEN}"}


def serving(served: Served) -> Iterator[httpx.Client]:
    with serve(served) as url, httpx.Client(base_url=url, headers=ACCESS, timeout=5) as client:
        yield client


def company() -> Served:
    return Served(World(opened_on=date(2026, 1, 12), until=date(2026, 3, 2)), limits=False)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of the company on 2 March 2026."""
    yield from serving(company())


@pytest.fixture
def served() -> Served:
    """A company whose clock the test may move."""
    return company()


@pytest.fixture
def living(served: Served) -> Iterator[httpx.Client]:
    yield from serving(served)


def order(client: httpx.Client, *faults: dict[str, object]) -> None:
    assert client.post("/_control/faults", json={"crm": "hubspot", "faults": faults}).status_code == 200


def ids(response: httpx.Response) -> list[str]:
    return [deal["id"] for deal in response.json()["results"]]


def changed_since(client: httpx.Client, moment: datetime) -> int:
    since = {"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": moment.isoformat()}
    found = client.post(f"{DEALS}/search", json={"filterGroups": [{"filters": [since]}]})
    return found.json()["total"]


def dated(response: httpx.Response) -> str:
    return parsedate_to_datetime(response.headers["date"]).isoformat()


# ---------------------------------------------------------------------- clock


def test_answers_are_dated_in_the_companys_time(client: httpx.Client) -> None:
    midnight_in_berlin = "2026-03-01T23:00:00+00:00"
    assert dated(client.get(DEALS)) == midnight_in_berlin
    assert dated(client.get("/hubspot/nothing/here")) == midnight_in_berlin


def test_a_night_that_passes_brings_changes(living: httpx.Client, served: Served) -> None:
    before = served.world.now
    assert changed_since(living, before) == 0
    told = living.post("/_control/clock", json={"advance_days": 1}).json()
    assert told["today"] == "2026-03-03"
    assert changed_since(living, before) > 0
    assert dated(living.get(DEALS)) == told["now"] == "2026-03-02T23:00:00+00:00"


def test_a_company_that_lives_by_itself_is_at_the_day_of_this_machine(served: Served) -> None:
    served.live = True
    before = served.world.now
    for client in serving(served):
        assert changed_since(client, before) > 0
    assert served.world.today == datetime.now(TIME_ZONE).date()


def test_the_clock_does_not_run_backwards(living: httpx.Client) -> None:
    assert living.post("/_control/clock", json={"to": "2026-02-01"}).json()["today"] == "2026-03-02"
    assert living.post("/_control/clock", json={"to": "2026-03-05"}).json()["today"] == "2026-03-05"


@pytest.mark.parametrize(
    ("path", "misspelt"),
    [
        ("clock", {"days": 1}),
        ("faults", {"crm": "hubspot", "faults": [{"at": 0, "kind": "bad_luck"}]}),
        ("faults", {"crm": "hubpsot", "faults": []}),
    ],
)
def test_an_order_that_is_misspelt_is_refused(client: httpx.Client, path: str, misspelt: dict[str, object]) -> None:
    refused = client.post(f"/_control/{path}", json=misspelt)
    assert refused.status_code == 400
    assert refused.json()["error"]


def test_every_request_is_counted(living: httpx.Client) -> None:
    for path in (DEALS, "/hubspot/nothing/here"):
        living.get(path)
    assert living.get("/_control").json()["requests"]["hubspot"] == 2


# ---------------------------------------------------------------------- faults


def test_a_fault_befalls_the_request_it_was_ordered_for(client: httpx.Client) -> None:
    client.get(DEALS)
    order(client, {"at": 1, "kind": "server_error", "times": 2})
    assert [client.get(DEALS).status_code for _ in range(4)] == [200, 500, 500, 200]


def test_no_faults_are_left_when_none_are_ordered(client: httpx.Client) -> None:
    order(client, {"at": 0, "kind": "server_error", "times": 9})
    order(client)
    assert client.get(DEALS).status_code == 200


def test_rate_limited_says_when_to_come_back(client: httpx.Client) -> None:
    order(client, {"at": 0, "kind": "rate_limited", "seconds": 2}, {"at": 1, "kind": "rate_limited_without_header"})
    first, second = client.get(DEALS), client.get(DEALS)
    assert (first.status_code, first.headers["retry-after"]) == (429, "2")
    assert (second.status_code, "retry-after" in second.headers) == (429, False)


def test_a_timeout_outlasts_a_client_that_does_not_wait(client: httpx.Client) -> None:
    order(client, {"at": 0, "kind": "timeout", "seconds": 30}, {"at": 1, "kind": "timeout", "seconds": 0.1})
    with pytest.raises(httpx.ReadTimeout):
        client.get(DEALS, timeout=0.2)
    began = time.monotonic()
    assert client.get(DEALS).status_code == 200
    assert time.monotonic() - began >= 0.1


def test_a_dropped_connection_breaks_off_in_the_middle(client: httpx.Client) -> None:
    order(client, {"at": 0, "kind": "dropped_connection"})
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        client.get(DEALS)
    assert client.get(DEALS).status_code == 200


@pytest.mark.parametrize("kind", ["truncated_json", "malformed_json"])
def test_an_answer_that_is_no_json_comes_as_a_success(client: httpx.Client, kind: str) -> None:
    order(client, {"at": 0, "kind": kind})
    response = client.get(DEALS)
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()


def test_a_repeated_page_is_the_one_before(client: httpx.Client) -> None:
    first = client.get(DEALS)
    after = first.json()["paging"]["next"]["after"]
    order(client, {"at": 1, "kind": "repeated_page"})
    client.get("/hubspot/crm/v3/owners")
    assert ids(client.get(DEALS, params={"after": after})) == ids(first)
    assert ids(client.get(DEALS, params={"after": after}))[0] == after


def test_a_page_out_of_order_has_the_same_records(client: httpx.Client) -> None:
    right = ids(client.get(DEALS))
    order(client, {"at": 0, "kind": "out_of_order_page"})
    assert ids(client.get(DEALS)) == right[::-1]


def test_a_skewed_clock_dates_one_answer_wrongly(client: httpx.Client) -> None:
    order(client, {"at": 0, "kind": "clock_skew", "seconds": -3600})
    assert dated(client.get(DEALS)) == "2026-03-01T22:00:00+00:00"
    assert dated(client.get(DEALS)) == "2026-03-01T23:00:00+00:00"


def test_an_expired_token_is_refused_once(client: httpx.Client) -> None:
    order(client, {"at": 0, "kind": "expired_token"})
    refused = client.get(DEALS)
    assert (refused.status_code, refused.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")
    assert client.get(DEALS).status_code == 200


def test_the_company_lives_on_while_it_is_read(living: httpx.Client, served: Served) -> None:
    before = served.world.now
    order(living, {"at": 1, "kind": "clock_advances", "days": 2})
    assert changed_since(living, before) == 0
    assert changed_since(living, before) > 0
    assert served.world.today == date(2026, 3, 4)


# ---------------------------------------------------------------------- limits and the server itself


def test_a_window_slides() -> None:
    meter = Window("two a second", 2, 1.0).meter()
    for now in (10.0, 10.6):
        assert meter.wait(now) == 0
        meter.count(now)
    assert meter.wait(10.75) == pytest.approx(0.25)
    assert meter.wait(11.0) == 0


def test_a_bucket_leaks() -> None:
    meter = Bucket("three, two a second", 3, 2.0).meter()
    for _ in range(3):
        assert meter.wait(10.0) == 0
        meter.count(10.0)
    assert meter.wait(10.0) == pytest.approx(0.5)
    assert meter.wait(10.5) == 0


def test_the_command_tells_how_to_connect_and_serves_until_interrupted() -> None:
    command = [Path(sys.executable).with_name("kpimart"), "demo", "serve"]
    command += ["--host", "127.0.0.2", "--port", "0", "--until", "2026-03-02"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            told = "".join(takewhile(lambda line: "_control" not in line, process.stdout))
            url = re.search(r"http://127\.0\.0\.2:\d+", told)
            assert url
            assert TOKEN in told
            assert httpx.get(f"{url.group()}/_control", timeout=10).json()["today"] == "2026-03-02"
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_a_port_that_is_taken_is_named(served: Served) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port} cannot be listened on"), serve(served, port=port):
            pass
