"""Reads the tables of customers from a published release: the base of a period, its cohorts, its segments."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb

from kpimart.errors import SettingsError
from kpimart.figures import Period, find_period
from kpimart.warehouse import open_database

SEGMENTS = (
    *("champions", "cannot_lose", "loyal", "at_risk", "promising", "needs_attention", "hibernating"),
    "lost",
)
GRAINS = ("month", "quarter", "year")
SHOWN_PERIODS = 12

# Whose accounts they are: of a manager, those who bought from them last; of a department, those of the managers who sat
# below it then.
_HELD = {
    "company": "select *, 'company' as entity_key, 'Company' as entity_name from customer_segment",
    "department": """
        select
            segments.*,
            departments.department_id as entity_key,
            departments.department_name as entity_name
        from customer_segment as segments
        inner join dim_department_closure as closure
            on
                segments.department_id = closure.department_id
                and segments.last_purchase_on >= closure.valid_from
                and segments.last_purchase_on < closure.valid_to
        inner join dim_department as departments
            on closure.ancestor_department_id = departments.department_id
    """,
    "manager": "select *, manager_id as entity_key, manager_name as entity_name from customer_segment",
}


@dataclass(frozen=True)
class Counts:
    """The customers of an entity in a period, as in customer_base; what is undefined is None.

    closing = opening + first_time + returned + taken_over - handed_over - lost.
    """

    opening_customers: int
    first_time_customers: int
    returned_customers: int
    taken_over_customers: int
    handed_over_customers: int
    lost_customers: int
    closing_customers: int
    lapsed_customers: int
    new_customers: int
    active_customers: int
    repeat_customers: int
    regular_customers: int
    potential_customers: int
    won_amount: Decimal | None
    customers_with_amount: int
    top_1_share: Decimal | None
    top_5_share: Decimal | None
    top_10_share: Decimal | None
    herfindahl_index: Decimal | None


COUNTED = tuple(field.name for field in fields(Counts))


@dataclass(frozen=True)
class EntityBase:
    """An entity's customers in a period, and in the one before, where it had any."""

    entity_key: str
    entity_name: str
    counts: Counts
    before: Counts | None


@dataclass(frozen=True)
class CustomerBase:
    """The customers of all entities of a level, by name."""

    period: Period
    entities: tuple[EntityBase, ...]


@dataclass(frozen=True)
class Cohort:
    """Whoever bought first in a period from an entity, and which share of them bought in each period from then on.

    retention_rates: 0 to 1, of the periods that are over; the first is that of the first purchase.
    cumulative_won_amount: what they have bought up to now; None where no amount is known.
    """

    entity_key: str
    entity_name: str
    cohort_name: str
    cohort_start: date
    cohort_customers: int
    cumulative_won_amount: Decimal | None
    retention_rates: tuple[Decimal, ...]


@dataclass(frozen=True)
class SegmentCounts:
    """How many accounts of an entity are in each segment on the release's last day.

    accounts: segment → accounts, those without any left out; None: those of customers who are too few to be scored.
    """

    entity_key: str
    entity_name: str
    accounts: Mapping[str | None, int]


def read_base(database: Path, *, level: str, period: str) -> CustomerBase:
    """The customers of all entities of a level in a period.

    level: company, department or manager. period: as `figures.read_figures` takes it, but month, quarter and year only.
    Raises SettingsError for a period that the release does not have.
    """
    with open_database(database) as connection:
        chosen = _period(connection, period)
        rows = connection.execute(
            f"""
            select entity_key, entity_name, period_start, {", ".join(COUNTED)}
            from customer_base
            where entity_level = $level and period_grain = $grain and period_start in ($start, $start_before)
            order by entity_name, entity_key, period_start
            """,
            {
                "level": level,
                "grain": chosen.grain,
                "start": chosen.start,
                "start_before": chosen.start_before,
            },
        ).fetchall()
    counted = {(key, start): Counts(*counts) for key, _, start, *counts in rows}
    return CustomerBase(
        chosen,
        tuple(
            EntityBase(
                key,
                name,
                counted[key, start],
                counted.get((key, chosen.start_before)) if chosen.start_before else None,
            )
            for key, name, start, *_ in rows
            if start == chosen.start
        ),
    )


def read_cohorts(database: Path, *, level: str, period: str) -> tuple[Cohort, ...]:
    """The cohort of a period and the 12 before it, each followed through 12 periods; by the name of the entity.

    level, period: as `read_base` takes them.
    """
    with open_database(database) as connection:
        chosen = _period(connection, period)
        rows = connection.execute(
            """
            select
                cohorts.entity_key,
                cohorts.entity_name,
                periods.period_name,
                cohorts.cohort_start,
                max(cohorts.cohort_customers),
                max_by(cohorts.cumulative_won_amount, cohorts.periods_since),
                coalesce(
                    list(cohorts.retention_rate order by cohorts.periods_since)
                        filter (where cohorts.is_complete and cohorts.periods_since <= $shown),
                    []
                )
            from cohort_retention as cohorts
            inner join dim_period as periods
                on cohorts.period_grain = periods.period_grain and cohorts.cohort_start = periods.period_start
            where
                cohorts.entity_level = $level
                and cohorts.period_grain = $grain
                and cohorts.cohort_start in (
                    select period_start from dim_period
                    where period_grain = $grain and period_start <= $start
                    order by period_start desc limit $shown + 1
                )
            group by cohorts.entity_key, cohorts.entity_name, periods.period_name, cohorts.cohort_start
            order by cohorts.entity_name, cohorts.entity_key, cohorts.cohort_start
            """,
            {"level": level, "grain": chosen.grain, "start": chosen.start, "shown": SHOWN_PERIODS},
        ).fetchall()
    return tuple(
        Cohort(key, name, cohort, start, customers, amount, tuple(rates))
        for key, name, cohort, start, customers, amount, rates in rows
    )


def read_segments(database: Path, *, level: str) -> tuple[SegmentCounts, ...]:
    """How many accounts of all entities of a level are in each segment; by name."""
    with open_database(database) as connection:
        rows = connection.execute(
            f"""
            select entity_key, entity_name, segment, count(*)
            from ({_HELD[level]}) as held
            group by entity_key, entity_name, segment
            order by entity_name, entity_key, segment
            """
        ).fetchall()
    accounts: dict[tuple[str, str], dict[str | None, int]] = {}
    for key, name, segment, count in rows:
        accounts.setdefault((key, name), {})[segment] = count
    return tuple(SegmentCounts(*entity, counts) for entity, counts in accounts.items())


def _period(connection: duckdb.DuckDBPyConnection, asked: str) -> Period:
    chosen = find_period(connection, asked)
    if chosen.grain not in GRAINS:
        raise SettingsError(f"period {asked}: customers are counted by {', '.join(GRAINS)}")
    return chosen
