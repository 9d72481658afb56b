"""What a person reads of weak spots."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from kpimart import render
from kpimart.language import Language, said

if TYPE_CHECKING:
    from kpimart.insight.weak_spot import WeakSpot, WeakSpots

SHOWN_ROWS = 8

_TITLES = {
    "stage_conversion": "Stages that let through fewer deals than the median peer's",
    "win_rate": "Win rates below the median peer's",
    "loss_reason": "Reasons that lose more deals than they do for the median peer",
    "stage_time": "Stages that take longer than the median peer's",
}


def of_weak_spots(
    found: "WeakSpots", level: str, language: Language, *, shown_rows: int | None
) -> Iterator[RenderableType]:
    """A table for each kind, the largest likely leak first, and how many spots rest on too few deals to say anything.

    shown_rows: how many of a kind, None: all.
    """
    period = found.period
    yield said(_title(found), language, start=period.start, end=period.end)
    for kind, title in _TITLES.items():
        spots = [spot for spot in found.spots if spot.kind == kind]
        if spots:
            yield ""
            yield f"{said(title, language)}: {len(spots):,}"
            shown = spots if shown_rows is None else spots[:shown_rows]
            yield _table(shown, kind, level, language, is_one_of_several=found.pipelines > 1)
            if shown_rows is not None and len(spots) > shown_rows:
                yield said("and {count} more: --all", language, count=f"{len(spots) - shown_rows:,}")
    if not found.spots:
        yield said("Nobody is below the median peer where there are deals enough to tell.", language)
    yield ""
    yield said("* the interval at 95 % lies wholly on the worse side of what peers with the same mix have", language)
    yield said("too few deals to tell: {count}", language, count=f"{found.too_few:,}")


def _title(found: "WeakSpots") -> str:
    if not found.period.is_complete:
        return "deals created {start} … {end}, the period goes on"
    if not found.is_complete:
        return "deals created {start} … {end}, some still open"
    return "deals created {start} … {end}"


def _table(
    spots: "Sequence[WeakSpot]", kind: str, level: str, language: Language, *, is_one_of_several: bool
) -> RenderableType:
    """is_one_of_several: the company has other pipelines, so that a stage or a reason does not say where it is."""
    unit = "days" if kind == "stage_time" else "ratio"
    columns = [
        *([] if kind == "stage_time" else ["rank"]),
        level.capitalize(),
        *(["pipeline"] if is_one_of_several else []),
        *([] if kind == "win_rate" else ["reason" if kind == "loss_reason" else "stage"]),
        "days" if kind == "stage_time" else "share",
        "interval",
        "peers",
        "median peer",
        "stays" if kind == "stage_time" else "deals",
        *([] if kind == "stage_time" else ["likely leak", "leak", "interval of the leak"]),
    ]
    rows = [_row(spot, unit, is_one_of_several=is_one_of_several) for spot in spots]
    return render.rows_table([said(each, language) for each in columns], rows)


def _row(spot: "WeakSpot", unit: str, *, is_one_of_several: bool) -> tuple[object, ...]:
    place = spot.loss_reason if spot.kind == "loss_reason" else spot.stage_name
    told = (
        spot.entity_name,
        *([spot.pipeline_name] if is_one_of_several else []),
        *([] if spot.kind == "win_rate" else [place]),
        f"{render.value_text(spot.value, unit)}{' *' if spot.is_weak else ''}",
        render.interval_text(spot.value_low, spot.value_high, unit),
        render.value_text(spot.peer_value, unit),
        render.value_text(spot.peer_median, unit),
        spot.sample_size,
    )
    if spot.kind == "stage_time":
        return told
    leak = (
        render.value_text(spot.shrunk_leak_amount, "amount"),
        render.value_text(spot.leak_amount, "amount"),
        render.interval_text(spot.leak_low, spot.leak_high, "amount"),
    )
    return (_rank(spot), *told, *leak)


def _rank(spot: "WeakSpot") -> str:
    if spot.leak_rank is None:
        return render.UNDEFINED
    return f"{spot.leak_rank}{' =' if spot.is_tied else ''}"
