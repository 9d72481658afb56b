"""The catalogue's checks: what ships is sound, and each mistake is told with its file, its line and what to do."""

import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2
import pytest

from kpimart import catalogue, pipeline
from kpimart.catalogue import Problem, problems
from kpimart.errors import SettingsError
from kpimart.measures import MEASURES, BadFormula, parse_formula, read_measures, units_of
from kpimart.paths import DBT_PROJECT, PROJECT, SEEDS
from kpimart.settings import Settings

WIN_RATE = {
    "kpi_code": "win_share",
    "name_en": "Win share",
    "name_ru": "Доля побед",
    "description_en": "Won among closed.",
    "description_ru": "Выигранные среди закрытых.",
    "formula": "won_deals / (won_deals + lost_deals)",
    "unit": "ratio",
    "better": "higher",
    "level": "both",
    "finest_grain": "month",
    "owner": "head of sales",
    "group": "conversion",
    "format": "0.0%",
}

TO_HEADS = {"kpi_code": "win_rate", "assigned_level": "role", "assigned_to": "head"}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A company's own seeds: those that ship, to be changed."""
    folder = tmp_path / "seeds"
    folder.mkdir()
    for path in SEEDS.glob("kpi_*.csv"):
        shutil.copy(path, folder)
    return folder


def add(own: Path, name: str, **cells: str) -> int:
    """Add a row to a seed, its other cells empty; returns its line."""
    path = own / name
    header = path.read_text(encoding="utf-8").partition("\n")[0].split(",")
    with path.open("a", encoding="utf-8") as file:
        file.write(",".join(f'"{cells.get(column, "")}"' for column in header) + "\n")
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("shipped", [None, *sorted(PROJECT.glob("examples/*/seeds"))])
def test_what_ships_is_sound(shipped: Path | None) -> None:
    assert problems(shipped) == []


def test_a_kpi_is_one_row(own: Path) -> None:
    add(own, "kpi_catalogue.csv", **WIN_RATE)
    assert problems(own) == []


