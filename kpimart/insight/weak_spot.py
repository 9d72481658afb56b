"""Reads where somebody is worse than peers with the same mix of deals, the most expensive first."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from kpimart.errors import SettingsError
from kpimart.figures import Period, find_period
from kpimart.insight.pipeline_names import count_pipelines, join_pipelines
from kpimart.warehouse import open_database

KINDS = ("stage_conversion", "win_rate", "loss_reason", "stage_time")
GRAINS = ("quarter", "year")


@dataclass(frozen=True)
class WeakSpot:
    """A spot where an entity is worse than the median of its peers; shares are 0 to 1, times are days, amounts money.

    `value_low` to `value_high` is the value's interval at 95 %, `leak_low` to `leak_high` what that means for the leak.
    `shrunk_value` is the value drawn towards that of the peers, the more the fewer deals there are; `deal_worth` is
    what one deal more brings peers. Both are None where too little is known of peers. `shrunk_leak_amount` is what
    of the leak goes with the shrunk value; `leak_rank` goes by it.
    A stage's time costs no amount, so its leak is None; `is_tied`: another has the same rank.
    """

    kind: str
    entity_key: str
    entity_name: str
    pipeline_id: str
    pipeline_name: str
    stage_name: str | None
    loss_reason: str
    value: Decimal
    value_low: Decimal
    value_high: Decimal
    peer_value: Decimal
    peer_median: Decimal
    shrunk_value: Decimal | None
    sample_size: int
    gap: Decimal
    is_weak: bool
    deal_worth: Decimal | None
    leak_amount: Decimal | None
    leak_low: Decimal | None
    leak_high: Decimal | None
    shrunk_leak_amount: Decimal | None
    leak_rank: int | None
    is_tied: bool


@dataclass(frozen=True)
class WeakSpots:
    """What was found in the deals that were created in a period; `too_few` spots rest on too few of them to tell.

    pipelines: how many the company has; where there is one, nobody need be told which.
    """

    period: Period
    is_complete: bool
    spots: tuple[WeakSpot, ...]
    too_few: int
    pipelines: int


def read_weak_spots(database: Path, *, level: str, period: str, kinds: tuple[str, ...] = KINDS) -> WeakSpots:
    """The spots of a level (department or manager) that are worse than the median peer, kind by kind.

    Those with the largest likely leak come first, and stages' times by the gap. period: quarter or year, for the last
    complete one, or a name of one, as in `read_figures`. Raises SettingsError for another grain or a period that is not
    there.
    """
    with open_database(database) as connection:
        chosen = find_period(connection, period)
        if chosen.grain not in GRAINS:
            raise SettingsError(
                f"period {period}: weak spots are those of a {' or a '.join(GRAINS)}; a {chosen.grain} is too short"
            )
        asked = {"grain": chosen.grain, "start": chosen.start, "level": level, "kinds": list(kinds)}
        rows = connection.execute(
            f"""
            select
                kind, entity_key, entity_name, pipeline_id, pipeline_name, stage_name, loss_reason, value, value_low,
                value_high, peer_value, peer_median, shrunk_value, sample_size,
                gap, is_weak, deal_worth, leak_amount, leak_low, leak_high, shrunk_leak_amount, leak_rank,
                leak_rank is not null and count(*) over (partition by kind, leak_rank) > 1 as is_tied
            from {join_pipelines("weak_spot")}
            where
                period_grain = $grain and period_start = $start and entity_level = $level
                and list_contains($kinds, kind) and status = 'enough' and gap > 0
            order by
                list_position($kinds, kind), leak_rank nulls last, leak_amount desc nulls last, gap desc, entity_name,
                entity_key, pipeline_id, stage_id, loss_reason
            """,
            asked,
        ).fetchall()
        of_all = connection.execute(
            """
            select count(*) filter (where status = 'too_few'), coalesce(bool_and(is_complete), true)
            from weak_spot
            where
                period_grain = $grain and period_start = $start and entity_level = $level
                and list_contains($kinds, kind)
            """,
            asked,
        ).fetchall()
        pipelines = count_pipelines(connection)
    too_few, is_complete = of_all[0]
    return WeakSpots(chosen, is_complete, tuple(WeakSpot(*row) for row in rows), too_few, pipelines)
