"""A machine is lost: from the backup comes back what was published, and raw gives the same figures again."""

from pathlib import Path

import pytest
from small_company import Company, checksums

from kpimart import pipeline
from kpimart.backup import backup, restore
from kpimart.clock import utc_now
from kpimart.closing import close, decisions
from kpimart.settings import load_settings
from sampling import IS_FULL


def silent(_: str) -> None:
    """Say nothing."""


@pytest.fixture
def backups(company: Company, tmp_path: Path) -> Path:
    """Where a backup of the company lies, while its own home is gone; its last decision came after the release."""
    close(company.settings(), "2026-03", by="M. Berg", note="Checked.")
    backup(company.settings(), str(tmp_path / "elsewhere"), keep=None, clock=utc_now, tell=silent)
    return tmp_path / "elsewhere"


def test_on_an_empty_machine_the_release_is_the_same_and_raw_gives_every_row_of_it(
    company: Company, backups: Path, tmp_path: Path
) -> None:
    served = company.ask_served("select release_id from release where is_this_release")[0][0]
    restored = tmp_path / "new" / "var"
    done = restore(restored, str(backups), tell=silent)
    assert done.served == served
    assert checksums(restored / "reporting") == company.published()
    assert decisions(restored) == decisions(company.home) != []
    settings = load_settings(company.root / "kpimart.toml", home=restored)
    before = checksums(restored / "reporting")
    found = pipeline.verify(settings, rebuild=True)
    assert (found.rebuilt, found.changed_batches, found.is_right) == ((), (), True)
    # It was built beside, and left nothing.
    assert checksums(restored / "reporting") == before
    assert [path.name for path in (restored / "scratch").iterdir()] == []
    assert company.ask("select count(*) from ops.build") == [(1,)]


@pytest.mark.skipif(not IS_FULL, reason="a build of its own: make test-full")
def test_raw_that_was_changed_is_found_by_the_rows_that_it_does_not_give(company: Company) -> None:
    company.change_warehouse("""
        update raw.files__deals
        set payload = replace(payload, '1000.00', '9000.00'), payload_hash = 'other'
        where id = 'D01'
    """)
    found = pipeline.verify(company.settings(), rebuild=True)
    assert len(found.changed_batches) == 1
    changed = {table.table: table for table in found.rebuilt or ()}
    assert {"deal", "deal_event", "kpi_value"} <= changed.keys()
    assert changed["deal"].released_rows[0]["amount"] == "1000.00"
    assert changed["deal"].rebuilt_rows[0]["amount"] == "9000.00"
