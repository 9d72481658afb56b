"""Overview: the few KPIs of the active profile, how they move, and where to look."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Literal

import streamlit as st

from kpimart.dashboard.chart import trend_chart
from kpimart.dashboard.choices import Choice, address, choose
from kpimart.dashboard.table import show_lines
from kpimart.dashboard.view import View
from kpimart.dashboard.words import days_text, period_text, plain
from kpimart.figures import Figure, Kpi, Point, profile_kpis, read_figures, read_history, read_kpis, read_scores
from kpimart.render import UNDEFINED, by_entity, direction, heading, note_text, value_text

# How many periods a trend shows: a month's days, half a year's weeks, each month with the same one of the year before.
TREND_LENGTHS = {"day": 31, "week": 26, "month": 13, "quarter": 9, "year": 5}
_COLOURS: dict[str, Literal["green", "red", "off"]] = {"better": "green", "worse": "red", "same": "off"}


@dataclass(frozen=True)
class _Row:
    """Somebody below the one whose page it is: how the address and people call them, their score and their figures."""

    of: str
    name: str
    score: Decimal | None
    figures: dict[str, Figure]


def overview(view: View) -> None:
    """The page."""
    choice = choose(view)
    if choice is None:
        st.info(view.say("The release holds nothing yet: no deal, lead or activity has happened."))
        return
    with st.spinner(view.say("Reading the figures …")):
        _show_figures(view, choice)


def _show_figures(view: View, choice: Choice) -> None:
    database = view.served.release.database
    kpis = read_kpis(database, profile_kpis(view.settings.profile, view.settings.seeds), view.language)
    codes = [kpi.kpi_code for kpi in kpis]
    history = read_history(
        database,
        level=choice.entity.level,
        entity_key=choice.entity.key,
        period=choice.period,
        kpi_codes=codes,
        length=TREND_LENGTHS[choice.period.grain],
    )
    _show_title(view, choice, history[codes[0]])
    if all(points[-1].unit is None for points in history.values()):
        whose, period = plain(choice.entity_name), plain(_period(view, choice))
        st.info(view.say("{whose} has no figures in {period}.", whose=whose, period=period))
    with st.container(key="cards"):
        for kpi in kpis:
            with st.container(border=True, height="stretch"):
                _show_card(view, choice, kpi, history[kpi.kpi_code])
    count = len(history[codes[0]])
    legend = view.say("Lines: the last {count} periods. Dashed: the target. Ring: a period that goes on.", count=count)
    st.caption(plain(legend))
    rows = _rows_below(view, choice, codes)
    if rows:
        _show_where_to_look(view, choice, kpis, rows)


def _show_title(view: View, choice: Choice, points: Sequence[Point]) -> None:
    st.title(plain(f"{choice.entity_name}, {_period(view, choice)}"), anchor=False)
    period, parts = choice.period, []
    if period.grain != "day":
        parts.append(days_text(period.start, period.end, view.language))
    if period.is_complete and len(points) > 1:
        before = points[-2]
        name = period_text(before.period_name, period.grain, before.start, view.language)
        parts.append(view.say("Compared with {period}", period=name))
    st.caption(" · ".join(map(plain, parts)))


def _period(view: View, choice: Choice) -> str:
    told = period_text(choice.period_name, choice.period.grain, choice.period.start, view.language)
    return told if choice.period.is_complete else f"{told}, {view.say('going on')}"


# ------------------------------------------------------------------------------------------------------------- the KPIs


def _show_card(view: View, choice: Choice, kpi: Kpi, points: Sequence[Point]) -> None:
    now, before = points[-1], points[-2] if len(points) > 1 else None
    unit = next((point.unit for point in reversed(points) if point.unit), kpi.unit)
    note = note_text(
        now.value,
        before.value if before else None,
        unit,
        is_complete=choice.period.is_complete,
        language=view.language,
    )
    label = heading(kpi, unit if unit != "currency" else None)
    st.metric(
        plain(label),
        value_text(now.value, unit),
        note or None,
        delta_color=_COLOURS[direction(note, kpi.better)],
        delta_arrow="off",
        help=_explanation(view, kpi, now),
    )
    _show_target(view, now, unit)
    spec = trend_chart(points, choice.period.grain, unit, view.language, view.say)
    if spec:
        periods = f"{points[0].period_name} – {now.period_name}"
        alt = view.say("{kpi} of {whose}, {periods}", kpi=label, whose=choice.entity_name, periods=periods)
        st.vega_lite_chart(spec=spec, alt=alt)


def _explanation(view: View, kpi: Kpi, now: Point) -> str:
    told = [
        kpi.description or "",
        view.say("Rests on {count} deals, leads or customers.", count=f"{now.sample_size:,}"),
    ]
    if now.pace is not None:
        told.append(view.say("Pace: what there is, as a part of what is usual by this working day for the target."))
    return plain(" ".join(told).strip())


def _show_target(view: View, now: Point, unit: str) -> None:
    """The target in words, and a bar as long as the part of it that is reached."""
    target, reached = value_text(now.target, unit), min(max(now.attainment or 0, 0), 1)
    if now.target is None:
        told = [view.say("No target is set")]
    elif now.attainment is None:
        told = [view.say("Target {target}", target=target)]
    else:
        told = [view.say("{share} of the target {target}", share=_share(now.attainment), target=target)]
    if now.pace is not None:
        told.append(view.say("Pace {share}", share=_share(now.pace)))
    lines = "".join(f"<div>{escape(line)}</div>" for line in told)
    bar = f"<div class='bar'><div style='width: {reached:.1%}'></div></div>" if now.attainment is not None else ""
    st.html(f"<div class='target'>{lines}{bar}</div>")


def _share(value: Decimal | None) -> str:
    return value_text(value, "ratio")


# -------------------------------------------------------------------------------------------------------- where to look


def _rows_below(view: View, choice: Choice, codes: Sequence[str]) -> list[_Row]:
    """Of the company all departments; of a department those right below it and its managers. The lowest score first."""
    own = choice.entity
    match own.level:
        case "company":
            rows = _departments(view, choice, codes)
        case "department":
            rows = [
                row for row in _departments(view, choice, codes) if choice.entities[row.of].department_id == own.key
            ]
            rows += _managers(view, choice, codes, own.key)
        case _:
            rows = []
    return sorted(rows, key=lambda row: (row.score is None, row.score or 0, row.name))


def _departments(view: View, choice: Choice, codes: Sequence[str]) -> list[_Row]:
    database = view.served.release.database
    scores = read_scores(database, level="department", period=choice.period)
    found = read_figures(database, level="department", period=choice.period_name, kpi_codes=codes)
    return [_Row(f"department:{key}", name, scores.get(key), figures) for key, name, figures in by_entity(found)]


def _managers(view: View, choice: Choice, codes: Sequence[str], department_id: str) -> list[_Row]:
    """The managers of a department: their figures while they sat in it, their scores wherever they did."""
    database = view.served.release.database
    scores = read_scores(database, level="manager", period=choice.period)
    found = read_figures(database, level="manager_in_department", period=choice.period_name, kpi_codes=codes)
    rows = []
    for key, _, figures in by_entity(found):
        manager_id, _, seat = key.partition("|")
        if seat == department_id:
            of = f"manager:{manager_id}"
            rows.append(_Row(of, choice.entities[of].name, scores.get(manager_id), figures))
    return rows


def _show_where_to_look(view: View, choice: Choice, kpis: Sequence[Kpi], rows: Sequence[_Row]) -> None:
    has_scores = any(row.score is not None for row in rows)
    st.subheader(view.say("Where to look"), anchor=False)
    st.caption(_order(view, choice, has_scores=has_scores))
    heads = [view.say("Who"), *([view.say("Score")] if has_scores else []), *(_heading(kpi, rows) for kpi in kpis)]
    lines = []
    for row in rows:
        cells = [f"<th scope='row'><a href='{escape(address(row.of))}' target='_self'>{escape(row.name)}</a></th>"]
        cells += [f"<td>{_share(row.score)}</td>"] if has_scores else []
        cells += [_cell(view, choice, kpi, row.figures.get(kpi.kpi_code)) for kpi in kpis]
        lines.append("".join(cells))
    show_lines(view.say("Where to look"), (f"<th scope='col'>{escape(head)}</th>" for head in heads), lines)


def _order(view: View, choice: Choice, *, has_scores: bool) -> str:
    if not has_scores:
        return view.say("By name, as no scorecard of this period has a score.")
    if choice.period.is_complete:
        return view.say("The lowest score first: the sum of the scorecard, where 100 % is every target reached.")
    return view.say("The lowest score so far first: 100 % is every target of the whole period reached.")


def _heading(kpi: Kpi, rows: Sequence[_Row]) -> str:
    units = (row.figures[kpi.kpi_code].unit for row in rows if kpi.kpi_code in row.figures)
    return heading(kpi, next(units, None))


def _cell(view: View, choice: Choice, kpi: Kpi, figure: Figure | None) -> str:
    if figure is None:
        return f"<td>{UNDEFINED}</td>"
    now, before, unit = figure.value, figure.value_before, figure.unit
    note = note_text(now, before, unit, is_complete=choice.period.is_complete, language=view.language)
    told = f"<small class='{direction(note, kpi.better)}'>{escape(note)}</small>"
    return f"<td>{value_text(now, unit)}{told}</td>"
