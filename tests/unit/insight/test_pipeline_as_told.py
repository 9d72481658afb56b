"""What moved a pipeline and how the CRM is kept, as they are read of a small release and as people are told."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from rich.console import RenderableType
from typer.testing import CliRunner

from kpimart.cli import app
from kpimart.errors import SettingsError
from kpimart.insight.pipeline import STEPS, WITHIN, read_discipline, read_waterfalls
from kpimart.publish.contract import BUILT
from kpimart.render import console
from kpimart.report import pipeline as report

MARCH, APRIL, YEAR = (
    "'month', date '2026-03-01'",
    "'month', date '2026-04-01'",
    "'year', date '2026-01-01'",
)
PERIODS = f"""
    ({MARCH}, date '2026-03-31', true, '2026-03'),
    ({APRIL}, date '2026-04-30', false, '2026-04'),
    ({YEAR}, date '2026-12-31', false, '2026'),
    ('week', date '2026-03-02', date '2026-03-08', true, '2026-W10'),
    ('day', date '2026-03-02', date '2026-03-02', true, '2026-03-02')
"""
TOLD = [f"{step}_{what}" for step in (*STEPS, *WITHIN) for what in ("deals", "amount")]
NOTHING = dict.fromkeys(TOLD, "0") | {"closing_undated_deals": "0"}
# 5 + 2 + 1 - 1 - 1 = 6 deals; 900 + 300 + 40 + 7.5 - 100 - 0.5 = 1,147; nobody knows what the lost one was worth.
OPEN = NOTHING | {
    "opening_deals": "5",
    "opening_amount": "900",
    "created_deals": "2",
    "created_amount": "300",
    "transferred_in_deals": "1",
    "transferred_in_amount": "40",
    "increased_deals": "1",
    "increased_amount": "7.5",
    "won_deals": "1",
    "won_amount": "100",
    "lost_deals": "1",
    "lost_amount": "null",
    "decreased_deals": "1",
    "decreased_amount": "0.5",
    "closing_deals": "6",
    "closing_amount": "1147",
    "won_within_deals": "3",
    "won_within_amount": "1234.5",
}
DUE = NOTHING | {
    "opening_deals": "2",
    "opening_amount": "null",
    "pushed_out_deals": "2",
    "pushed_out_amount": "null",
    "closing_undated_deals": "1234",
}
WATERFALLS = (
    ("open", MARCH, "manager", "ann", OPEN),
    ("due", MARCH, "manager", "ann", DUE),
    ("open", APRIL, "company", "company", OPEN),
    ("due", YEAR, "company", "company", DUE),
)
# Rule, days, deals, looked at, concerned, their amount; KPI, unit, figure; deals treated strictly, and the figure then.
ANN = """
    ('pushed_close_date', null, 40, 0, null, null, 'win_rate', 'ratio', 0.5, null, null),
    ('stale_deal', 30, 1240, 1234, 1000, 5000, 'open_amount', 'EUR', 9000, 1000, 4000),
    ('loser_never_closed', 90, 40, 40, 10, null, 'win_rate', 'ratio', 0.5, 4, 0.4),
    ('missing_next_step', null, 40, 40, 0, 0, 'open_amount', 'EUR', 9000, 0, 9000),
    ('overdue_close_date', null, 40, 40, 2, null, 'open_amount', 'EUR', null, 2, null),
    ('backdated_win', null, 8, 8, 1, 70, 'won_amount', 'EUR', 800, 1, 730)
