"""How far a fetch has come, in one line: objects, records, their rate, and what is left where the source tells."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Object:
    rows: int = 0
    expected: int | None = None


class FetchProgress:
    """Tells of every page that was read. Objects are read at the same time, so all of them are told of together."""

    def __init__(self, source: str, tell: Callable[[str], None], timer: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._tell = tell
        self._timer = timer
        self._began = timer()
        self._objects: dict[str, _Object] = {}

    def __call__(self, object_name: str, rows: int, expected: int | None = None) -> None:
        self._objects[object_name] = _Object(rows, expected)
        self._tell(self._line())

    def _line(self) -> str:
        # A copy: another thread may add an object meanwhile.
        objects = dict(self._objects)
        seconds = max(self._timer() - self._began, 0.001)
        rate = sum(each.rows for each in objects.values()) / seconds
        left = sum(max(each.expected - each.rows, 0) for each in objects.values() if each.expected is not None)
        told = ", ".join(f"{name} {_of(each)}" for name, each in objects.items())
        to_go = f", {left:,} to go in about {left / rate:,.0f} s" if left and rate else ""
        return f"fetching {self._source}: {told} ({rate:,.0f} records/s{to_go})"


def _of(each: _Object) -> str:
    return f"{each.rows:,}" if each.expected is None else f"{each.rows:,} of {each.expected:,}"
