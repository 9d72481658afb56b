"""A home of the oldest program goes on under this one: its releases are what raw gives, and the next night is right."""

import contextlib
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import pytest
from small_company import shared_judge

from kpimart import pipeline
from kpimart.clock import utc_now
from kpimart.publish.release import current, find
from kpimart.settings import Settings, load_settings
from kpimart.upgrade import upgrade

FETCHED_AND_NOT_LANDED = "files-1795992730.9090097"
HELD = "files-1795992643.192579"


@pytest.fixture
def settings(oldest_company: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of the company, whose home is upgraded."""
    monkeypatch.chdir(oldest_company)
    settings = load_settings(home=oldest_company / "home")
    upgrade(settings, None, clock=utc_now, tell=lambda _: None)
    return settings


def ask(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def versions(home: Path) -> int:
    return ask(home, "select count(*) from raw.files__deals")[0][0]


def test_old_releases_are_rebuilt_and_the_next_night_goes_on(settings: Settings) -> None:
    old = current(settings.home)
    assert old is not None
    found = pipeline.verify(settings, rebuild=True)
    assert (found.release, found.chain) == (old, 2)
    assert found.rebuilt == ()
    assert found.is_right

    stored = versions(settings.home)
    deals = Path("export/deals.csv")
    deals.write_text(deals.read_text().replace("D01,", "D41,", 1))
    with mock.patch.object(pipeline, "Judge", return_value=contextlib.nullcontext(shared_judge())):
        done = pipeline.run(settings, as_of=settings.moment(old.as_of.replace(day=5)))

    # What was fetched before the upgrade is landed, each change is stored once, and the held batch stays held.
    landed = [batch.batch_id for batch in done.extraction.batches]
    assert landed[0] == FETCHED_AND_NOT_LANDED
    assert len(landed) == 2
    assert versions(settings.home) == stored + 1 + 2
    assert ask(settings.home, "select batch_id from ops.batch_verdict where verdict = 'held'") == [(HELD,)]
    # Nothing is gone on with that the oldest program derived.
    assert ask(settings.home, "select distinct changed_in from intermediate.int_deal__content") == [
        (done.build.build_id,)
    ]
    assert done.release.is_current
    assert done.release.previous_release_id == old.release_id
    assert find(settings.home, old.release_id).database.exists()
    assert pipeline.verify(settings).chain == 3
