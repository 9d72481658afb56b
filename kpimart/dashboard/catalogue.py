"""Catalogue: every KPI with its formula, the clock that dates it, who answers for it and who is measured by it."""

import streamlit as st

from kpimart.dashboard.choices import choose_text
from kpimart.dashboard.table import Column, show_table
from kpimart.dashboard.view import View
from kpimart.dashboard.words import LANGUAGES, Say, plain
from kpimart.measures import BadFormula, parse_formula, read_measures
from kpimart.warehouse import open_database

SHOWN_KPIS = 500

_CLOCKS = {
    "occurred_at": "when it happened",
    "created_at": "when it was created",
    "won_at": "when it was won",
    "lapsed_on": "when the customer was lost",
    "period_end": "the last day of the period",
    "period": "the whole period",
}


def catalogue(view: View) -> None:
    """The page."""
    say = view.say
    st.title(say("Catalogue"), anchor=False)
    asked = choose_text("q", say("Search by name, formula or owner"))
    found = _read_kpis(view, asked)
    if not found:
        st.info(say("No KPI has {asked} in its name, formula or owner.", asked=plain(asked)))
        return
    measured = _read_measured(view)
    own, other = sorted(LANGUAGES, key=lambda language: language != view.language)
    columns = [
        *(Column(f"{say('KPI')}, {language.upper()}") for language in (own, other)),
        Column(say("What it tells")),
        Column(say("Formula")),
        Column(say("Clock")),
        Column(say("Unit")),
        Column(say("Who answers for it")),
        Column(say("Who is measured by it")),
        Column(say("Code")),
    ]
    rows = [
        [
            names[own],
            names[other],
            description or "",
            formula,
            ", ".join(say(_CLOCKS[clock]) for clock in _clocks(formula)),
            unit,
            owner or "",
            "; ".join(measured.get(code, ())),
            code,
        ]
        for code, names, description, formula, unit, owner in found
    ]
    st.caption(plain(say("{what}: {count}", what=say("KPI"), count=f"{len(rows):,}")))
    show_table(view, say("Catalogue"), columns, rows)
    st.caption(say("Clock: the moment that says in which period something counts."))
    st.caption(say("Who is measured: whose scorecards of the last month have it, of those that you see."))


def _read_kpis(view: View, asked: str) -> list[tuple[str, dict[str, str], str | None, str, str, str | None]]:
    """Code, names by language, description, formula, unit and owner of those in which the text is, by name."""
    with open_database(view.served.release.database) as connection:
        return connection.execute(
            f"""
            select kpi_code, {{en: name_en, ru: name_ru}}, description_{view.language}, formula, unit, owner
            from kpi_catalogue
            where contains(lower(concat_ws(' ', kpi_code, name_en, name_ru, formula, owner)), lower($asked))
            order by name_{view.language}, kpi_code
            limit {SHOWN_KPIS}
            """,
            {"asked": asked},
        ).fetchall()


def _read_measured(view: View) -> dict[str, list[str]]:
    """KPI → by which profile or assignment who is measured by it, as the scorecards of the last month tell."""
    with open_database(view.served.release.database) as connection:
        rows = connection.execute(
            """
            select kpi_code, is_assigned, profile, entity_level, count(*)
            from scorecard
            where
                period_grain = 'month'
                and period_start = (select max(period_start) from scorecard where period_grain = 'month')
            group by all
            order by all
            """
        ).fetchall()
    measured: dict[tuple[str, str], list[str]] = {}
    for code, is_assigned, profile, level, count in rows:
        by = view.say("assigned") if is_assigned else profile
        measured.setdefault((code, by), []).append(_counted(level, count, view.say))
    told: dict[str, list[str]] = {}
    for (code, by), who in measured.items():
        told.setdefault(code, []).append(f"{by}: {', '.join(who)}")
    return told


def _counted(level: str, count: int, say: Say) -> str:
    match level:
        case "company":
            return say("the company")
        case "department":
            return say("departments {count}", count=count)
        case _:
            return say("managers {count}", count=count)


def _clocks(formula: str) -> list[str]:
    """The clocks of the measures of a formula; what a release of another version calls otherwise has none to tell."""
    measures = read_measures()
    try:
        names = parse_formula(formula).measures
    except BadFormula:
        return []
    clocks = dict.fromkeys(measures[name].clock for name in names if name in measures)
    return [clock for clock in clocks if clock in _CLOCKS]
