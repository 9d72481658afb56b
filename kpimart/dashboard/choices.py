"""What is chosen in a page, kept in its address, so that a link shows what its sender chose.

`lang` is en or ru. `of` is whose figures: company, department:<id> or manager:<id>. `period` is what `kpimart kpi`
takes: a grain, for its last complete period, or the name of one. `lens` is who gets the credit, `basis` whether figures
are as known now or as their month was closed, `kpi` the one that a page explains, `q` what is searched for; `compare`
and `to` are two releases. The address is the truth: widgets show what it says and write into it, and links to other
pages carry all of it on. What it asks for and the release does not have is told, and the default is shown instead.
"""

import contextlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

from kpimart.dashboard.view import View
from kpimart.dashboard.words import LANGUAGES, Say, days_text, language_of, period_text, plain
from kpimart.errors import SettingsError
from kpimart.figures import GRAINS, LEVELS, Entity, Kpi, Period, find_period, read_entities, read_periods
from kpimart.language import Language
from kpimart.warehouse import open_database

COMPANY = "company"
DEFAULT_PERIOD = "month"
LENSES = {"at_event": "Credit: owner then", "current_owner": "Credit: owner now", "split": "Credit: shared"}
"""The first is that of `kpi_value`; the others are cuts of `kpi_value_by_cut`, as `as_closed` is."""
BASES = {"now": "As known now", "as_closed": "As closed"}

LONGEST_TEXT = 100


@dataclass(frozen=True)
class Choice:
    """Whose figures of which period. `entities` are all that the page is about, as the address calls them.

    `entity_name` is what people call whose figures they are; `period_name` is the release's name of the period. `lens`
    is of LENSES and `basis` of BASES; on a page without these controls they are the first ones.
    """

    entity: Entity
    entity_name: str
    entities: dict[str, Entity]
    period: Period
    period_name: str
    lens: str
    basis: str


def asked_language() -> Language:
    """The language that the address or the browser asks for."""
    return language_of(st.query_params.get("lang"), st.context.locale)


def choose_language(language: Language, say: Say) -> None:
    """The control that changes the language."""
    st.session_state["language"] = language
    st.segmented_control(
        say("Language"),
        LANGUAGES,
        required=True,
        format_func=str.upper,
        key="language",
        on_change=_keep,
        args=("lang", "language"),
        label_visibility="collapsed",
    )


def choose(view: View, *, levels: Collection[str] = LEVELS, has_cuts: bool = False) -> Choice | None:
    """The controls for whose figures of which period, and what they say; None if there is nobody, or no period.

    levels: of whom the page is. has_cuts: its figures can be had by other lenses, and as they were closed.
    """
    database, say = view.served.release.database, view.say
    period = _asked_period(database, view)
    named = read_entities(database)
    everybody = {_of(entity): entity for entity in named if view.sight.sees(entity.level, entity.key)}
    entities = {of: entity for of, entity in everybody.items() if entity.level in levels}
    if period is None or not entities:
        return None
    of = _asked_entity(everybody, entities, say)
    periods = read_periods(database, period.grain)
    name = next(name for name, each in periods.items() if each == period)
    lens, basis = next(iter(LENSES)), next(iter(BASES))
    with st.container(key="choices", horizontal=True, vertical_alignment="center"):
        _choose_entity(_labels(entities, named, say), of, say)
        _choose_grain(period, say)
        _choose_period(periods, name, view)
        if has_cuts:
            lens = choose_one("lens", say("Credit"), _said(LENSES, say), say)
            basis = choose_one("basis", say("Knowledge"), _said(BASES, say), say)
    return Choice(entities[of], _name(entities[of], say), entities, period, name, lens, basis)


def choose_period(view: View) -> tuple[str, Period] | None:
    """The controls for a period alone, where a page is about everybody: its name and itself; None if there is none."""
    database = view.served.release.database
    period = _asked_period(database, view)
    if period is None:
        return None
    periods = read_periods(database, period.grain)
    name = next(name for name, each in periods.items() if each == period)
    with st.container(key="choices", horizontal=True, vertical_alignment="center"):
        _choose_grain(period, view.say)
        _choose_period(periods, name, view)
    return name, period


def choose_kpi(kpis: Sequence[Kpi], say: Say) -> Kpi:
    """The control for one KPI of several, which the address keeps as `kpi`."""
    named = {kpi.kpi_code: kpi for kpi in kpis}
    return named[choose_one("kpi", say("KPI"), {code: kpi.name for code, kpi in named.items()}, say)]


def choose_one(parameter: str, label: str, options: Mapping[str, str], say: Say) -> str:
    """The control for one of a few values of the address, each with what it is called."""
    asked = st.query_params.get(parameter, next(iter(options)))
    chosen = asked if asked in options else next(iter(options))
    if chosen != asked:
        st.warning(_not_there(asked, options[chosen], say))
    st.session_state[parameter] = chosen
    st.selectbox(
        label,
        list(options),
        format_func=options.__getitem__,
        key=parameter,
        on_change=_keep,
        args=(parameter, parameter),
        label_visibility="collapsed",
    )
    return chosen


