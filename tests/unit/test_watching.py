"""An export is taken once, when it is complete and at rest; what goes wrong with it does not end the watch."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from kpimart.errors import BadSourceData, SettingsError, WarehouseBusy
from kpimart.settings import Settings
from kpimart.watching import RETRY_SECONDS, Beat, watch

SETTLE_SECONDS = 5
FILES = ("deals.csv", "agents.csv")


class Folder:
    """A folder that is watched while a script goes on: what happens in which second, until the watch is stopped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.second = 0.0
        self.script: dict[int, Callable[[], object]] = {}
        self.taken: list[float] = []
        self.said: list[str] = []
        self.refusals: list[Exception] = []

    def at(self, second: int, what: Callable[[], object]) -> None:
        self.script[second] = what

    def write(self, *names: str, content: str = "x") -> None:
        for name in names:
            (self.path / name).write_text(content)

    def _pause(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.second += 1
            self.script.pop(int(self.second), lambda: None)()

    def take(self) -> None:
        self.taken.append(self.second)
        if self.refusals:
            raise self.refusals.pop(0)

    def watch(self, *, until: int) -> list[float]:
        """The seconds in which an export was taken."""
        self.at(until, lambda: os.kill(os.getpid(), signal.SIGTERM))
        mapping = {"columns": {"id": "id", "stage": "stage"}}
        settings = Settings(
            files={
                "stages": [{"name": "Won", "outcome": "won", "position": 1}],
                "deals": [{"file": "deals.csv", **mapping}],
                "managers": [{"file": "agents.csv", "columns": {"id": "id"}}],
            }
        )
        watch(
            settings,
            self.path,
            self.take,
            settle_seconds=SETTLE_SECONDS,
            say=self.said.append,
            beat=Beat(lambda: self.second, self._pause),
        )
        return self.taken


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_an_export_that_is_there_istaken_once_when_it_has_been_at_rest(folder: Folder) -> None:
    folder.write(*FILES)
    assert folder.watch(until=100) == [5]
    assert folder.said == [f"watching {folder.path} for deals.csv, agents.csv", "stopped watching"]


def test_an_export_waits_for_its_last_file(folder: Folder) -> None:
    folder.write("deals.csv")
    folder.at(20, lambda: folder.write("agents.csv"))
    assert folder.watch(until=100) == [25]


def test_a_file_that_still_grows_is_left_alone(folder: Folder) -> None:
    folder.write(*FILES)
    for second in (4, 8, 12):
        folder.at(second, lambda second=second: folder.write("deals.csv", content="x" * second))
    assert folder.watch(until=100) == [17]


def test_a_file_of_the_same_size_is_new_if_it_was_written_again(folder: Folder) -> None:
    folder.write(*FILES)
    folder.at(30, lambda: os.utime(folder.path / "deals.csv", (1, 1)))
    assert folder.watch(until=100) == [5, 35]


def test_a_refused_export_is_said_andtaken_again_when_it_has_changed(folder: Folder) -> None:
    folder.write(*FILES)
    folder.refusals = [BadSourceData("deals: no column 'amount'")]
    folder.at(50, lambda: folder.write("deals.csv", content="mended"))
    assert folder.watch(until=100) == [5, 55]
    assert "kpimart: deals: no column 'amount'" in folder.said


def test_what_may_pass_is_tried_again_after_a_minute(folder: Folder) -> None:
    folder.write(*FILES)
    folder.refusals = [WarehouseBusy("another run is writing")]
    assert folder.watch(until=200) == [5, 5 + RETRY_SECONDS + SETTLE_SECONDS]


@pytest.mark.parametrize(("times", "ended"), [(1, ["the run"]), (2, [])])
def test_a_run_is_ended_before_the_watch_unless_somebody_asks_twice(
    folder: Folder, times: int, ended: list[str]
) -> None:
    ends: list[str] = []

    def take() -> None:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        ends.append("the run")

    folder.write(*FILES)
    folder.take = take
    folder.watch(until=1000)
    assert folder.second == SETTLE_SECONDS
    assert ends == ended
    assert folder.said[-2:] == ["stopping after this run; ask again to stop at once", "stopped watching"]


def test_after_the_watch_signals_mean_what_they_did_before(folder: Folder) -> None:
    before = signal.getsignal(signal.SIGTERM)
    folder.watch(until=3)
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_the_source_files_there_is_nothing_to_watch(folder: Folder) -> None:
    settings = Settings(sources=("sql",))
    with pytest.raises(SettingsError, match="expected 'files' among them to watch for, found sql"):
        watch(settings, folder.path, lambda: None, settle_seconds=0, say=folder.said.append)
