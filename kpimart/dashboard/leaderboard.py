"""Leaderboard: who stands where by a KPI among all managers; by how much, to who sees the figure."""

import streamlit as st

from kpimart.dashboard.choices import choose_kpi, choose_period
from kpimart.dashboard.table import Cell, Column, Quantity, show_table
from kpimart.dashboard.view import View
from kpimart.dashboard.words import days_text, period_text, plain
from kpimart.figures import profile_kpis, read_kpis
from kpimart.render import heading
from kpimart.warehouse import open_database

SHOWN_PLACES = 500


def leaderboard(view: View) -> None:
    """The page. Of somebody else's row, who does not see it reads the public columns only."""
    say, database = view.say, view.served.release.database
    chosen = choose_period(view)
    if chosen is None:
        st.info(say("The release holds nothing yet: no deal, lead or activity has happened."))
        return
    name, period = chosen
    kpi = choose_kpi(read_kpis(database, profile_kpis(view.settings.profile, view.settings.seeds), view.language), say)
    title = period_text(name, period.grain, period.start, view.language)
    st.title(plain(f"{kpi.name}, {title}"), anchor=False)
    st.caption(plain(days_text(period.start, period.end, view.language)))
    where = {"kpi": kpi.kpi_code, "grain": period.grain, "start": period.start}
    with open_database(database) as connection:
        places = connection.execute(_PLACES, {**where, "count": SHOWN_PLACES}).fetchall()
        ((hidden,),) = connection.execute(_HIDDEN, where).fetchall()
    if places:
        unit = next((unit for *_, unit in places if unit), kpi.unit)
        columns = [Column(say("Place"), "count"), Column(say("Manager")), Column(say("Department"))]
        columns += [Column(heading(kpi, unit if unit != "currency" else None)), Column(say("Tied"))]
        rows: list[list[Cell]] = [
            [rank, manager, department, Quantity(value, unit), say("yes") if is_tied else ""]
            for rank, manager, department, is_tied, value, _ in places
        ]
        show_table(view, say("Leaderboard"), columns, rows)
    else:
        st.info(say("Nobody has a place here. Places are given by month, quarter and year."))
    if hidden:
        st.caption(say("Not shown, as too little is behind the figure: {count}", count=hidden))
    if places and not view.sight.sees_all:
        st.caption(say("Places are for everybody to see, figures for who answers for them."))


_PLACES = """
select rank, manager_name, department_name, is_tied, value, unit
from leaderboard
where kpi_code = $kpi and period_grain = $grain and period_start = $start and not is_hidden and rank is not null
order by rank, manager_name, department_name
limit $count
"""
_HIDDEN = """
select count(*)
from leaderboard
where kpi_code = $kpi and period_grain = $grain and period_start = $start and is_hidden
"""
