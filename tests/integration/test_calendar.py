"""A small company counts in weeks: 4-4-5, from Sunday to Saturday, years from February on, and holidays of its own.

Its 2026 begins on Sunday, 1 February: P01 ends on 28 February, P02 on 28 March, P03 on 2 May. January is the end of P12
of 2025, which began on 28 December. The figures end with Tuesday, 31 March.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from small_company import CONFIG, Company, company_in

from kpimart.catalogue import read_catalogue
from kpimart.closing import month_due, release_to_close
from kpimart.errors import SettingsError
from kpimart.figures import GRAINS, find_period, read_figures
from kpimart.measures import parse_formula, read_measures
from kpimart.settings import Closing
from kpimart.warehouse import open_database

SETTINGS = """
calendar = "4-4-5"
week_starts_on = "sunday"
fiscal_year_start = 2
holidays = "ours"
seeds = "{seeds}"
"""
MAPPED = """
[[files.leads]]
file = "leads.csv"
[files.leads.columns]
id = "lead"
manager = "agent"
created_at = "created"

[[files.activities]]
file = "activities.csv"
[files.activities.columns]
id = "activity"
type = "type"
manager = "agent"
lead = "lead"
occurred_at = "at"
"""
# Won on the last day of a year and on the first of the next, on the last day of a month and on the first of the next.
EDGES = """\
E1,Ann,Acme,Won,2026-01-05,2026-01-31,1.00,USD,2026-01-31
E2,Ann,Acme,Won,2026-01-05,2026-02-01,20.00,USD,2026-02-01
E3,Ann,Acme,Won,2026-01-05,2026-02-28,300.00,USD,2026-02-28
E4,Bob,Acme,Won,2026-01-05,2026-03-01,4000.00,USD,2026-03-01
E5,Cid,Acme,Won,2026-01-05,2026-03-29,50000.00,USD,2026-03-29
"""
DEALS = f"deal,agent,account,stage,created,closed,amount,currency,changed\n{EDGES}"
# Friday, 27 February, 17:00, to Tuesday, 10:30: an hour, and an hour and a half; Monday is a day off.
LEADS = "lead,agent,created\nL1,Ann,2026-02-27 17:00\n"
ACTIVITIES = "activity,type,agent,lead,at\nA1,call,Ann,L1,2026-03-03 10:30\n"
HOLIDAYS = "calendar,day,is_working_day,name_en,name_ru\nours,2026-03-02,false,Foundation day,День основания\n"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    company = company_in(tmp_path_factory)
    company.start_anew()
    seeds = tmp_path_factory.mktemp("seeds")
    (seeds / "holiday.csv").write_text(HOLIDAYS)
    for name, content in (("deals.csv", DEALS), ("leads.csv", LEADS), ("activities.csv", ACTIVITIES)):
        company.write(name, content)
    company.configure(f"{SETTINGS.format(seeds=seeds)}{CONFIG}{MAPPED}")
    run = company.run_here()
    assert run.build.warnings == ()
    return company


@pytest.fixture(scope="module")
def database(company: Company) -> Path:
    return company.home / "reporting" / "reporting.duckdb"


def won(database: Path, period: str) -> Decimal | None:
    (figure,) = read_figures(database, level="company", period=period, kpi_codes=["won_amount"]).figures
    return figure.value


@pytest.mark.parametrize(
    ("period", "amount"),
    [
        ("FY2025", "1"),
        ("FY2025-Q4", "1"),
        ("FY2025-P12", "1"),
        ("FY2025-W52", "1"),
        ("FY2026-W01", "20"),
        ("FY2026-P01", "320"),
        ("2026-P02", "4000"),
        ("FY2026-W05", "4000"),
        ("FY2026-P03", "50000"),
        ("2026-Q1", "54320"),
        ("FY2026", "54320"),
        ("2026-03-29", "50000"),
    ],
)
def test_each_period_has_its_own_days(database: Path, period: str, amount: str) -> None:
    assert won(database, period) == Decimal(amount)


def test_periods_begin_and_end_with_their_weeks(company: Company) -> None:
    columns = "period_name, period_start, period_end, is_complete, working_days, working_days_elapsed"
    assert company.ask_served(f"select {columns} from dim_period where period_grain = 'month' order by 2") == [
        ("FY2025-P12", date(2025, 12, 28), date(2026, 1, 31), True, 25, 25),
        ("FY2026-P01", date(2026, 2, 1), date(2026, 2, 28), True, 20, 20),
        ("FY2026-P02", date(2026, 3, 1), date(2026, 3, 28), True, 19, 19),
        ("FY2026-P03", date(2026, 3, 29), date(2026, 5, 2), False, 25, 2),
    ]


def test_a_month_is_due_by_the_companys_calendar_and_its_working_days(company: Company) -> None:
    """After P02, which ends with a Saturday, the figures reach to the end of Tuesday."""
    settings = company.settings()
    assert month_due(settings, datetime(2026, 4, 1, tzinfo=UTC)) == "FY2026-P02"
    two, three = (
        settings.model_copy(update={"closing": Closing(after_working_days=working_days)}) for working_days in (2, 3)
    )
    assert release_to_close(two, "FY2026-P02") is not None
    assert release_to_close(three, "FY2026-P02") is None


@pytest.mark.parametrize("asked", ["2026-P04", "2026-02"])
def test_a_month_that_the_company_does_not_have_is_told_by_its_names(database: Path, asked: str) -> None:
    """The fourth has not begun; and no month of this company is a February."""
    with open_database(database) as connection, pytest.raises(SettingsError) as refused:
        find_period(connection, asked)
    assert str(refused.value).endswith("has no such month; it has those from FY2025-P12 to FY2026-P03")


ENTITY = ("kpi_code", "entity_level", "entity_key")
CUT = ("credit_lens", "amount_basis", "cut_by", "cut_value")
PARTS = """
    select coarse.kpi_code, coarse.period_grain, coarse.value, sum(fine.value) as of_parts, coarse.period_start, {key}
    from {table} as coarse
    inner join {table} as fine
        on {same} and fine.period_start between coarse.period_start and coarse.period_end
    where fine.period_grain = '{grain}' and coarse.period_grain in {coarser}
    group by all
