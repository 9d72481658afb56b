"""Reading in the order of ids: where it goes on, and from when the next night reads."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kpimart.extract.by_id import Ask, Found, is_page_after, pages_by_id
from kpimart.extract.source import Listing, Page

BEGAN = datetime(2026, 11, 1, 2, tzinfo=UTC)
OVERLAP = timedelta(minutes=10)


def asking(*pages: tuple[list[int], int], asked: list[Any]) -> Ask:
    """Pages of ids, each with the seconds after BEGAN at which the server says it answers; notes what is asked for."""

    def ask(since: datetime | None, after: int) -> Found:
        asked.append((since, after))
        ids, seconds = pages[len(asked) - 1]
        last = ids[-1] if len(asked) < len(pages) else None
        return Found([{"id": one} for one in ids], last, BEGAN + timedelta(seconds=seconds))

    return ask


def read(ask: Ask, cursor: dict[str, Any], listings: Callable[[], tuple[Listing, ...]] = tuple) -> list[Page]:
    return list(pages_by_id(ask, OVERLAP, cursor, listings))


def test_a_first_load_can_go_on_after_each_page_but_the_last() -> None:
    asked: list[Any] = []
    pages = read(asking(([1, 2], 0), ([5, 9], 60), ([12], 120), asked=asked), {})
    began = "2026-11-01T02:00:00+00:00"
    assert asked == [(None, 0), (None, 2), (None, 9)]
    assert [page.cursor for page in pages] == [
        {"first": {"began": began, "after": 2}},
        {"first": {"began": began, "after": 9}},
        None,
        {"since": "2026-11-01T01:50:00+00:00"},
    ]


def test_a_later_reading_that_was_interrupted_keeps_its_since_and_its_beginning() -> None:
    asked: list[Any] = []
    cursor = {"since": "2026-10-31T02:00:00+00:00", "began": "2026-11-01T01:00:00+00:00", "after": 7}
    pages = read(asking(([8], 0), asked=asked), cursor)
    assert asked == [(datetime(2026, 10, 31, 2, tzinfo=UTC), 7)]
    assert pages[-1].cursor == {"since": "2026-11-01T00:50:00+00:00"}


def test_an_answer_that_is_dated_ahead_hides_nothing_from_the_next_night() -> None:
    pages = read(asking(([1], 86_400), ([2], 0), asked=[]), {})
    assert pages[-1].cursor == {"since": "2026-11-01T01:50:00+00:00"}


def test_what_there_is_is_listed_after_everything_was_read() -> None:
    asked: list[Any] = []

    def listings() -> tuple[Listing, ...]:
        assert len(asked) == 2
        return (Listing(("1", "2")),)

    pages = read(asking(([1], 0), ([2], 0), asked=asked), {}, listings)
    assert [page.listings for page in pages] == [(), (), (Listing(("1", "2")),)]


@pytest.mark.parametrize(
    ("ids", "can_be"),
    [([], True), ([5, 8], True), ([4, 8], False), ([8, 5], False), ([5, 5], False), (["5"], False), (None, False)],
    ids=["nothing", "the next ones", "the page before", "backwards", "twice", "no numbers", "no list"],
)
def test_a_page_after_4_has_ascending_ids_beyond_it(ids: Any, can_be: bool) -> None:
    assert is_page_after(4, ids if ids is None else [{"id": one} for one in ids]) is can_be
