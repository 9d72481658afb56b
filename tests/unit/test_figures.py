"""The figures of a period beside those of the one before, as the published release has them."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from kpimart.errors import SettingsError
from kpimart.figures import Figure, Figures, latest_month, profile_kpis, read_figures, read_history, read_periods


@pytest.fixture(scope="module")
def database(published: Path) -> Path:
    return published / "reporting" / "reporting.duckdb"


def read(database: Path, period: str, *codes: str, level: str = "company", language: str = "en") -> Figures:
    return read_figures(database, level=level, period=period, kpi_codes=codes or ("won_amount",), language=language)


def refusal(database: Path, period: str, *codes: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(database, period, *codes)
    return str(refused.value)


# Periods


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("2026-12", date(2026, 12, 1), date(2026, 12, 31)),
        ("2026-W53", date(2026, 12, 28), date(2027, 1, 3)),
        ("2027-W01", date(2027, 1, 4), date(2027, 1, 10)),
        ("2026-Q3", date(2026, 8, 1), date(2026, 10, 31)),  # of a fiscal year from February
        ("2026-Q4", date(2026, 11, 1), date(2027, 1, 31)),
        ("FY2026-Q4", date(2026, 11, 1), date(2027, 1, 31)),
        ("2026q4", date(2026, 11, 1), date(2027, 1, 31)),
        ("2026", date(2026, 2, 1), date(2027, 1, 31)),
        ("FY2026", date(2026, 2, 1), date(2027, 1, 31)),
        ("FY2026-12", date(2026, 12, 1), date(2026, 12, 31)),
        ("2027-01-06", date(2027, 1, 6), date(2027, 1, 6)),
        ("2028-02-29", date(2028, 2, 29), date(2028, 2, 29)),
    ],
)
def test_a_period_is_found_by_its_name(database: Path, asked: str, start: date, end: date) -> None:
    period = read(database, asked).period
    assert (period.start, period.end) == (start, end)


@pytest.mark.parametrize(
    ("asked", "start"),
    [
        ("day", date(2027, 1, 6)),
        ("week", date(2026, 12, 28)),
        ("month", date(2026, 12, 1)),
        ("quarter", date(2026, 8, 1)),
    ],
)
def test_a_grain_means_its_last_complete_period(database: Path, asked: str, start: date) -> None:
    period = read(database, asked).period
    assert (period.grain, period.start, period.is_complete) == (asked, start, True)


def test_a_grain_without_a_complete_period_is_told(database: Path) -> None:
    assert refusal(database, "year") == (
        "period year: the release has no complete year yet; it has those from FY2026 to FY2026"
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("2025-12", "period 2025-12: the release has no such month; it has those from 2026-11 to 2027-01"),
        ("2025", "period 2025: the release has no such year; it has those from FY2026 to FY2026"),
        ("2026-Q1", "period 2026-Q1: the release has no such quarter; "),
        ("2020-W53", "period 2020-W53: the release has no such week; it has those from 2026-W52 to 2027-W01"),
        ("2026-P11", "period 2026-P11: the release has no such month; it has those from 2026-11 to 2027-01"),
        ("2024-02-29", "period 2024-02-29: the release has no such day; "),
    ],
)
def test_a_period_that_the_release_does_not_have_is_told_with_those_it_has(
    database: Path, asked: str, said: str
) -> None:
    assert said in refusal(database, asked)


@pytest.mark.parametrize(
    "asked",
    ["", "last month", "2026-13", "2026-00", "2027-02-29", "2026-W54", "FY", "2026-P13", "QY2026", "2026-W00",
     "2026-Q5", "26-01", "2026-1", "2026-11-1", "months", "0000-Q1", "2026'; drop table kpi_value; --"],
)  # fmt: skip
def test_what_is_no_period_is_refused_with_what_is_one(database: Path, asked: str) -> None:
    assert refusal(database, asked) == (
        f"period {asked!r}: give one of day, week, month, quarter, year, "
        "or 2017, 2017-Q2, 2017-04, 2017-W14, 2017-04-01, FY2017, FY2017-Q2, FY2017-P04, FY2017-W14"
    )


def test_the_last_month_is_the_one_that_goes_on(database: Path) -> None:
    assert latest_month(database) == "2027-01"


def test_a_release_without_periods_says_so(tmp_path: Path, database: Path) -> None:
    empty = tmp_path / "empty.duckdb"
    with duckdb.connect(str(empty)) as connection:
        connection.execute(f"attach '{database}' as published (read_only)")
        connection.execute("create table kpi_catalogue as from published.kpi_catalogue")
        connection.execute("create table dim_period as from published.dim_period where false")
    assert refusal(empty, "month") == "period month: the release has no complete month yet; it has none at all"


# Figures


def test_a_figure_stands_beside_the_one_of_the_period_before(database: Path) -> None:
    found = read(database, "2026-12")
    assert found.period.start_before == date(2026, 11, 1)
    assert found.figures == (
        Figure("company", "Company", "won_amount", Decimal("1250000.50"), Decimal(1000000), "EUR", 7),
    )


def test_nothing_is_before_the_first_period(database: Path) -> None:
    found = read(database, "2026-11")
    assert found.period.start_before is None
    assert [figure.value_before for figure in found.figures] == [None]


@pytest.mark.parametrize(
    ("change", "start_before"),
    [
        ("update dim_period set is_covered = false where period_start = date '2026-11-01'", None),
        ("alter table dim_period drop column is_covered", date(2026, 11, 1)),
    ],
    ids=["of which a part is known", "in an older release, which cannot tell"],
)
def test_a_period_before(database: Path, tmp_path: Path, change: str, start_before: date | None) -> None:
    copy = tmp_path / "reporting.duckdb"
    copy.write_bytes(database.read_bytes())
    with duckdb.connect(str(copy)) as connection:
        connection.execute(change)
    found = read(copy, "2026-12")
    assert found.period.start_before == start_before
    assert read_periods(copy, "month")["2026-12"] == found.period
    assert [figure.value_before for figure in found.figures] == [Decimal(1000000) if start_before else None]


def test_an_undefined_figure_is_there_and_none(database: Path) -> None:
    (figure,) = read(database, "2027-01", "win_rate").figures
    assert figure == Figure("company", "Company", "win_rate", None, Decimal("0.615"), "ratio", 7)


def test_entities_come_by_name(database: Path) -> None:
    found = read(database, "2026-12", "won_amount", "win_rate", level="department")
    assert sorted(found.figures, key=lambda figure: figure.kpi_code) == [
        Figure("files:n", "North", "win_rate", Decimal("0.7"), None, "ratio", 7),
        Figure("files:n", "North", "won_amount", Decimal("1250000.50"), None, "EUR", 7),
        Figure("files:s", "South [old]", "won_amount", Decimal(0), None, "EUR", 7),
    ]
    assert [figure.entity_name for figure in found.figures] == ["North", "North", "South [old]"]


def test_kpis_come_in_the_order_asked_for_and_in_the_language_asked_for(database: Path) -> None:
    kpis = read(database, "2026-12", "win_rate", "won_amount", language="ru").kpis
    assert [kpi.name for kpi in kpis] == ["Доля побед", "Сумма побед"]


def test_an_unknown_kpi_is_told_with_those_there_are(database: Path) -> None:
    assert refusal(database, "month", "won_amonut") == (
        "KPI 'won_amonut' is not in the catalogue; it has "
        "created_amount, lost_deals, new_customers, win_rate, won_amount, won_deals; did you mean 'won_amount'?"
    )


def test_looking_changes_nothing(database: Path) -> None:
    before = database.read_bytes()
    read(database, "month")
    assert database.read_bytes() == before
    assert not database.with_name("reporting.duckdb.wal").exists()


# Of one entity


def test_a_history_ends_with_the_period_and_has_one_point_for_each(database: Path) -> None:
    december = read_periods(database, "month")["2026-12"]
    of_north = {"level": "department", "entity_key": "files:n"}
    history = read_history(database, period=december, kpi_codes=("won_amount", "win_rate"), length=13, **of_north)
    assert [(point.period_name, point.value, point.unit) for point in history["won_amount"]] == [
        ("2026-11", None, None),
        ("2026-12", Decimal("1250000.50"), "EUR"),
    ]
    (last,) = read_history(database, period=december, kpi_codes=("win_rate",), length=1, **of_north)["win_rate"]
    assert (last.value, last.target, last.attainment, last.is_complete) == (Decimal("0.7"), None, None, True)


def test_periods_come_with_the_last_first(database: Path) -> None:
    periods = read_periods(database, "month")
    assert list(periods) == ["2027-01", "2026-12", "2026-11"]
    assert periods["2026-12"] == read(database, "2026-12").period


# Profiles


@pytest.mark.parametrize("profile", ["growth", "retention", "efficiency"])
def test_a_profile_names_its_kpis_the_heaviest_first(profile: str) -> None:
    codes = profile_kpis(profile, None)
    assert len(codes) == len(set(codes)) >= 3


def test_growth_looks_at_what_was_won_first() -> None:
    assert profile_kpis("growth", None)[0] == "won_amount"


def test_an_unknown_profile_is_told_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"'growht' is not in kpi_profile.csv; it has efficiency, growth, "):
        profile_kpis("growht", None)
