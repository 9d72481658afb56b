"""Explanations of figures, over a small release whose rows are few enough to add up by heart."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from string import Formatter
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from kpimart import report
from kpimart.cli import app
from kpimart.errors import SettingsError
from kpimart.explain import RELATIONS, Explanation, explain
from kpimart.language import RUSSIAN
from kpimart.measures import read_measures
from kpimart.publish.contract import BUILT
from kpimart.render import console

PERIODS = """
    ('month', date '2026-03-01', date '2026-03-31', false, '2026-03'),
    ('week', date '2026-03-02', date '2026-03-08', true, '2026-W10'),
    ('day', date '2026-03-19', date '2026-03-19', true, '2026-03-19'),
    ('day', date '2026-03-20', date '2026-03-20', true, '2026-03-20')
"""
CATALOGUE = """
    ('won_amount', 'won_amount', 'currency'),
    ('win_rate', 'won_deals / (won_deals + lost_deals)', 'ratio'),
    ('win_rate_value', 'won_amount / (won_amount + lost_amount)', 'ratio'),
    ('sales_cycle_days_median', 'won_cycle_days_median', 'days'),
    ('open_amount', 'open_amount', 'currency'),
    ('stale_open_share', 'stale_open_deals / open_deals', 'ratio'),
    ('next_step_share', 'open_deals_with_next_step / open_deals_with_known_steps', 'ratio'),
    ('repeat_rate', 'repeat_customers / active_customers', 'ratio'),
    ('potential_customers', 'potential_customers', 'count'),
    ('lost_customers', 'lost_customers', 'count'),
    ('leads_converted', 'leads_converted', 'count'),
    ('calls', 'calls', 'count'),
    ('plan_attainment', 'won_amount / planned_amount', 'ratio')
"""
# Ann sat in North until the 10th, which lay in Europe until then and in the world after it; she sits in South since.
CLOSURE = """
    ('north', 'north', 0, date '0001-01-01', date '9999-12-31'),
    ('south', 'south', 0, date '0001-01-01', date '9999-12-31'),
    ('europe', 'europe', 0, date '0001-01-01', date '9999-12-31'),
    ('north', 'europe', 1, date '0001-01-01', date '2026-03-10'),
    ('south', 'europe', 1, date '2026-03-10', date '9999-12-31')
"""
# Deal, type, sign, day, day of the credit, manager, department, amount, days from creation to winning.
EVENTS = """
    ('d1', 'won', 1, date '2026-03-02', date '2026-03-02', 'ann', 'north', 100.00, 10),
    ('d2', 'won', 1, date '2026-03-12', date '2026-03-12', 'ann', 'south', 50.50, 20),
    ('d3', 'won', 1, date '2026-03-03', date '2026-03-03', 'bob', 'north', 7.00, 4),
    ('d3', 'won', -1, date '2026-03-14', date '2026-03-03', 'bob', 'north', 7.00, 4),
    ('d4', 'lost', 1, date '2026-03-15', date '2026-03-15', 'bob', 'north', null, null),
    ('d5', 'won', 1, date '2026-02-28', date '2026-02-28', 'ann', 'north', 900.00, 5)
"""
# Deal, manager, account, open from, open until, stale from, amount; the 20th is the last day that there is.
OPEN = """
    ('d6', 'ann', 'acme', date '2026-02-01', null, date '2026-03-04', 40.00),
    ('d7', 'ann', 'bolt', date '2026-03-01', date '2026-03-21', date '2026-04-01', null),
    ('d7', 'bob', 'bolt', date '2026-03-21', null, date '2026-04-01', null),
    ('d8', 'bob', 'crest', date '2026-01-01', date '2026-03-20', date '2026-02-01', 8.00),
    ('d9', 'ann', 'bolt', date '2026-03-20', null, date '2026-04-20', 2.00)
"""
# Deal, account, manager, day, number of the account's purchase, day on which the account lapsed.
PURCHASES = """
    ('d5', 'acme', 'ann', date '2026-02-28', 1, null),
    ('d1', 'acme', 'ann', date '2026-03-02', 2, null),
    ('d2', 'acme', 'ann', date '2026-03-12', 3, null),
    ('d3', 'dune', 'bob', date '2026-03-03', 1, null),
    ('d0', 'elm', 'bob', date '2025-03-05', 1, date '2026-03-05')
