"""Closing a month: the decision that its figures are those of one release, and the taking back of that decision.

A decision is raw: a record of the object `close` of source `kpimart`, one a month, and a version of it for each time
that the month was closed or reopened. It names the release and its two moments. Retention keeps that release, so the
figures of the month as closed are read there, or made anew from raw. The next release tells of it in `period_close`.
"""

from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

import duckdb
import orjson

from kpimart.clock import Clock, utc_now
from kpimart.errors import SettingsError
from kpimart.extract.landing import record_decision
from kpimart.figures import find_period
from kpimart.publish.release import current, find, verify_release
from kpimart.publish.shelf import Release
from kpimart.settings import Settings
from kpimart.warehouse import WAREHOUSE_FILE, open_database, open_warehouse, transaction, writer_lock

OBJECT = "close"

Action = Literal["closed", "reopened"]


@dataclass(frozen=True)
class Decision:
    """That somebody closed a month, or reopened it, and why.

    month: its name, as in dim_period. release_id, as_of, known_at: the release whose figures are those of the month; of
    a reopening, the one that the closing named. is_repeated: it had been decided before, and was not recorded again.
    """

    month: str
    period_start: date
    period_end: date
    action: Action
    release_id: str
    as_of: datetime
    known_at: datetime
    decided_by: str
    note: str
    decided_at: datetime
    is_repeated: bool = False


def close(
    settings: Settings, month: str, *, by: str, note: str, release_id: str | None = None, clock: Clock = utc_now
) -> Decision:
    """Close a month on the figures of a release (default: the served one), and keep that release for good.

    month: as in dim_period, 2026-10, or FY2026-P10 in a year of weeks. note: why now, or what was looked at.
    To ask for what was decided already changes nothing. Raises SettingsError for a name or a note that says nothing, a
    month that the release does not have or that is not over in it, and one that is closed otherwise; ReleaseNotFound,
    ReleaseDamaged, StorageFailed, and WarehouseBusy while a run writes.
    """
    who, why = _said(by, note)
    with writer_lock(settings.home):
        release = verify_release(settings.home, find(settings.home, release_id).release_id)
        name, start, end = _month_over(settings, release, month)
        with open_warehouse(settings.home) as connection, transaction(connection):
            for closing in _closings_in_force(connection):
                if closing.period_start <= end and start <= closing.period_end:
                    is_same = (closing.month, closing.decided_by, closing.note) == (name, who, why)
                    if is_same and release_id in (None, closing.release_id):
                        return replace(closing, is_repeated=True)
                    raise SettingsError(
                        f"{_told(settings, closing)}; to close {name} otherwise:  "
                        f'kpimart reopen {closing.month} --by NAME --reason "WHY"'
                    )
            return _record(
                connection,
                Decision(
                    month=name,
                    period_start=start,
                    period_end=end,
                    action="closed",
                    release_id=release.release_id,
                    as_of=release.as_of,
                    known_at=release.known_at,
                    decided_by=who,
                    note=why,
                    decided_at=clock(),
                ),
            )


def reopen(settings: Settings, month: str, *, by: str, reason: str, clock: Clock = utc_now) -> Decision:
    """Take back that a month is closed; the release that it was closed on is still kept.

    month: its name, as `decisions` has it. To ask for what was decided already changes nothing. Raises SettingsError
    for a name or a reason that says nothing, and a month that is not closed; StorageFailed, and WarehouseBusy while a
    run writes.
    """
    who, why = _said(by, reason)
    with writer_lock(settings.home), open_warehouse(settings.home) as connection, transaction(connection):
        decided = _decisions(connection)
        last = next((each for each in reversed(decided) if each.month == month), None)
        if last is None:
            closed = ", ".join(each.month for each in _closings_in_force(connection)) or "none"
            raise SettingsError(f"month {month} was never closed; closed are: {closed}")
        if last.action == "closed":
            return _record(connection, replace(last, action="reopened", decided_by=who, note=why, decided_at=clock()))
        if (last.decided_by, last.note) == (who, why):
            return replace(last, is_repeated=True)
        raise SettingsError(f"{_told(settings, last)}; there is nothing to reopen")


def decisions(home: Path) -> list[Decision]:
    """Every closing and reopening, in the order in which they were decided; WarehouseBusy while a run writes."""
    if not (home / WAREHOUSE_FILE).exists():
        return []
    with writer_lock(home), open_warehouse(home) as connection:
        return _decisions(connection)


