"""`kpimart watch` in a process of its own: waits for a whole export, survives a bad one, ends when it is told to."""

import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from small_company import DEALS, KPIMART, NEXT_DEALS, Company

SECONDS = 300
WON_IN_QUARTER = """
    select value from kpi_value
    where kpi_code = 'won_amount' and period_grain = 'quarter' and entity_level = 'company'
"""


class Watch:
    """The process, and what it says line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line)

    def wait_for(self, words: str) -> None:
        """Return as soon as the words were said."""
        said = ""
        deadline = time.monotonic() + SECONDS
        while words not in said:
            try:
                said += self._lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{words!r} was not said:\n{said}") from None


@contextmanager
def watching(company: Company, *options: str) -> Iterator[Watch]:
    process = subprocess.Popen(
        [*KPIMART, "watch", *options],
        cwd=company.root,
        env=company.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Watch(process)
    finally:
        process.kill()
        process.wait()


def test_a_watch_survives_a_bad_export_takes_a_whole_one_and_ends_when_told(company: Company) -> None:
    company.write("deals.csv", "")
    with watching(company, "--settle", "1") as watch:
        watch.wait_for("watching export for deals.csv, agents.csv, teams.csv")
        company.write("deals.csv", DEALS.replace("amount", "value"))
        watch.wait_for("kpimart: deals: export/deals.csv: no column 'amount', which is mapped to amount")

        with (company.export / "deals.csv").open("w") as slow:
            for line in NEXT_DEALS.splitlines(keepends=True):
                slow.write(line)
                slow.flush()
                time.sleep(0.2)
        watch.wait_for("is served")
        assert company.ask("select max(rows_read) from ops.batch_object where object = 'deals'") == [(13,)]
        assert company.ask_served(WON_IN_QUARTER) == [(Decimal("5225.50"),)]
        watch.process.send_signal(signal.SIGTERM)
        watch.wait_for("stopped watching")
        assert watch.process.wait(timeout=SECONDS) == 0


@pytest.mark.parametrize("options", [["--settle", "-1"], ["--files"]])
def test_a_wrong_option_is_told(company: Company, options: list[str]) -> None:
    assert company.kpimart("watch", *options).code == 2
