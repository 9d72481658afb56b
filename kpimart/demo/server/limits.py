"""Limits on requests, counted in real seconds (not the company's): sliding windows and leaky buckets."""

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol


class Meter(Protocol):
    """Counts the requests against one limit; moments are seconds of a monotonic clock."""

    def wait(self, now: float) -> float:
        """Seconds until one more request is welcome; 0 if it is."""

    def count(self, now: float) -> None:
        """One request was let in."""


class Limit(Protocol):
    """A documented limit; equal limits of one API share one meter."""

    @property
    def name(self) -> str: ...

    def meter(self) -> Meter: ...


@dataclass(frozen=True)
class Window:
    """At most `requests` in any `seconds`. `name` is the CRM's own for it."""

    name: str
    requests: int
    seconds: float

    def meter(self) -> "WindowMeter":
        return WindowMeter(self)


@dataclass(frozen=True)
class Bucket:
    """Each request adds one to a bucket of `size` that leaks `per_second`."""

    name: str
    size: int
    per_second: float

    def meter(self) -> "BucketMeter":
        return BucketMeter(self)


@dataclass
class WindowMeter:
    limit: Window
    _let_in: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float:
        while self._let_in and self._let_in[0] <= now - self.limit.seconds:
            self._let_in.popleft()
        if len(self._let_in) < self.limit.requests:
            return 0.0
        return self._let_in[0] + self.limit.seconds - now

    def count(self, now: float) -> None:
        self._let_in.append(now)


@dataclass
class BucketMeter:
    limit: Bucket
    _level: float = 0.0
    _seen: float = 0.0

    def wait(self, now: float) -> float:
        self._level = max(self._level - (now - self._seen) * self.limit.per_second, 0.0)
        self._seen = now
        return max(self._level + 1 - self.limit.size, 0.0) / self.limit.per_second

    def count(self, now: float) -> None:
        self._level += 1
        self._seen = now
