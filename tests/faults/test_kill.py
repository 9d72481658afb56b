"""`kill -9` in the middle of a run: the next one takes up what is complete, and nothing tells that it happened."""

import os
import pty
import random
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from small_company import (
    KPIMART,
    NEXT_DEALS,
    RELEASED,
    SECONDS,
    Company,
    checksums,
    differing,
    undisturbed_tables,
)

from sampling import sample

# What a run says it does, and for how long it goes on doing that before it is killed, at most (s). It lands what it
# fetched so soon that it need not say so: that is seen from the package that is complete.
LANDING = "landing"
MOMENTS = {
    "fetching files:": 0.3,
    LANDING: 0.2,
    "raw gate": 0.5,
    "building stg_": 0.5,
    "building fct_": 1.5,
    "building kpi_": 1.5,
    "reporting gate": 1.0,
    "publishing": 0.1,
}
SEED = 20261123


@contextmanager
def run_before_a_terminal(company: Company) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`kpimart run` that tells its progress to the terminal whose other end is the file descriptor."""
    ours, its = pty.openpty()
    run = subprocess.Popen(
        [*KPIMART, "run"], cwd=company.root, env=company.environment(TERM="xterm"), stdout=its, stderr=its
    )
    os.close(its)
    try:
        yield run, ours
    finally:
        run.kill()
        run.wait()
        os.close(ours)


def wait_until_said(words: str, terminal: int) -> None:
    """Return as soon as the words were written to the terminal."""
    said = b""
    deadline = time.monotonic() + SECONDS
    while words.encode() not in said:
        if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"{words!r} was not said, but {said!r}")
        said = said[-1000:] + os.read(terminal, 65_536)


def wait_until_fetched(company: Company) -> None:
    """Return as soon as a second package is complete."""
    deadline = time.monotonic() + SECONDS
    while len(list((company.home / "landing" / "files" / "_dlt_loads").iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.001)


# At full count 200 kills, each step hit 25 times at another moment.
KILLS = [(words, number) for words in MOMENTS for number in range(25)]
# What every night stored: 12 deals at first, then two that changed and one that is new; 3 agents, 3 teams.
VERSIONS = [("deals", 15), ("departments", 3), ("managers", 3)]


@pytest.mark.parametrize(("words", "number"), sample(KILLS, 1))
def test_after_a_kill_the_next_run_publishes_what_it_would_have(
    company: Company, words: str, number: int, record_property: Callable[[str, object], None]
) -> None:
    expected = undisturbed_tables(company)
    company.rewind(RELEASED)
    company.write("deals.csv", NEXT_DEALS)
    releases = company.home / "reporting" / "releases"
    (first,) = releases.iterdir()
    first_checksums = checksums(first)
    moment = random.Random(f"{SEED} {words} {number}").uniform(0, MOMENTS[words])  # noqa: S311 - the same moments every time
    with run_before_a_terminal(company) as (run, terminal):
        if words == LANDING:
            wait_until_fetched(company)
        else:
            wait_until_said(words, terminal)
        time.sleep(moment)
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
    assert checksums(first) == first_checksums
    # What a fetch leaves that is killed before it can say that its package is complete.
    (company.home / "landing" / "files" / "deals" / "1795000000.5.0.parquet").write_bytes(b"PAR1")
    served = company.home / "reporting" / "reporting.duckdb"
    whole = [release for release in releases.iterdir() if not release.name.startswith(".")]
    assert any(served.samefile(release / "reporting.duckdb") for release in whole)
    assert company.run_here().release.is_current
    assert differing(company.tables(), expected) == []
    assert stored_versions(company) == VERSIONS
    assert company.leftovers() == []
    record_property(
        "figure",
        f"killed at some moment after {words!r}: a whole release served, and after the next run the same tables as "
        "undisturbed, every raw version once, no lock left",
    )


def stored_versions(company: Company) -> list[tuple[object, ...]]:
    """How many different versions raw has of each object; raises AssertionError for one that is there twice."""
    counts = " union all ".join(
        f"select '{name}', count(*), count(distinct (id, payload_hash)) from raw.files__{name}" for name, _ in VERSIONS
    )
    found = company.ask(f"{counts} order by all")
    assert [row for row in found if row[1] != row[2]] == []
    return [row[:2] for row in found]
