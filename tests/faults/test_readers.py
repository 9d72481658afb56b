"""Readers open and ask without pause while releases are published and rolled back under them."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from small_company import Company

from kpimart.publish import release
from sampling import IS_FULL

READERS, PUBLISHED, ROLLED_BACK = (16, 100, 100) if IS_FULL else (4, 4, 8)
SEED = 20261124

# Every figure of a release is its number, so a mixed or half release shows in each answer.
READER = """
import pathlib, sys, duckdb
served, done = sys.argv[1:]
asked, seen = 0, set()
print("ready", flush=True)
while True:
    is_last = pathlib.Path(done).exists()
    with duckdb.connect(served, read_only=True) as connection:
        def ask(query):
            return connection.execute(query).fetchall()[0]
        (name,) = ask("select release_id from release where is_this_release")
        low, high, rows = ask("select min(value), max(value), count(*) from reporting.kpi_value")
        wide_low, wide_high = ask("select min(won_amount), max(won_amount) from kpi_manager_quarter")
        (again,) = ask("select release_id from release where is_this_release")
    asked += 1
    seen.add((name, again, int(low), int(high), int(wide_low), int(wide_high), rows))
    if is_last:
        break
print(asked)
for line in sorted(seen):
    print(*line)
"""


def test_no_reader_fails_or_sees_anything_but_one_whole_release(
    company: Company, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    numbers = {company.publish_numbered(1).release_id: 1}
    rows = company.ask_served("select count(*) from kpi_value")[0][0]
    done, served = tmp_path / "done", company.home / "reporting" / "reporting.duckdb"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(served), str(done)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(READERS)
    ]
    chance = random.Random(SEED)  # noqa: S311 - the same order every time
    events = ["publish"] * PUBLISHED + ["roll back"] * ROLLED_BACK
    chance.shuffle(events)
    try:
        for reader in readers:
            assert reader.stdout
            reader.stdout.readline()
        for event in events:
            if event == "publish":
                numbers[company.publish_numbered(len(numbers) + 1).release_id] = len(numbers) + 1
            else:
                release.rollback(company.home, chance.choice(list(numbers)))
    finally:
        done.touch()
    asked = 0
    for reader in readers:
        said, complaints = reader.communicate(timeout=120)
        assert (reader.returncode, complaints) == (0, "")
        first, *lines = said.splitlines()
        asked += int(first)
        for name, again, *figures in map(str.split, lines):
            assert name == again
            assert figures == [str(numbers[name])] * 4 + [str(rows)]
    current = release.current(company.home)
    assert current is not None
    assert current.release_id in numbers
    record_property(
        "figure",
        f"{READERS} readers opened the served file {asked:,} times while {PUBLISHED} releases were published and "
        f"{ROLLED_BACK} rolled back: no error, no mixed release, no wrong figure",
    )