"""
# What the release says of March: KPI, level, entity, numerator, denominator, value.
FIGURES = """
    ('won_amount', 'company', 'company', null, null, 150.50),
    ('won_amount', 'department', 'europe', null, null, 150.50),
    ('won_amount', 'manager', 'ann', null, null, 150.50),
    ('won_amount', 'manager_in_department', 'ann|south', null, null, 50.50),
    ('win_rate', 'company', 'company', 2, 3, 0.66666667),
    ('win_rate_value', 'company', 'company', 150.50, null, null),
    ('sales_cycle_days_median', 'company', 'company', null, null, 15),
    ('open_amount', 'company', 'company', null, null, 42.00),
    ('stale_open_share', 'company', 'company', 1, 3, 0.33333333),
    ('next_step_share', 'company', 'company', 1, 2, 0.5),
    ('repeat_rate', 'company', 'company', 1, 2, 0.5),
    ('potential_customers', 'company', 'company', null, null, 1),
    ('lost_customers', 'company', 'company', null, null, 1),
    ('leads_converted', 'company', 'company', null, null, 1),
    ('calls', 'company', 'company', null, null, 2),
    ('plan_attainment', 'company', 'company', 150.50, null, null)
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_release(tmp_path_factory.mktemp("explain") / "reporting.duckdb")


def a_release(path: Path, *, spoilt_by: str = "") -> Path:
    """A release with these rows, but for what the SQL does to it."""
    with duckdb.connect(str(path)) as connection:
        for table in BUILT:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            connection.execute(f"create table {table.name} ({columns})")
        for table, columns, rows in (
            ("dim_period", "period_grain, period_start, period_end, is_complete, period_name", PERIODS),
            ("dim_manager", "manager_id, manager_name", "('ann', 'Ann'), ('bob', 'Bob'), ('bo', 'Bob')"),
            ("dim_department", "department_id, department_name", "('north', 'North'), ('south', 'South')"),
            ("dim_department", "department_id, department_name", "('europe', 'Europe')"),
            ("dim_department_closure", "department_id, ancestor_department_id, depth, valid_from, valid_to", CLOSURE),
            ("deal", "deal_id, deal_name", "('d1', 'Printers'), ('d2', 'Paper')"),
            (
                "deal_event",
                "deal_id, event_type, sign, occurred_on, credited_on, manager_id, department_id, amount, cycle_days",
                EVENTS,
            ),
            ("customer_purchase", "deal_id, account_id, manager_id, won_on, purchase_number, lapsed_on", PURCHASES),
            (
                "lead",
                "lead_id, created_on, is_converted",
                "('l1', date '2026-03-01', true), ('l2', date '2026-03-20', false), ('l3', date '2026-02-01', true)",
            ),
            (
                "deal_next_step",
                "deal_id, started_on, ended_on",
                "('d6', date '2026-03-20', null), ('d7', date '2026-03-01', date '2026-03-20'), "
                "('d9', date '2026-03-21', null), ('d8', date '2026-03-01', null)",
            ),
            (
                "activity",
                "activity_id, activity_type, occurred_on",
                "('a1', 'call', date '2026-03-01'), ('a2', 'call', date '2026-03-20'), "
                "('a3', 'task', date '2026-03-02'), ('a4', 'call', date '2026-03-21')",
            ),
        ):
            connection.execute(f"insert into {table} by name select * from (values {rows}) as rows ({columns})")
        connection.execute(f"""
            insert into deal_open_interval by name
            select *, deal_id <> 'd7' as tells_next_steps
            from (values {OPEN})
                as rows (deal_id, manager_id, account_id, started_on, ended_on, stale_on, amount)
        """)
        connection.execute(f"""
            insert into kpi_catalogue by name
            select
                *, kpi_code || ' name' as name_en, kpi_code || ' имя' as name_ru, 'What it is.' as description_en,
                'Что это.' as description_ru, 'higher' as better, 'week' as finest_grain, 'head of sales' as owner
            from (values {CATALOGUE}) as rows (kpi_code, formula, unit)
        """)
        connection.execute(f"""
            insert into kpi_value by name
            select *, 'month' as period_grain, date '2026-03-01' as period_start
            from (values {FIGURES})
                as figures (kpi_code, entity_level, entity_key, numerator, denominator, value)
            inner join (select kpi_code, replace(unit, 'currency', 'EUR') as unit from kpi_catalogue) using (kpi_code)
        """)
        connection.execute(spoilt_by or "select 1")
    return path


def weights(explained: Explanation) -> dict[str, dict[str, Decimal | None]]:
    """Measure → what contributes to it, and how much; several contributions of one are added."""
    found: dict[str, dict[str, Decimal | None]] = {}
    for section in explained.sections:
        for row in section.rows:
            for name, weight in row.weights.items():
                if weight is not None:
                    so_far = found.setdefault(name, {}).get(row.id) or 0
                    found[name][row.id] = so_far + weight
    return found


