"""Nights as they should not be: told by a clock that jumped back, skipped, run twice, out of order, two at once."""

import random
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from small_company import KPIMART, NEXT_DEALS, RELEASED, SECONDS, Company, Rows, differing, undisturbed_tables

from kpimart.clock import utc_now
from kpimart.publish import release
from sampling import IS_FULL

SEED = 20261126
BACK = timedelta(days=400)


@dataclass(frozen=True)
class Night:
    """The end of the day that a night is about, in April; and by how much the clock is late when it runs."""

    day: int
    clock_is_late: timedelta = timedelta(0)

    @property
    def as_of(self) -> datetime:
        return datetime(2026, 4, self.day, tzinfo=UTC)


def run(company: Company, night: Night) -> release.Release:
    return company.run_here(as_of=night.as_of, clock=lambda: utc_now() - night.clock_is_late).release


# The first release is as of the 1st. The 2nd is skipped, then made up for; with a clock that lost a year in between.
IN_DISORDER = [[Night(3, BACK), Night(2)]]
if IS_FULL:
    chance = random.Random(SEED)  # noqa: S311 - the same nights every time
    IN_DISORDER += [
        [Night(chance.randint(2, 6), chance.choice((timedelta(0), BACK))) for _ in range(4)] for _ in range(12)
    ]


@pytest.mark.parametrize("nights", IN_DISORDER)
def test_nights_in_disorder_end_at_the_figures_of_the_last_day(
    company: Company, nights: list[Night], record_property: Callable[[str, object], None]
) -> None:
    """Of the quarter: 4,500.50 of the first night, 720.00 that D04 is won for, and 5.00 by which D10 is more."""
    company.write("deals.csv", NEXT_DEALS)
    last = 1
    for night in nights:
        made = run(company, night)
        # A night that looks at an earlier day is a release, and nobody's figures change by it.
        assert made.is_current == (night.day >= last)
        last = max(last, night.day)
    assert company.ask_served("select max(as_of)::varchar from release where is_this_release") == [
        (f"2026-04-{last:02} 00:00:00+00",)
    ]
    assert company.ask_served("""
        select value, (select count(*) from deal) from kpi_value
        where kpi_code = 'won_amount' and period_grain = 'quarter' and entity_level = 'company'
            and period_start = '2026-01-01'
    """) == [(Decimal("5225.50"), 13)]
    listed = [one.release_id for one in release.releases(company.home)]
    assert len(listed) == len(nights) + 1
    if IS_FULL:
        assert differing(company.tables(), in_order(company, Night(last))) == []
    assert company.leftovers() == []
    record_property(
        "figure", "nights skipped, twice, out of order, by a clock that jumped back: the last day's figures"
    )


def in_order(company: Company, night: Night) -> dict[str, Rows]:
    """What a single night of that day publishes."""
    company.rewind(RELEASED)
    company.write("deals.csv", NEXT_DEALS)
    run(company, night)
    return company.tables()


@pytest.mark.skipif(not IS_FULL, reason="runs of its own: make test-full; sampled by test_bad_input")
@pytest.mark.parametrize("seconds_between", [0.0, 1.0, 3.0, 6.0])
def test_of_two_runs_at_once_one_leaves_with_a_clear_message(
    company: Company, seconds_between: float, record_property: Callable[[str, object], None]
) -> None:
    expected = undisturbed_tables(company)
    company.rewind(RELEASED)
    company.write("deals.csv", NEXT_DEALS)
    runs = []
    for pause in (seconds_between, 0.0):
        command = [*KPIMART, "run"]
        runs.append(
            subprocess.Popen(
                command, cwd=company.root, env=company.environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
            )
        )
        if pause:
            with pytest.raises(subprocess.TimeoutExpired):
                runs[0].wait(pause)
    said = [one.communicate(timeout=SECONDS)[1].decode() for one in runs]
    ended = sorted(zip([one.returncode for one in runs], said, [one.pid for one in runs], strict=True))
    (done, _, winner), (left, message, _) = ended
    assert (done, left) == (0, 1)
    # Whoever has the place has perhaps not signed yet.
    who = rf"({winner}|unknown)"
    assert re.fullmatch(
        rf"kpimart: another run \(process {who}\) is writing var; wait for it to end, or stop it, then rerun\n", message
    )
    assert differing(company.tables(), expected) == []
    assert company.leftovers() == []
    record_property("figure", "two runs at once: one did its work, the other left and named it")
