"""What it costs to write the budget workbook of a year, and to read it back.

    python -m benchmarks.budget [--deals N] [--home FOLDER]

The company of benchmarks.incremental, with 200 managers in 20 departments and N deals (50,000) over 36 months, is built
and published. The workbook of the next year is written, in both languages; then a target of every department, month and
KPI is typed in, and it is read back as targets of departments and managers. By the clock and by the processor.
"""

import argparse
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from benchmarks.incremental import home_in, land_world, settings_of
from benchmarks.publishing import night, timed
from benchmarks.run import machine
from kpimart.finance.budget import Inputs, read_budget
from kpimart.finance.budget_import import import_budget
from kpimart.finance.budget_workbook import export_budget
from kpimart.publish.release import find

AIM_SECONDS = 5
MONTHS = 36
AS_OF, YEAR = datetime(2026, 1, 7, tzinfo=UTC), 2027


def main() -> None:
    options = parse(sys.argv[1:])
    print(machine())
    with home_in(options.home) as folder:
        home, file = folder / "home", folder / "budget.xlsx"
        land_world(home, options.deals, months=MONTHS)
        night(home, AS_OF)
        settings, release = settings_of(home), find(home)
        for language in ("en", "ru"):
            done, spent = timed(lambda: export_budget(release, file, YEAR, settings.zone, language))  # noqa: B023
            print(
                f"workbook, {language}: {done.kpis} KPIs of {done.entities} entities, "
                f"{file.stat().st_size / 1e6:.1f} MB: {spent}; the aim is {AIM_SECONDS} s",
                flush=True,
            )
        export_budget(release, file, YEAR, settings.zone, inputs=every_month(release.database))
        read, spent = timed(lambda: import_budget(settings, file, by="benchmark"))
        print(f"read back: {read.cells:,} cells, {read.targets:,} targets: {spent}")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deals", type=int, default=50_000, help="how many deals (50,000)")
    parser.add_argument("--home", type=Path, help="an empty folder to work in, and to leave (default: a temporary one)")
    return parser.parse_args(arguments)


def every_month(database: Path) -> Inputs:
    """A target for every month of each department that has none below it."""
    budget = read_budget(database, YEAR, "en")
    return {
        budget.key(kpi, entity, month): Decimal(1000)
        for kpi in budget.kpis
        for entity in budget.entities
        if not budget.children.get(entity.id)
        for month in budget.year.of("month")
    }


if __name__ == "__main__":
    main()
