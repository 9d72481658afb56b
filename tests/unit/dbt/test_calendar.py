"""The company's calendar: the models of days and periods, run on a small DuckDB as dbt would run them."""

import itertools
import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpimart.paths import DBT_PROJECT
from kpimart.settings import Settings

DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)
CORE = DBT_PROJECT / "models" / "marts" / "core"
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

MACRO = re.compile(r"({% macro (\w+)\(.*?endmacro %})", re.DOTALL)

Rows = list[dict[str, Any]]
Holidays = dict[date, bool]
"""Day → whether it is worked."""


class _Returned(Exception):
    """Carries what a macro returns, as dbt's `return` does."""

    def __init__(self, value: Any) -> None:
        self.value = value


@dataclass(frozen=True)
class Calendar:
    """What the models hold: the days, and the periods in the order of their grain and start."""

    days: Rows
    periods: Rows

    def of(self, grain: str) -> Rows:
        return [period for period in self.periods if period["period_grain"] == grain]

    def on(self, day: date) -> dict[str, Any]:
        return next(row for row in self.days if row["day"] == day)

    def named(self, name: str) -> tuple[date, date]:
        (period,) = [period for period in self.periods if period["period_name"] == name]
        return period["period_start"], period["period_end"]


def _environment(company: dict[str, Any]) -> jinja2.Environment:
    """The project's macros, with what dbt gives them."""

    def returns(value: Any) -> None:
        raise _Returned(value)

    def callable_macro(source: str, name: str) -> Callable[..., Any]:
        template = environment.from_string(source)

        def called(*arguments: Any, **named: Any) -> Any:
            try:
                return getattr(template.make_module(), name)(*arguments, **named)
            except _Returned as returned:
                return returned.value

        return called

    environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)  # noqa: S701 - it renders SQL
    environment.globals |= {
        "return": returns,
        "ref": lambda name: name,
        "dbt": types.SimpleNamespace(datediff=lambda start, end, part: f"date_diff('{part}', {start}, {end})"),
        "from_every_crm": lambda entity: f"select * from {entity}",
    }
    for file in ("company.sql", "calendar.sql"):
        # each by itself, so that one that calls another gets what that returns
        for source, name in MACRO.findall((DBT_PROJECT / "macros" / file).read_text()):
            environment.globals[name] = callable_macro(source, name)
    environment.globals["company"] = lambda: company
    return environment


def calendar(first: date, last: date, holidays: Holidays | None = None, **decided: Any) -> Calendar:
    """The calendar of a company that decided this, whose figures go from a day to a day and speak of its end."""
    company = Settings(**decided, holidays="here").decisions()
    environment = _environment(company)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create table fct_deal_event as select ?::date as occurred_on", [first])
        connection.execute("create table fct_activity as from fct_deal_event")
        connection.execute("create table lead (created_at timestamptz, is_deleted boolean)")
        connection.execute(
            "create table build_moment as select ?::date as last_day, timezone(?, ?::timestamp) as as_of",
            [last, company["time_zone"], last + DAY],
        )
        connection.execute("create table holiday (calendar varchar, day date, is_working_day boolean, name_en varchar)")
        for day, is_worked in (holidays or {}).items():
            connection.execute("insert into holiday values ('here', ?, ?, 'A day')", [day, is_worked])
            connection.execute("insert into holiday values ('elsewhere', ?, not ?, 'Another')", [day + DAY, is_worked])
        for model in ("dim_day", "dim_period_day", "dim_period"):
            sql = environment.from_string((CORE / f"{model}.sql").read_text()).render()
            connection.execute(f"create table {model} as {sql}")
        return Calendar(
            _rows(connection, "select * from dim_day order by day"),
            _rows(connection, "select * from dim_period order by period_grain, period_start"),
        )


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> Rows:
    found = connection.execute(sql)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def starts(periods: Rows) -> list[date]:
    return [period["period_start"] for period in periods]


# ---------------------------------------------------------------------------------------------- years of whole weeks

NRF = {"calendar": "4-5-4", "fiscal_year_start": 2, "week_starts_on": "sunday"}


