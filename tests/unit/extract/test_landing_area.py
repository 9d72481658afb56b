"""Load packages lie in a folder or in a bucket, and nothing else is different. The bucket is a real S3 server's."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest

from kpimart.doctor import Check, examine
from kpimart.errors import SettingsError, StorageFailed, WarehouseBusy
from kpimart.extract import packages
from kpimart.extract.landing_area import LandingArea
from kpimart.extract.packages import LastKnown, complete_packages, landing_area, remove_incomplete

GOOD = "D1,Ann,Won,2026-01-05,2026-02-01,1054"


@pytest.fixture(params=["folder", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the packages are to lie: a folder other than the usual one, memory, a bucket."""
    if request.param == "folder":
        return str(tmp_path / "elsewhere")
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "kpimart")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = tmp_path.name.strip("_").replace("_", "-")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(bucket)
    return f"s3://{bucket}/kpimart"


def test_what_is_fetched_into_it_is_landed_from_it(crm: Any, place: str) -> None:
    crm.landing = place
    crm.write(GOOD, "D2,Bob,Wno,,,1")
    first = crm.night()
    crm.write(GOOD.replace("1054", "1055"), "D2,Bob,Won,,,1")
    second = crm.night()
    assert [batch.objects[0].versions_stored for batch in (first, second)] == [1, 2]
    assert crm.latest()["D1"]["amount"] == "1055"
    assert crm.query("select count(*) from ops.quarantine") == [(1,)]
    assert LastKnown(landing_area(crm.settings), "files", held=()).keys() == {"deals"}
    assert not (crm.home / "landing" / "files").exists()


def test_what_a_killed_fetch_left_in_it_is_never_read_and_is_removed_once_no_other_home_can_be_writing_it(
    crm: Any, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm.landing = place
    crm.write(GOOD)
    crm.fetch()
    area = landing_area(crm.settings)
    for name in ("1895000000.5.0.parquet", ".1895000000.5.0.parquet.next"):
        with area.rewriting(area.path("files", "deals", name)) as stream:
            stream.write(b"PAR1")
    with area.rewriting(area.path("files", "_dlt_loads", "files__1895000000.5.jsonl")) as stream:
        stream.write(b'{"load_id": ')
    (package,) = complete_packages(crm.settings)
    with pytest.raises(WarehouseBusy, match="belongs to no complete package, and was written within the last hour"):
        remove_incomplete(crm.settings)
    assert len(area.names("files", "deals")) == 3
    monkeypatch.setattr(packages, "LONGEST_WRITING", timedelta(0))
    remove_incomplete(crm.settings)
    assert [area.path("files", "deals", name) for name in area.names("files", "deals")] == package.files("deals")
    assert len(area.names("files", "_dlt_loads")) == 1


def test_a_file_in_it_is_rewritten_in_one_step(place: str) -> None:
    area = LandingArea.at(place)
    for content in (b"first", b"second"):
        with area.rewriting(area.path("file")) as stream:
            stream.write(content)
    assert area.read("file") == b"second"
    assert area.names() == ["file"]


def landing_check(crm: Any) -> Check:
    (found,) = [check for check in examine(crm.settings, crm.folder) if check.name == "landing"]
    return found


def test_the_doctor_tries_to_write_there_and_leaves_nothing(crm: Any, place: str) -> None:
    crm.landing = place
    crm.write(GOOD)
    crm.fetch()
    found = landing_check(crm)
    assert (found.outcome, found.found) == ("ok", f"{place}: can be written; packages of files lie there")
    assert landing_area(crm.settings).names() == ["files"]


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_a_bucket_that_does_not_answer_is_told(crm: Any, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    crm.landing = place
    crm.write(GOOD)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(
        StorageFailed, match=f"{place}: .*look after the bucket, its rights and the access to it"
    ) as failed:
        crm.fetch()
    assert "hunter2" not in str(failed.value)
    assert landing_check(crm).outcome == "failed"


@pytest.mark.parametrize("place", ["s4://bucket/path", "gs://bucket/path"])
def test_a_place_that_nothing_can_open_is_a_wrong_setting(place: str) -> None:
    with pytest.raises(SettingsError, match=f"landing: '{place}' cannot be opened: .*give a folder or a URL"):
        LandingArea.at(place)
