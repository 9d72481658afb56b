"""How long Airflow takes to read each DAG file, beside what it takes to import what any DAG file needs.

    python -m benchmarks.dags

Each in a fresh process, so the dag processor's cost of one file; medians of five.
"""

import statistics
import subprocess
import sys
import time

from benchmarks.run import machine
from kpimart.paths import PROJECT

ROUNDS = 5
FLOOR = "from airflow.sdk import dag, task"


def main() -> None:
    print(machine())
    floor = seconds_of("-c", FLOOR)
    print(f"{FLOOR:<40}{floor:>8.2f} s")
    for file in sorted((PROJECT / "dags").glob("*.py")):
        taken = seconds_of(str(file))
        print(f"{file.name:<40}{taken:>8.2f} s{taken / floor:>8.2f} ×")


def seconds_of(*arguments: str) -> float:
    """The median of the wall time of Python with these arguments."""

    def once() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        return time.perf_counter() - started

    return statistics.median(once() for _ in range(ROUNDS))


if __name__ == "__main__":
    main()
