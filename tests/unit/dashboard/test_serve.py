"""Where the pages are served, and who is told what about it."""

import socket
from collections.abc import Mapping
from typing import Any

import pytest

from kpimart.dashboard import serve as serving
from kpimart.dashboard.serve import serve
from kpimart.errors import SettingsError
from kpimart.settings import Settings

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - what it warns of


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Streamlit is told, which does not start."""
    told: dict[str, Any] = {}

    class NotStarted:
        def __init__(self, script: object) -> None:
            pass

        def run(self, *, config: Mapping[str, Any]) -> None:
            told.update(config)

    monkeypatch.setattr(serving, "App", NotStarted)
    return told


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def said(host: str) -> str:
    lines: list[str] = []
    serve(Settings(), host, free_port(), lines.append)
    return "\n".join(lines)


def test_on_loopback_it_is_for_this_machine_only(given: dict[str, Any]) -> None:
    assert "for this machine only" in said("127.0.0.1")
    assert given["server.address"] == "127.0.0.1"
    assert "localhost" in given["server.allowedHosts"]


def test_elsewhere_it_warns_that_there_is_no_sign_in(given: dict[str, Any]) -> None:
    assert "warning: there is no sign-in: everybody who can reach this port sees every figure" in said(EVERY_ADDRESS)
    assert given["server.allowedHosts"] == []


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
        serve(Settings(), "192.0.2.1", free_port(), print)
