"""A release that was published before there were tables of insight, as one finds it after an upgrade."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kpimart.cli import app
from kpimart.errors import SettingsError

COMMANDS = (
    "trend",
    "drivers",
    "waterfall",
    "discipline",
    "customers",
    "weak-spots",
    "regularities",
    "summary",
    "restatement",
    "forecast",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_it_does_not_have_yet_is_named(
    command: str, oldest_company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPIMART_HOME", str(oldest_company / "home"))
    ended = CliRunner().invoke(app, ["kpi", command, "--config", str(oldest_company / "kpimart.toml")])
    assert isinstance(ended.exception, SettingsError)
    assert "release 20260403T003000Z is of an older contract: " in str(ended.exception)
    assert "publish one of this program with kpimart run" in str(ended.exception)
