"""At which moments of the past Tryton is asked for its revisions."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from kpimart.extract.tryton import Span, moments_that_show

MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC)
JUST_BEFORE = timedelta(microseconds=1)


def at(hours: int) -> datetime:
    return MIDNIGHT + timedelta(hours=hours)


def span(number: int, begins: int, ends: int) -> Span:
    return Span(number, at(begins), at(ends))


def test_revisions_that_stood_at_the_same_time_are_read_in_one_request() -> None:
    # Just before 3 o'clock, 1's first and 2's only one stand; just before 6, 1's second; 3's is seen with it.
    spans = [span(1, 0, 3), span(1, 3, 6), span(2, 2, 9), span(3, 5, 7)]
    assert list(moments_that_show(spans)) == [(at(3) - JUST_BEFORE, [1, 2]), (at(6) - JUST_BEFORE, [1, 3])]


SPANS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(1, 6)).map(lambda drawn: (drawn[0], drawn[0] + drawn[1])), max_size=6
).map(lambda drawn: [span(number, *bounds) for number, bounds in enumerate(drawn)])


@given(SPANS)
def test_every_revision_is_seen_once_and_no_fewer_moments_would_do(spans: list[Span]) -> None:
    chosen = list(moments_that_show(spans))
    seen = [number for _, numbers in chosen for number in numbers]
    assert sorted(seen) == [each.id for each in spans]
    by_id = {each.id: each for each in spans}
    assert all(by_id[number].begins <= moment < by_id[number].ends for moment, numbers in chosen for number in numbers)
    candidates = {each.ends - JUST_BEFORE for each in spans}
    fewer = combinations(candidates, len(chosen) - 1) if chosen else ()
    assert not any(all(any(each.begins <= at < each.ends for at in some) for each in spans) for some in fewer)