# What is wrong in the row of a KPI → what is said of it.
MISTAKES: dict[str, tuple[dict[str, str], str]] = {
    "an unknown measure": (
        {"formula": "won_deal / lost_deals"},
        "win_share: formula: expected measures of macros/measures.sql, found 'won_deal'; "
        "correct it, or declare it, did you mean won_deals?",
    ),
    "a formula that does not parse": (
        {"formula": "won_deals / (won_deals + lost_deals"},
        "win_share: formula: expected arithmetic over measures, found 'won_deals / (won_deals + lost_deals', which "
        "does not parse ('(' was never closed); complete the arithmetic",
    ),
    "no formula": ({"formula": ""}, "win_share: formula: expected arithmetic over measures, found ''"),
    "no owner": ({"owner": ""}, "win_share: owner: expected who answers for the definition, found nothing; fill it in"),
    "no translation": ({"name_ru": ""}, "win_share: name_ru: expected a name in Russian, found nothing; fill it in"),
    "no description": ({"description_en": " "}, "win_share: description_en: expected a description in English"),
    "a translation that is none": (
        {"description_ru": "Won among closed."},
        "win_share: description_ru: expected a translation into Russian, found 'Won among closed.'; translate it",
    ),
    "an unknown unit": (
        {"unit": "percent"},
        "win_share: unit: expected one of currency, count, ratio, days, hours, currency_per_day, found 'percent'",
    ),
    "a unit that the formula does not give": (
        {"unit": "days", "format": "0.0"},
        "win_share: unit: expected ratio or count, which the formula gives, found 'days'",
    ),
    "amounts and counts added": (
        {"formula": "won_amount + won_deals", "unit": "currency", "format": "0.0"},
        "win_share: formula: expected only what is of one kind to be added: amounts, days, or counts, found "
        "'won_amount + won_deals'",
    ),
    "a unit that nobody can read": (
        {"formula": "won_amount * won_amount", "unit": "currency", "format": "0.0"},
        "win_share: formula: expected a formula that gives one of currency,",
    ),
    "neither better": ({"better": "more"}, "win_share: better: expected one of higher, lower, found 'more'"),
    "an unknown level": ({"level": "team"}, "win_share: level: expected one of personal, department, both"),
    "an unknown grain": ({"finest_grain": "hour"}, "win_share: finest_grain: expected one of day, week, month"),
    "an unknown format": ({"format": "0,0 %"}, "win_share: format: expected a number format such as"),
    "a rate shown as a number": ({"format": "0.0"}, "win_share: format: expected one that ends in % for a ratio"),
    "a code that is no name": ({"kpi_code": "Win-Rate"}, "Win-Rate: kpi_code: expected lower case letters"),
    "a code that SQL knows": ({"kpi_code": "order"}, "order: kpi_code: expected the name of a column of its own"),
    "a code that the wide views have": ({"kpi_code": "entity_name"}, "entity_name: kpi_code: expected the name of"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_kpi_with_a_mistake_is_refused(own: Path, mistake: str) -> None:
    cells, said = MISTAKES[mistake]
    line = add(own, "kpi_catalogue.csv", **{**WIN_RATE, **cells})
    (problem,) = problems(own)
    assert str(problem).startswith(f"{own / 'kpi_catalogue.csv'}, line {line}, {said}")


def test_two_kpis_of_one_code_are_refused(own: Path) -> None:
    line = add(own, "kpi_catalogue.csv", **{**WIN_RATE, "kpi_code": "win_rate"})
    (problem,) = problems(own)
    assert (problem.line, problem.expected, problem.what_to_do[:18]) == (
        line,
        "each kpi_code once",
        "remove it, or line",
    )


@pytest.mark.parametrize(
    ("name", "cells", "said"),
    [
        ("kpi_profile.csv", {"profile": "calm", "kpi_code": "won_deal", "weight": "1"}, "did you mean won_deals?"),
        ("kpi_profile.csv", {"profile": "calm", "kpi_code": "won_deals", "weight": "0.9"}, "sum to 1, found 0.9"),
        ("kpi_assignment.csv", {**TO_HEADS, "kpi_code": "win"}, "expected the code of a KPI, found 'win'"),
        ("kpi_assignment.csv", {**TO_HEADS, "assigned_to": ""}, "expected a manager or a department as crm:id"),
        ("kpi_assignment.csv", {**TO_HEADS, "assigned_to": "boss"}, "expected one of manager, head, found 'boss'"),
        ("kpi_assignment.csv", {**TO_HEADS, "assigned_level": "team"}, "expected one of manager, department, role"),
        ("kpi_target.csv", {"kpi_code": "win", "entity_level": "company", "period_grain": "year"}, "found 'win'"),
        (
            "kpi_target.csv",
            {"kpi_code": "win_rate", "entity_level": "person", "period_grain": "year"},
            "entity_level: expected one of company, department, manager, manager_in_department, found 'person'",
        ),
        (
            "kpi_target.csv",
            {"kpi_code": "win_rate", "entity_level": "company", "period_grain": "decade"},
            "period_grain: expected one of day, week, month, quarter, year, found 'decade'",
        ),
    ],
)
def test_what_is_chosen_assigned_and_aimed_at_must_be_there(
    own: Path, name: str, cells: dict[str, str], said: str
) -> None:
    line = add(own, name, **cells)
    (problem,) = problems(own)
    assert (problem.file, problem.line) == (str(own / name), line)
    assert said in str(problem)


def test_a_profile_names_a_kpi_once(own: Path) -> None:
    for weight in ("0.6", "0.4"):
        add(own, "kpi_profile.csv", profile="calm", kpi_code="won_deals", weight=weight)
    (problem,) = problems(own)
    assert problem.expected == "each profile and kpi_code once"


@pytest.mark.parametrize("weight", ["", "many", "0", "-1", "1.5"])
def test_a_weight_is_a_share(own: Path, weight: str) -> None:
    add(own, "kpi_profile.csv", profile="calm", kpi_code="won_deals", weight=weight)
    assert any("weight: expected a number above 0, of 1 at most" in str(problem) for problem in problems(own))


@pytest.mark.parametrize(
    ("level", "assigned", "is_refused"),
    [
        ("department", ("role", "manager"), True),
        ("department", ("manager", "files:Ann"), True),
        ("department", ("department", "files:North"), False),
        ("department", ("role", "head"), False),
        ("personal", ("manager", "files:Ann"), False),
        ("personal", ("department", "files:North"), False),
        ("personal", ("role", "head"), True),
        ("both", ("role", "manager"), False),
    ],
)
def test_a_kpi_is_assigned_to_whom_it_may_judge(
    own: Path, level: str, assigned: tuple[str, str], is_refused: bool
) -> None:
    add(own, "kpi_catalogue.csv", **{**WIN_RATE, "level": level})
    add(own, "kpi_assignment.csv", kpi_code="win_share", assigned_level=assigned[0], assigned_to=assigned[1])
    assert [problem.subject for problem in problems(own)] == ["win_share: assigned_to"] * is_refused


def test_a_target_is_not_set_for_a_manager_whom_the_kpi_does_not_judge(own: Path) -> None:
    add(own, "kpi_catalogue.csv", **{**WIN_RATE, "level": "department"})
    add(own, "kpi_target.csv", kpi_code="win_share", entity_level="manager", period_grain="month")
    (problem,) = problems(own)
    assert problem.expected == "department or company: the catalogue has the level department"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kpi_code,formula\nx,won_deals\n", "line 1, its header: expected kpi_code, name_en"),
        ("", "line 1, its header: expected kpi_code, name_en"),
        ("\ud800", "line 1, the file: expected CSV in UTF-8"),
    ],
)
def test_a_file_that_is_no_catalogue_is_told(own: Path, text: str, said: str) -> None:
    (own / "kpi_catalogue.csv").write_text(text, encoding="utf-8", errors="surrogatepass")
    assert said in str(problems(own)[0])


