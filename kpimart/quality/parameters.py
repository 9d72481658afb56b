"""The values that suites leave open: thresholds of the settings, and what a build speaks of."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from kpimart.quality.protocol import Parameters
from kpimart.settings import Settings


def raw_parameters(settings: Settings, until: datetime) -> Parameters:
    """For the raw boundary: the shares above which a batch is held, and since when the source should have changed.

    until: the moment (aware) that the figures will speak of; what is read later for an earlier moment is not stale.
    """
    return {
        "fresh_since": (until - timedelta(days=settings.thresholds.max_quiet_days)).astimezone(UTC).isoformat(),
        "max_quarantined_share": settings.thresholds.max_quarantined_share,
        "max_vanished_share": settings.thresholds.max_vanished_share,
    }


def reporting_parameters(settings: Settings, as_of: datetime) -> Parameters:
    """For the reporting boundary: the last business day that lies, at least in part, before `as_of` (aware)."""
    last_moment = as_of - timedelta(microseconds=1)
    return {"last_day": last_moment.astimezone(ZoneInfo(settings.time_zone)).date().isoformat()}
