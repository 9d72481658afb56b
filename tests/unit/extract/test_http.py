"""A server that misbehaves as servers do, and the client that gets its answer all the same, or says why not."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from kpimart.errors import AccessRefused, BadSourceData, SettingsError, SourceUnreachable
from kpimart.extract.auth import HeaderToken, RefreshingToken
from kpimart.extract.http import Http, Rate
from kpimart.settings import Settings

TOKEN = "pat-secret-123"
Respond = Callable[[BaseHTTPRequestHandler], None]


def says(status: int, body: Any = None, **headers: str) -> Respond:
    """A whole answer; a body that is no text is written as JSON."""

    def respond(request: BaseHTTPRequestHandler) -> None:
        text = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        request.send_response_only(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    return respond


def breaks_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"results": [')
    request.wfile.flush()
    request.connection.shutdown(socket.SHUT_RDWR)


def hangs_up(request: BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


def sleeps(request: BaseHTTPRequestHandler) -> None:
    time.sleep(0.5)
    hangs_up(request)


class Server:
    """Answers with what it was told, one answer a request, the last one for good."""

    def __init__(self) -> None:
        self.answers: list[Respond] = [says(200, {"ok": True})]
        self.requests: list[tuple[str, dict[str, str], float]] = []
        self.bodies: list[bytes] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                server.requests.append((self.path, dict(self.headers), time.monotonic()))
                server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                (server.answers.pop(0) if len(server.answers) > 1 else server.answers[0])(self)

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def then(self, *answers: Respond) -> None:
        """What to answer from now on."""
        self.answers = list(answers)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def settings(home: Path, **hubspot: Any) -> Settings:
    http = {"attempts": 3, "timeout_seconds": 0.2, "backoff_seconds": 0.001, "longest_wait_seconds": 2}
    return Settings(home=home, http=http, hubspot={"token": TOKEN, **hubspot})  # type: ignore[arg-type]


@pytest.fixture
def client(server: Server, tmp_path: Path) -> Iterator[Http]:
    auth = HeaderToken(SecretStr(TOKEN))
    with Http("hubspot", f"{server.url}/base", settings(tmp_path), rates={}, auth=auth) as client:
        yield client


def test_an_answer_has_its_json_and_the_servers_own_clock(server: Server, client: Http) -> None:
    server.then(says(200, {"results": [1.50]}, Date="Wed, 21 Oct 2026 07:28:00 GMT"))
    answer = client.get("/crm", {"limit": 5})
    assert (answer.status, answer.json) == (200, {"results": [1.5]})
    assert answer.at == datetime(2026, 10, 21, 7, 28, tzinfo=UTC)
    assert server.requests[0][0] == "/base/crm?limit=5"
    assert server.requests[0][1]["Authorization"] == f"Bearer {TOKEN}"


def test_a_list_among_the_parameters_is_repeated_and_what_is_none_is_left_out(server: Server, client: Http) -> None:
    client.get("crm", {"id[]": [1, 2], "after": None, "name": "a, b&c"})
    assert server.requests[0][0] == "/base/crm?id%5B%5D=1&id%5B%5D=2&name=a%2C+b%26c"


def test_what_is_posted_goes_as_json_with_its_length(server: Server, client: Http) -> None:
    client.post("/search", {"limit": 5})
    _, headers, _ = server.requests[0]
    assert (headers["Content-Type"], headers["Content-Length"]) == ("application/json", "11")
    assert server.bodies == [b'{"limit":5}']


def test_an_empty_answer_is_none(server: Server, client: Http) -> None:
    server.then(says(204))
    assert client.get("/leads").json is None


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(says(429, {"message": "limit"}, Retry_After="0"), id="too many, with a pause"),
        pytest.param(says(429, {"message": "limit"}), id="too many, without one"),
        pytest.param(says(500, "oops"), id="server error"),
        pytest.param(says(503, {"error": "QUERY_LIMIT_EXCEEDED"}), id="unavailable"),
        pytest.param(breaks_off, id="truncated"),
        pytest.param(says(200, '{"results": [{"id"'), id="half of the JSON"),
        pytest.param(says(200, "<html>maintenance</html>"), id="no JSON at all"),
        pytest.param(hangs_up, id="dropped connection"),
        pytest.param(sleeps, id="no answer in time"),
    ],
)
def test_what_may_pass_is_asked_for_again(server: Server, client: Http, fault: Respond) -> None:
    server.then(fault, fault, says(200, {"ok": True}))
    assert client.get("/crm").json == {"ok": True}
    assert client.requests_made == len(server.requests) == 3


def test_the_pause_that_the_server_names_is_kept(server: Server, client: Http) -> None:
    server.then(says(429, {}, Retry_After="1"), says(200, {}))
    client.get("/crm")
    first, second = (at for _, _, at in server.requests)
    assert second - first >= 1


def test_an_answer_that_a_crm_knows_to_be_wrong_is_asked_for_again(server: Server, client: Http) -> None:
    server.then(says(200, {"results": [2, 1]}), says(200, {"results": [1, 2]}))
    assert client.get("/crm", check=lambda json: json["results"] == sorted(json["results"])).json == {"results": [1, 2]}


def test_after_the_last_attempt_the_source_is_unreachable_and_no_secret_is_told(server: Server, tmp_path: Path) -> None:
    server.then(says(500, f"sorry, {TOKEN}"))
    with (
        Http("hubspot", f"{server.url}/rest/1/{TOKEN}", settings(tmp_path), rates={}) as client,
        pytest.raises(SourceUnreachable) as refused,
    ):
        client.get("/crm.item.list", {"auth": TOKEN})
    assert str(refused.value) == ("hubspot: GET /crm.item.list: answered 500 sorry, …, 3 times; rerun when it is back")


def test_a_server_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with (
        Http("hubspot", "http://127.0.0.1:9", settings(tmp_path), rates={}) as client,
        pytest.raises(SourceUnreachable, match=r"the connection failed \(ConnectionRefusedError\), 3 times"),
    ):
        client.get("/crm")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_no_reason_to_ask_again(server: Server, client: Http, status: int) -> None:
    server.then(says(status, {"category": "MISSING_SCOPES"}))
    with pytest.raises(AccessRefused, match="MISSING_SCOPES") as refused:
        client.get("/crm")
    assert TOKEN not in str(refused.value)
    assert not refused.value.is_retryable
    assert len(server.requests) == 1


def test_any_other_refusal_is_told_in_the_servers_words(server: Server, client: Http) -> None:
    server.then(says(400, {"message": "limit must be at most 100"}))
    with pytest.raises(BadSourceData, match=r"POST /crm/search: answered 400 .*limit must be at most 100"):
        client.post("/crm/search", {"limit": 101})


def test_a_redirect_is_not_followed_with_the_token(server: Server, client: Http) -> None:
    server.then(says(302, None, Location="http://127.0.0.1:9/elsewhere"))
    with pytest.raises(BadSourceData, match=r"a redirect; correct hubspot\.url"):
        client.get("/crm")


def test_a_limit_is_never_passed_even_by_threads(server: Server, tmp_path: Path) -> None:
    with Http("hubspot", server.url, settings(tmp_path), rates={"": (Rate(4, 0.4),)}) as client:
        threads = [threading.Thread(target=client.get, args=("/crm",)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    moments = sorted(at for _, _, at in server.requests)
    # Some of the way from here to there is not of this process: a tenth of the window is let go.
    assert min(later - earlier for earlier, later in zip(moments, moments[4:], strict=False)) >= 0.36


def test_a_further_limit_holds_for_the_requests_it_is_named_for(server: Server, tmp_path: Path) -> None:
    with Http("hubspot", server.url, settings(tmp_path), rates={"search": (Rate(1, 0.3),)}) as client:
        for rate in ("search", "", "", "search"):
            client.get("/crm", rate=rate)
    first, _, third, fourth = (at for _, _, at in server.requests)
    assert third - first < 0.3 <= fourth - first + 0.03


# Tokens that end


def oauth(server: Server, home: Path, **own: Any) -> Http:
    own = {"client_id": "app", "client_secret": "app-secret", "refresh_token": "first", **own}
    chosen = settings(home, **own)
    auth = RefreshingToken("hubspot", chosen, token_url=f"{server.url}/token", form={})
    return Http("hubspot", server.url, chosen, rates={}, auth=auth)


def given(access: str, **further: Any) -> Respond:
    return says(200, {"access_token": access, "expires_in": 3600, **further})


def test_a_token_is_got_by_the_refresh_token_and_used_until_it_ends(server: Server, tmp_path: Path) -> None:
    server.then(given("a1"), says(200, {}))
    with oauth(server, tmp_path) as client:
        client.get("/crm")
        client.get("/crm")
    assert [path for path, *_ in server.requests] == ["/token", "/crm", "/crm"]
    assert server.requests[2][1]["Authorization"] == "Bearer a1"
    assert server.bodies[0] == b"grant_type=refresh_token&client_id=app&client_secret=app-secret&refresh_token=first"


def test_a_token_that_ended_early_is_renewed_and_the_request_made_again(server: Server, tmp_path: Path) -> None:
    server.then(given("a1"), says(401, {"error": "expired_token"}), given("a2"), says(200, {"ok": True}))
    with oauth(server, tmp_path) as client:
        assert client.get("/crm").json == {"ok": True}
    assert server.requests[-1][1]["Authorization"] == "Bearer a2"


def test_a_refresh_token_that_was_used_up_is_replaced_for_the_next_process(server: Server, tmp_path: Path) -> None:
    server.then(given("a1", refresh_token="second"), says(200, {}))
    with oauth(server, tmp_path) as client:
        client.get("/crm")
    kept = tmp_path / "tokens" / "hubspot.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    server.then(given("a2", refresh_token="third"), says(200, {}))
    with oauth(server, tmp_path) as client:
        client.get("/crm")
    assert b"refresh_token=second" in server.bodies[2]


def test_processes_that_renew_at_the_same_time_use_no_refresh_token_twice(server: Server, tmp_path: Path) -> None:
    server.then(*(given("access", refresh_token=name) for name in ("second", "third", "fourth", "fifth")))
    chosen = settings(tmp_path, client_id="app", client_secret="app-secret", refresh_token="first")
    tokens = [RefreshingToken("hubspot", chosen, token_url=f"{server.url}/token", form={}) for _ in range(4)]
    with ThreadPoolExecutor(len(tokens)) as processes:
        list(processes.map(RefreshingToken.renew, tokens))
    used = [body.decode().rpartition("=")[2] for body in server.bodies]
    assert used == ["first", "second", "third", "fourth"]


def test_a_newly_configured_refresh_token_counts_more_than_a_kept_one(server: Server, tmp_path: Path) -> None:
    server.then(given("a1", refresh_token="second"), says(200, {}))
    with oauth(server, tmp_path) as client:
        client.get("/crm")
    server.then(given("a2"), says(200, {}))
    with oauth(server, tmp_path, refresh_token="new") as client:
        client.get("/crm")
    assert b"refresh_token=new" in server.bodies[2]


def test_a_refused_refresh_token_is_told_with_what_to_do(server: Server, tmp_path: Path) -> None:
    server.then(says(400, {"error": "invalid_grant"}))
    with (
        oauth(server, tmp_path) as client,
        pytest.raises(AccessRefused, match="put the new one into KPIMART_HUBSPOT__REFRESH_TOKEN"),
    ):
        client.get("/crm")


def test_a_secret_that_is_missing_is_told_by_its_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="KPIMART_HUBSPOT__CLIENT_SECRET"):
        RefreshingToken("hubspot", settings(tmp_path, refresh_token="r"), token_url="http://x", form={})
