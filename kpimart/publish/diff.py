"""What changed between two releases: which figures, by how much, and which entries of the ledger are behind it.

The two files are attached side by side. An entry is told apart by its id, which is made of what it says and of when it
was recorded: so what only the later release has was recorded, or happened, between the two.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

import duckdb

from kpimart.errors import SettingsError
from kpimart.publish.shelf import Release
from kpimart.sql import literal
from kpimart.warehouse import literal as path_literal
from kpimart.warehouse import open_memory, storage_errors

SHOWN_CELLS = 25
SHOWN_CAUSES = 5

Cause = Literal["recorded", "happened", "no longer there"]


@dataclass(frozen=True)
class Entry:
    """An entry of the ledger that only one of the two releases has. sign: -1 takes back what was believed before.

    amount: in the base currency. why: it became known between the two `known_at`, it happened between the two `as_of`,
    or only the first has it.
    """

    deal_id: str
    deal_name: str | None
    event_type: str
    sign: int
    occurred_on: date | None
    recorded_at: datetime
    manager_name: str | None
    amount: Decimal | None
    why: Cause


@dataclass(frozen=True)
class Cell:
    """A figure that is another one, or there in one of the two only.

    causes: entries within its period and its entity, the largest amounts first, a few of `cause_count`.
    """

    kpi_code: str
    period_grain: str
    period_start: date
    entity_level: str
    entity_key: str
    entity_name: str
    unit: str
    before: Decimal | None
    after: Decimal | None
    change: Decimal | None
    cause_count: int
    causes: tuple[Entry, ...]


@dataclass(frozen=True)
class KpiChange:
    """How many figures of a KPI changed."""

    kpi_code: str
    cells: int


@dataclass(frozen=True)
class Difference:
    """From one release to another: all counted, the widest cells first, as many as were asked for."""

    before: Release
    after: Release
    kpis: tuple[KpiChange, ...]
    entries: int
    cells: tuple[Cell, ...]

    @property
    def cell_count(self) -> int:
        """How many figures changed, shown or not."""
        return sum(kpi.cells for kpi in self.kpis)


def diff(
    before: Release, after: Release, *, kpi_codes: Sequence[str] = (), level: str | None = None, limit: int | None
) -> Difference:
    """Compare two releases; raises SettingsError for a KPI that neither has and for another contract, StorageFailed.

    kpi_codes, level: only these; all where not given. limit: how many cells come with their causes; None is all.
    """
    with storage_errors("comparing releases"), _one_contract(before, after), open_memory() as connection:
        _attach(connection, before.database, after.database)
        _require_known(connection, kpi_codes)
        where = [f"kpi_code in ({', '.join(map(literal, kpi_codes))})"] if kpi_codes else []
        where += [f"entity_level = {literal(level)}"] if level else []
        connection.execute(_CHANGED.format(where=" and ".join(where) or "true"))
        connection.execute(_ENTRIES.format(known_at=literal(before.known_at)))
        connection.execute(_SHOWN.format(limit="" if limit is None else f"limit {limit}"))
        causes: dict[int, list[Entry]] = {}
        for place, *values in connection.execute(_CAUSES).fetchall():
            causes.setdefault(place, []).append(Entry(*values))
        cells = [
            Cell(*[*values, tuple(causes.get(place, ()))])
            for place, *values in connection.execute("from shown_counted order by place").fetchall()
        ]
        kpis = connection.execute("select kpi_code, count(*) from changed group by all order by 2 desc, 1").fetchall()
        (entries,) = connection.execute("select count(*) from entries").fetchall()[0]
    return Difference(before, after, tuple(KpiChange(*kpi) for kpi in kpis), entries, tuple(cells))


@contextmanager
def _one_contract(before: Release, after: Release) -> Iterator[None]:
    """A column or a table that only one of them has is no defect: the contract grew between them."""
    try:
        yield
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        raise SettingsError(
            f"{before.release_id} and {after.release_id} cannot be compared, one is of an older contract: {error}; "
            "compare with the older one as it is built today:  kpimart run --as-of … --known-at …"
        ) from error


def _attach(connection: duckdb.DuckDBPyConnection, before: Path, after: Path) -> None:
    connection.execute(f"attach {path_literal(before)} as earlier (read_only)")
    # The same file cannot be attached under two names.
    if not before.samefile(after):
        connection.execute(f"attach {path_literal(after)} as later (read_only)")
        return
    raise SettingsError("these are one and the same release; name two, see kpimart releases")


def _require_known(connection: duckdb.DuckDBPyConnection, kpi_codes: Sequence[str]) -> None:
    known = {
        code
        for (code,) in connection.execute(
            "select kpi_code from earlier.kpi_catalogue union select kpi_code from later.kpi_catalogue"
        ).fetchall()
    }
    unknown = sorted(set(kpi_codes) - known)
    if unknown:
        raise SettingsError(f"--kpi: {', '.join(unknown)}: expected codes of the releases' catalogues")


# The wide before the narrow: a company's year tells more than a manager's day.
_CHANGED = """
create temp table changed as
select
    coalesce(now.kpi_code, was.kpi_code) as kpi_code,
    coalesce(now.period_grain, was.period_grain) as period_grain,
    coalesce(now.period_start, was.period_start) as period_start,
    coalesce(now.period_end, was.period_end) as period_end,
    coalesce(now.entity_level, was.entity_level) as entity_level,
    coalesce(now.entity_key, was.entity_key) as entity_key,
    coalesce(now.entity_name, was.entity_name) as entity_name,
    coalesce(now.department_id, was.department_id) as department_id,
    coalesce(now.manager_id, was.manager_id) as manager_id,
    coalesce(now.unit, was.unit) as unit,
    was.value as before,
    now.value as after,
    case when was.value is not null and now.value is not null then now.value - was.value end as change
