"""Faults to order: what goes wrong at which request of which API."""

from collections import Counter
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal[
    "rate_limited",
    "rate_limited_without_header",
    "server_error",
    "timeout",
    "dropped_connection",
    "truncated_json",
    "malformed_json",
    "repeated_page",
    "out_of_order_page",
    "clock_skew",
    "expired_token",
    "clock_advances",
]


class Fault(BaseModel):
    """`kind` befalls the request number `at`, counted from when the faults were ordered (0: the next one).

    `seconds`: how long a `timeout` lasts, what `Retry-After` says, how far off `clock_skew` is (may be negative).
    `days`: how far the company lives on in `clock_advances`, before the answer is made.
    `times`: how many requests in a row it befalls.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: int = Field(ge=0)
    kind: Kind
    seconds: float = 1.0
    days: int = 1
    times: int = Field(default=1, ge=1)


class Faults:
    """The faults that are ordered, and how many requests each API has had."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self._ordered: dict[str, tuple[int, tuple[Fault, ...]]] = {}

    def order(self, api: str, faults: list[Fault]) -> None:
        """From now on these, instead of what was ordered before."""
        self._ordered[api] = self.requests[api], tuple(faults)

    def next_request(self, api: str) -> list[Fault]:
        """Count a request, and say what is to go wrong with it."""
        began, faults = self._ordered.get(api, (0, ()))
        position = self.requests[api] - began
        self.requests[api] += 1
        return [fault for fault in faults if fault.at <= position < fault.at + fault.times]
