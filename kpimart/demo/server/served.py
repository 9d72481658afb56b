"""What the module of a CRM is given, and what it gives: `Served`, `Call`, `Api`.

A module has handlers, plain functions `handler(call: Call) -> Response` that read `served.world`; `routes(served)`
makes them Starlette routes by `served.endpoint(handler)`; and `API = Api(...)`, listed in `app.APIS`, says how the CRM
refuses. Counting, limits, faults and the `Date` header are done around it (`gate`).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kpimart.demo.server.faults import Faults
from kpimart.demo.server.limits import Limit, Meter
from kpimart.demo.server.world import World

Json = dict[str, Any]


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


@dataclass(frozen=True)
class Call:
    """A request with its body."""

    request: Request
    body: bytes = b""

    @property
    def path(self) -> str:
        """As under the API's own base URL, so without `/hubspot`."""
        scope = self.request.scope
        path: str = scope["path"]
        return path.removeprefix(scope.get("root_path", ""))

    @property
    def named(self) -> dict[str, Any]:
        """The parts of the path that the route names."""
        return self.request.path_params

    @property
    def query(self) -> Mapping[str, str]:
        """The query's parameters; of one that is repeated, the last (`request.query_params.multi_items()` has all)."""
        return self.request.query_params

    @property
    def token(self) -> str | None:
        """Of the header `Authorization: Bearer …`."""
        scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else None

    @cached_property
    def json(self) -> Any:
        """The body as JSON. Raises ValueError if it is none."""
        return orjson.loads(self.body)

    @cached_property
    def form(self) -> dict[str, str]:
        """The body as a form (application/x-www-form-urlencoded)."""
        return dict(parse_qsl(self.body.decode()))


Handler = Callable[[Call], Response]


class Served:
    """The world and how it is served: limits on or off, its days passing by themselves (`live`) or not, faults,
    requests counted.
    """

    def __init__(self, world: World, *, limits: bool = True, live: bool = False) -> None:
        self.world = world
        self.limits = limits
        self.live = live
        self.faults = Faults()
        self._meters: dict[tuple[str, Limit], Meter] = {}

    def endpoint(self, handler: Handler) -> Callable[[Request], Any]:
        """A Starlette endpoint that reads the body and lets `handler` answer while the world stands still."""

        async def answer(request: Request) -> Response:
            body = await request.body()
            with self.world.lock:
                return handler(Call(request, body))

        return answer

    def admit(self, api: str, limits: Sequence[Limit]) -> tuple[Limit, float] | None:
        """Count a request against its limits, or give the one that it breaks and the seconds to wait."""
        if not self.limits:
            return None
        now = time.monotonic()
        meters = [(limit, self.meter(api, limit)) for limit in limits]
        for limit, meter in meters:
            if wait := meter.wait(now):
                return limit, wait
        for _, meter in meters:
            meter.count(now)
        return None

    def meter(self, api: str, limit: Limit) -> Meter:
        if (api, limit) not in self._meters:
            self._meters[api, limit] = limit.meter()
        return self._meters[api, limit]


def _path(call: Call) -> str:
    return call.path


def _no_limits(_: Call) -> Sequence[Limit]:
    return ()


@dataclass(frozen=True)
class Api:
    """How one CRM is served under `/<name>`.

    `records` finds the list of records in an answer's JSON (None: it is no list of records), for faults of pages;
    `page_of` tells apart the lists of which `repeated_page` may repeat one for another; `limits` says what a request
    counts against. The CRM's own words: `too_many(limit, wait)` for one request too many (`limit` None: a fault that
    was ordered; `wait` in seconds, None: do not tell), `expired()` for a token out of date, `failed()` for a server
    error. `access(base_url)` is what a person needs to connect, as (name, value).
    """

    name: str
    routes: Callable[[Served], list[Route]]
    records: Callable[[Any], list[Any] | None]
    too_many: Callable[[Limit | None, float | None], Response]
    expired: Callable[[], Response]
    failed: Callable[[], Response]
    access: Callable[[str], list[tuple[str, str]]]
    limits: Callable[[Call], Sequence[Limit]] = _no_limits
    page_of: Callable[[Call], str] = _path
