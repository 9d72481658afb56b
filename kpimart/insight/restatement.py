"""What has become of a closed month, read from a release: cause by cause, with the deals that are behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb

from kpimart.errors import SettingsError
from kpimart.explain import Entity, find_entity
from kpimart.figures import Kpi, Period, find_period, read_kpis
from kpimart.language import Language
from kpimart.warehouse import open_database


@dataclass(frozen=True)
class Closing:
    """By whom, when, why and on which release a month was closed, and that release's two moments."""

    release_id: str
    as_of: datetime
    known_at: datetime
    decided_by: str
    decided_at: datetime
    note: str


@dataclass(frozen=True)
class Told:
    """A figure at one of its moments; None is undefined, or no quotient."""

    numerator: Decimal | None
    denominator: Decimal | None
    value: Decimal | None


@dataclass(frozen=True)
class Step:
    """A cause, and what it changes; change and value are None where the figure is undefined."""

    cause: str
    numerator_change: Decimal
    denominator_change: Decimal
    change: Decimal | None
    value: Decimal | None


@dataclass(frozen=True)
class Bridge:
    """A KPI's figure as closed, what each cause changed of it, and as it is known now."""

    kpi: Kpi
    unit: str
    as_closed: Told
    steps: tuple[Step, ...]
    known_now: Told


@dataclass(frozen=True)
class Entry:
    """A thing behind a cause: how often and with how much it counted before the cause and counts after it."""

    cause: str
    relation: str
    what: str
    subject_id: str
    subject_name: str | None
    occurred_on_before: date | None
    occurred_on_after: date | None
    count_before: int
    count_after: int
    amount_before: Decimal | None
    amount_after: Decimal | None
    manager_before: str | None
    manager_after: str | None


@dataclass(frozen=True)
class Restatement:
    """A closed month of an entity; `currency` is that of all amounts."""

    period: Period
    closing: Closing
    entity: Entity
    currency: str
    bridges: tuple[Bridge, ...]
    entries: tuple[Entry, ...]


def read_restatement(
    database: Path,
    kpi_codes: Sequence[str],
    *,
    period: str,
    manager: str | None = None,
    department: str | None = None,
    language: Language = "en",
) -> Restatement:
    """What has become of a closed month; of the company, or of a manager, a department, or the one within the other.

    period: month, for the last that is closed, or its name, as `figures.read_figures` takes it. KPIs that the frozen
    release did not have are left out. Raises SettingsError for a month that is not closed, or whose release cannot be
    read, and for a KPI or an entity that the release does not have.
    """
    kpis = read_kpis(database, kpi_codes, language)
    with open_database(database) as connection:
        chosen, closing = _closed(connection, period)
        entity = find_entity(connection, manager, department, language)
        where = {"start": chosen.start, "level": entity.level, "key": entity.key}
        bridges = [_bridge(connection, kpi, where) for kpi in kpis]
        entries = connection.execute(_ENTRIES, where).fetchall()
        units = connection.execute("select max(unit) from kpi_value where kpi_code = 'won_amount'").fetchall()
    return Restatement(
        period=chosen,
        closing=closing,
        entity=entity,
        currency=units[0][0] or "",
        bridges=tuple(bridge for bridge in bridges if bridge),
        entries=tuple(Entry(*row) for row in entries),
    )


def _closed(connection: duckdb.DuckDBPyConnection, asked: str) -> tuple[Period, Closing]:
    closings = connection.execute(
        """
        select
            period_start, period_name, frozen_status, frozen_problem, release_id, as_of, known_at, decided_by,
            decided_at, note
        from period_close
        where is_in_force
        order by period_start
        """
    ).fetchall()
    closed = ", ".join(row[1] for row in closings) or "none"
    if asked == "month" and closings:
        asked = closings[-1][1]
    period = find_period(connection, asked)
    if period.grain != "month":
        raise SettingsError(f"only months are closed; give one of these: {closed}")
    for start, name, status, problem, *told in closings:
        if start == period.start:
            if status not in ("whole", "figures_only"):
                raise SettingsError(
                    f"the release {told[0]}, on which {name} was closed, is {status}: "
                    f"{problem or 'it was not looked for'}\n"
                    "  what now   bring back its folder, or reopen the month and close it on another release"
                )
            return period, Closing(*told)
    raise SettingsError(f"the month from {period.start} is not closed in this release; closed are: {closed}")


def _bridge(connection: duckdb.DuckDBPyConnection, kpi: Kpi, where: dict[str, object]) -> Bridge | None:
    """The bridge of a KPI; None where the frozen release did not have it."""
    told = {**where, "kpi": kpi.kpi_code}
    ((rows, unit, is_quotient),) = connection.execute(_FROZEN, [where["start"], kpi.kpi_code]).fetchall()
    if not rows:
        return None
    steps = connection.execute(_STEPS, told).fetchall()
    as_closed = connection.execute(_AS_CLOSED, told).fetchone()
    known_now = connection.execute(_KNOWN_NOW, told).fetchone()
    # Where nothing is there is no row; what changed since tells what it was.
    nothing = None if is_quotient else Decimal()
    first, last = (steps[0][5], steps[-1][4]) if steps else (nothing, nothing)
    return Bridge(
        kpi=kpi,
        unit=unit,
        as_closed=Told(*as_closed) if as_closed else Told(None, None, first),
        steps=tuple(Step(*row[:5]) for row in steps),
        known_now=Told(*known_now) if known_now else Told(None, None, last),
    )


_FROZEN = """
select count(*), max(unit), count(numerator) + count(denominator) > 0
from kpi_value_by_cut
where cut_by = 'as_closed' and period_start = ? and kpi_code = ?
"""
_OF_FIGURE = "kpi_code = $kpi and period_start = $start and entity_level = $level and entity_key = $key"
_AS_CLOSED = f"select numerator, denominator, value from kpi_value_by_cut where cut_by = 'as_closed' and {_OF_FIGURE}"
_KNOWN_NOW = f"select numerator, denominator, value from kpi_value where period_grain = 'month' and {_OF_FIGURE}"
_STEPS = f"""
select cause, numerator_change, denominator_change, value_change, value_after, value_before
from restatement
where {_OF_FIGURE}
order by step
"""
_ENTRIES = """
select
    entry.cause, entry.relation, entry.what, entry.subject_id, deal.deal_name, entry.occurred_on_before,
    entry.occurred_on_after, entry.count_before, entry.count_after, entry.amount_before, entry.amount_after,
    before.manager_name, after.manager_name
from restatement_entry as entry
left join deal on entry.subject_id = deal.deal_id
left join dim_manager as before on entry.manager_id_before = before.manager_id
left join dim_manager as after on entry.manager_id_after = after.manager_id
where entry.period_start = $start and entry.entity_level = $level and entry.entity_key = $key
order by
    entry.step, entry.relation,
    abs(coalesce(entry.amount_after, 0) - coalesce(entry.amount_before, 0)) desc, entry.subject_id, entry.entry_number
"""
