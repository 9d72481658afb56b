"""The disk that is full in the middle of the night: named, and over as soon as there is room again."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_company import (
    BUILT,
    JUDGED,
    NEXT_DEALS,
    RELEASED,
    Company,
    differing,
    night_in_steps,
    undisturbed_tables,
)

from sampling import IS_FULL

MEGABYTES = 192


class SmallDisk:
    """The company's home, on a file system of its own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ballast = home / "ballast"

    def leave(self, free_bytes: int) -> None:
        """Fill the disk but for so much."""
        self.clear()
        self._ballast.write_bytes(bytes(shutil.disk_usage(self._home).free - free_bytes))

    def clear(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)


def put_on_a_small_disk(company: Company) -> Iterator[SmallDisk]:
    """Have the company's home, as it is, on a small file system; skips where nothing can be mounted."""
    aside = company.home.with_name("aside")
    company.home.rename(aside)
    company.home.mkdir()
    size = f"size={MEGABYTES}m"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", company.home], capture_output=True)
    try:
        if mounted.returncode:
            pytest.skip("mounting a file system is not permitted here")
        subprocess.run(["cp", "-a", f"{aside}/.", company.home], check=True)
        yield SmallDisk(company.home)
    finally:
        if not mounted.returncode:
            # Lazily, because dbt keeps its log file open in this process.
            subprocess.run(["umount", "--lazy", company.home], check=True)
        company.home.rmdir()
        aside.rename(company.home)


@pytest.fixture
def disk_before_the_night(company: Company) -> Iterator[SmallDisk]:
    undisturbed_tables(company)
    company.rewind(RELEASED)
    yield from put_on_a_small_disk(company)


@pytest.fixture
def disk_with_a_judged_build(company: Company) -> Iterator[SmallDisk]:
    night_in_steps(company)
    company.rewind(JUDGED)
    yield from put_on_a_small_disk(company)


def test_a_disk_that_fills_up_while_fetching_landing_or_building_is_named_and_the_next_run_succeeds(
    company: Company, disk_before_the_night: SmallDisk
) -> None:
    published = company.published()
    company.write("deals.csv", NEXT_DEALS)
    for step, free_bytes, doing in (
        ("extract", 0, "working in var: the disk is full"),
        ("extract", 40_000, "var/landing: the disk is full"),
        ("extract", 150_000, "working on var/warehouse.duckdb: "),
        ("build", 1_000_000, "building "),
    ):
        disk_before_the_night.leave(free_bytes)
        ended = company.kpimart(step, "--json")
        assert (ended.code, ended.out, company.published()) == (1, "", published)
        assert doing in ended.said
        assert "disk is full" in ended.said or "No space left on device" in ended.said
        assert ended.said.endswith("then rerun")
        assert len(ended.err.splitlines()) <= 2
    assert company.kpimart("kpi", "--json").code == 0
    disk_before_the_night.clear()
    assert company.run_here().release.is_current
    assert differing(company.tables(), undisturbed_tables(company)) == []
    assert company.leftovers() == []


def test_a_disk_that_fills_up_while_publishing_is_named_and_the_build_is_published_later(
    company: Company, disk_with_a_judged_build: SmallDisk
) -> None:
    published = company.published()
    for free_bytes in (40_000, 1_000_000):
        disk_with_a_judged_build.leave(free_bytes)
        ended = company.kpimart("publish", "--json")
        assert (ended.code, ended.out, company.published()) == (1, "", published)
        assert "reporting/releases/.2" in ended.said
        assert "No space left on device" in ended.said
        assert len(ended.err.splitlines()) == 1
    disk_with_a_judged_build.clear()
    assert company.kpimart("publish").code == 0
    assert differing(company.tables(), night_in_steps(company).tables) == []
    assert company.leftovers() == []


# What each step finds, and what it writes. At full count the disk is full after so many bytes of it.
STEPS = {
    ("extract",): RELEASED,
    ("build",): RELEASED,
    ("validate",): BUILT,
    ("publish",): JUDGED,
    ("rollback",): JUDGED,
    ("export", "parquet", "var/out"): JUDGED,
    ("export", "workbook", "var/out.xlsx"): JUDGED,
    ("backup", "var/copies"): JUDGED,
}
ROOMS = [0, *(4096 * 2**step for step in range(14))]


@pytest.mark.skipif(not IS_FULL, reason="many commands: make test-full")
@pytest.mark.parametrize("step", STEPS, ids=" ".join)
def test_at_whatever_write_the_disk_is_full_that_is_named_and_the_step_succeeds_once_there_is_room(
    company: Company, step: tuple[str, ...], record_property: Callable[[str, object], None]
) -> None:
    night_in_steps(company)
    company.rewind(STEPS[step])
    company.write("deals.csv", NEXT_DEALS)
    if step == ("build",):
        company.extract_here()
    if step == ("rollback",):
        company.publish_numbered(1)
    failed = 0
    for disk in put_on_a_small_disk(company):
        published = company.published()
        for room in ROOMS:
            disk.leave(room)
            ended = company.kpimart(*step)
            if ended.code == 0:
                break
            failed += 1
            assert (ended.code, ended.out, company.published()) == (1, "", published)
            assert "disk is full" in ended.said or "No space left on device" in ended.said
            assert len(ended.err.splitlines()) <= 2
            assert company.kpimart("kpi", "--json").code == 0
        disk.clear()
        if ended.code:
            assert company.kpimart(*step).code == 0
        # The pages of a judgement stay until its build is published.
        assert [name for name in company.leftovers() if ".docs" not in name] == []
    record_property(
        "figure", f"kpimart {step[0]}: the disk full at {failed} moments, each named, what is served stayed"
    )
