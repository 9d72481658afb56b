"""What suites leave open and a run fills in."""

from datetime import UTC, datetime

import pytest

from kpimart.quality.parameters import raw_parameters, reporting_parameters
from kpimart.settings import Settings, Thresholds


def test_the_raw_boundary_asks_for_the_thresholds_of_the_settings() -> None:
    settings = Settings(thresholds=Thresholds(max_quarantined_share=0.5, max_vanished_share=0.25))

    assert raw_parameters(settings, datetime(2026, 11, 24, 2, tzinfo=UTC)) == {
        "max_quarantined_share": 0.5,
        "max_vanished_share": 0.25,
        "fresh_since": "2026-11-17T02:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("as_of", "last_day"),
    [
        (datetime(2018, 1, 1, 5, tzinfo=UTC), "2017-12-31"),
        (datetime(2018, 1, 1, 5, 0, 1, tzinfo=UTC), "2018-01-01"),
        (datetime(2018, 1, 1, 4, 59, tzinfo=UTC), "2017-12-31"),
    ],
    ids=["at local midnight", "a second later", "a minute before"],
)
def test_the_last_day_is_the_business_day_before_as_of(as_of: datetime, last_day: str) -> None:
    settings = Settings(time_zone="America/New_York")

    assert reporting_parameters(settings, as_of) == {"last_day": last_day}
