"""Reads the funnel of somebody from a release, with the times that their peers take for the same stages."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from kpimart.figures import Period
from kpimart.insight.pipeline_names import join_pipelines
from kpimart.warehouse import open_database


@dataclass(frozen=True)
class Stage:
    """A stage of a pipeline: of the deals created in the period, how many reached it; rates 0 to 1, times in days.

    peer_days: what the median peer takes for it; None where too little is known. It is that of the quarter or the year,
    of a month that of its year.
    """

    pipeline_name: str
    is_one_of_several: bool
    stage_name: str
    reached_deals: int
    next_stage_rate: Decimal | None
    won_rate: Decimal | None
    median_days: Decimal | None
    peer_days: Decimal | None


def read_funnel(database: Path, *, level: str, entity_key: str, period: Period) -> tuple[Stage, ...]:
    """The stages of all pipelines of an entity in a period, from the first; none by day and week."""
    with open_database(database) as connection:
        rows = connection.execute(
            f"""
            with funnel as (select * from {join_pipelines("funnel_stage")})
            select
                funnel.pipeline_name, funnel.is_one_of_several, funnel.stage_name, funnel.reached_deals,
                funnel.next_stage_rate, funnel.won_rate, funnel.median_stay_days,
                peers.peer_median
            from funnel
            left join weak_spot as peers
                on
                    peers.kind = 'stage_time'
                    and peers.period_grain = case when funnel.period_grain = 'quarter' then 'quarter' else 'year' end
                    and funnel.period_start between peers.period_start and peers.period_end
                    and peers.entity_level = funnel.entity_level
                    and peers.entity_key = funnel.entity_key
                    and peers.pipeline_id = funnel.pipeline_id
                    and peers.stage_id = funnel.stage_id
            where
                funnel.entity_level = ? and funnel.entity_key = ? and funnel.period_grain = ?
                and funnel.period_start = ?
            order by funnel.pipeline_name, funnel.stage_number
            """,
            [level, entity_key, period.grain, period.start],
        ).fetchall()
    return tuple(Stage(*row) for row in rows)
