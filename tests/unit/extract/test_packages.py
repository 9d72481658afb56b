"""Fetching leaves a whole package or none."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from kpimart.errors import BadSourceData, SettingsError, StorageFailed, WarehouseBusy
from kpimart.extract import mapped
from kpimart.extract.packages import complete_packages, fetch

GOOD = "D1,Ann,Won,2026-01-05,2026-02-01,1054"


def test_a_fetch_leaves_one_complete_package(crm: Any) -> None:
    crm.write(GOOD, "D2,Bob,Wno,,,1")
    report = crm.fetch()
    (package,) = complete_packages(crm.settings)
    assert (package.batch_id,) == report.batch_ids
    assert report.fetched_at == crm.clock()
    assert [(read.object_name, read.rows_read, read.rows_quarantined) for read in report.objects] == [("deals", 2, 1)]
    assert len(package.files("deals")) == len(package.files("quarantine")) == len(package.files("package_object")) == 1


def test_packages_come_in_the_order_of_fetching(crm: Any) -> None:
    crm.write(GOOD)
    fetched = [batch_id for _ in range(3) for batch_id in crm.fetch().batch_ids]
    assert [package.batch_id for package in complete_packages(crm.settings)] == fetched


def test_a_fetch_that_fails_midway_leaves_no_package_and_the_next_one_works(crm: Any, monkeypatch: Any) -> None:
    crm.map_deals(file="deals.ndjson")
    crm.write_bytes(b'{"opportunity": "D1", "stage": "Won"}\n', file="deals.ndjson")
    with pytest.raises(BadSourceData, match="no column 'agent'"):
        crm.fetch()
    assert complete_packages(crm.settings) == []
    crm.map_deals()
    crm.write(GOOD)
    crm.fetch()
    assert len(complete_packages(crm.settings)) == 1


def test_a_source_that_is_read_whole_looks_into_no_earlier_package(crm: Any) -> None:
    crm.write(GOOD)
    crm.fetch()
    (account,) = crm.home.glob("landing/files/package_object/*.parquet")
    account.write_bytes(b"no Parquet")
    crm.fetch()
    assert len(complete_packages(crm.settings)) == 2


def test_a_marker_that_was_cut_off_makes_no_package(crm: Any) -> None:
    crm.write(GOOD)
    crm.fetch()
    (marker,) = crm.home.glob("landing/files/_dlt_loads/*.jsonl")
    marker.write_text(marker.read_text()[:10])
    assert complete_packages(crm.settings) == []


def test_a_full_disk_is_told_as_one(crm: Any, monkeypatch: Any) -> None:
    def full_disk(*_: Any) -> None:
        raise OSError(28, "No space left on device", "deals.parquet")

    crm.write(GOOD)
    monkeypatch.setattr(mapped, "batch_of", full_disk)
    with pytest.raises(StorageFailed, match="the disk is full"):
        crm.fetch()


def test_an_interruption_stays_one(crm: Any, monkeypatch: Any) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    crm.write(GOOD)
    monkeypatch.setattr(mapped, "batch_of", interrupt)
    with pytest.raises(KeyboardInterrupt):
        crm.fetch()


def test_one_source_is_fetched_by_one_process_at_a_time(crm: Any) -> None:
    crm.write(GOOD)
    crm.fetch()
    with (
        FileLock(crm.home / "landing" / ".dlt" / "files.lock"),
        pytest.raises(WarehouseBusy, match="is fetching files"),
    ):
        crm.fetch()


def test_an_unknown_source_is_a_wrong_setting(crm: Any) -> None:
    with pytest.raises(SettingsError, match="there is no source 'saleforce'; known are amocrm, bitrix24, files"):
        fetch(crm.settings, "saleforce", folder=None, clock=crm.clock)


def test_a_percent_sign_in_the_path_is_refused_because_dlt_cannot_write_there(crm: Any, tmp_path: Path) -> None:
    crm.home = tmp_path / "100%"
    with pytest.raises(SettingsError, match="expected a path without '%'"):
        crm.fetch()


def test_a_folder_may_have_almost_any_name(crm: Any, tmp_path: Path) -> None:
    crm.home = tmp_path / "Ключевые показатели #1 [a]"
    crm.write(GOOD)
    crm.fetch()
    assert crm.land()[0].objects[0].versions_stored == 1


def test_fetching_says_nothing_reports_nothing_and_imports_nothing_it_does_not_need(crm: Any, tmp_path: Path) -> None:
    crm.write(GOOD)
    script = (
        "import sys; sys.path.insert(0, 'tests/unit/extract')\n"
        "from pathlib import Path; from kpimart.clock import utc_now\n"
        "from kpimart.extract import landing, packages; from kpimart.settings import Settings\n"
        "assert 'dlt' not in sys.modules\n"
        "import orjson, socket; settings = Settings(**orjson.loads(sys.argv[1]))\n"
        "def refuse(*_): raise AssertionError('the network was used')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "packages.fetch(settings, 'files', folder=Path(sys.argv[2]), clock=utc_now)\n"
        "assert not {'airflow', 'great_expectations', 'dbt'} & set(sys.modules)\n"
    )
    settings = crm.settings.model_dump_json(include={"files", "home"})
    done = subprocess.run(
        [sys.executable, "-c", script, settings, str(crm.folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": ".", "HOME": str(tmp_path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_killed_fetch_is_fetched_again(crm: Any) -> None:
    crm.write(GOOD)
    script = (
        "import os, sys; from pathlib import Path; import orjson\n"
        "from kpimart.extract import packages; from kpimart.clock import utc_now\n"
        "from kpimart.settings import Settings\n"
        "settings = Settings(**orjson.loads(sys.argv[1]))\n"
        "packages.object_table = lambda *_: os.kill(os.getpid(), 9)\n"
        "packages.fetch(settings, 'files', folder=Path(sys.argv[2]), clock=utc_now)\n"
    )
    settings = crm.settings.model_dump_json(include={"files", "home"})
    done = subprocess.run(
        [sys.executable, "-c", script, settings, str(crm.folder)],
        check=False,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert done.returncode == -9
    assert crm.land() == []
    assert crm.night().objects[0].versions_stored == 1
