"""The gate before each API: counts requests, keeps limits, lets faults happen, and dates every answer."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kpimart.demo.server.faults import Fault, Kind
from kpimart.demo.server.served import Api, Call, Served
from kpimart.demo.world import TIME_ZONE

SUCCESS = 200
SORRY = HTMLResponse("<html><head><title>Sorry</title></head><body><h1>We will be back soon</h1></body></html>")


class ConnectionDropped(Exception):
    """Raised in the middle of an answer, so that the server closes the connection."""


@dataclass(frozen=True)
class Answer:
    """A whole answer, so that it can be spoiled. `headers` as ASGI has them."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def with_body(self, body: bytes) -> "Answer":
        kept = [(name, value) for name, value in self.headers if name != b"content-length"]
        return replace(self, headers=[*kept, (b"content-length", str(len(body)).encode())], body=body)


class Gate:
    """Stands before the application of one API."""

    def __init__(self, served: Served, api: Api, application: ASGIApp) -> None:
        self._served = served
        self._api = api
        self._application = application
        self._pages: dict[str, Answer] = {}
        self._refusals: dict[Kind, Callable[[Fault], Response]] = {
            "rate_limited": lambda fault: api.too_many(None, fault.seconds),
            "rate_limited_without_header": lambda _: api.too_many(None, None),
            "server_error": lambda _: api.failed(),
            "expired_token": lambda _: api.expired(),
            "malformed_json": lambda _: SORRY,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._served.live:
            self._served.world.move_to(datetime.now(TIME_ZONE).date())
        body = await Request(scope, receive).body()
        call = Call(Request(scope), body)
        faults = {fault.kind: fault for fault in self._served.faults.next_request(self._api.name)}
        if "clock_advances" in faults:
            self._served.world.advance(faults["clock_advances"].days)
        if "timeout" in faults and await _hung_up(receive, faults["timeout"].seconds):
            return
        answer = self._spoilt(call, await self._answer(call, scope, faults), faults)
        skew = faults["clock_skew"].seconds if "clock_skew" in faults else 0.0
        await _send(
            send, answer, self._served.world.now + timedelta(seconds=skew), dropped="dropped_connection" in faults
        )

    async def _answer(self, call: Call, scope: Scope, faults: dict[Kind, Fault]) -> Answer:
        """The fault's, a limit's, or the API's."""
        for kind, refusal in self._refusals.items():
            if kind in faults:
                return await _taken_from(refusal(faults[kind]), scope, b"")
        if broken := self._served.admit(self._api.name, self._api.limits(call)):
            return await _taken_from(self._api.too_many(*broken), scope, b"")
        return await _taken_from(self._application, scope, call.body)

    def _spoilt(self, call: Call, answer: Answer, faults: dict[Kind, Fault]) -> Answer:
        """The answer as the faults would have it; the last one of each page is kept, to be repeated."""
        page = self._api.page_of(call)
        before = self._pages.get(page, answer)
        if answer.status == SUCCESS:
            self._pages[page] = answer
        if "repeated_page" in faults and self._records(answer) is not None:
            self._pages[page] = answer = before
        if "out_of_order_page" in faults and (content := _parsed(answer)) and (records := self._api.records(content)):
            records.reverse()
            answer = answer.with_body(orjson.dumps(content))
        if "truncated_json" in faults:
            answer = answer.with_body(answer.body[: len(answer.body) // 2])
        return answer

    def _records(self, answer: Answer) -> list[Any] | None:
        content = _parsed(answer)
        return None if content is None else self._api.records(content)


def _parsed(answer: Answer) -> Any:
    """The JSON of a successful answer, None if it has none."""
    is_json = any(name == b"content-type" and value.endswith(b"json") for name, value in answer.headers)
    if answer.status != SUCCESS or not is_json:
        return None
    return orjson.loads(answer.body)


async def _hung_up(receive: Receive, seconds: float) -> bool:
    """Keep the client waiting; True if it went away meanwhile."""
    try:
        await asyncio.wait_for(receive(), seconds)
    except TimeoutError:
        return False
    return True


async def _taken_from(application: ASGIApp, scope: Scope, body: bytes) -> Answer:
    """What an application sends for a request, taken together."""
    told: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def take(message: Message) -> None:
        told.append(message)

    await application(scope, receive, take)
    start, *parts = told
    return Answer(start["status"], start["headers"], b"".join(part.get("body", b"") for part in parts))


async def _send(send: Send, answer: Answer, at: datetime, *, dropped: bool) -> None:
    headers = MutableHeaders(raw=list(answer.headers))
    headers["date"] = format_datetime(at, usegmt=True)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers.raw})
    if dropped:
        await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
        raise ConnectionDropped
    await send({"type": "http.response.body", "body": answer.body})
