"""What the main job costs on the real export: against the floor, and step by step.

    python -m benchmarks.run [--pairs N] [--files FOLDER]

Each pair is, in turn and each in a process of its own: the floor, `kpimart run` in a new home (cold), and `kpimart run`
once more in the same home (warm: dbt's parse cache is kept, and nothing is new in the export). All seconds are wall
time of the whole process; medians are taken over the pairs, and ratios within a pair, before their median.
The floor is held against what the run published: a floor that computes something else is not one.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks import floor

REPOSITORY = Path(__file__).parents[1]
EXPORT = REPOSITORY.parent / "shared" / "data" / "crm_sales_opportunities"
CONFIG = REPOSITORY / "examples" / "crm_sales_opportunities" / "kpimart.toml"
AIM = {"cold": 20, "warm": 12}
COLUMN_WIDTH = 24


@dataclass(frozen=True)
class Timed:
    """Wall seconds of a process, and of the steps that it reported."""

    seconds: float
    steps: dict[str, float]


@dataclass(frozen=True)
class Pair:
    floor: float
    cold: Timed
    warm: Timed


def main() -> None:
    options = parse(sys.argv[1:])
    if not options.files.is_dir():
        sys.exit(f"the export is not at {options.files}; name its folder with --files")
    print(machine())
    pairs = []
    for number in range(1, options.pairs + 1):
        with tempfile.TemporaryDirectory() as folder:
            pairs.append(measure_pair(options.files, Path(folder)))
        print(f"pair {number} of {options.pairs}: {brief(pairs[-1])}", flush=True)
    print()
    print("\n".join(report(pairs)))


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="how often each is run (5)")
    parser.add_argument("--files", type=Path, default=EXPORT, help="the folder of the export")
    return parser.parse_args(arguments)


def measure_pair(files: Path, folder: Path) -> Pair:
    """One of each in `folder`, which is empty; raises SystemExit when the floor and the run do not agree."""
    floor_file, home = folder / "floor.duckdb", folder / "home"
    floor_command = [sys.executable, floor.__file__, str(files), str(floor_file)]
    pair = Pair(time_process(floor_command, home)[0], time_run(files, home), time_run(files, home))
    check_floor(floor_file, home / "reporting" / "reporting.duckdb")
    return pair


def time_run(files: Path, home: Path) -> Timed:
    kpimart = Path(sys.executable).with_name("kpimart")
    command = [str(kpimart), "run", "--json", "--config", str(CONFIG), "--files", str(files)]
    seconds, printed = time_process(command, home)
    return Timed(seconds, json.loads(printed)["steps"])


def time_process(command: list[str], home: Path) -> tuple[float, str]:
    """Wall seconds, and what the process printed; raises SystemExit with what it said when it failed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KPIMART_")}
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=REPOSITORY, env={**kept, "KPIMART_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout


def check_floor(floor_file: Path, published: Path) -> None:
    """Raise SystemExit unless both files hold the same rows of kpi_value."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{floor_file}' as ours (read_only)")
        connection.execute(f"attach '{published}' as theirs (read_only)")
        columns = ", ".join(name for (name, *_) in connection.execute("describe ours.kpi_value").fetchall())
        for here, there in (("ours", "theirs"), ("theirs", "ours")):
            only_here = connection.execute(
                f"select {columns} from {here}.kpi_value except all select {columns} from {there}.kpi_value"
            ).fetchall()
            if only_here:
                owner = {"ours": "the floor", "theirs": "the release"}[here]
                sys.exit(f"{len(only_here):,} rows are only in {owner}, so nothing was compared: {only_here[:3]}")


def machine() -> str:
    """The machine in one line: processor, cores that may be used, memory, how busy it is already, Python, DuckDB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{processor()}, {cores} cores, {memory:.1f} GiB, load {os.getloadavg()[0]:.1f}, {platform.system()}, "
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}"
    )


def peak_memory(pid: int | str = "self") -> float:
    """The most memory that a process has had so far, by default this one, in MiB, as Linux tells it.

    `getrusage` would begin with what the process had that started this one.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) / 1024


def processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def brief(pair: Pair) -> str:
    return f"floor {pair.floor:.2f} s, cold {pair.cold.seconds:.2f} s, warm {pair.warm.seconds:.2f} s"


def report(pairs: list[Pair]) -> list[str]:
    floors = [pair.floor for pair in pairs]
    title = f"medians of {len(pairs)} pairs"
    lines = [
        f"{title:<{COLUMN_WIDTH}}{'seconds':>10}{'range':>16}{'× floor':>10}{'aim':>8}",
        f"{'floor':<{COLUMN_WIDTH}}{statistics.median(floors):>10.2f}{spread(floors):>16}",
    ]
    for kind, aim in AIM.items():
        seconds = [getattr(pair, kind).seconds for pair in pairs]
        ratio = statistics.median(getattr(pair, kind).seconds / pair.floor for pair in pairs)
        lines.append(
            f"{'kpimart run, ' + kind:<{COLUMN_WIDTH}}{statistics.median(seconds):>10.2f}{spread(seconds):>16}"
            f"{ratio:>10.1f}{'≤ ' + str(aim) + ' s':>8}"
        )
    return [*lines, "", *report_steps(pairs)]


def report_steps(pairs: list[Pair]) -> list[str]:
    names = dict.fromkeys(name for pair in pairs for run in (pair.cold, pair.warm) for name in run.steps)
    lines = [f"{'step of kpimart run':<{COLUMN_WIDTH}}{'cold':>10}{'warm':>10}"]
    for name in names:
        cold, warm = (median_step((getattr(pair, kind) for pair in pairs), name) for kind in AIM)
        lines.append(f"{name:<{COLUMN_WIDTH}}{cold:>10.2f}{warm:>10.2f}")
    cold, warm = (
        statistics.median(getattr(pair, kind).seconds - sum(getattr(pair, kind).steps.values()) for pair in pairs)
        for kind in AIM
    )
    lines.append(f"{'outside of the steps':<{COLUMN_WIDTH}}{cold:>10.2f}{warm:>10.2f}")
    return lines


def median_step(runs: Iterable[Timed], name: str) -> float:
    return statistics.median(run.steps.get(name, 0) for run in runs)


def spread(seconds: list[float]) -> str:
    return f"{min(seconds):.2f} … {max(seconds):.2f}"


if __name__ == "__main__":
    main()