def test_the_retail_years_are_those_that_the_national_retail_federation_publishes() -> None:
    """Its 4-5-4 calendar: 2023 began on 29 January and had 53 weeks; 2024, 2025 and 2026 followed on these Sundays."""
    years = calendar(date(2022, 1, 30), date(2026, 6, 1), **NRF)
    assert [(each["period_name"], each["period_start"]) for each in years.of("year")] == [
        ("FY2022", date(2022, 1, 30)),
        ("FY2023", date(2023, 1, 29)),
        ("FY2024", date(2024, 2, 4)),
        ("FY2025", date(2025, 2, 2)),
        ("FY2026", date(2026, 2, 1)),
    ]


def test_the_53rd_week_belongs_to_the_last_month() -> None:
    year = calendar(date(2023, 1, 29), date(2024, 2, 3), **NRF)
    lengths = [(each["period_end"] - each["period_start"] + DAY) // WEEK for each in year.of("month")]
    assert lengths == [4, 5, 4] * 3 + [4, 5, 5]
    assert year.named("FY2023-P12") == (date(2023, 12, 31), date(2024, 2, 3))
    assert year.named("FY2023-W53") == (date(2024, 1, 28), date(2024, 2, 3))
    assert year.named("FY2023-Q4") == (date(2023, 10, 29), date(2024, 2, 3))


def test_4_4_5_says_how_many_weeks_the_months_of_a_quarter_have() -> None:
    """From Monday, 29 December 2025, which is nearest to 1 January 2026."""
    year = calendar(date(2026, 1, 1), date(2026, 12, 31), calendar="4-4-5")
    assert starts(year.of("month"))[:4] == [date(2025, 12, 29), date(2026, 1, 26), date(2026, 2, 23), date(2026, 3, 30)]
    assert year.named("FY2026-P03") == (date(2026, 2, 23), date(2026, 3, 29))
    assert year.named("FY2026-Q2") == (date(2026, 3, 30), date(2026, 6, 28))


@pytest.mark.parametrize(
    ("first_week", "start", "end"),
    [
        # Saturdays by 30 September 2023: that day itself; by 30 September 2022, a Friday: 24 September, 1 October
        ("containing", date(2022, 9, 25), date(2023, 9, 30)),
        ("nearest", date(2022, 10, 2), date(2023, 9, 30)),
    ],
)
def test_a_year_ends_on_the_last_saturday_of_september_or_on_the_one_nearest_to_its_end(
    first_week: str, start: date, end: date
) -> None:
    year = calendar(
        date(2023, 1, 1),
        date(2023, 1, 1),
        calendar="4-4-5",
        fiscal_year_start=10,
        week_starts_on="sunday",
        fiscal_year_first_week=first_week,
        fiscal_year_named_after="end",
    )
    assert year.named("FY2023") == (start, end)


def test_years_of_weeks_from_the_monday_nearest_to_new_year_are_those_of_iso() -> None:
    for day in calendar(date(1999, 12, 27), date(2027, 1, 10), calendar="4-4-5").days:
        year, week, _ = day["day"].isocalendar()
        assert day["week_name"] == f"FY{year:04}-W{week:02}"


# ---------------------------------------------------------------------------------------------------- years of months


def test_a_fiscal_year_from_july_has_its_own_quarters_and_the_calendars_months() -> None:
    year = calendar(date(2023, 7, 1), date(2024, 6, 30), fiscal_year_start=7)
    assert year.named("FY2023") == (date(2023, 7, 1), date(2024, 6, 30))
    assert year.named("FY2023-Q3") == (date(2024, 1, 1), date(2024, 3, 31))
    assert year.named("2024-02") == (date(2024, 2, 1), date(2024, 2, 29))
    assert year.named("2024-W01") == (date(2024, 1, 1), date(2024, 1, 7))


def test_a_fiscal_year_may_be_named_after_the_year_that_it_ends_in() -> None:
    year = calendar(date(2023, 7, 1), date(2024, 6, 30), fiscal_year_start=7, fiscal_year_named_after="end")
    assert year.named("FY2024") == (date(2023, 7, 1), date(2024, 6, 30))
    assert year.named("FY2024-Q1") == (date(2023, 7, 1), date(2023, 9, 30))


def test_a_calendar_year_needs_no_fy_and_is_named_after_itself_either_way() -> None:
    year = calendar(date(2024, 2, 29), date(2024, 2, 29), fiscal_year_named_after="end")
    assert year.named("2024") == (date(2024, 1, 1), date(2024, 12, 31))
    assert year.named("2024-Q1") == (date(2024, 1, 1), date(2024, 3, 31))
    assert year.named("2024-02-29") == (date(2024, 2, 29), date(2024, 2, 29))


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)))
@settings(max_examples=8, deadline=None)
def test_weeks_beside_months_are_those_of_iso(first: date) -> None:
    for day in calendar(first, first + 30 * DAY).days:
        year, week, weekday = day["day"].isocalendar()
        assert (day["week_name"], day["week_start"]) == (f"{year:04}-W{week:02}", day["day"] - (weekday - 1) * DAY)


