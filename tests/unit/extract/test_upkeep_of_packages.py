"""Upkeep takes the records of what was landed or held, and nothing that a build or the next fetch reads."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kpimart.backup import backup, restore
from kpimart.extract.packages import LastKnown, landing_area
from kpimart.settings import Retention
from kpimart.upkeep import Kept, keep_up

GOOD = "D1,Ann,Won,2026-01-05,2026-02-01,1054"


def keep(crm: Any, **policy: int) -> Kept:
    settings = crm.settings.model_copy(update={"retention": Retention(**policy)})
    return keep_up(settings, clock=crm.clock, tell=lambda _: None)


@pytest.fixture
def busy_crm(crm: Any) -> Any:
    """Two nights that were accepted, and one between them that the gate held."""
    crm.write(GOOD)
    crm.night()
    crm.write(GOOD.replace("1054", "1"))
    crm.night("held")
    crm.write(GOOD.replace("1054", "2000"))
    crm.night()
    return crm


def test_records_of_landed_packages_go_after_so_many_days_and_raw_keeps_them(busy_crm: Any) -> None:
    before = busy_crm.versions()
    assert keep(busy_crm, landed_days=30).packages == 0
    busy_crm.clock.now += timedelta(days=28)
    assert keep(busy_crm, landed_days=30).packages == 1
    assert keep(busy_crm, landed_days=30).packages == 0
    assert keep(busy_crm, landed_days=0).packages == 2
    assert list((busy_crm.home / "landing" / "files" / "deals").glob("*.parquet")) == []
    assert busy_crm.versions() == before


def test_the_next_fetch_goes_on_and_stores_no_version_twice(busy_crm: Any) -> None:
    known = dict(LastKnown(landing_area(busy_crm.settings), "files", held=()))
    keep(busy_crm, landed_days=0)
    assert dict(LastKnown(landing_area(busy_crm.settings), "files", held=())) == known
    assert busy_crm.night().objects[0].versions_stored == 0


def test_what_was_not_landed_yet_stays(busy_crm: Any) -> None:
    busy_crm.write(GOOD.replace("1054", "3000"))
    busy_crm.fetch()
    busy_crm.clock.now += timedelta(days=400)
    keep(busy_crm, landed_days=0)
    (batch,) = busy_crm.land()
    assert batch.objects[0].versions_stored == 1


def test_versions_that_were_held_go_and_accepted_ones_never(busy_crm: Any) -> None:
    amounts = "select payload ->> 'amount' from raw.files__deals order by landed_at"
    assert busy_crm.query(amounts) == [("1054",), ("1",), ("2000",)]
    assert keep(busy_crm, landed_days=30).held_versions == 0
    busy_crm.clock.now += timedelta(days=4000)
    assert keep(busy_crm, landed_days=30).held_versions == 1
    assert busy_crm.query(amounts) == [("1054",), ("2000",)]


def test_versions_that_may_still_be_accepted_stay(crm: Any) -> None:
    crm.write(GOOD)
    crm.night("held")
    crm.clock.now += timedelta(days=4000)
    assert keep(crm, landed_days=0).held_versions == 0
    crm.accept()
    assert set(crm.latest()) == {"D1"}


def test_a_file_that_is_mostly_free_is_written_anew(busy_crm: Any) -> None:
    busy_crm.query("create table raw.ballast as select md5(i::varchar) as text from range(100_000) as numbers (i)")
    busy_crm.query("create view ops.looked_at as select * from raw.files__deals")
    busy_crm.query("drop table raw.ballast")
    before = busy_crm.versions()
    done = keep(busy_crm)
    assert done.bytes_after < done.bytes_before
    assert busy_crm.versions() == before
    assert busy_crm.query("select count(*) from ops.looked_at") == [(3,)]
    again = keep(busy_crm)
    assert again.bytes_after == again.bytes_before
    assert busy_crm.night().objects[0].versions_stored == 0


def test_a_restored_home_fetches_on_from_where_the_backup_was(busy_crm: Any, tmp_path: Path) -> None:
    known = dict(LastKnown(landing_area(busy_crm.settings), "files", held=()))
    busy_crm.fetch()  # not landed yet, so it is fetched again
    backup(busy_crm.settings, str(tmp_path / "b"), keep=None, clock=busy_crm.clock, tell=lambda _: None)
    before = busy_crm.versions()
    busy_crm.home = tmp_path / "new"
    restore(busy_crm.home, str(tmp_path / "b"), tell=lambda _: None)
    assert busy_crm.versions() == before
    assert dict(LastKnown(landing_area(busy_crm.settings), "files", held=())) == known
    assert busy_crm.night().objects[0].versions_stored == 0
