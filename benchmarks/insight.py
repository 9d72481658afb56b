"""What it costs to find out what moved: all tables of the layers `insight` and `finance`, over figures that are there.

    python -m benchmarks.insight [--deals N] [--home FOLDER]

A company of 200 managers in 20 departments is written straight into raw: N deals (100,000) over 60 months, with five
stage changes each. All layers before are made of it, so that there is every KPI of the catalogue for each entity and
grain. A process of its own then makes the two layers, models, tests and statistics, as a build does: by the clock, by
the processor, and with the most memory that it ever had.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.incremental import home_in, land_world, settings_of
from benchmarks.publishing import cpu_seconds
from benchmarks.run import machine, peak_memory
from kpimart import pipeline
from kpimart.layers import LAYERS
from kpimart.transform import NodeRun
from kpimart.warehouse import WAREHOUSE_FILE, open_database

MONTHS = 60
AIM_SECONDS, AIM_MEMORY = 60, 2.0


def main() -> None:
    options = parse(sys.argv[1:])
    print(machine())
    with home_in(options.home) as folder:
        home = folder / "home"
        land_world(home, options.deals, months=MONTHS)
        settings = settings_of(home)
        build_id = pipeline.begin_build(settings).build_id
        for layer in LAYERS[: LAYERS.index("insight")]:
            pipeline.build_layer(settings, build_id, layer, note=forget)
        print(f"{options.deals:,} deals of {MONTHS} months: {figures_in(home / WAREHOUSE_FILE):,} figures", flush=True)
        command = [sys.executable, "-c", f"from benchmarks.insight import child; child({str(home)!r}, {build_id!r})"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        wall, cpu, memory, slowest = json.loads(said.splitlines()[-1])
    print(f"insight: {wall:.1f} s ({cpu:.1f} s of CPU; aim {AIM_SECONDS}), {memory:.2f} GiB (aim {AIM_MEMORY})")
    print(", ".join(f"{name} {seconds:.1f} s" for name, seconds in slowest))


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deals", type=int, default=100_000, help="how many deals (100,000)")
    parser.add_argument("--home", type=Path, help="an empty folder to work in, and to leave (default: a temporary one)")
    return parser.parse_args(arguments)


def forget(_: NodeRun) -> None:
    pass


def figures_in(database: Path) -> int:
    with open_database(database) as connection:
        return int(connection.execute("select count(*) from kpi.kpi_value").fetchall()[0][0])


def child(home: str, build_id: str) -> None:
    """Make the layer; prints seconds by the clock and of CPU, GiB, and what took longest."""
    runs: list[tuple[str, float]] = []
    told: list[tuple[str, float]] = []
    wall = time.perf_counter()
    for layer in LAYERS[LAYERS.index("insight") :]:
        pipeline.build_layer(
            settings_of(Path(home)),
            build_id,
            layer,
            tell=lambda step: told.append((step, time.perf_counter())),
            note=lambda run: runs.append((run.name, run.seconds)),
        )
    ended = time.perf_counter()
    steps = zip(told, [*told[1:], ("", ended)], strict=True)
    runs += [(step, until - began) for (step, began), (_, until) in steps if step.startswith("computing")]
    memory = peak_memory() / 1024
    print(json.dumps([ended - wall, cpu_seconds(), memory, sorted(runs, key=lambda run: -run[1])[:20]]))


if __name__ == "__main__":
    main()