# KPI → what contributes how much to its measures.
CONTRIBUTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "won_amount": {"won_amount": {"d1": 100, "d2": Decimal("50.5"), "d3": 0}},
    "win_rate": {"won_deals": {"d1": 1, "d2": 1, "d3": 0}, "lost_deals": {"d4": 1}},
    "sales_cycle_days_median": {"won_cycle_days_median": {"d1": 10, "d2": 20}},
    "open_amount": {"open_amount": {"d6": 40, "d9": 2}},
    "stale_open_share": {"stale_open_deals": {"d6": 1}, "open_deals": {"d6": 1, "d7": 1, "d9": 1}},
    "next_step_share": {"open_deals_with_next_step": {"d6": 1}, "open_deals_with_known_steps": {"d6": 1, "d9": 1}},
    "repeat_rate": {"repeat_customers": {"acme": 1, "dune": 0}, "active_customers": {"acme": 1, "dune": 1}},
    "potential_customers": {"potential_customers": {"bolt": 1}},
    "lost_customers": {"lost_customers": {"elm": 1}},
    "leads_converted": {"leads_converted": {"l1": 1}},
    "calls": {"calls": {"a1": 1, "a2": 1}},
}


@pytest.mark.parametrize("code", CONTRIBUTIONS)
def test_what_contributes_is_listed_and_adds_up(database: Path, code: str) -> None:
    explained = explain(database, code, period="2026-03")
    assert weights(explained) == CONTRIBUTIONS[code]
    assert explained.published
    assert explained.differences == []


@pytest.mark.parametrize(
    ("whose", "deals", "value"),
    [
        ({"manager": "Ann"}, {"d1", "d2"}, "150.50"),
        ({"manager": "ann", "department": "South"}, {"d2"}, "50.50"),
        ({"department": "europe"}, {"d1", "d2", "d3"}, "150.50"),
    ],
)
def test_a_figure_is_explained_for_whose_it_is(
    database: Path, whose: Mapping[str, str], deals: set[str], value: str
) -> None:
    """North lay in Europe when d3 was won there: its reversal is taken back there too, whatever became of North."""
    explained = explain(database, "won_amount", period="2026-03", **whose)  # type: ignore[arg-type]
    assert weights(explained)["won_amount"].keys() == deals
    assert explained.published
    assert explained.published.value == explained.found.value == Decimal(value)


def test_the_largest_come_first_and_the_rest_is_summed(database: Path) -> None:
    (section,) = explain(database, "won_amount", period="2026-03", shown_rows=1).sections
    assert [(row.id, row.name, row.day) for row in section.rows] == [("d1", "Printers", date(2026, 3, 2))]
    assert (section.count, section.rest) == (4, {"won_amount": Decimal("50.50")})


def test_a_value_that_is_not_known_says_why(database: Path) -> None:
    explained = explain(database, "win_rate_value", period="2026-03")
    values = {each.measure.name: (each.value, each.why) for each in explained.inputs}
    assert values == {
        "won_amount": (Decimal("150.50"), None),
        "lost_amount": (None, "lost_deals_without_amount is 1, not 0"),
    }
    assert explained.differences == []


def test_an_amount_that_was_taken_back_makes_no_other_known(tmp_path: Path) -> None:
    nobody_knows = "update deal_event set amount = null where deal_id in ('d1', 'd2')"
    database = a_release(tmp_path / "reporting.duckdb", spoilt_by=nobody_knows)
    explained = explain(database, "won_amount", period="2026-03")
    assert [(each.value, each.why) for each in explained.inputs] == [(None, "none of won_deals has a known value")]


def test_nothing_is_a_share_of_a_target_that_nobody_set(database: Path) -> None:
    explained = explain(database, "plan_attainment", period="2026-03")
    assert [(each.value, each.why) for each in explained.inputs][1:] == [(None, "no target was set")]
    assert explained.differences == []


def test_a_period_without_a_row_has_nothing_to_explain(database: Path) -> None:
    explained = explain(database, "lost_customers", period="2026-W10", manager="ann")
    assert (explained.published, explained.found.value, explained.differences) == (None, 0, [])


