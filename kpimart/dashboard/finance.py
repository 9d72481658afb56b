"""Finance: plan, fact and outlook side by side, what the year may come to, and what became of closed months."""

import tempfile
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from kpimart.dashboard.choices import Choice, choose, choose_kpi
from kpimart.dashboard.entity import show_drivers, show_section, whose
from kpimart.dashboard.table import Cell, Column, Quantity, show_table
from kpimart.dashboard.view import View
from kpimart.dashboard.words import period_text, plain
from kpimart.figures import Kpi, read_kpis
from kpimart.insight.drivers import PLAN
from kpimart.insight.forecast import read_accuracy
from kpimart.insight.restatement import read_restatement
from kpimart.render import UNDEFINED, interval_text, value_text
from kpimart.report.restatement import CAUSE_NAMES
from kpimart.warehouse import open_database

_FIGURES = "actual, outlook, outlook_low_80, outlook_high_80, plan, plan_variance, last_year, unit"


def finance(view: View) -> None:
    """The page."""
    say, database = view.say, view.served.release.database
    choice = choose(view)
    codes = _planned_kpis(database)
    if choice is None or not codes:
        st.info(say("The release has nothing that could be planned yet."))
        return
    kpis = {kpi.kpi_code: kpi for kpi in read_kpis(database, codes, view.language)}
    kpi = choose_kpi([kpis[code] for code in codes], say)
    st.title(plain(f"{kpi.name}, {choice.entity_name}"), anchor=False)
    anchor = _anchor(view, choice)
    show_section(view, "Plan, fact, outlook", lambda: _show_periods(view, choice, kpi, anchor))
    if choice.entity.level != "manager":
        show_section(view, "By department", lambda: _show_departments(view, choice, kpi, anchor))
    show_section(view, "Why it is not the plan", lambda: show_drivers(view, choice, kpi, compared_with=PLAN))
    show_section(view, "What the year may come to", lambda: _show_scenarios(view, choice, kpi))
    show_section(view, "Since the month was closed", lambda: _show_restatement(view, choice, kpi))
    if view.sight.sees_all:
        show_section(view, "Plan a year", lambda: _offer_workbooks(view))


def _planned_kpis(database: Path) -> list[str]:
    """Those of `budget_input`, those with a forecast first."""
    with open_database(database) as connection:
        rows = connection.execute(
            """
            select kpi_code
            from budget_input
            group by kpi_code
            order by count(outlook) filter (not is_complete) = 0, kpi_code
            """
        ).fetchall()
    return [code for (code,) in rows]


def _anchor(view: View, choice: Choice) -> date:
    """The last day of the period, as far as it is over: the month, the quarter and the year are those around it."""
    return min(choice.period.end, view.served.release.as_of.astimezone(view.settings.zone).date())


def _columns(view: View, first: str) -> list[Column]:
    say = view.say
    interval, others = say("{share} % lie in", share=80), ("Plan", "Outlook less plan", "Last year")
    titles = [say(first), say("Fact"), say("Outlook"), interval, *map(say, others)]
    return [Column(title) for title in titles]


def _show_periods(view: View, choice: Choice, kpi: Kpi, anchor: date) -> None:
    """The month, its quarter, its year, and the year up to the month."""
    say = view.say
    # A row of year_to_date has the days of the month that it goes up to.
    rows = _ask(
        view,
        f"""
        select scope, period_name, {_FIGURES}
        from budget_input
        where
            kpi_code = $kpi and entity_level = $level and entity_key = $key
            and $anchor between period_start and period_end
        order by list_position(['month', 'quarter', 'year'], period_grain), scope
        """,
        {"kpi": kpi.kpi_code, "level": choice.entity.level, "key": choice.entity.key, "anchor": anchor},
    )
    if not rows:
        st.caption(say("Nothing of this period."))
        return
    named = [
        [say("year to date, {period}", period=name) if scope == "year_to_date" else name, *_figures(figures)]
        for scope, name, *figures in rows
    ]
    show_table(view, say("Plan, fact, outlook"), _columns(view, "Period"), named)


def _show_departments(view: View, choice: Choice, kpi: Kpi, anchor: date) -> None:
    """Of the company all departments, of a department those in its tree."""
    grain = choice.period.grain if choice.period.grain in ("month", "quarter", "year") else "month"
    rows = _ask(
        view,
        f"""
        select entity_name, {_FIGURES}
        from budget_input
        where
            kpi_code = $kpi and entity_level = 'department' and scope = 'period' and period_grain = $grain
            and $anchor between period_start and period_end
            and (
                $level = 'company'
                or entity_key in (
                    select department_id
                    from dim_department_closure
                    where ancestor_department_id = $key and $anchor >= valid_from and $anchor < valid_to
                )
            )
        order by entity_name, entity_key
        """,
        {
            "kpi": kpi.kpi_code,
            "grain": grain,
            "anchor": anchor,
            "level": choice.entity.level,
            "key": choice.entity.key,
        },
    )
    if not rows:
        st.caption(view.say("Nothing of this period."))
        return
    named = [[name, *_figures(figures)] for name, *figures in rows]
    show_table(view, view.say("By department"), _columns(view, "Department"), named)


