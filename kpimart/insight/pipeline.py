"""What moved the pipeline in a period, and how the CRM that tells of it is kept, read from a release."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

from kpimart.errors import SettingsError
from kpimart.figures import Period, find_period
from kpimart.warehouse import open_database

Scope = Literal["open", "due"]

STEPS = (
    *("opening", "created", "transferred_in", "pulled_in", "increased", "reopened"),
    *("won", "lost", "pushed_out", "decreased", "transferred_out", "deleted", "closing"),
)
"""The steps of a waterfall in the order in which it is read, from the opening to the closing."""
TAKEN_AWAY = frozenset({"won", "lost", "pushed_out", "decreased", "transferred_out", "deleted"})
WITHIN = ("won_within", "lost_within")
"""What came and went between the opening and the closing."""


@dataclass(frozen=True)
class Step:
    """A step of a waterfall: deals, and their amount in the base currency; None where no amount is known."""

    name: str
    deals: int
    amount: Decimal | None


@dataclass(frozen=True)
class Waterfall:
    """The pipeline of an entity in a period: opening ± steps = closing, of deals and of amounts."""

    entity_key: str
    entity_name: str
    steps: tuple[Step, ...]
    within: tuple[Step, ...]
    closing_undated_deals: int


@dataclass(frozen=True)
class Waterfalls:
    """What was asked for; `unit` is the base currency."""

    period: Period
    scope: Scope
    unit: str
    waterfalls: tuple[Waterfall, ...]


@dataclass(frozen=True)
class Finding:
    """A rule, with the days that it allows, and what breaking it does to a KPI; None is not known, or undefined."""

    entity_key: str
    entity_name: str
    rule: str
    after_days: int | None
    deals: int
    deals_looked_at: int
    deals_concerned: int | None
    amount_concerned: Decimal | None
    kpi_code: str
    kpi_name: str
    unit: str
    kpi_value: Decimal | None
    strict_deals: int | None
    strict_kpi_value: Decimal | None


@dataclass(frozen=True)
class Discipline:
    """All rules of all entities of a level, in a period."""

    period: Period
    findings: tuple[Finding, ...]


def read_waterfalls(database: Path, *, level: str, period: str, scope: Scope) -> Waterfalls:
    """The waterfalls of all entities of a level in a period, as `figures.read_figures` takes it.

    Raises SettingsError for a period that the release does not have, or days of anybody but the company.
    """
    columns = [f"{name}_{what}" for name in (*STEPS, *WITHIN) for what in ("deals", "amount")]
    with open_database(database) as connection:
        chosen = find_period(connection, period)
        if chosen.grain == "day" and level != "company":
            raise SettingsError("pipelines are told by day of the company only; give a week or a longer period")
        units = connection.execute("select max(unit) from kpi_value where kpi_code = 'open_amount'").fetchall()
        rows = connection.execute(
            f"""
            select entity_key, entity_name, closing_undated_deals, {", ".join(columns)}
            from pipeline_waterfall
            where entity_level = ? and period_grain = ? and period_start = ? and scope = ?
            order by entity_name, entity_key
            """,
            [level, chosen.grain, chosen.start, scope],
        ).fetchall()
    return Waterfalls(chosen, scope, units[0][0] or "", tuple(_waterfall(*row) for row in rows))


def _waterfall(key: str, name: str, undated: int, *told: int | Decimal | None) -> Waterfall:
    pairs = zip((*STEPS, *WITHIN), told[::2], told[1::2], strict=True)
    steps = [
        Step(step, int(deals or 0), amount if isinstance(amount, Decimal) else None) for step, deals, amount in pairs
    ]
    return Waterfall(key, name, tuple(steps[: len(STEPS)]), tuple(steps[len(STEPS) :]), undated)


def read_discipline(database: Path, *, level: str, period: str, language: str = "en") -> Discipline:
    """What breaks the rules, of all entities of a level in a month, a quarter or a year.

    Raises SettingsError for a period that the release does not have, or a shorter one.
    """
    with open_database(database) as connection:
        chosen = find_period(connection, period)
        if chosen.grain in ("day", "week"):
            raise SettingsError(f"discipline is not told by {chosen.grain}; give a month, a quarter or a year")
        rows = connection.execute(
            f"""
            select
                entity_key, entity_name, rule, after_days, deals, deals_looked_at, deals_concerned, amount_concerned,
                kpi_code, catalogue.name_{language}, discipline.unit, kpi_value, strict_deals, strict_kpi_value
            from crm_discipline as discipline
            inner join kpi_catalogue as catalogue using (kpi_code)
            where entity_level = ? and period_grain = ? and period_start = ?
            order by entity_name, entity_key, rule
            """,
            [level, chosen.grain, chosen.start],
        ).fetchall()
    return Discipline(chosen, tuple(Finding(*row) for row in rows))