def test_a_row_with_a_comma_too_many_is_told(own: Path) -> None:
    with (own / "kpi_catalogue.csv").open("a") as file:
        file.write("x,Won, or lost\n")
    (problem,) = problems(own)
    assert (problem.expected, problem.found) == ("13 cells", "3")


# --------------------------------------------------------------------------------------------------------- of measures


@pytest.mark.parametrize(
    ("declaration", "said"),
    [
        (
            "additivity='additive', sql='account_id'",
            "expected distinct, as it counts what may come again, found additive",
        ),
        ("additivity='snapshot', sql='count(distinct deal_id)'", "expected distinct, as it counts what may come again"),
        ("additivity='additive', sql='median(cycle_days)'", "expected distribution, as a median is no sum"),
        ("additivity='distinct', sql='sign'", "expected the id that is counted, found sql 'sign'"),
        ("additivity='distribution', sql='sign'", "expected a median or a quantile, found sql 'sign'"),
        ("additivity='total', sql='sign'", "expected an additivity of additive, snapshot, distinct, distribution"),
        (
            "additivity='additive', sql='sign', sample='won_deal'",
            "found 'won_deal'; declare it, did you mean won_deals?",
        ),
    ],
)
def test_a_measure_adds_up_as_it_is_marked(tmp_path: Path, declaration: str, said: str) -> None:
    (problem,) = of_measures(tmp_path, f"dict(of_events, name='new_one', {declaration}),")
    assert (problem.line, problem.subject) == (30, "measure new_one")
    assert said in str(problem)


def test_two_measures_of_one_name_are_refused(tmp_path: Path) -> None:
    found = of_measures(tmp_path, "dict(of_events, name='lost_deals', sql='sign'),")
    assert {str(problem).partition(": ")[2] for problem in found} == {
        "expected each name once, found 2 measures; rename one"
    }


def of_measures(folder: Path, declaration: str) -> list[Problem]:
    """The problems with one more measure, on the line after the list begins."""
    path = folder / "measures.sql"
    before, begin, after = MEASURES.read_text().partition("{{ return([\n")
    path.write_text(f"{before}{begin}        {declaration}\n{after}")
    (line,) = (n for n, text in enumerate(path.read_text().splitlines(), 1) if text.strip() == declaration)
    return [
        Problem(each.file, each.line - line + 30, each.subject, each.expected, each.found, each.what_to_do)
        for each in problems(measures=path)
    ]


def test_a_macro_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "measures.sql"
    path.write_text("{% macro measures() %}")
    with pytest.raises(SettingsError, match=r"measures\.sql: the macro cannot be read"):
        problems(measures=path)


# --------------------------------------------------------------------------------------------------------- of formulas