# --------------------------------------------------------------------------------------------------- of any company

COMPANIES = st.one_of(
    st.fixed_dictionaries({"fiscal_year_start": st.integers(1, 12)}),
    st.fixed_dictionaries(
        {
            "calendar": st.sampled_from(["4-4-5", "4-5-4", "5-4-4"]),
            "fiscal_year_start": st.integers(1, 12),
            "fiscal_year_first_week": st.sampled_from(["nearest", "containing"]),
            "week_starts_on": st.sampled_from(WEEKDAYS),
        }
    ),
)


@given(COMPANIES, st.dates(date(1950, 1, 1), date(2150, 1, 1)), st.integers(0, 800))
@settings(max_examples=20, deadline=None)
def test_periods_of_a_grain_follow_one_another_without_gap_or_overlap(
    company: dict[str, Any], first: date, length: int
) -> None:
    last = first + length * DAY
    found = calendar(first, last, **company)
    for grain in ("day", "week", "month", "quarter", "year"):
        periods = found.of(grain)
        assert periods[0]["period_start"] <= first
        assert periods[0]["period_end"] >= first
        assert periods[-1]["period_start"] <= last
        assert periods[-1]["period_end"] >= last
        for one, next_one in itertools.pairwise(periods):
            assert one["period_end"] + DAY == next_one["period_start"]
        assert len({each["period_name"] for each in periods}) == len(periods)


@given(COMPANIES, st.dates(date(1950, 1, 1), date(2150, 1, 1)))
@settings(max_examples=20, deadline=None)
def test_three_months_are_a_quarter_and_four_quarters_a_year(company: dict[str, Any], first: date) -> None:
    found = calendar(first, first + 800 * DAY, **company)
    quarters, months = starts(found.of("quarter")), starts(found.of("month"))
    for year in found.of("year")[1:-1]:
        of_year = [start for start in quarters if year["period_start"] <= start <= year["period_end"]]
        assert (len(of_year), of_year[0]) == (4, year["period_start"])
    for quarter in found.of("quarter")[1:-1]:
        of_quarter = [start for start in months if quarter["period_start"] <= start <= quarter["period_end"]]
        assert (len(of_quarter), of_quarter[0]) == (3, quarter["period_start"])


@given(COMPANIES, st.dates(date(1950, 1, 1), date(2150, 1, 1)))
@settings(max_examples=15, deadline=None)
def test_what_is_summed_by_month_adds_up_to_the_quarter_and_the_year(company: dict[str, Any], first: date) -> None:
    """Working days stand for anything that is counted by day."""
    found = calendar(first, first + 500 * DAY, **company)
    for coarse in found.of("quarter")[1:-1] + found.of("year")[1:-1]:
        within = [each for each in found.of("month") if coarse["period_start"] <= each["period_start"]]
        parts = [each["working_days"] for each in within if each["period_end"] <= coarse["period_end"]]
        assert sum(parts) == coarse["working_days"]


