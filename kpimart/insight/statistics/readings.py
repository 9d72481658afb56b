"""What sentences are about and what they carry: figures of an entity in a period, and the query that proves them.

One text reads the figures of all entities from a build, and of one entity from a release. So a proof cannot drift from
what was said.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from kpimart.insight.pipeline_names import join_pipelines
from kpimart.sql import literal

EXPLAINED_KPI = "won_amount"
"""The KPI whose change is explained by its drivers."""
LAST_PERIODS = """
    select period_grain, max(period_start)
    from core.dim_period
    where is_complete and period_grain in ('month', 'quarter', 'year')
    group by period_grain
"""
KEYS = ("period_grain", "period_start", "entity_level", "entity_key")

Row = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Subject:
    """Whom and when sentences are about; grain and start of the period, level and key of the entity are its key."""

    period_grain: str
    period_start: date
    entity_level: str
    entity_key: str
    period_end: date = field(compare=False)
    period_name: str = field(compare=False)
    department_id: str | None = field(compare=False)
    manager_id: str | None = field(compare=False)
    entity_name: str = field(compare=False)

    @property
    def key(self) -> Key:
        return tuple(getattr(self, name) for name in KEYS)


@dataclass(frozen=True)
class Reading:
    """Figures of entities in periods: a name and an expression each, over tables that are named in braces.

    tables: published table → the relation of the build. keys: the columns that tell rows apart. is_grouped: the figures
    are aggregates over the rows of a key. where: which rows are meant.
    """

    tables: Mapping[str, str]
    source: str
    figures: Mapping[str, str]
    keys: tuple[str, ...] = KEYS
    where: str = "true"
    is_grouped: bool = False

    def query(self) -> str:
        """Keys and figures of everybody in the last periods, from a build."""
        keys = ", ".join(self.keys)
        figures = ", ".join(f"{expression} as {name}" for name, expression in self.figures.items())
        grouped = f"group by {keys}" if self.is_grouped else ""
        return f"""
            select {keys}, {figures}
            from {self.source.format(**self.tables)}
            where {self.where} and (period_grain, period_start) in ({LAST_PERIODS}) {grouped}
        """

    def proof(self, names: Iterable[str], row: Mapping[str, Any]) -> str:
        """The query that returns these figures of a row, and nothing else, from the tables of a release."""
        figures = ", ".join(f"{self.figures[name]} as {name}" for name in names)
        source = " ".join(self.source.split()).format(**{table: f"reporting.{table}" for table in self.tables})
        found = " and ".join(_equals(key, row[key]) for key in self.keys)
        where = found if self.where == "true" else f"{self.where} and {found}"
        return f"select {figures} from {source} where {where}"


def _equals(name: str, value: Any) -> str:
    if value is None:
        return f"{name} is null"
    return f"{name} = date '{value}'" if isinstance(value, date) else f"{name} = {literal(value)}"


_SCORECARD_FIGURES = "{kpi_trend} as trend inner join {scorecard} as card using (kpi_code, " + ", ".join(KEYS) + ")"
_SCORECARD_TABLES = {"kpi_trend": "insight.kpi_trend", "scorecard": "kpi.scorecard"}


def _change(change: str, before: str) -> str:
    """Points of a rate; of anything else the part of what was before."""
    return (
        f"case when trend.unit = 'ratio' then trend.{change} "
        f"else cast(trend.{change} / nullif(abs(trend.{before}), 0) as decimal(28, 8)) end"
    )


def _nth(column: str, place: int) -> str:
    """The value of the driver that contributes most, second most, …"""
    return f"(array_agg({column} order by abs(contribution) desc, driver, part))[{place}]"


KPIS = Reading(
    _SCORECARD_TABLES,
    _SCORECARD_FIGURES,
    {
        "value": "trend.value",
        "unit": "trend.unit",
        "previous_value": "trend.previous_value",
        "change": _change("change", "previous_value"),
        "last_year_value": "trend.last_year_value",
        "change_on_last_year": _change("change_on_last_year", "last_year_value"),
        "target_value": "card.target_value",
        "attainment": "card.attainment",
        "expected_low": "trend.expected_low",
        "expected_high": "trend.expected_high",
        "slope": "cast(trend.slope as decimal(28, 8))",
        "weight": "card.weight",
        "trend_direction": "trend.trend_direction",
        "is_significant": "coalesce(trend.is_significant, false)",
        "is_change_point": "coalesce(trend.is_change_point, false)",
        "is_anomaly": "coalesce(trend.is_anomaly, false)",
    },
    keys=("kpi_code", *KEYS),
    where="trend.is_complete",
)
SCORECARD = Reading(
    _SCORECARD_TABLES,
    _SCORECARD_FIGURES,
    {
        "kpis": "count(*)",
        "compared": "count(*) filter (where trend.expected_low is not null or trend.q_value is not null)",
    },
    is_grouped=True,
)
DRIVERS = Reading(
    {"kpi_driver": "insight.kpi_driver"},
    "{kpi_driver}",
    {
        "unit": "max(unit)",
        "difference": "max(difference)",
        "first": _nth("driver", 1),
        "first_part": _nth("part", 1),
        "first_contribution": _nth("contribution", 1),
        "second": _nth("driver", 2),
        "second_part": _nth("part", 2),
        "second_contribution": _nth("contribution", 2),
        "rest": f"max(difference) - {_nth('contribution', 1)} - {_nth('contribution', 2)}",
    },
    where=f"kpi_code = '{EXPLAINED_KPI}' and comparison = 'previous_period'",
    is_grouped=True,
)
WEAK_SPOTS = Reading(
    {"weak_spot": "insight.weak_spot", "funnel_stage": "kpi.funnel_stage"},
    join_pipelines("{weak_spot}", "{funnel_stage}"),
    {
        name: name
        for name in (
            *("entity_name", "stage_name", "loss_reason", "value", "peer_value", "peer_median", "sample_size"),
            *("leak_amount", "shrunk_leak_amount", "pipeline_name", "is_one_of_several"),
        )
    }
    | {"has_open_deals": "not is_complete"},
    keys=(*KEYS, "kind", "pipeline_id", "stage_id", "loss_reason"),
    where="is_weak",
)
_COUNTED_SPOTS = {
    "spots": "count(*)",
    "compared": "count(*) filter (where status = 'enough')",
    "without_peers": "count(*) filter (where status = 'no_peers')",
    "has_open_deals": "bool_or(not is_complete)",
}
SPOT_COUNTS = Reading({"weak_spot": "insight.weak_spot"}, "{weak_spot}", _COUNTED_SPOTS, is_grouped=True)
DEPARTMENTS_SPOT_COUNTS = Reading(
    {"weak_spot": "insight.weak_spot"},
    "{weak_spot}",
    _COUNTED_SPOTS,
    keys=("period_grain", "period_start", "entity_level"),
    is_grouped=True,
)