def choose_text(parameter: str, label: str) -> str:
    """The control for a text to search for; empty for all."""
    st.session_state[parameter] = st.query_params.get(parameter, "")[:LONGEST_TEXT]
    st.text_input(
        label,
        key=parameter,
        max_chars=LONGEST_TEXT,
        placeholder=label,
        on_change=_keep,
        args=(parameter, parameter),
        label_visibility="collapsed",
    )
    return str(st.session_state[parameter]).strip()


def address(of: str, page: str = "") -> str:
    """The address of what is shown, for somebody else's figures; on this page or on another one."""
    return f"{page}?{urlencode({**st.query_params.to_dict(), 'of': of})}"


def _asked_entity(everybody: Mapping[str, Entity], entities: Mapping[str, Entity], say: Say) -> str:
    """Whose figures the address asks for; of somebody the page is not about, the nearest; else the first's."""
    first = next(iter(entities))
    asked = st.query_params.get("of", first)
    if asked in entities:
        return asked
    if asked in everybody:
        return _nearest(everybody[asked], entities) or first
    st.warning(_not_there(asked, _name(entities[first], say), say))
    return first


def _nearest(entity: Entity, entities: Mapping[str, Entity]) -> str | None:
    """The department that a manager sits in, or the first manager of a department."""
    if entity.level == "manager":
        return next((of for of, each in entities.items() if each.key == entity.department_id), None)
    return next((of for of, each in entities.items() if each.department_id == entity.key), None)


def _choose_entity(labels: Mapping[str, str], of: str, say: Say) -> None:
    st.session_state["entity"] = of
    st.selectbox(
        say("Whose figures"),
        list(labels),
        format_func=labels.__getitem__,
        key="entity",
        on_change=_keep,
        args=("of", "entity"),
        label_visibility="collapsed",
    )


def _said(names: Mapping[str, str], say: Say) -> dict[str, str]:
    return {key: say(name) for key, name in names.items()}


def _choose_grain(period: Period, say: Say) -> None:
    st.session_state["grain"] = period.grain
    st.segmented_control(
        say("Periods"),
        GRAINS,
        required=True,
        format_func=lambda grain: say(grain.capitalize()),
        key="grain",
        on_change=_keep,
        args=("period", "grain"),
        label_visibility="collapsed",
    )


def _choose_period(periods: dict[str, Period], name: str, view: View) -> None:
    def label(each: str) -> str:
        period = periods[each]
        told = period_text(each, period.grain, period.start, view.language)
        return told if period.is_complete else f"{told}, {view.say('going on')}"

    st.session_state["period"] = name
    st.selectbox(
        view.say("Period"),
        list(periods),
        format_func=label,
        key="period",
        on_change=_keep,
        args=("period", "period"),
        label_visibility="collapsed",
    )


def _asked_period(database: Path, view: View) -> Period | None:
    """The period of the address, else the last complete month, else the last month there is."""
    asked = st.query_params.get("period", DEFAULT_PERIOD)
    newest = next(iter(read_periods(database, DEFAULT_PERIOD)), None)
    if newest is None:
        return None
    with open_database(database) as connection:
        for name in (asked, DEFAULT_PERIOD, newest):
            with contextlib.suppress(SettingsError):
                period = find_period(connection, name)
                break
    if name != asked and asked != DEFAULT_PERIOD:
        shown = days_text(period.start, period.end, view.language)
        st.warning(_not_there(asked, shown, view.say))
    return period


def _not_there(asked: str, shown: str, say: Say) -> str:
    return say(
        "The address asks for {asked}, which this release does not have. What is shown is {shown}.",
        asked=plain(asked),
        shown=plain(shown),
    )


def _labels(entities: Mapping[str, Entity], named: Iterable[Entity], say: Say) -> dict[str, str]:
    """What each is called in a list: departments by their place in the tree, managers with their department.

    named: all whose names are known, also of those whose figures are not seen.
    """
    departments = {entity.key: entity.name for entity in named if entity.level == "department"}
    labels = {}
    for of, entity in entities.items():
        labels[of] = "› " * entity.depth + _name(entity, say)
        if entity.level == "manager":
            labels[of] += f" · {departments.get(entity.department_id or '', '')}"
    # Two of one name are told apart by their ids.
    counts = Counter(labels.values())
    return {of: label if counts[label] == 1 else f"{label} · {entities[of].key}" for of, label in labels.items()}


def _name(entity: Entity, say: Say) -> str:
    """What somebody is called; the company has no name of its own."""
    return entity.name or say("Company")


def _of(entity: Entity) -> str:
    return COMPANY if entity.level == COMPANY else f"{entity.level}:{entity.key}"


def _keep(parameter: str, widget: str) -> None:
    """Write into the address what a widget was set to."""
    st.query_params[parameter] = st.session_state[widget]
