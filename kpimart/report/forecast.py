"""What a person sees of forecasts."""

from collections.abc import Iterator

from rich.console import RenderableType

from kpimart import render
from kpimart.insight.forecast import LEAST_MONTHS, Accuracies, Accuracy, Forecast, Forecasts, Month
from kpimart.language import Language, said

SUMS = (1, 3, 12)
"""Months ahead, the first one included, of which the sums are shown."""

_METHODS = {
    "seasonal_naive": "as a year before",
    "run_rate": "run rate with season",
    "theta": "Theta",
    "mstl": "MSTL",
    "ets": "exponential smoothing",
    "arima": "ARIMA",
    "weighted_pipeline": "weighted pipeline",
    "combination": "mean of all methods",
}
_SHARES = {
    "share_of_department": "share of the department",
    "share_of_company": "share of the company",
}


def of_sums(found: Forecasts, level: str, language: Language) -> Iterator[RenderableType]:
    """A row a KPI and entity: the next month and what the months from it on come to, with intervals."""
    if not found.forecasts:
        yield _why_nothing(found, language)
        return
    yield said("made at the end of {day}, on what was known then", language, day=found.origin_on)
    headings = [
        heading
        for count in SUMS
        for heading in (
            said("the next month", language) if count == 1 else said("{count} months", language, count=count),
            _interval_heading(80, language),
        )
    ]
    yield render.rows_table(
        [said(level.capitalize(), language), said("KPI", language), *headings, said("method", language)],
        [
            [
                render.entity_title(level, each.entity_name, language),
                each.kpi.name,
                *(cell for count in SUMS for cell in _sum(each.months[count - 1], each.unit)),
                _method(each, language),
            ]
            for each in found.forecasts
        ],
    )


def of_months(found: Forecasts, level: str, language: Language) -> Iterator[RenderableType]:
    """A row a month, KPI by KPI and entity by entity, with both intervals."""
    if not found.forecasts:
        yield _why_nothing(found, language)
        return
    yield said("made at the end of {day}, on what was known then", language, day=found.origin_on)
    headings = ("KPI", "month", "expected")
    yield render.rows_table(
        [
            said(level.capitalize(), language),
            *(said(heading, language) for heading in headings),
            *(_interval_heading(share, language) for share in (80, 95)),
            said("sum so far", language),
            _interval_heading(80, language),
        ],
        [
            [
                render.entity_title(level, each.entity_name, language),
                each.kpi.name,
                f"{month.period_start} … {month.period_end}",
                render.value_text(month.value, each.unit),
                render.interval_text(month.low_80, month.high_80, each.unit),
                render.interval_text(month.low_95, month.high_95, each.unit),
                *_sum(month, each.unit),
            ]
            for each in found.forecasts
            for month in each.months
        ],
    )


def of_accuracy(found: Accuracies, language: Language) -> Iterator[RenderableType]:
    """A row a KPI and months ahead: errors beside those of seasonal naive, intervals beside what they promise."""
    if not found.accuracies:
        yield said("no forecast can be compared with what came yet", language)
        return
    headings = (
        *("KPI", "months ahead", "compared", "error (WAPE)", "error of seasonal naive", "bias"),
        *("80 % held", "95 % held", "80 % of sums held", "95 % of sums held"),
    )
    yield render.rows_table(
        [said(heading, language) for heading in headings], [_accuracy(each) for each in found.accuracies]
    )
    if found.is_backtest:
        yield said("all of it is a backtest: forecasts of then are made of what the first load told", language)


def _accuracy(each: Accuracy) -> list[object]:
    first, last = each.first_horizon, each.last_horizon
    bias = render.UNDEFINED if each.bias is None else f"{each.bias * 100:+z,.1f} %"
    shares = (each.coverage_80, each.coverage_95, each.cumulative_coverage_80, each.cumulative_coverage_95)
    return [
        each.kpi.name,
        str(first) if first == last else f"{first} … {last}",
        each.months,
        *(render.value_text(share, "ratio") for share in (each.wape, each.naive_wape)),
        bias,
        *(render.value_text(share, "ratio") for share in shares),
    ]


def _sum(month: Month, unit: str) -> tuple[str, str]:
    low, high = month.cumulative_low_80, month.cumulative_high_80
    return render.value_text(month.cumulative_value, unit), render.interval_text(low, high, unit)


def _interval_heading(share: int, language: Language) -> str:
    return said("{share} % lie in", language, share=share)


def _method(each: Forecast, language: Language) -> str:
    return said(_SHARES[each.status] if each.status in _SHARES else _METHODS[each.method], language)


def _why_nothing(found: Forecasts, language: Language) -> str:
    if found.whole_months < LEAST_MONTHS:
        return said(
            "there is no forecast yet: it takes {least} whole months of the company, and {count} are known",
            language,
            least=LEAST_MONTHS,
            count=found.whole_months,
        )
    return said(
        "none of these is forecast: won_amount, won_deals, new_customers and leads_created are, where the catalogue "
        "counts by them what the measures of these names do",
        language,
    )
