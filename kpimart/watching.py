"""Waits for exports: does something whenever a complete new one lies in its folder, until the process is told to stop.

An export is complete when every mapped file is there and none has changed for a while. Files are looked at, not waited
for: network drives, where exports often lie, tell nobody of a change.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kpimart.errors import KpiMartError, SettingsError
from kpimart.extract.files import State, mapped_files, state_of
from kpimart.settings import Settings

LOOK_SECONDS = 1.0
RETRY_SECONDS = 60.0


@dataclass(frozen=True)
class Beat:
    """What waiting is done by: the time, and a pause, both in seconds."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def watch(
    settings: Settings,
    files: Path | None,
    take: Callable[[], None],
    *,
    settle_seconds: float,
    say: Callable[[str], None],
    beat: Beat | None = None,
) -> None:
    """Call `take` for the export that is there, and for every later one; returns when the process is told to stop.

    files: the folder to watch, instead of `files.folder`. settle_seconds: for how long no file may have changed.
    What `take` refuses is said, and taken again when it has changed; after a minute, where trying the same again can
    help. Raises SettingsError if there is nothing to watch.
    """
    if "files" not in settings.sources:
        raise SettingsError(f"sources: expected 'files' among them to watch for, found {', '.join(settings.sources)}")
    beat = beat or Beat()
    folder, mapped = mapped_files(settings, files)
    paths = list(dict.fromkeys(file.path for file in mapped))
    say(f"watching {folder} for {', '.join(path.name for path in paths)}")
    taken: State | None = None
    with _stopped_by_signals(say) as stop:
        while not stop.is_told:
            taken = _next_complete(paths, taken, settle_seconds, beat)
            with stop.after_this():
                is_settled = _is_settled(take, say)
            if not is_settled and not stop.is_told:
                beat.pause(RETRY_SECONDS)
                taken = None
    say("stopped watching")


def _is_settled(take: Callable[[], None], say: Callable[[str], None]) -> bool:
    """Take an export; False if the same is to be tried again."""
    try:
        take()
    except KpiMartError as refusal:
        say(f"kpimart: {refusal}")
        return not refusal.is_retryable
    return True


def _next_complete(paths: list[Path], taken: State | None, settle_seconds: float, beat: Beat) -> State:
    """How the files are once they are all there, others than those taken, and have not changed for a while."""
    state, since = state_of(paths), beat.now()
    while None in state.values() or state == taken or beat.now() - since < settle_seconds:
        beat.pause(LOOK_SECONDS)
        found = state_of(paths)
        if found != state:
            state, since = found, beat.now()
    return state


class _Stop:
    """What a signal does: it ends the waiting at once, and a run that is under way when that has ended.

    A run could be broken off anywhere without harm, but libraries on the way may take an interruption for a failure of
    their own, or for nothing. Whoever asks twice does not wait.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.is_told = False
        self._is_busy = False
        self._say = say

    def __call__(self, *_: object) -> None:
        if not self._is_busy or self.is_told:
            raise KeyboardInterrupt
        self.is_told = True
        self._say("stopping after this run; ask again to stop at once")

    @contextmanager
    def after_this(self) -> Iterator[None]:
        """Put off the end until the block is left."""
        self._is_busy = True
        try:
            yield
        finally:
            self._is_busy = False


@contextmanager
def _stopped_by_signals(say: Callable[[str], None]) -> Iterator[_Stop]:
    """Leave the block when the process is interrupted or terminated."""
    stop = _Stop(say)
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