def test_a_formula_is_evaluated_over_its_measures() -> None:
    formula = parse_formula("open_deals * won_amount * won_deals / ((won_deals + lost_deals) * won_cycle_days)")
    values = {
        "open_deals": Decimal(2),
        "won_amount": Decimal("4100.50"),
        "won_deals": Decimal(4),
        "lost_deals": Decimal(2),
        "won_cycle_days": Decimal(148),
    }
    assert formula.measures == ("open_deals", "won_amount", "won_deals", "lost_deals", "won_cycle_days")
    assert formula.numerator.value(values) == Decimal("32804.00")
    assert formula.denominator
    assert formula.denominator.value(values) == Decimal(888)


def test_a_formula_over_an_unknown_value_is_unknown() -> None:
    formula = parse_formula("0.5 * (won_amount - lost_amount)")
    assert formula.denominator is None
    assert formula.numerator.value({"won_amount": Decimal(3), "lost_amount": Decimal(1)}) == Decimal("1.0")
    assert formula.numerator.value({"won_amount": Decimal(3), "lost_amount": None}) is None


@pytest.mark.parametrize(
    ("formula", "found"),
    [
        ("won_deals / lost_deals / open_deals", "2 divisions"),
        ("won_deals / lost_deals * open_deals", "a division of only a part of it"),
        ("won_deals + won_deals / lost_deals", "a division of only a part of it"),
        ("(won_deals / lost_deals)", "a division within parentheses"),
        ("won_amount / 1000", "'1000', in which nothing is counted"),
        ("12", "'12', in which nothing is counted"),
        ("-won_deals", "'-won_deals'"),
        ("won_deals -- lost_deals", "'--'"),
        ("won_deals ** 2", "'**'"),
        ("won_deals // lost_deals", "'//'"),
        ("won_deals % 2", "'%'"),
        ("abs(won_deals)", "'abs(won_deals)'"),
        ("won_deals.x", "'won_deals.x'"),
        ("won_deals; drop", "';'"),
        ("won_deals > 1", "'>'"),
        ("1e5 * won_deals", "'1e5'"),
        ("won_deals if lost_deals else open_deals", "'won_deals if lost_deals else open_deals'"),
    ],
)
def test_what_is_not_arithmetic_with_one_division_is_refused(formula: str, found: str) -> None:
    with pytest.raises(BadFormula) as refused:
        parse_formula(formula)
    assert refused.value.found.startswith(found)


@pytest.mark.parametrize(
    "formula", [row["formula"] for row in catalogue.read_catalogue()] + ["(won_deals) / (won_deals + 2 * lost_deals)"]
)
def test_the_models_split_a_formula_where_it_is_read_here(formula: str) -> None:
    read = parse_formula(formula)
    assert split_by_macro(formula) == (read.numerator.text, read.denominator.text if read.denominator else None)


def split_by_macro(formula: str) -> Any:
    """What macros/catalogue.sql makes of a formula; dbt's `return` keeps what it is given."""
    returned: list[Any] = []
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=True)
    source = (DBT_PROJECT / "macros" / "catalogue.sql").read_text(encoding="utf-8")
    template = environment.from_string(source, globals={"return": lambda value: returned.append(value) or ""})
    template.module.split_quotient(formula)  # type: ignore[attr-defined]
    return returned[0]


@pytest.mark.parametrize(
    ("formula", "units"),
    [
        ("won_amount / won_deals", ("currency",)),
        ("won_cycle_days / won_deals_with_cycle", ("days",)),
        ("won_amount / won_cycle_days", ("currency_per_day",)),
        ("won_amount / (won_amount + lost_amount)", ("ratio", "count")),
        ("won_deals + 1", ("count",)),
        ("won_deals / won_amount", ()),
    ],
)
def test_a_formula_tells_its_unit(formula: str, units: tuple[str, ...]) -> None:
    assert units_of(parse_formula(formula), read_measures()) == units


# ------------------------------------------------------------------------------------------------------------ of a run


def test_a_catalogue_with_an_error_stops_a_run_before_anything_is_started(own: Path, tmp_path: Path) -> None:
    add(own, "kpi_catalogue.csv", **{**WIN_RATE, "owner": "", "unit": "count", "better": ""})
    settings = Settings(home=tmp_path / "home", seeds=own)
    for step in (pipeline.run, pipeline.build):
        with pytest.raises(SettingsError) as refused:
            step(settings)
        assert "the KPI catalogue has errors, 3; nothing was started:" in str(refused.value)
        assert refused.value.exit_code == 2
    assert not settings.home.exists()
