import shutil
from pathlib import Path

import pytest

from kpimart.errors import ReleaseDamaged
from kpimart.publish import release
from kpimart.publish.manifest import read_manifest, write_manifest
from kpimart.publish.verify import check, compare, recount_batches


def silent(_: str) -> None:
    """Say nothing."""


def rewrite_manifest(folder: Path, **changes: object) -> None:
    """A manifest whose own checksum is right."""
    manifest = read_manifest(folder).model_copy(update=changes)
    (folder / "manifest.json").chmod(0o644)
    write_manifest(manifest, folder)


def test_rows_and_control_totals_are_counted_again(company) -> None:
    made = company.publish()
    tables = read_manifest(made.folder).tables
    wrong = tables["deal"].model_copy(update={"control_totals": {"amount": "452.26"}})
    rewrite_manifest(made.folder, tables={**tables, "deal": wrong})
    with pytest.raises(ReleaseDamaged, match=r"deal: 9 rows, totals \{'amount': '452.25'\}, expected 9, .*452.26"):
        check(company.home, made.release_id)


def test_a_manifest_that_is_gone_is_a_hole_in_the_chain(company) -> None:
    first, second = company.publish(), company.publish()
    shutil.rmtree(first.folder)
    with pytest.raises(ReleaseDamaged, match=f"{first.release_id}, before {second.release_id}, is gone"):
        check(company.home, second.release_id)


def test_a_release_is_what_its_build_gives(company) -> None:
    made = company.publish()
    assert compare(made.database, company.home / "warehouse.duckdb", silent) == ()


def test_the_rows_that_a_build_does_not_give_are_named(company) -> None:
    made = company.publish()
    company.change(
        "update core.fct_deal set amount = 11 where deal_id = 'files:1';"
        "delete from core.dim_manager where manager_id = 'files:mo'"
    )
    deal, manager = sorted(
        compare(made.database, company.home / "warehouse.duckdb", silent), key=lambda each: each.table
    )
    assert (deal.table, deal.only_released, deal.only_rebuilt) == ("deal", 1, 1)
    assert (deal.released_rows[0]["amount"], deal.rebuilt_rows[0]["amount"]) == ("10.05", "11.00")
    assert (manager.table, manager.only_released, manager.only_rebuilt) == ("dim_manager", 1, 0)
    assert manager.released_rows[0]["manager_name"] == "Mo"


def test_a_version_that_raw_lost_or_changed_is_found_in_its_batch(company) -> None:
    made = company.publish()
    manifest = read_manifest(made.folder)
    assert recount_batches(company.home, manifest) == ()
    company.change("update raw.files__deals set payload_hash = 'other' where id = '8'")
    assert recount_batches(company.home, manifest) == ("files-2",)
    company.change("delete from raw.files__deals where batch_id = 'files-1'")
    assert recount_batches(company.home, manifest) == ("files-1", "files-2")


def test_what_is_served_stays_while_a_damaged_release_is_verified(company) -> None:
    first, second = company.publish(), company.publish()
    first.database.chmod(0o644)
    first.database.write_bytes(first.database.read_bytes()[:-100])
    with pytest.raises(ReleaseDamaged, match=r"reporting.duckdb: [\d,]+ bytes, expected"):
        check(company.home, first.release_id)
    assert check(company.home, second.release_id).release == release.current(company.home)
