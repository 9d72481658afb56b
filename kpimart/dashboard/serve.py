"""Starts Streamlit with the pages, in this process, and says who can reach them."""

import contextlib
import ipaddress
import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamlit.starlette import App

from kpimart.errors import SettingsError
from kpimart.settings import DashboardSettings, Settings

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

    tell: told where the pages are, before they are there. Raises SettingsError if nothing can listen there, or if
    others could open the pages without it being known who they are.
    """
    asked = settings.dashboard
    if not (_is_loopback(host) or asked.has_sign_in or asked.open_to_all):
        raise SettingsError(
            f"{host}: nobody signs in, so only this machine is let in, with --host 127.0.0.1; set up a sign-in, see "
            "docs/how-to/open-the-dashboard.md, or let everybody who can reach this port see every figure with "
            "dashboard.open_to_all"
        )
    _require_free(host, port)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    # Only who names this machine is let in, so that no page of somebody else's can make a browser read these.
    hosts = [] if asked.has_sign_in or asked.open_to_all else ["localhost", "127.0.0.1", "::1", host]
    tell(f"the dashboard is at {url}{', for this machine only' if hosts else ''}; end it with Ctrl-C")
    if asked.open_to_all:
        tell("warning: there is no sign-in: everybody who can reach this port sees every figure")
    if asked.header:
        tell(f"whoever reaches this port says in {asked.header} who they are: let only the proxy reach it")
    if settings.config:
        # The pages read the settings as every command does.
        os.environ["KPIMART_CONFIG"] = str(settings.config)
    place = {"server.address": host, "server.port": port, "server.allowedHosts": hosts}
    with _sign_in(asked) as secret_files, contextlib.suppress(KeyboardInterrupt):
        App(SCRIPT).run(config={**_CONFIG, **place, "secrets.files": secret_files})


@contextmanager
def _sign_in(settings: DashboardSettings) -> Iterator[list[str]]:
    """The file from which alone Streamlit takes what it signs people in with; there is one for as long as it runs."""
    if not (settings.has_oidc and settings.url and settings.oidc_client_secret and settings.cookie_secret):
        yield []
        return
    told = {
        "redirect_uri": f"{settings.url.rstrip('/')}/oauth2callback",
        "cookie_secret": settings.cookie_secret.get_secret_value(),
        "client_id": settings.oidc_client_id,
        "client_secret": settings.oidc_client_secret.get_secret_value(),
        "server_metadata_url": settings.oidc_metadata_url,
    }
    # Made readable for its owner only. What JSON writes of a text is a text in TOML too.
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write("[auth]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items()))
        file.flush()
        yield [file.name]


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
