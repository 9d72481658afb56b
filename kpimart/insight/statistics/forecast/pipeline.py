"""The weighted pipeline: what is open now, by how deals of that stage and age went on before, and what is new by then.

A deal that is open at an origin is won in the h-th month after it with the share of those of its stage and age that
were, of all origins whose h-th month was over. To this comes what was usually won in the h-th month after an origin of
deals that were not open there: of the last twelve such origins, the mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np

from kpimart.insight.statistics.forecast.known import SEASON, Entity, Floats, Integers, Known
from kpimart.insight.statistics.forecast.methods import HORIZON

MEASURES: Mapping[str, str] = {"won_amount": "amount", "won_deals": "deals", "new_customers": "prospects"}
"""KPI → the column of forecast_pipeline that it is the won part of; leads are in no pipeline."""

LEAST_DEALS = 30
"""Deals that a share is told from; a stage and age with fewer has the share of its stage, or of all deals."""

LEAST_ORIGINS = 6
"""Origins that the mean of what is new is told from."""


@dataclass(frozen=True)
class Late:
    """What was learnt of wins after their month; there is little of it.

    places: month, entity and horizon of each, as in `Pipeline.won_of`. known: the month at whose end it was known.
    """

    places: Integers
    known: Integers
    values: Floats


@dataclass(frozen=True)
class Pipeline:
    """Open deals at the end of each month, and what was won of them, in groups of one stage and age.

    opened: months × entities × groups, in units of the KPI. counted: months × groups, the company's open deals. won:
    months × groups × HORIZON × months at whose end it was known, the company's. won_of: months × entities × HORIZON,
    what was known when the month of the win was over. late: what was learnt later. stages: the stage of each group.
    """

    opened: Floats
    counted: Floats
    won: Floats
    won_of: Floats
    late: Late
    stages: Integers

    def won_of_at(self, origin: int) -> Floats:
        """Months × entities × HORIZON: what was won, as it was known at an origin."""
        won, seen = self.won_of.copy(), self.late.known <= origin
        np.add.at(won, tuple(self.late.places[:, seen]), self.late.values[seen])
        return won


def forecast(pipeline: Pipeline, known: Known, kpi_code: str, origin: int) -> Floats:
    """Entities × HORIZON; NaN where too few origins tell what is new by then."""
    figures = known.at(kpi_code, origin)
    won, won_of = pipeline.won[..., : origin + 1].sum(axis=-1), pipeline.won_of_at(origin)
    company = known.rows("company")[0]
    ahead = np.full((len(figures), HORIZON), np.nan)
    for place in range(HORIZON):
        # The origins before this one have a month so far ahead that is over.
        over = origin - place
        if over < LEAST_ORIGINS:
            break
        shares = won_shares(
            pipeline.opened[:over, company].sum(axis=0),
            won[:over, :, place].sum(axis=0),
            pipeline.counted[:over].sum(axis=0),
            pipeline.stages,
        )
        first = max(0, over - SEASON)
        new = figures[:, first + place + 1 : over + place + 1] - won_of[first:over, :, place].T
        ahead[:, place] = pipeline.opened[origin] @ shares + new.mean(axis=1)
    expected: Floats = np.maximum(ahead, 0.0)
    return expected


def won_shares(opened: Floats, won: Floats, deals: Floats, stages: Integers) -> Floats:
    """What share of a group is won: its own, its stage's where it has few deals, that of all where these are few too.

    opened, won: of each group, in units of the KPI. deals: how many were opened.
    """
    shares = np.full(len(opened), _share(won.sum(), opened.sum()))
    for stage in np.unique(stages):
        is_in = stages == stage
        if deals[is_in].sum() >= LEAST_DEALS:
            shares[is_in] = _share(won[is_in].sum(), opened[is_in].sum())
    for group in np.flatnonzero(deals >= LEAST_DEALS):
        shares[group] = _share(won[group], opened[group])
    return shares


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


_GROUPS = """
select distinct
    stage_id,
    age_group,
    dense_rank() over (order by stage_id) - 1 as stage
from finance.forecast_pipeline
order by stage_id, age_group
"""
_OPENED = """
select period_number, entity_level, entity_key, stage_id, age_group, deals, cast({measure} as double) as opened
from finance.forecast_pipeline
where months_later = 0
"""
_WON = """
select period_number, stage_id, age_group, months_later, known_number, cast({measure} as double) as won
from finance.forecast_pipeline
where months_later > 0 and entity_level = 'company'
"""
_WON_OF = """
select
    period_number, entity_level, entity_key, months_later, known_number, cast(sum({measure}) as double) as won
from finance.forecast_pipeline
where months_later > 0
group by period_number, entity_level, entity_key, months_later, known_number
"""


def read_pipeline(connection: duckdb.DuckDBPyConnection, known: Known, kpi_code: str) -> Pipeline:
    """The open deals of a KPI of MEASURES, as the models of the layer `finance` have them."""
    measure = MEASURES[kpi_code]
    groups = connection.execute(_GROUPS).fetchall()
    group_of = {(stage_id, age): place for place, (stage_id, age, _) in enumerate(groups)}
    row_of = {entity: row for row, entity in enumerate(known.entities)}
    months, count = known.months, len(known.entities)
    company = known.rows("company")[0]
    opened, counted = np.zeros((months, count, len(groups))), np.zeros((months, len(groups)))
    for month, level, key, stage, age, deals, value in connection.execute(_OPENED.format(measure=measure)).fetchall():
        row, group = row_of[Entity(level, key)], group_of[stage, age]
        opened[month, row, group] = value
        if row == company:
            counted[month, group] = deals
    won = np.zeros((months, len(groups), HORIZON, months))
    for month, stage, age, later, seen, value in connection.execute(_WON.format(measure=measure)).fetchall():
        won[month, group_of[stage, age], later - 1, seen] = value
    won_of, late = np.zeros((months, count, HORIZON)), []
    for month, level, key, later, seen, value in connection.execute(_WON_OF.format(measure=measure)).fetchall():
        place = (month, row_of[Entity(level, key)], later - 1)
        if seen == month + later:
            won_of[place] = value
        else:
            late.append((*place, seen, value))
    stages = np.array([stage for *_, stage in groups], dtype=np.int64)
    return Pipeline(opened, counted, won, won_of, _late_of(late), stages)


def _late_of(rows: list[tuple[int, int, int, int, float]]) -> Late:
    columns = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    return Late(columns[:3].astype(np.int64), columns[3].astype(np.int64), columns[4])