def _figures(figures: list[Any]) -> list[Cell]:
    actual, outlook, low, high, plan, variance, last_year, unit = figures
    cells: list[Cell] = [Quantity(value, unit) for value in (actual, outlook, plan, variance, last_year)]
    # What is over has no interval.
    cells.insert(2, interval_text(low, high, unit) if low != high else UNDEFINED)
    return cells


def _show_scenarios(view: View, choice: Choice, kpi: Kpi) -> None:
    """Low, base and high of the years that are not over, and how far such forecasts have been trusted rightly."""
    say = view.say
    rows = _ask(
        view,
        """
        select period_name, outlook_low_80, outlook, outlook_high_80, plan, unit
        from budget_input
        where
            kpi_code = $kpi and entity_level = $level and entity_key = $key
            and scope = 'period' and period_grain = 'year' and not is_complete and outlook is not null
        order by period_start
        """,
        {"kpi": kpi.kpi_code, "level": choice.entity.level, "key": choice.entity.key},
    )
    if not rows:
        st.caption(say("Of this KPI there is no forecast."))
        return
    columns = [Column(say(title)) for title in ("Period", "Low", "Base", "High", "Plan")]
    named = [[name, *(Quantity(value, unit) for value in values)] for name, *values, unit in rows]
    show_table(view, say("What the year may come to"), columns, named)
    st.caption(say("Low and high are the ends of the interval in which 80 % of outcomes lie."))
    near = read_accuracy(view.served.release.database, level=choice.entity.level, kpi_codes=[kpi.kpi_code]).accuracies
    if near:
        first = near[0]
        told = say(
            "One month ahead forecasts of the last year were off by {error} (as a year before: {naive}); the interval "
            "held {held}.",
            error=value_text(first.wape, "ratio"),
            naive=value_text(first.naive_wape, "ratio"),
            held=value_text(first.coverage_80, "ratio"),
        )
        st.caption(plain(told))


def _show_restatement(view: View, choice: Choice, kpi: Kpi) -> None:
    """From the figure as closed to the one of now, cause by cause; of a longer period, of the last month closed."""
    say = view.say
    found = read_restatement(
        view.served.release.database,
        [kpi.kpi_code],
        period=choice.period_name if choice.period.grain == "month" else "month",
        language=view.language,
        **whose(choice),
    )
    for bridge in found.bridges:
        unit = bridge.unit
        rows: list[list[Cell]] = [[say("as closed"), None, Quantity(bridge.as_closed.value, unit)]]
        rows += [
            [say(CAUSE_NAMES[step.cause]), Quantity(step.change, unit), Quantity(step.value, unit)]
            for step in bridge.steps
        ]
        rows.append([say("as known now"), None, Quantity(bridge.known_now.value, unit)])
        show_table(view, say("Since the month was closed"), [Column(say(each)) for each in _STEPS], rows)
    start, closing = found.period.start, found.closing
    month = period_text(f"{start:%Y-%m}", "month", start, view.language)
    told = say(
        "{month}: closed by {by} on release {release}", month=month, by=closing.decided_by, release=closing.release_id
    )
    st.caption(plain(told))


_STEPS = ("step", "change", "figure")


# -------------------------------------------------------------------------------------------------------- the workbook


def _offer_workbooks(view: View) -> None:
    """Of the years that are not over; each is made when somebody takes it."""
    st.write(view.say("The workbook that a year is planned in; filled in, kpimart import budget takes it."))
    years = _ask(
        view,
        "select distinct period_name, year(period_end) from budget_input where period_grain = 'year' "
        "and scope = 'period' and not is_complete order by all",
        {},
    )
    with st.container(key="workbooks", horizontal=True):
        for name, year in years:
            st.download_button(
                view.say("Budget {year}", year=name),
                partial(_workbook, view, year),
                f"budget-{year}.xlsx",
                on_click="ignore",
            )


def _workbook(view: View, year: int) -> bytes:
    # Its libraries take their time to import; who only looks at figures must not wait for them.
    from kpimart.finance.budget_workbook import export_budget
    from kpimart.publish.release import verify_release

    release = verify_release(view.settings.home, view.served.release.release_id)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"budget-{year}.xlsx"
        export_budget(release, file, year, view.settings.zone, view.language)
        return file.read_bytes()


def _ask(view: View, query: str, asked: dict[str, object]) -> list[Any]:
    with open_database(view.served.release.database) as connection:
        return connection.execute(query, asked).fetchall()
