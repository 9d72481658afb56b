"""What the pages of a department and of a manager show: the scorecard, and around one KPI of it what explains it."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal

import streamlit as st

from kpimart import explain
from kpimart.dashboard.chart import Bar, series_chart, waterfall_chart
from kpimart.dashboard.choices import BASES, COMPANY, LENSES, Choice, choose, choose_kpi
from kpimart.dashboard.table import Cell, Column, Quantity, show_table
from kpimart.dashboard.view import View
from kpimart.dashboard.words import days_text, period_text, plain
from kpimart.errors import SettingsError
from kpimart.figures import Kpi, profile_kpis, read_kpis
from kpimart.insight import customers, funnel, pipeline, weak_spot
from kpimart.insight.drivers import PREVIOUS, read_change
from kpimart.insight.scorecard import read_cut, read_scorecard
from kpimart.insight.trend import read_series
from kpimart.render import UNDEFINED, interval_text, value_text
from kpimart.report.customers import COLUMN_NAMES
from kpimart.report.drivers import driver_name, signed_text
from kpimart.report.pipeline import STEP_NAMES

TREND_LENGTHS = {"week": 104, "month": 36, "quarter": 12, "year": 5}
SHOWN_ROWS = 200
"""So many deals behind a figure are listed; the sum is that of all of them."""


def show_entity(view: View, level: Literal["department", "manager"]) -> None:
    """The page of somebody of a level."""
    choice = choose(view, levels=(level,), has_cuts=True)
    if choice is None:
        st.info(view.say("There is nobody to show here."))
        return
    told = period_text(choice.period_name, choice.period.grain, choice.period.start, view.language)
    st.title(plain(f"{choice.entity_name}, {told}"), anchor=False)
    st.caption(plain(days_text(choice.period.start, choice.period.end, view.language)))
    database = view.served.release.database
    kpis = read_kpis(database, profile_kpis(view.settings.profile, view.settings.seeds), view.language)
    with st.container(key="scorecard"):
        _show_scorecard(view, choice)
    st.divider()
    kpi = choose_kpi(kpis, view.say)
    show_section(view, "Trend", lambda: _show_trend(view, choice, kpi))
    show_section(view, "Why it changed", lambda: show_drivers(view, choice, kpi))
    show_section(view, "Behind the figure", lambda: _show_contributions(view, choice, kpi))
    st.divider()
    show_section(view, "Funnel", lambda: _show_funnel(view, choice))
    show_section(view, "Weak spots", lambda: _show_weak_spots(view, choice))
    show_section(view, "Customers", lambda: _show_customers(view, choice))
    show_section(view, "Pipeline", lambda: _show_pipeline(view, choice))


def show_section(view: View, title: str, show: Callable[[], None]) -> None:
    """A part of the page; one that has nothing to say of this period does not keep the others from being read."""
    st.subheader(view.say(title), anchor=False)
    try:
        show()
    except SettingsError as error:
        st.caption(plain(str(error)))


def _show_nothing(view: View) -> None:
    st.caption(view.say("Nothing of this period."))


# ------------------------------------------------------------------------------------------------------- the scorecard


def _show_scorecard(view: View, choice: Choice) -> None:
    say, entity, period = view.say, choice.entity, choice.period
    database = view.served.release.database
    card = read_scorecard(database, level=entity.level, entity_key=entity.key, period=period, language=view.language)
    st.subheader(say("Scorecard"), anchor=False)
    if not card.lines:
        _show_nothing(view)
        return
    codes = [line.kpi_code for line in card.lines]
    cut = _cut(view, choice, codes)
    heads = [Column(say(title)) for title in ("KPI", "Value", "Target")]
    heads += [Column(say("of the target"), "ratio"), Column(say("Weight"), "ratio"), Column(say("Score"), "ratio")]
    if cut is not None:
        heads.insert(2, Column(" · ".join(say(name) for name in _cut_names(choice))))
    rows: list[list[Cell]] = []
    for line in card.lines:
        row: list[Cell] = [
            line.kpi_name,
            Quantity(line.value, line.unit),
            Quantity(line.target, line.unit),
            line.attainment,
            line.weight,
            line.score,
        ]
        if cut is not None:
            row.insert(2, Quantity(cut.get(line.kpi_code), line.unit))
        rows.append(row)
    show_table(view, say("Scorecard"), heads, rows)
    if card.total is not None:
        st.markdown(say("Score: **{score}**", score=plain(value_text(card.total, "ratio"))))
    if card.bonus_coefficient is not None:
        st.caption(plain(say("Bonus coefficient: {coefficient}", coefficient=f"{card.bonus_coefficient:.2f}")))


def _cut_names(choice: Choice) -> list[str]:
    return [BASES[choice.basis]] if choice.basis == "as_closed" else [LENSES[choice.lens]]


def _cut(view: View, choice: Choice, codes: Sequence[str]) -> dict[str, Decimal | None] | None:
    """What was asked for beside the published figures; of a closed month only the owner then is known."""
    is_closed = choice.basis == "as_closed"
    if not is_closed and choice.lens == next(iter(LENSES)):
        return None
    return read_cut(
        view.served.release.database,
        level=choice.entity.level,
        entity_key=choice.entity.key,
        period=choice.period,
        kpi_codes=codes,
        lens=next(iter(LENSES)) if is_closed else choice.lens,
        cut_by="as_closed" if is_closed else "all",
    )


# ---------------------------------------------------------------------------------------------------------- of one KPI


def _show_trend(view: View, choice: Choice, kpi: Kpi) -> None:
    period, entity = choice.period, choice.entity
    if period.grain not in TREND_LENGTHS:
        st.caption(view.say("There are no trends by day."))
        return
    points = read_series(
        view.served.release.database,
        kpi.kpi_code,
        level=entity.level,
        entity_key=entity.key,
        period=period,
        length=TREND_LENGTHS[period.grain],
    )
    spec = series_chart(points, period.grain, kpi.unit, view.language, view.say)
    if spec is None:
        _show_nothing(view)
        return
    periods = f"{points[0].period_name} – {points[-1].period_name}"
    alt = view.say("{kpi} of {whose}, {periods}", kpi=kpi.name, whose=choice.entity_name, periods=periods)
    st.vega_lite_chart(spec=spec, alt=alt)
    st.caption(view.say("Dashed: adjusted for the season. Band: what was to be expected. Diamond: outside of it."))


def show_drivers(view: View, choice: Choice, kpi: Kpi, *, compared_with: str = PREVIOUS) -> None:
    """What made a figure of the one before, or of the plan, as a waterfall."""
    say = view.say
    change = read_change(
        view.served.release.database,
        kpi.kpi_code,
        period=choice.period_name,
        compared_with=compared_with,
        language=view.language,
        **whose(choice),
    )
    unit = change.unit
    bars = [
        Bar(
            say("before" if compared_with == PREVIOUS else "Plan"),
            change.value_before,
            value_text(change.value_before, unit),
            is_total=True,
        ),
        *(
            Bar(
                driver_name(each.driver, view.language),
                each.contribution,
                signed_text(each.contribution, unit, view.language),
            )
            for each in change.drivers
        ),
        Bar(say("now"), change.value_after, value_text(change.value_after, unit), is_total=True),
    ]
    told = say("{kpi}: from {before} to {now}", kpi=change.kpi_name, before=bars[0].told, now=bars[-1].told)
    if any(each.amount for each in bars):
        st.vega_lite_chart(spec=waterfall_chart(bars, unit, say), alt=told)
    st.caption(plain(told))


def _show_contributions(view: View, choice: Choice, kpi: Kpi) -> None:
    """Read when somebody asks for it, as it finds the figure anew in all that happened."""
    say = view.say
    if not st.toggle(say("Show what it is made of"), key="contributions"):
        return
    found = explain.explain(
        view.served.release.database,
        kpi.kpi_code,
        period=choice.period_name,
        language=view.language,
        shown_rows=SHOWN_ROWS,
        **whose(choice),
    )
    for section in found.sections:
        titles = [say("id"), say("name"), say("day"), say("what")]
        columns = [*map(Column, titles), *(Column(each.name, "amount") for each in section.measures)]
        rows = [
            [each.id, each.name or "", each.day, each.what, *(each.weights[one.name] for one in section.measures)]
            for each in section.rows
        ]
        name = say(section.title)
        st.caption(plain(say("{what}: {count}", what=name, count=f"{section.count:,}")))
        if rows:
            show_table(view, name, columns, rows)
        sums = ", ".join(f"{one.name} = {_plain_number(section.totals[one.name])}" for one in section.measures)
        st.caption(plain(say("All of them: {sums}", sums=sums)))
    st.caption(plain(say("Found anew: {value}", value=value_text(found.found.value, found.unit))))
    if found.differences:
        if view.sight.sees_all:
            st.error(plain(" ".join(found.differences)))
        else:
            st.caption(say("The figure has parts that are shown to others only."))


def _plain_number(value: Decimal | None) -> str:
    return UNDEFINED if value is None else f"{value:,}"


def whose(choice: Choice) -> dict[str, str]:
    """Who is chosen, as those who read insights are told it; nobody is the company."""
    return {} if choice.entity.level == COMPANY else {choice.entity.level: choice.entity.key}


# ----------------------------------------------------------------------------------------------------- of the pipeline


def _show_funnel(view: View, choice: Choice) -> None:
    say, entity = view.say, choice.entity
    stages = funnel.read_funnel(
        view.served.release.database, level=entity.level, entity_key=entity.key, period=choice.period
    )
    if not stages:
        _show_nothing(view)
        return
    is_one_of_several = stages[0].is_one_of_several
    columns = [
        *([Column(say("pipeline"))] if is_one_of_several else []),
        Column(say("stage")),
        Column(say("deals"), "count"),
        Column(say("to the next stage"), "ratio"),
        Column(say("won of them"), "ratio"),
        Column(say("median days"), "days"),
        Column(say("median peer, days"), "days"),
    ]
    rows = [
        [
            *([each.pipeline_name] if is_one_of_several else []),
            each.stage_name,
            each.reached_deals,
            each.next_stage_rate,
            each.won_rate,
            each.median_days,
            each.peer_days,
        ]
        for each in stages
    ]
    show_table(view, say("Funnel"), columns, rows)


def _show_weak_spots(view: View, choice: Choice) -> None:
    """Of a shorter period, those of the last complete quarter."""
    say, entity, period = view.say, choice.entity, choice.period
    asked = choice.period_name if period.grain in weak_spot.GRAINS else weak_spot.GRAINS[0]
    found = weak_spot.read_weak_spots(view.served.release.database, level=entity.level, period=asked)
    days = days_text(found.period.start, found.period.end, view.language)
    st.caption(plain(say("Deals created {days}, against peers with the same mix of deals.", days=days)))
    spots = [each for each in found.spots if each.entity_key == entity.key]
    if not spots:
        st.caption(say("No spot is below the median peer's where there are deals enough to tell."))
        return
    titles = [say("kind"), say("where"), say("value"), say("interval"), say("peers"), say("deals"), say("likely leak")]
    columns = [Column(title) for title in titles[:5]] + [Column(titles[5], "count"), Column(titles[6], "amount")]
    rows: list[list[Cell]] = [
        [
            say(_KINDS[each.kind]),
            each.loss_reason if each.kind == "loss_reason" else each.stage_name or "",
            Quantity(each.value, _unit(each)),
            interval_text(each.value_low, each.value_high, _unit(each)),
            Quantity(each.peer_value, _unit(each)),
            each.sample_size,
            each.shrunk_leak_amount,
        ]
        for each in spots
    ]
    show_table(view, say("Weak spots"), columns, rows)


_KINDS = {
    "stage_conversion": "conversion of a stage",
    "win_rate": "win rate",
    "loss_reason": "loss reason",
    "stage_time": "time in a stage",
}


def _unit(spot: weak_spot.WeakSpot) -> str:
    return "days" if spot.kind == "stage_time" else "ratio"


def _show_customers(view: View, choice: Choice) -> None:
    say = view.say
    if choice.period.grain not in customers.GRAINS:
        st.caption(say("Customers are counted by month, quarter and year."))
        return
    base = customers.read_base(view.served.release.database, level=choice.entity.level, period=choice.period_name)
    found = next((each for each in base.entities if each.entity_key == choice.entity.key), None)
    if found is None:
        _show_nothing(view)
        return
    rows: list[list[Cell]] = [
        [say(name), *(Quantity(getattr(counts, column, None), unit) for counts in (found.before, found.counts))]
        for column, (name, unit) in COLUMN_NAMES.items()
    ]
    show_table(view, say("Customers"), [Column(say("customers")), Column(say("before")), Column(say("now"))], rows)


def _show_pipeline(view: View, choice: Choice) -> None:
    say = view.say
    found = pipeline.read_waterfalls(
        view.served.release.database, level=choice.entity.level, period=choice.period_name, scope="open"
    )
    own = next((each for each in found.waterfalls if each.entity_key == choice.entity.key), None)
    if own is None:
        _show_nothing(view)
        return
    bars = [
        Bar(
            say(STEP_NAMES[step.name]),
            (step.amount or Decimal()) * (-1 if step.name in pipeline.TAKEN_AWAY else 1),
            value_text(step.amount, found.unit),
            is_total=step.name in ("opening", "closing"),
        )
        for step in own.steps
    ]
    told = say("Open deals: from {before} to {now}", before=bars[0].told, now=bars[-1].told)
    st.vega_lite_chart(spec=waterfall_chart(bars, found.unit, say), alt=told)
    columns = [Column(say("step")), Column(say("deals"), "count"), Column(f"{say('amount')}, {found.unit}", found.unit)]
    show_table(view, say("Pipeline"), columns, [[say(STEP_NAMES[s.name]), s.deals, s.amount] for s in own.steps])
