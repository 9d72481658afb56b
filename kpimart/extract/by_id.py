"""Reading in the order of ids: all records at first, then those that changed since a moment, which no change disturbs.

A record that changes while it is read keeps its place; one that was passed already changed after the reading began, so
the next one, which starts from there, finds it. Equal times of change are no matter.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from kpimart.extract.source import Cursor, Json, Listing, Page


@dataclass(frozen=True)
class Found:
    """Some records. `last`: up to which id all were asked for; None if there are no more. `at`: the server's clock."""

    records: Sequence[Json]
    last: int | None
    at: datetime


Ask = Callable[[datetime | None, int], Found]
"""The next records, by ascending id: those that changed since a moment (None: all), from the one after an id on."""


def pages_by_id(
    ask: Ask, overlap: timedelta, cursor: Cursor, listings: Callable[[], Sequence[Listing]] = tuple
) -> Iterator[Page]:
    """The pages from a cursor on, and at the end what is listed: what was read before and is not there has vanished.

    The cursor is {"first": {"began", "after"}} within the first load, {"since"} after it, and within a later reading
    {"since", "began", "after"}; the next reading starts `overlap` before this one began by the server's clock.
    """
    since = cursor.get("since")
    state = cursor if since else cursor.get("first", {})
    began = datetime.fromisoformat(state["began"]) if "began" in state else None
    after: int | None = state.get("after", 0)
    while after is not None:
        found = ask(datetime.fromisoformat(since) if since else None, after)
        # One answer that is dated ahead must not hide what changes meanwhile.
        began = min(began, found.at) if began else found.at
        after = found.last
        place = {"began": began.isoformat(), "after": after}
        yield Page(found.records, None if after is None else {"since": since, **place} if since else {"first": place})
    if began is None:
        raise ValueError(f"the cursor {cursor} is none of this reading's")
    yield Page(cursor={"since": (began - overlap).isoformat()}, listings=tuple(listings()))


def is_page_after(after: int, found: Any) -> bool:
    """Whether it can be the page that was asked for: records with ascending ids, all after that one."""
    if not isinstance(found, list):
        return False
    ids: list[Any] = [one.get("id") if isinstance(one, dict) else None for one in found]
    return all(isinstance(one, int) for one in ids) and all(one < other for one, other in pairwise([after, *ids]))
