"""Starts Streamlit with the pages, in this process, and says who can reach them."""

import contextlib
import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamlit.starlette import App

from kpimart.errors import SettingsError
from kpimart.settings import Settings

SCRIPT = Path(__file__).with_name("app.py")

# What Streamlit is told. Whatever a config.toml of its own says, nothing is sent to anybody and no error shows code.
_CONFIG: dict[str, Any] = {
    "browser.gatherUsageStats": False,
    # Opens no browser, asks for no address.
    "server.headless": True,
    "server.fileWatcherType": "none",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "runner.magicEnabled": False,
    "logger.hideWelcomeMessage": True,
    # With no `theme.base` the browser says which of the two it is.
    "theme.light.primaryColor": "#1d5fbf",
    "theme.dark.primaryColor": "#7fb2ff",
    "theme.metricValueFontSize": "1.6rem",
    "theme.metricValueFontWeight": 600,
}


def serve(settings: Settings, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve the pages in this thread until Ctrl-C or SIGTERM.

    tell: told where the pages are, before they are there. Raises SettingsError if nothing can listen there.
    """
    _require_free(host, port)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if _is_loopback(host):
        hosts = ["localhost", "127.0.0.1", "::1", host]
        tell(f"the dashboard is at {url}, for this machine only; end it with Ctrl-C")
    else:
        hosts = []
        tell(f"the dashboard is at {url}; end it with Ctrl-C")
        tell("warning: there is no sign-in: everybody who can reach this port sees every figure")
    if settings.config:
        # The pages read the settings as every command does.
        os.environ["KPIMART_CONFIG"] = str(settings.config)
    # Only who names this machine is let in, so that no page of somebody else's can make a browser read these.
    place = {"server.address": host, "server.port": port, "server.allowedHosts": hosts}
    with contextlib.suppress(KeyboardInterrupt):
        App(SCRIPT).run(config={**_CONFIG, **place})


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise SettingsError(f"{host}:{port} cannot be listened on: {error.strerror}; give another --port") from error
