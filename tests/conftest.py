"""What all tests share: no settings from outside, and how long the long ones take.

`make test` looks at seeded samples, `make test-full` (TEST_FULL=1) at everything.
"""

import gc
import os
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

import kpimart  # noqa: F401  # before NumPy, which must calculate as it does in the product
from sampling import IS_FULL

# A process of tests holds a million objects too, and for longer: see kpimart.transform.
gc.set_threshold(50_000)

REPOSITORY = Path(__file__).parents[1]
REAL_EXPORT = REPOSITORY.parent / "shared" / "data" / "crm_sales_opportunities"

# Two busy cores make a deadline for one example a coin toss.
_COMMON: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("sampled", max_examples=100, derandomize=True, **_COMMON)
settings.register_profile("full", max_examples=2000, **_COMMON)
settings.load_profile("full" if IS_FULL else "sampled")

# Files that look at the same homes, for one process of xdist to make these once. The longest come first, so that none
# of them is begun when all others are done; every other file is on its own, after these.
TOGETHER = (
    ("integration/test_docs.py",),
    (
        *("faults/test_full_disk.py", "faults/test_kill.py", "faults/test_poison.py", "faults/test_readers.py"),
        *("faults/test_damage.py", "faults/test_nights.py", "faults/test_postgres_readers.py"),
        *("faults/test_restore.py", "integration/test_bad_input.py", "integration/test_calendar.py"),
        *("integration/test_deals.py", "integration/test_explain.py", "integration/test_gate.py"),
        *("integration/test_targets.py", "integration/test_trust.py", "integration/test_watch.py"),
    ),
    (
        *("integration/test_history.py", "integration/test_real_export.py", "integration/test_conversions.py"),
        *("integration/test_trends.py", "integration/test_summary.py", "integration/test_pipeline_waterfall.py"),
        *("integration/test_drivers.py", "integration/test_customers.py", "integration/test_weak_spots.py"),
        "integration/test_regularities.py",
    ),
    ("dags/test_dag_runs.py", "dags/test_configuration.py", "dags/test_dag_files.py", "dags/test_scheduling.py"),
)
PLACES = {f"tests/{name}": number for number, names in enumerate(TOGETHER) for name in names}

for name in [name for name in os.environ if name.startswith(("KPIMART_", "AIRFLOW"))]:
    del os.environ[name]


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files in the order of TOGETHER."""
    gone = [name for name in PLACES if not (REPOSITORY / name).exists()]
    if gone:
        raise pytest.UsageError(f"{__file__}: TOGETHER names files that are not there: {', '.join(gone)}")
    items.sort(key=lambda item: PLACES.get(file_of(item.nodeid), len(TOGETHER)))


class FilesTogether(LoadFileScheduling):
    """Gives a process of xdist the next file, or the next files of TOGETHER."""

    def _split_scope(self, nodeid: str) -> str:
        file = file_of(nodeid)
        return str(PLACES.get(file, file))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: who waits for a scheduler, a server or a browser leaves a core to another."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether:
    return FilesTogether(config, log)


@pytest.fixture(autouse=True)
def _no_settings_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own .env says nothing in tests."""
    from kpimart.settings import Settings

    monkeypatch.setitem(Settings.model_config, "env_file", None)


@pytest.fixture
def oldest_company(tmp_path: Path) -> Path:
    """A folder with `kpimart.toml`, `export` and `home`, as the first complete program left them."""
    folder = tmp_path / "oldest"
    with tarfile.open(REPOSITORY / "tests" / "fixtures" / "oldest_home" / "home.tar.xz") as packed:
        packed.extractall(folder, filter="tar")
    return folder


@pytest.fixture(scope="session")
def real_export() -> Path:
    """The folder of the real CRM export that lies beside the repository; skips where it does not."""
    if not REAL_EXPORT.is_dir():
        pytest.skip(f"the real export is not at {REAL_EXPORT}")
    return REAL_EXPORT


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that tests of faults have counted, from all processes that ran them."""
    figures = [
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == "figure" and report.when == "call"
    ]
    if figures:
        terminalreporter.section("figures")
        for figure, times in Counter(figures).items():
            terminalreporter.write_line(f"{times} × {figure}" if times > 1 else figure)