"""
BOB = "('stale_deal', 30, 0, 0, 0, 0, 'open_amount', 'EUR', 0, 0, 0)"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pipeline") / "reporting.duckdb"
    with duckdb.connect(str(path)) as connection:
        for table in BUILT:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            connection.execute(f"create table {table.name} ({columns})")
        columns = "period_grain, period_start, period_end, is_complete, period_name"
        connection.execute(f"insert into dim_period ({columns}) values {PERIODS}")
        connection.execute("insert into kpi_value (kpi_code, unit) values ('open_amount', 'EUR')")
        connection.execute(
            """
            insert into kpi_catalogue (kpi_code, name_en, name_ru) values
                ('win_rate', 'Win rate', 'Доля побед'), ('open_amount', 'Open amount', 'В работе'),
                ('won_amount', 'Won amount', 'Выиграно')
            """
        )
        for scope, period, level, key, told in WATERFALLS:
            connection.execute(
                f"""
                insert into pipeline_waterfall
                    (scope, period_grain, period_start, entity_level, entity_key, entity_name, {", ".join(told)})
                values ('{scope}', {period}, '{level}', '{key}', upper('{key}'), {", ".join(told.values())})
                """
            )
        for key, rules in (("ann", ANN), ("bob", BOB)):
            connection.execute(
                f"""
                insert into crm_discipline
                    (period_grain, period_start, entity_level, entity_key, entity_name, rule, after_days, deals,
                    deals_looked_at, deals_concerned, amount_concerned, kpi_code, unit, kpi_value, strict_deals,
                    strict_kpi_value)
                select {MARCH}, 'manager', '{key}', upper('{key}'), * from (values {rules})
                """
            )
    return path


def shown(told: Iterable[RenderableType], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Lines as they are printed, those of tables as their cells."""
    for part in told:
        console().print(part)
    return [" ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()]


def test_a_waterfall_is_read_from_its_opening_to_its_closing(database: Path) -> None:
    found = read_waterfalls(database, level="manager", period="month", scope="open")
    (ann,) = found.waterfalls
    assert (found.period.start, found.unit) == (date(2026, 3, 1), "EUR")
    assert [step.name for step in ann.steps] == list(STEPS)
    assert [(step.deals, step.amount) for step in ann.steps if step.name in ("opening", "lost", "closing")] == [
        (5, Decimal(900)),
        (1, None),
        (6, Decimal(1147)),
    ]
    assert [(step.name, step.deals) for step in ann.within] == [("won_within", 3), ("lost_within", 0)]


def test_people_see_what_is_added_and_what_is_taken_away(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(
        report.of_waterfalls(read_waterfalls(database, level="manager", period="month", scope="open"), "manager", "en"),
        capsys,
    )
    assert lines[:2] == ["2026-03-01 … 2026-03-31: open deals", "ANN"]
    assert [line for line in lines if line and line[0].isalpha()][1:] == [
        "opening 5 900.00",
        "created +2 +300.00",
        "transferred in +1 +40.00",
        "increased (1) +7.50",
        "won −1 −100.00",
        "lost −1 –",
        "decreased (1) −0.50",
        "closing 6 1,147.00",
        "not in it before, and won 3 1,234.50",
    ]


@pytest.mark.parametrize(("amount", "shown_as"), [("0", "0.00"), ("0.004", "0.00"), ("0.01", "−0.01")])
def test_what_comes_to_nothing_has_no_sign(
    database: Path, capsys: pytest.CaptureFixture[str], amount: str, shown_as: str
) -> None:
    found = read_waterfalls(database, level="manager", period="month", scope="open")
    (ann,) = found.waterfalls
    steps = tuple(replace(step, amount=Decimal(amount)) if step.name == "lost" else step for step in ann.steps)
    told = report.of_waterfalls(replace(found, waterfalls=(replace(ann, steps=steps),)), "manager", "en")
    assert f"lost −1 {shown_as}" in shown(told, capsys)


def test_people_see_what_is_due_and_what_nobody_knows_when(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = read_waterfalls(database, level="manager", period="2026-03", scope="due")
    lines = shown(report.of_waterfalls(found, "manager", "en"), capsys)
    assert lines[0] == "2026-03-01 … 2026-03-31: deals expected to close by the end of the quarter"
    assert "pushed out −2 –" in lines
    assert lines[-1] == "open deals without an expected close date, in no due pipeline: 1,234"
    found = read_waterfalls(database, level="company", period="2026", scope="due")
    lines = shown(report.of_waterfalls(found, "company", "ru"), capsys)
    assert lines[:2] == [
        "2026-01-01 … 2026-12-31, идёт: сделки, ожидаемые к закрытию до конца года",
        "Компания",
    ]
    assert "срок отложен −2 –" in lines


def test_people_see_how_far_a_figure_would_move(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of bob, who has no deal, nothing is said."""
    found = read_discipline(database, level="manager", period="month")
    assert shown(report.of_discipline(found, "manager", "en"), capsys) == [
        "2026-03-01 … 2026-03-31",
        "ANN",
        "wins recorded after the period: 1 of 8; Won amount 800.00 → 730.00 without them",
        "deals idle for 90 days: 10 of 40; Win rate 50.0 % → 40.0 % if the 4 of the period counted as lost",
        "deals without a next step: 0 of 40",
        "deals past their close date: 2 of 40",
        "deals whose close date was pushed: not known, the source does not tell",
        "deals in their stage for more than 30 days: 1,000 of 1,234; Open amount 9,000.00 → 4,000.00 without them",
    ]
    found = read_discipline(database, level="manager", period="month", language="ru")
    assert shown(report.of_discipline(found, "manager", "ru"), capsys)[2:4] == [
        "выигрыши, записанные после конца периода: 1 из 8; Выиграно 800.00 → 730.00, если не считать их",
        "сделки без движения 90 дн.: 10 из 40; Доля побед 50.0 % → 40.0 %, если ставшие такими за период (4) считать "
        "проигранными",
    ]


@pytest.mark.parametrize("period", ["2026-W10", "2026-03-02"])
def test_discipline_is_not_told_of_a_week_or_a_day(database: Path, period: str) -> None:
    with pytest.raises(SettingsError, match="give a month, a quarter or a year"):
        read_discipline(database, level="company", period=period)


def test_days_are_told_of_the_company_only(database: Path) -> None:
    assert read_waterfalls(database, level="company", period="2026-03-02", scope="open").waterfalls == ()
    with pytest.raises(SettingsError, match="by day of the company only"):
        read_waterfalls(database, level="manager", period="2026-03-02", scope="open")


def test_the_commands_give_the_same_to_machines(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The release of the other tests tells of no pipeline."""
    monkeypatch.setenv("KPIMART_HOME", str(published))
    ended = CliRunner().invoke(app, ["kpi", "waterfall", "--period", "2026-12", "--due", "--json"])
    told = json.loads(ended.output)
    assert (ended.exit_code, told["scope"], told["period"]["start"], told["waterfalls"]) == (0, "due", "2026-12-01", [])
    ended = CliRunner().invoke(app, ["kpi", "discipline", "--period", "2026-12", "--by", "manager", "--json"])
    told = json.loads(ended.output)
    assert (ended.exit_code, told["period"]["start"], told["findings"]) == (0, "2026-12-01", [])
