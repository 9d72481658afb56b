"""The values that suites leave open: thresholds of the settings, and what a build speaks of."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from kpimart.quality.protocol import Parameters
from kpimart.settings import Settings


def raw_parameters(settings: Settings) -> Parameters:
    """For the raw boundary: the shares above which a batch is held."""
    return {
        "max_quarantined_share": settings.thresholds.max_quarantined_share,
        "max_vanished_share": settings.thresholds.max_vanished_share,
    }


def reporting_parameters(settings: Settings, as_of: datetime) -> Parameters:
    """For the reporting boundary: the last business day that lies, at least in part, before `as_of` (aware)."""
    last_moment = as_of - timedelta(microseconds=1)
    return {"last_day": last_moment.astimezone(ZoneInfo(settings.time_zone)).date().isoformat()}
