"""Applications served on loopback by uvicorn in a thread, one after the other, each dated by its own clock."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

STARTS_WITHIN_SECONDS = 10


class Host:
    """An address; what answers there is `application`."""

    application: ASGIApp

    def __init__(self, url: str) -> None:
        self.url = url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.application(scope, receive, send)


@contextlib.contextmanager
def hosting() -> Iterator[Host]:
    """Serve for as long as the block runs."""
    # With the protocol named, asyncio sends small writes at once; otherwise each answer takes 40 ms more.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        host = Host(f"http://127.0.0.1:{listener.getsockname()[1]}")
        config = uvicorn.Config(
            host, log_level="critical", access_log=False, date_header=False, server_header=False, lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
        thread.start()
        deadline = time.monotonic() + STARTS_WITHIN_SECONDS
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.005)
        try:
            yield host
        finally:
            server.should_exit = server.force_exit = True
            thread.join(STARTS_WITHIN_SECONDS)
