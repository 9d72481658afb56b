import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from kpimart.errors import ReleaseDamaged
from kpimart.publish.contract import PUBLISHED
from kpimart.publish.manifest import read_manifest
from kpimart.publish.release import Release, releases
from kpimart.warehouse import WAREHOUSE_FILE


def manifest_of(made: Release) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((made.folder / "manifest.json").read_text())
    return loaded


def first_night(published) -> Release:
    return releases(published.home)[-1]


def test_the_moments_are_kept(published) -> None:
    manifest = manifest_of(first_night(published))
    assert manifest["as_of"] == "2026-11-21T00:00:00Z"
    assert manifest["known_at"] == "2026-11-21T01:00:00Z"


def test_only_batches_accepted_by_the_moment_of_knowledge_are_listed(published) -> None:
    batches = manifest_of(first_night(published))["raw_batches"]
    assert [(batch["batch_id"], batch["rows_read"], batch["versions_stored"]) for batch in batches] == [
        ("files-1", 8, 6),
        ("files-2", 9, 3),
    ]
    assert batches[0]["rows_quarantined"] == 2
    assert batches[0]["landed_at"] == "2026-11-19T23:00:00Z"


def test_a_batch_with_another_payload_has_another_total(company) -> None:
    before = manifest_of(company.publish())["raw_batches"]
    company.change("update raw.files__deals set payload_hash = md5('other') where id = '8'")
    for folder in (company.home / "reporting" / "releases").iterdir():
        folder.rename(company.home / folder.name)
    after = manifest_of(company.publish())["raw_batches"]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False]


def test_what_was_recorded_of_a_batch_is_taken_over_and_not_computed_again(company) -> None:
    first = manifest_of(company.publish())
    company.change("update raw.files__deals set payload_hash = md5('other') where id = '8'")
    assert manifest_of(company.publish())["raw_batches"] == first["raw_batches"]


def test_the_gate_is_counted_at_each_boundary(company) -> None:
    build_id = company.build().build_id
    company.nights -= 1
    company.judge(build_id, "failed", "warning")
    assert manifest_of(company.publish())["gate"] == {
        "raw": {"passed": 2, "failed": 0, "errored": 0},
        "reporting": {"passed": 2, "failed": 1, "errored": 0},
        "overrides": [],
    }


def test_rows_and_control_totals_are_those_of_the_tables(published) -> None:
    tables = manifest_of(first_night(published))["tables"]
    # 9 deals of 10.05, 20.10, … 90.45; the company's key is 7 letters long; a year's name 4.
    assert tables["deal"] == {"rows": 9, "control_totals": {"amount": "452.25"}}
    assert tables["deal_event"] == {"rows": 9, "control_totals": {"amount": "452.25", "won": "9"}}
    assert tables["kpi_value"]["control_totals"] == {
        "open_deals": "4.00000000",
        "win_rate": "0.25000000",
        "won_amount": "700.70000000",
    }
    assert tables["dim_manager"] == {"rows": 2, "control_totals": {}}


def test_every_file_is_listed_with_its_checksum(published) -> None:
    made = first_night(published)
    files = manifest_of(made)["files"]
    assert set(files) == {"reporting.duckdb", *(f"parquet/{table.name}.parquet" for table in PUBLISHED)}
    for name, record in files.items():
        content = (made.folder / name).read_bytes()
        assert record == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_a_manifest_names_the_one_before_it_and_its_checksum(published) -> None:
    second, first = releases(published.home)
    assert manifest_of(first)["previous"] is None
    assert manifest_of(second)["previous"] == {
        "release_id": first.release_id,
        "manifest_sha256": hashlib.sha256((first.folder / "manifest.json").read_bytes()).hexdigest(),
    }


def test_the_catalogue_hash_follows_the_catalogue(company) -> None:
    first, second = manifest_of(company.publish()), manifest_of(company.publish())
    company.change(
        "update seeds.kpi_catalogue set formula = 'won_deals / (won_deals + lost_deals)' where kpi_code = 'win_rate'"
    )
    third = manifest_of(company.publish())
    assert first["catalogue_sha256"] == second["catalogue_sha256"] != third["catalogue_sha256"]


def test_no_path_of_the_machine_is_in_it(published) -> None:
    text = (first_night(published).folder / "manifest.json").read_text()
    assert str(published.home) not in text
    assert WAREHOUSE_FILE not in text


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.chmod(0o644)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        (lambda folder: edit(folder, as_of="2030-01-01T00:00:00Z"), "was edited"),
        (lambda folder: edit(folder, checksum="0" * 64), "was edited"),
        (lambda folder: edit(folder, files=None), "is not a manifest"),
        (lambda folder: (folder / "manifest.json").unlink(), "is missing"),
        (
            lambda folder: (
                (folder / "manifest.json").chmod(0o644),
                (folder / "manifest.json").write_text('{"format"'),
            ),
            "is not",
        ),
        (
            lambda folder: ((folder / "manifest.json").chmod(0o644), (folder / "manifest.json").write_text("[]")),
            "is not",
        ),
        (
            lambda folder: ((folder / "manifest.json").chmod(0o644), (folder / "manifest.json").write_bytes(b"\xff")),
            "is not",
        ),
    ],
    ids=["a_moment", "the_checksum", "a_part", "the_file", "cut_off", "a_list", "not_text"],
)
def test_a_manifest_that_was_touched_is_noticed(company, spoil, finding: str) -> None:
    made = company.publish()
    spoil(made.folder)
    with pytest.raises(ReleaseDamaged, match=f"{made.release_id} is damaged: manifest.json {finding}"):
        read_manifest(made.folder)


def test_a_manifest_in_another_releases_folder_is_noticed(company) -> None:
    made = company.publish()
    moved = made.folder.rename(made.folder.with_name("20300101T000000Z"))
    with pytest.raises(ReleaseDamaged, match=f"is that of release {made.release_id}"):
        read_manifest(moved)
