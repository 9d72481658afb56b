"""Where the pages are served, and who is told what about it."""

import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kpimart.dashboard import serve as serving
from kpimart.dashboard.serve import serve
from kpimart.errors import SettingsError
from kpimart.settings import DashboardSettings, Settings

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - what it warns of


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Streamlit is told, which does not start."""
    told: dict[str, Any] = {}

    class NotStarted:
        def __init__(self, script: object) -> None:
            pass

        def run(self, *, config: Mapping[str, Any]) -> None:
            if "look" in told:
                told["look"](config)
            told.update(config)

    monkeypatch.setattr(serving, "App", NotStarted)
    return told


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def said(host: str, **dashboard: Any) -> str:
    lines: list[str] = []
    serve(Settings(dashboard=DashboardSettings(**dashboard)), host, free_port(), lines.append)
    return "\n".join(lines)


OIDC = {
    "url": "https://kpi.example.com/",
    "oidc_metadata_url": "https://login.example.com/.well-known/openid-configuration",
    "oidc_client_id": "kpimart",
    "oidc_client_secret": 'sec"ret',
    "cookie_secret": "0123456789abcdef0123456789abcdef",
}


def test_on_loopback_it_is_for_this_machine_only(given: dict[str, Any]) -> None:
    assert "for this machine only" in said("127.0.0.1")
    assert given["server.address"] == "127.0.0.1"
    assert "localhost" in given["server.allowedHosts"]


def test_elsewhere_it_is_not_served_without_a_sign_in(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="nobody signs in, so only this machine is let in"):
        said(EVERY_ADDRESS)
    assert given == {}


def test_open_to_all_it_warns_that_there_is_no_sign_in(given: dict[str, Any]) -> None:
    told = said(EVERY_ADDRESS, open_to_all=True)
    assert "warning: there is no sign-in: everybody who can reach this port sees every figure" in told
    assert given["server.allowedHosts"] == []


def test_a_header_is_trusted_and_that_is_said(given: dict[str, Any]) -> None:
    assert "says in X-User who they are: let only the proxy reach it" in said(EVERY_ADDRESS, header="X-User")
    assert given["secrets.files"] == []


def test_secrets_of_the_sign_in_are_read_by_streamlit_only_and_go_with_it(given: dict[str, Any]) -> None:
    kept: dict[str, Any] = {}

    def look(config: Mapping[str, Any]) -> None:
        (file,) = map(Path, config["secrets.files"])
        kept.update(tomllib.loads(file.read_text()), mode=oct(file.stat().st_mode & 0o777), file=file)

    given["look"] = look
    said(EVERY_ADDRESS, **OIDC)
    assert kept["auth"]["client_secret"] == 'sec"ret'
    assert kept["auth"]["redirect_uri"] == "https://kpi.example.com/oauth2callback"
    assert kept["mode"] == "0o600"
    assert not kept["file"].exists()


@pytest.mark.parametrize(
    ("dashboard", "problem"),
    [
        ({**OIDC, "cookie_secret": None}, "sign-in by OIDC needs cookie_secret too"),
        ({**OIDC, "header": "X-User"}, "give one of OIDC, 'header' and 'open_to_all'"),
        ({"header": "X-User", "open_to_all": True}, "give one of OIDC, 'header' and 'open_to_all'"),
        ({"header": "X User"}, "should match pattern"),
    ],
)
def test_half_a_sign_in_and_two_are_refused(dashboard: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        DashboardSettings(**dashboard)


def test_nothing_is_told_to_anybody(given: dict[str, Any]) -> None:
    said("127.0.0.1")
    assert (given["browser.gatherUsageStats"], given["client.showErrorDetails"]) == (False, "none")


@pytest.mark.usefixtures("given")
def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port} cannot be listened on: .*; give another --port"):
            serve(Settings(), "127.0.0.1", port, print)


@pytest.mark.usefixtures("given")
def test_an_address_that_this_machine_does_not_have_is_named() -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1:"):
        said("192.0.2.1", open_to_all=True)