"""


def additive_kpis() -> list[str]:
    """Those that are sums over events."""
    measures = read_measures()
    formulas = {row["kpi_code"]: parse_formula(row["formula"]) for row in read_catalogue()}
    return [
        code
        for code, formula in formulas.items()
        if formula.denominator is None and {measures[name].additivity for name in formula.measures} == {"additive"}
    ]


@pytest.mark.parametrize(
    ("table", "key", "grain", "coarser"),
    [
        ("kpi_value", ENTITY, "month", ("quarter", "year")),
        ("kpi_value_by_cut", (*ENTITY, *CUT), "month", ("quarter", "year")),
        ("kpi_value", ENTITY, "week", ("month", "quarter", "year")),
    ],
)
def test_what_is_counted_adds_up_to_the_quarter_and_the_year(
    company: Company, table: str, key: tuple[str, ...], grain: str, coarser: tuple[str, ...]
) -> None:
    same = " and ".join(f"coarse.{column} = fine.{column}" for column in key)
    columns = ", ".join(f"coarse.{column}" for column in key)
    rows = company.ask_served(PARTS.format(table=table, same=same, key=columns, grain=grain, coarser=coarser))
    kpis = additive_kpis()
    compared = [row for row in rows if row[0] in kpis]
    assert {row[1] for row in compared} == set(coarser)
    assert [row for row in compared if row[2] != row[3]] == []


def test_every_kpi_is_published_at_every_grain_that_it_has(company: Company) -> None:
    """By day and week only where something is."""
    found = set(company.ask_served("select distinct kpi_code, period_grain from kpi_value"))
    asked = {
        (kpi["kpi_code"], grain) for kpi in read_catalogue() for grain in GRAINS[GRAINS.index(kpi["finest_grain"]) :]
    }
    assert asked - found <= {(code, grain) for code, grain in asked if grain in ("day", "week")}
    assert found - asked == set()
    assert {("won_amount", "day"), ("win_rate", "week"), ("lead_response_share", "week")} <= found


def test_a_response_takes_the_companys_working_hours(company: Company) -> None:
    asked = "select first_response_hours from lead"
    assert company.ask_served(asked) == [(Decimal("2.5"),)]