def month_due(settings: Settings, moment: datetime) -> str | None:
    """The last month that is over at a moment (aware); None as long as the served release does not have it whole.

    Which months there are is told by the served release: it knows the company's calendar.
    """
    day = moment.astimezone(settings.zone).date()
    return _asked_of_served(
        settings,
        """
        with months as (
            select
                period_name, period_end, is_complete,
                -- a month has 28 days at least; the release may not reach into the next one yet
                coalesce(lead(period_end) over (order by period_start), period_end + 28) as end_of_next
            from dim_period
            where period_grain = 'month'
        )
        select period_name from months where is_complete and $day > period_end and $day <= end_of_next
        """,
        {"day": day},
    )


def release_to_close(settings: Settings, month: str) -> str | None:
    """The served release, if it is past the cut-off of a month, named as in dim_period; None before, and without one.

    The cut-off is the end of the last of so many working days after the month's end, as `closing.after_working_days`
    says, by the company's own working days and holidays.
    """
    return _asked_of_served(
        settings,
        """
        select this.release_id
        from dim_period as month
        inner join release as this on this.is_this_release
        left join dim_period as day
            on day.period_grain = 'day' and day.is_complete and day.period_start > month.period_end
        where month.period_grain = 'month' and month.is_complete and month.period_name = $month
        group by this.release_id
        having coalesce(sum(day.working_days), 0) >= $working_days
        """,
        {"month": month, "working_days": settings.closing.after_working_days},
    )


def _asked_of_served(settings: Settings, query: str, parameters: dict[str, object]) -> str | None:
    release = current(settings.home)
    if release is None:
        return None
    with open_database(release.database) as connection:
        row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None


def _said(by: str, why: str) -> tuple[str, str]:
    if not (by.strip() and why.strip()):
        raise SettingsError(
            "to close or reopen a month needs the name of who decides it, and why; both are published with the figures"
        )
    return by.strip(), why.strip()


def _month_over(settings: Settings, release: Release, month: str) -> tuple[str, date, date]:
    """Name, first and last day of a month that is over in a release."""
    with open_database(release.database) as connection:
        period = find_period(connection, month)
        if period.grain != "month" or month == period.grain:
            raise SettingsError(f"{month!r} names no month; only months are closed, such as 2026-10 or FY2026-P10")
        ((name,),) = connection.execute(
            "select period_name from dim_period where period_grain = 'month' and period_start = ?", [period.start]
        ).fetchall()
    if not period.is_complete:
        over = settings.moment(period.end + timedelta(days=1))
        raise SettingsError(
            f"{name} is not over in release {release.release_id}: its last day is {period.end}, and the release speaks "
            f"of {_local(settings, release.as_of)}; close it on one as of {_local(settings, over)} or later"
        )
    return str(name), period.start, period.end


def _decisions(connection: duckdb.DuckDBPyConnection) -> list[Decision]:
    rows = connection.execute(
        """
        select
            payload ->> '$.month',
            cast(payload ->> '$.period_start' as date),
            cast(payload ->> '$.period_end' as date),
            payload ->> '$.action',
            payload ->> '$.release_id',
            cast(payload ->> '$.as_of' as timestamptz),
            cast(payload ->> '$.known_at' as timestamptz),
            payload ->> '$.decided_by',
            payload ->> '$.note',
            extracted_at
        from raw.kpimart__close
        order by landed_at
        """
    ).fetchall()
    return [Decision(*row) for row in rows]


def _closings_in_force(connection: duckdb.DuckDBPyConnection) -> list[Decision]:
    last = {each.period_start: each for each in _decisions(connection)}
    return [each for _, each in sorted(last.items()) if each.action == "closed"]


def _record(connection: duckdb.DuckDBPyConnection, decision: Decision) -> Decision:
    content = {name: value for name, value in asdict(decision).items() if name not in ("decided_at", "is_repeated")}
    payload = orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()
    record_decision(connection, OBJECT, {decision.period_start.isoformat(): payload}, lambda: decision.decided_at)
    return decision


def _told(settings: Settings, decision: Decision) -> str:
    return (
        f"{decision.month} is {decision.action} already: by {decision.decided_by} "
        f"on {_local(settings, decision.decided_at)}, release {decision.release_id}: {decision.note}"
    )


def _local(settings: Settings, moment: datetime) -> str:
    return f"{moment.astimezone(settings.zone):%Y-%m-%d %H:%M %Z}"