from (from earlier.kpi_value where {where}) as was
full outer join (from later.kpi_value where {where}) as now
    using (kpi_code, period_grain, period_start, entity_level, entity_key)
where now.value is distinct from was.value
"""

_ENTRIES = """
create temp table entries as
select
    event.deal_event_id,
    event.deal_id,
    deal.deal_name,
    event.event_type,
    event.sign,
    event.occurred_on,
    event.recorded_at,
    event.manager_id,
    event.department_id,
    manager.manager_name,
    event.amount,
    if(event.recorded_at > {known_at}, 'recorded', 'happened') as why,
    coalesce(event.credited_on, event.occurred_on) as credited_on
from later.deal_event as event
anti join earlier.deal_event as known using (deal_event_id)
left join later.deal as deal on event.deal_id = deal.deal_id
left join later.dim_manager as manager on event.manager_id = manager.manager_id
union all
select
    event.deal_event_id,
    event.deal_id,
    deal.deal_name,
    event.event_type,
    event.sign,
    event.occurred_on,
    event.recorded_at,
    event.manager_id,
    event.department_id,
    manager.manager_name,
    event.amount,
    'no longer there',
    coalesce(event.credited_on, event.occurred_on)
from earlier.deal_event as event
anti join later.deal_event as known using (deal_event_id)
left join earlier.deal as deal on event.deal_id = deal.deal_id
left join earlier.dim_manager as manager on event.manager_id = manager.manager_id
"""

_SHOWN = """
create temp table shown as
select
    row_number() over (
        order by
            list_position(['company', 'department', 'manager', 'manager_in_department'], entity_level),
            list_position(['year', 'quarter', 'month', 'week', 'day'], period_grain),
            period_start desc, kpi_code, entity_key
    ) as place,
    *
from changed
order by place
{limit};

create temp table causes as
select shown.place, entries.*
from shown
inner join entries
    on entries.occurred_on between shown.period_start and shown.period_end
    and (shown.manager_id is null or shown.manager_id = entries.manager_id)
    and (
        shown.entity_level <> 'manager_in_department' or shown.department_id = entries.department_id
    )
    and (
        shown.entity_level <> 'department'
        or exists (
            from later.dim_department_closure as closure
            where
                closure.ancestor_department_id = shown.department_id
                and closure.department_id = entries.department_id
                and entries.credited_on >= closure.valid_from
                and entries.credited_on < closure.valid_to
        )
    );

create temp table shown_counted as
select
    shown.place, kpi_code, period_grain, period_start, entity_level, entity_key, entity_name, unit, before, after,
    change, count(causes.place) as cause_count
from shown
left join causes using (place)
group by all
"""

_CAUSES = f"""
select
    place, deal_id, deal_name, event_type, sign, occurred_on, recorded_at, manager_name, amount, why
from causes
qualify
    row_number() over (partition by place order by abs(amount) desc nulls last, deal_event_id) <= {SHOWN_CAUSES}
order by place, abs(amount) desc nulls last, deal_event_id
"""