@pytest.mark.parametrize(
    ("code", "fault", "difference"),
    [
        (
            "won_amount",
            "update kpi_value set value = value + 0.01 where kpi_code = 'won_amount'",
            "the contributions come to a value of 150.50000000, and 150.51000000 was published",
        ),
        (
            "win_rate",
            "update kpi_value set denominator = 4 where kpi_code = 'win_rate'",
            "the contributions come to a denominator of 3.000000, and 4.000000 was published",
        ),
        (
            "win_rate",
            "delete from kpi_value",
            "nothing was published, and the contributions come to 0.66666667",
        ),
        (
            "calls",
            "delete from activity where activity_id = 'a1'",
            "the contributions come to a value of 1.00000000, and 2.00000000 was published",
        ),
    ],
)
def test_what_does_not_add_up_is_told(tmp_path: Path, code: str, fault: str, difference: str) -> None:
    database = a_release(tmp_path / "reporting.duckdb", spoilt_by=fault)
    assert explain(database, code, period="2026-03").differences == [difference]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"kpi_code": "win_rat"}, "KPI 'win_rat' is not in the catalogue; did you mean 'win_rate'?"),
        ({"manager": "An"}, "there is no manager 'An'; did you mean 'Ann'?"),
        ({"manager": ""}, "there is no manager ''"),
        ({"manager": "Bob"}, "2 managers are called 'Bob'; give the id, one of bo, bob"),
        ({"department": "west"}, "there is no department 'west'"),
        ({"period": "2026-03-19"}, "won_amount has no figures by day, they begin with week"),
    ],
)
def test_what_the_release_does_not_have_is_refused(database: Path, asked: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        explain(database, **{"kpi_code": "won_amount", "period": "2026-03", **asked})  # type: ignore[arg-type]
    assert str(refused.value).startswith(said)


def test_every_measure_can_be_explained() -> None:
    assert {measure.relation for measure in read_measures().values()} == RELATIONS.keys()


def test_a_relation_that_is_not_known_is_told(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RELATIONS, "events")
    with pytest.raises(SettingsError, match="measures of events cannot be explained"):
        explain(database, "won_amount", period="2026-03")


# ---------------------------------------------------------------------------------------------------------- as people


def shown(explained: Explanation, capsys: pytest.CaptureFixture[str]) -> str:
    console().print(*report.of_explanation(explained), sep="\n", soft_wrap=True)
    return capsys.readouterr().out


def test_people_see_the_formula_the_clock_the_lens_and_the_deals(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = shown(explain(database, "win_rate", period="2026-03"), capsys)
    for expected in (
        "win_rate name (win_rate), Company, 2026-03-01 … 2026-03-31, so far through 2026-03-20",
        "What it is.",
        "won_deals / (won_deals + lost_deals)",
        "2 / 3 = 66.7 %",
        "the same",
        "at_event: to the owner, and the department that they were in, when it happened",
        "head of sales",
        "the moment it happened",
        "added up",
        "Printers",
        "won, taken back",
        "together",
    ):
        assert expected in said


def test_people_are_told_in_russian(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(explain(database, "win_rate_value", period="2026-03", language="ru"), capsys)
    for expected in (
        "win_rate_value имя (win_rate_value), Компания, 2026-03-01 … 2026-03-31, пока по 2026-03-20",
        "Что это.",
        "то же самое",
        "lost_deals_without_amount равно 1, а не 0",
        "события сделок: 5",
        "выигрыш, отменено",
    ):
        assert expected in said


@pytest.mark.parametrize("code", [*CONTRIBUTIONS, "win_rate_value", "plan_attainment"])
def test_nothing_is_left_in_english(database: Path, capsys: pytest.CaptureFixture[str], code: str) -> None:
    said = shown(explain(database, code, period="2026-03", language="ru", shown_rows=1), capsys)
    phrases = [english for english in RUSSIAN if " " in english and "{" not in english]
    assert [phrase for phrase in phrases if phrase in said] == []


def test_a_translation_holds_the_same_values() -> None:
    phrases = {*RUSSIAN, *RUSSIAN.values()}
    fields = {phrase: {name for _, name, _, _ in Formatter().parse(phrase) if name} for phrase in phrases}
    assert [english for english, russian in RUSSIAN.items() if fields[english] != fields[russian]] == []


def test_people_are_told_loudly_what_does_not_add_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = a_release(tmp_path / "reporting.duckdb", spoilt_by="update kpi_value set value = 7")
    said = shown(explain(database, "won_amount", period="2026-03"), capsys)
    assert "NOT THE SAME, see below" in said
    assert "DOES NOT ADD UP: the contributions come to a value of 150.50000000, and 7.00000000 was published" in said


def test_a_long_list_is_cut_and_says_so(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(explain(database, "won_amount", period="2026-03", shown_rows=2), capsys)
    assert "and 2 more: --all" in said


def test_the_command_ends_with_an_error_where_a_figure_does_not_add_up(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The company of the other tests has figures, and no deals."""
    monkeypatch.setenv("KPIMART_HOME", str(published))
    ended = CliRunner().invoke(app, ["kpi", "explain", "won_deals", "--period", "2026-12", "--json"])
    assert (ended.exit_code, json.loads(ended.output)["differences"]) == (0, [])
    ended = CliRunner().invoke(app, ["kpi", "explain", "lost_deals", "--period", "2026-12"])
    assert ended.exit_code == 1
    assert "DOES NOT ADD UP: the contributions come to a value of 0" in ended.output
