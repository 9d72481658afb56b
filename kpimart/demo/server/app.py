"""The application: every API under its name, and `/_control` to move the clock, order faults and see what was asked."""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from datetime import date

import uvicorn
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

from kpimart.demo.server import amocrm, bitrix24, hubspot
from kpimart.demo.server.faults import Fault
from kpimart.demo.server.gate import ConnectionDropped, Gate
from kpimart.demo.server.served import Api, Call, Served, json_response
from kpimart.errors import SettingsError

APIS: tuple[Api, ...] = (hubspot.API, bitrix24.API, amocrm.API)

LOOPBACK = "127.0.0.1"
PORT = 8765
STARTS_WITHIN_SECONDS = 10.0


class ClockOrder(BaseModel):
    """Move on by days, or to the beginning of a day."""

    model_config = ConfigDict(extra="forbid")

    advance_days: int = 0
    to: date | None = None


class FaultOrder(BaseModel):
    """The faults of one API from now on; none: all is well again."""

    model_config = ConfigDict(extra="forbid")

    crm: str
    faults: list[Fault]


def application(served: Served) -> Starlette:
    """All APIs and the control."""
    control = _Control(served)
    mounts = [Mount(f"/{api.name}", Gate(served, api, Starlette(routes=api.routes(served)))) for api in APIS]
    return Starlette(
        routes=[
            Route("/_control", served.endpoint(control.show)),
            Route("/_control/clock", served.endpoint(control.move_clock), methods=["POST"]),
            Route("/_control/faults", served.endpoint(control.order_faults), methods=["POST"]),
            *mounts,
        ]
    )


class _Control:
    def __init__(self, served: Served) -> None:
        self._served = served

    def show(self, _: Call) -> Response:
        served = self._served
        return json_response(
            {
                "now": served.world.now,
                "today": served.world.today,
                "limits": served.limits,
                "requests": {api.name: served.faults.requests[api.name] for api in APIS},
            }
        )

    def move_clock(self, call: Call) -> Response:
        try:
            order = ClockOrder.model_validate_json(call.body)
        except ValidationError as error:
            return _not_understood(error)
        world = self._served.world
        world.advance(order.advance_days)
        if order.to:
            world.move_to(order.to)
        return self.show(call)

    def order_faults(self, call: Call) -> Response:
        try:
            order = FaultOrder.model_validate_json(call.body)
        except ValidationError as error:
            return _not_understood(error)
        if order.crm not in {api.name for api in APIS}:
            return json_response({"error": f"crm is one of {', '.join(api.name for api in APIS)}"}, 400)
        self._served.faults.order(order.crm, order.faults)
        return self.show(call)


def _not_understood(error: ValidationError) -> Response:
    return json_response({"error": str(error)}, 400)


@contextlib.contextmanager
def listening(port: int, host: str = LOOPBACK) -> Iterator[socket.socket]:
    """A socket; port 0: any that is free. Raises SettingsError if the port is taken."""
    # With the protocol named, asyncio sends small writes at once (TCP_NODELAY); otherwise each answer takes 40 ms more.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            # From here on who connects waits until he is served, rather than being turned away.
            listener.listen()
        except OSError as error:
            raise SettingsError(f"port {port} cannot be listened on: {error.strerror}; give another --port") from error
        yield listener


def base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


def access(listener: socket.socket) -> list[tuple[str, str, str]]:
    """What a person needs to connect, as (API, name, value)."""
    url = base_url(listener)
    told = [(api.name, name, value) for api in APIS for name, value in api.access(url)]
    return [*told, ("clock and faults", "url", f"{url}/_control")]


def server(served: Served) -> uvicorn.Server:
    """Without a clock of its own, for answers are dated in the company's time, and silent unless it is at fault."""
    logging.getLogger("uvicorn.error").addFilter(_is_unwanted)
    return uvicorn.Server(
        uvicorn.Config(
            application(served),
            log_config=None,
            log_level="error",
            access_log=False,
            date_header=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )


def _is_unwanted(record: logging.LogRecord) -> bool:
    """Not a connection that was dropped to order."""
    return not (record.exc_info and record.exc_info[0] is ConnectionDropped)


def run_until_interrupted(served: Served, listener: socket.socket) -> None:
    """Serve in this thread until Ctrl-C or SIGTERM."""
    with contextlib.suppress(KeyboardInterrupt):
        server(served).run(sockets=[listener])


@contextlib.contextmanager
def serve(served: Served, port: int = 0) -> Iterator[str]:
    """Serve in a thread for as long as the block runs; gives the base URL, `http://127.0.0.1:<port>`."""
    with listening(port) as listener:
        running = server(served)
        thread = threading.Thread(target=lambda: asyncio.run(running.serve(sockets=[listener])), daemon=True)
        thread.start()
        try:
            _wait_for(running, thread)
            yield base_url(listener)
        finally:
            running.should_exit = True
            thread.join(STARTS_WITHIN_SECONDS)


def _wait_for(running: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while not running.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise SettingsError("the demo server did not start")
        time.sleep(0.01)
