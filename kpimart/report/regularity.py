"""What a person reads of regularities."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from babel.dates import get_day_names, get_month_names
from rich.console import RenderableType

from kpimart import render
from kpimart.language import Language, said

if TYPE_CHECKING:
    from kpimart.insight.regularity import Buying, Closing, Cycle, EarlySign, Regularities, Season

_KINDS = {"month_of_year": "month", "weekday": "weekday"}
_BANDS = {
    "below 1000": "below 1,000",
    "1000 to 9999": "1,000 to 9,999",
    "10000 to 99999": "10,000 to 99,999",
    "100000 to 999999": "100,000 to 999,999",
    "1000000 and more": "1,000,000 and more",
}
_SIGNS = {
    "reached_stage": "in stage {stage} within 14 days",
    "activities": "activities within 14 days: at least {count}",
    "meeting": "a meeting within 14 days",
    "prompt_response": "lead answered within 24 hours",
}


def of_regularities(found: "Regularities", level: str, language: Language) -> Iterator[RenderableType]:
    """How wins lie in a period, how long they take, which early signs go with them, seasons, and who buys again."""
    period = found.period
    yield said(
        "Wins in the last tenth of the working days, {start} … {end}", language, start=period.start, end=period.end
    )
    of_closings = ("share of wins", "interval", "if even", "of the amount", "linearity", "wins")
    yield render.rows_table(
        [said(level.capitalize(), language), *(said(column, language) for column in of_closings)],
        [_closing_row(each, render.entity_title(level, each.entity_name, language)) for each in found.closings],
    )
    if not found.closings:
        why = "no wins in the period" if period.is_complete else "the period goes on; it is told once it is over"
        yield said(why, language)
    yield ""
    since = found.since or render.UNDEFINED
    yield said("Days from creation to winning, company, wins since {day}", language, day=since)
    of_cycles = ("by", "segment", "10 %", "25 %", "median", "75 %", "90 %", "wins")
    yield render.rows_table(
        [said(column, language) for column in of_cycles], [_cycle_row(each, language) for each in found.cycles]
    )
    yield ""
    yield said("What goes with winning within 180 days, company, deals since {day}", language, day=since)
    is_one_of_several = found.pipelines > 1
    of_signs = (
        *(["pipeline"] if is_one_of_several else []),
        "sign",
        "won with it",
        "won without",
        "difference",
        "interval",
        "odds ratio",
        "deals",
        "goes with",
    )
    yield render.rows_table(
        [said(column, language) for column in of_signs],
        [_sign_row(each, language)[0 if is_one_of_several else 1 :] for each in found.signs],
    )
    yield said(
        "What goes together need not follow from one another: the sign may be there because the deal is good.", language
    )
    yield ""
    yield from _of_seasons(found.seasons, language)
    if found.buying and found.buying.intervals:
        yield ""
        yield _of_buying(found.buying, language)


def _of_seasons(seasons: "Sequence[Season]", language: Language) -> Iterator[RenderableType]:
    if not seasons:
        yield said("Seasons of the won amount, company: too short a history", language)
        return
    yield said("Seasons of the won amount, company: 1.00 is usual", language)
    yield render.rows_table(
        [said(column, language) for column in ("by", "season", "index", "sample")],
        [
            (
                said(_KINDS[each.kind], language),
                _season_name(each, language),
                render.value_text(each.seasonal_index, "number"),
                each.sample,
            )
            for each in seasons
        ],
    )


def _season_name(each: "Season", language: Language) -> str:
    """January or Monday; the months of a year of weeks have no names of their own."""
    if each.kind == "weekday":
        return str(get_day_names("wide", "stand-alone", language)[int(each.name) - 1])
    return str(get_month_names("wide", "stand-alone", language)[int(each.name)]) if each.name.isdigit() else each.name


def _of_buying(each: "Buying", language: Language) -> str:
    days = {
        name: render.value_text(quartile, "days")
        for name, quartile in (("q1", each.q1_days), ("median", each.median_days), ("q3", each.q3_days))
    }
    return said(
        "Days from one purchase of an account to the next: median {median}, middle half {q1} … {q3}; {overdue} of "
        "{customers} customers are overdue",
        language,
        overdue=f"{each.overdue_customers:,}",
        customers=f"{each.customers:,}",
        **days,
    )


def _closing_row(each: "Closing", whose: str) -> tuple[object, ...]:
    return (
        whose,
        render.value_text(each.share, "ratio"),
        render.interval_text(each.share_low, each.share_high, "ratio"),
        render.value_text(each.even_share, "ratio"),
        render.value_text(each.amount_share, "ratio"),
        render.value_text(each.linearity, "number"),
        each.won_deals,
    )


def _cycle_row(each: "Cycle", language: Language) -> tuple[object, ...]:
    days = (each.p10_days, each.p25_days, each.median_days, each.p75_days, each.p90_days)
    return (
        said(each.segment_by, language).replace("_", " "),
        _segment_name(each, language),
        *(render.value_text(quantile, "days") for quantile in days),
        each.won_deals,
    )


def _segment_name(each: "Cycle", language: Language) -> str:
    if each.segment_by == "all":
        return ""
    if each.segment_by == "amount_band" and each.segment in _BANDS:
        return said(_BANDS[each.segment], language)
    return each.segment_name


def _sign_row(each: "EarlySign", language: Language) -> tuple[object, ...]:
    count = "" if each.fewest_activities is None else f"{each.fewest_activities.normalize():f}"
    difference = each.difference
    pp = said("pp", language)
    return (
        each.pipeline_name,
        said(_SIGNS[each.sign], language, stage=each.stage_name, count=count),
        render.value_text(each.win_rate_with, "ratio"),
        render.value_text(each.win_rate_without, "ratio"),
        render.UNDEFINED if difference is None else f"{difference * 100:+z,.1f} {pp}",
        _points(each.difference_low, each.difference_high),
        render.value_text(each.odds_ratio, "number"),
        f"{each.deals_with:,} / {each.deals_without:,}" if each.is_told else render.UNDEFINED,
        said((each.goes_with or "too few") if each.is_told else "the source does not tell", language),
    )


def _points(low: Decimal | None, high: Decimal | None) -> str:
    if low is None or high is None:
        return render.UNDEFINED
    return f"{low * 100:+z,.1f} … {high * 100:+z,.1f}"