@given(COMPANIES.filter(lambda company: "calendar" in company), st.dates(date(1950, 1, 1), date(2150, 1, 1)))
@settings(max_examples=15, deadline=None)
def test_a_year_of_weeks_has_52_or_53_of_them_and_begins_where_it_should(company: dict[str, Any], first: date) -> None:
    for year in calendar(first, first, **company).of("year"):
        start = year["period_start"]
        assert year["period_end"] - start + DAY in (52 * WEEK, 53 * WEEK)
        assert WEEKDAYS[start.weekday()] == company["week_starts_on"]
        month = date(int(year["period_name"][2:]), company["fiscal_year_start"], 1)
        earliest, latest = (-3, 3) if company["fiscal_year_first_week"] == "nearest" else (-6, 0)
        assert month + earliest * DAY <= start <= month + latest * DAY


# ------------------------------------------------------------------------------------------------------- working days


def test_weekends_and_holidays_are_off_and_a_day_worked_in_exchange_is_not() -> None:
    """June 2018 in Russia: 21 weekdays; Monday 11th and Tuesday 12th are off, Saturday 9th is worked: 20."""
    off = {date(2018, 6, 9): True, date(2018, 6, 11): False, date(2018, 6, 12): False}
    found = calendar(date(2018, 6, 1), date(2018, 6, 13), off, time_zone="Europe/Moscow")
    (june,) = found.of("month")
    # 1, 4-8, 9, 13
    assert (june["working_days"], june["working_days_elapsed"]) == (20, 8)
    saturday = found.on(date(2018, 6, 9))
    assert (saturday["opens_at"], saturday["closes_at"]) == (
        datetime(2018, 6, 9, 6, tzinfo=UTC),
        datetime(2018, 6, 9, 15, tzinfo=UTC),
    )
    assert found.on(date(2018, 6, 11))["opens_at"] is None


def test_the_week_is_the_companys() -> None:
    """From Sunday to Thursday, as in the Gulf: 3 May 2026 is a Sunday."""
    found = calendar(date(2026, 5, 3), date(2026, 5, 9), working_days=("sunday", *WEEKDAYS[:4]))
    assert [found.on(date(2026, 5, day))["is_working_day"] for day in range(3, 10)] == [True] * 5 + [False] * 2


def test_working_time_is_true_time_where_the_clock_changes() -> None:
    """Around the clock in Berlin: 29 March 2026 has 23 hours, 25 October has 25."""
    hours = {"start": "00:00:00", "end": "00:00:00"}
    found = calendar(
        date(2026, 1, 1), date(2026, 12, 31), time_zone="Europe/Berlin", working_days=WEEKDAYS, working_hours=hours
    )
    before = {row["day"]: row["working_seconds_before"] for row in found.days}
    assert before[date(2026, 3, 30)] - before[date(2026, 3, 29)] == 23 * 3600
    assert before[date(2026, 10, 26)] - before[date(2026, 10, 25)] == 25 * 3600
    assert before[date(2026, 7, 2)] - before[date(2026, 7, 1)] == 24 * 3600
    assert before[min(before)] == 0


def test_nobody_works_on_a_day_that_the_time_zone_skips() -> None:
    """Samoa went from Thursday, 29 December 2011, to Saturday: the Friday lies in its periods, and has no hours."""
    found = calendar(date(2011, 12, 26), date(2011, 12, 31), time_zone="Pacific/Apia")
    worked = [found.on(date(2011, 12, day))["is_working_day"] for day in range(26, 32)]
    assert worked == [True, True, True, True, False, False]
    assert len(found.of("day")) == 6


def test_the_periods_of_the_first_day_are_whole() -> None:
    """Figures begin on Wednesday, 15 April 2026; its year has 261 weekdays, and 75 had come by then."""
    found = calendar(date(2026, 4, 15), date(2026, 4, 15))
    (year,) = found.of("year")
    assert (year["working_days"], year["working_days_elapsed"]) == (261, 75)
    assert [each["period_start"] for each in found.of("day")] == [date(2026, 4, 15)]
