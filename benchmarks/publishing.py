"""What judging and publishing cost against the build that they are about.

    python -m benchmarks.publishing [--deals N] [--home FOLDER]

The company of benchmarks.incremental, with N deals (2,000,000), is built in full, judged and published. Then a night
touches 1 % of the deals, is built, and is judged and published too: now there is a release to compare with. Both times
the gate and the publishing are held against the full build, by the clock and by the processor, for the clock depends on
what else goes on. The gate's time holds the start of the process that judges, which in a run is ready by then.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from benchmarks.incremental import home_in, land_night, land_world, settings_of
from benchmarks.run import machine
from kpimart import pipeline
from kpimart.publish.shelf import Release

AIM = 0.25
FIRST, SECOND = datetime(2026, 1, 7, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)

Made = TypeVar("Made")


@dataclass(frozen=True)
class Seconds:
    """Of the clock, and of all processors."""

    wall: float
    cpu: float

    def __add__(self, other: "Seconds") -> "Seconds":
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.cpu:.1f} s of CPU)"


@dataclass(frozen=True)
class Night:
    """What the steps of a night took, and the bytes of each part of its release."""

    build: Seconds
    gate: Seconds
    publish: Seconds
    sizes: dict[str, int]


def main() -> None:
    options = parse(sys.argv[1:])
    print(machine())
    with home_in(options.home) as folder:
        home = folder / "home"
        land_world(home, options.deals)
        first = night(home, FIRST)
        print(f"{options.deals:,} deals in full: {brief(first)}", flush=True)
        land_night(home, options.deals)
        second = night(home, SECOND)
        print(f"1 % of them touched: {brief(second)}", flush=True)
    for name, each in (("without", first), ("with", second)):
        both = each.gate + each.publish
        print(
            f"gate and publish, {name} a release to compare with: "
            f"{both.wall / first.build.wall:.0%} of the full build, "
            f"{both.cpu / first.build.cpu:.0%} of its CPU; the aim is {AIM:.0%}"
        )


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deals", type=int, default=2_000_000, help="how many deals (2,000,000)")
    parser.add_argument("--home", type=Path, help="an empty folder to work in, and to leave (default: a temporary one)")
    return parser.parse_args(arguments)


def night(home: Path, as_of: datetime) -> Night:
    """Build, judge and publish; raises what the steps raise."""
    settings = settings_of(home)
    _, build = timed(lambda: pipeline.build(settings, as_of=as_of))
    _, gate = timed(lambda: pipeline.validate(settings))
    release, publish = timed(lambda: pipeline.publish(settings))
    return Night(build, gate, publish, sizes(release))


def timed(step: Callable[[], Made]) -> tuple[Made, Seconds]:
    wall, cpu = time.perf_counter(), cpu_seconds()
    made = step()
    return made, Seconds(time.perf_counter() - wall, cpu_seconds() - cpu)


def cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def sizes(release: Release) -> dict[str, int]:
    """Bytes of the DuckDB file, of Parquet and of the Data Docs."""
    return {
        place.name: sum(file.stat().st_size for file in (place.rglob("*") if place.is_dir() else [place]))
        for place in sorted(release.folder.iterdir())
        if place.suffix != ".json"
    }


def brief(cost: Night) -> str:
    parts = ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in cost.sizes.items())
    return f"build {cost.build}, gate {cost.gate}, publish {cost.publish}; {parts}"


if __name__ == "__main__":
    main()
