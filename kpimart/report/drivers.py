"""What a person reads of a change: what it was, what it is, and what drove it, the largest first."""

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from kpimart import render
from kpimart.insight.driver_names import DRIVER_NAMES, STAGE
from kpimart.language import RUSSIAN, Language, said

if TYPE_CHECKING:
    from kpimart.figures import Period
    from kpimart.insight.drivers import Change, Driver

_STAGE = f"{STAGE}:"
_RATES = ("win_rate", _STAGE)


def of_change(change: "Change", language: Language) -> Iterator[RenderableType]:
    """The two figures, a row for each driver, and their sum, which is the difference."""
    of_period = render.period_title(change.period, language)
    yield f"{change.kpi_name} ({change.kpi_code}), {change.entity.name}, {of_period}"
    against = render.value_text(change.value_before, change.unit)
    compared = said("plan", language) if change.is_plan else said("before", language)
    if change.before is not None:
        compared = f"{compared}, {_days(change.before)}" if not change.is_plan else compared
    yield render.facts(
        [
            (compared, against),
            (said("now", language), render.value_text(change.value_after, change.unit)),
            (said("difference", language), _moved(change.difference, change.unit, language)),
        ]
    )
    if change.is_plan and change.before is not None:
        yield said(
            "laid beside {period}, as what would drive a plan is not known", language, period=_days(change.before)
        )
    columns = ("driver", "before", "now", "contribution")
    rows = [_row(driver, change, language) for driver in change.drivers]
    total = sum((driver.contribution for driver in change.drivers), Decimal())
    rows.append((f"Σ {said('together', language)}", "", "", _moved(total, change.unit, language)))
    yield render.rows_table([said(column, language) for column in columns], rows)


def _row(driver: "Driver", change: "Change", language: Language) -> tuple[object, ...]:
    return (
        driver_name(driver.driver, language),
        _factor(driver.driver, driver.factor_before),
        _factor(driver.driver, driver.factor_after),
        _moved(driver.contribution, change.unit, language),
    )


def driver_name(driver: str, language: Language) -> str:
    """What people call a driver by its code."""
    if driver.startswith(_STAGE):
        return said("conversion of {stage}", language, stage=driver.removeprefix(_STAGE))
    name = DRIVER_NAMES.get(driver, driver)
    return said(name, language) if name in RUSSIAN else name


def _factor(driver: str, value: Decimal | None) -> str:
    """Rates as per cent, amounts with cents, quotients with four digits; empty where there is no factor."""
    if value is None:
        return ""
    if driver.startswith(_RATES):
        return render.value_text(value, "ratio")
    if driver in ("cycle_time", "currency", "created_deals", "closed_deals"):
        return f"{value:,.4f}"
    return render.value_text(value, "count" if value == value.to_integral_value() else "")


def _moved(contribution: Decimal, unit: str, language: Language) -> Text:
    return Text(f"{render.arrow(contribution)} {signed_text(contribution, unit, language)}", justify="right")


def signed_text(value: Decimal, unit: str, language: Language) -> str:
    """A contribution as `render.value_text` writes it, with its sign; a change of a rate is one of points."""
    if unit == "ratio":
        return f"{value * 100:+z,.2f} {said('pp', language)}"
    text = render.value_text(value, unit)
    return text if text.startswith("-") else f"+{text}"


def _days(period: "Period") -> str:
    return f"{period.start} … {period.end}"
