from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from rich.console import RenderableType

from kpimart import render
from kpimart.errors import SettingsError
from kpimart.insight.drivers import Change, read_change
from kpimart.language import Language
from kpimart.report.drivers import of_change

RELEASE = """
create table kpi_catalogue as
select
    *, kpi_code as name_en, 'по-русски' as name_ru, null as description_en, null as description_ru, 'count' as unit,
    'higher' as better, 'month' as finest_grain, null as owner
from (values
    ('won_amount', 'won_amount'), ('win_rate', 'won_deals / closed_deals'), ('closed_deals', 'won_deals + lost_deals'),
    ('worth', '2 * won_deals * calls'), ('calls', 'calls')
) as kpis (kpi_code, formula);

create table dim_period as
select 'month' as period_grain, month::date as period_start, (month + interval 1 month)::date - 1 as period_end,
    month < date '2026-03-01' as is_complete, strftime(month, '%Y-%m') as period_name,
    month >= date '2025-01-01' as is_covered
from generate_series(date '2024-12-01', date '2026-03-01', interval 1 month) as months (month)
union all
select 'week', date '2026-01-05', date '2026-01-11', true, '2026-W02', true
union all
select 'quarter', date '2026-01-01', date '2026-03-31', false, '2026-Q1', true;

create table figures as
select * from (values
    ('won_amount', '2025-02-01', null, null, 300), ('won_amount', '2026-01-01', null, null, 400),
    ('won_amount', '2026-02-01', null, null, 480), ('won_amount', '2026-03-01', null, null, null),
    ('win_rate', '2026-01-01', 3, 10, 0.3), ('win_rate', '2026-02-01', 6, 15, 0.4),
    ('closed_deals', '2026-01-01', null, null, 8), ('closed_deals', '2026-02-01', null, null, 9),
    ('worth', '2026-01-01', null, null, 24), ('worth', '2026-02-01', null, null, 60),
    ('calls', '2026-01-01', null, null, 3), ('calls', '2026-02-01', null, null, 6)
) as rows (kpi_code, start, numerator, denominator, value);

create table kpi_value as
select kpi_code, 'month' as period_grain, start::date as period_start, 'company' as entity_level,
    'company' as entity_key, null::varchar as department_id, null::varchar as manager_id, 'Company' as entity_name,
    if(kpi_code = 'win_rate', 'ratio', if(kpi_code = 'won_amount', 'EUR', 'count')) as unit,
    numerator::decimal(38, 6) as numerator, denominator::decimal(38, 6) as denominator, value::decimal(28, 8) as value
from figures;

create table driver_input as
select 'month' as period_grain, start::date as period_start, 'company' as entity_level, 'company' as entity_key,
    null::varchar as department_id, null::varchar as manager_id, pipeline_id, pipeline_id as product, input,
    '(all)' as stage_name, 0 as stage_number, value::decimal(28, 2) as value
from (values
    ('2025-02-01', '(all)', 'working_days', 20), ('2026-01-01', '(all)', 'working_days', 20),
    ('2026-02-01', '(all)', 'working_days', 20), ('2025-02-01', '(all)', 'head_days', 40),
    ('2026-01-01', '(all)', 'head_days', 40), ('2026-02-01', '(all)', 'head_days', 40),
    ('2025-02-01', '(all)', 'created_deals', 10), ('2026-01-01', '(all)', 'created_deals', 10),
    ('2026-02-01', '(all)', 'created_deals', 10),
    ('2025-02-01', 'p', 'closed_deals', 8), ('2026-01-01', 'p', 'closed_deals', 8),
    ('2026-02-01', 'p', 'closed_deals', 8),
    ('2025-02-01', 'p', 'won_deals', 3), ('2026-01-01', 'p', 'won_deals', 4), ('2026-02-01', 'p', 'won_deals', 4),
    ('2025-02-01', 'p', 'won_amount', 300), ('2026-01-01', 'p', 'won_amount', 400),
    ('2026-02-01', 'p', 'won_amount', 480),
    ('2025-02-01', 'p', 'constant_amount', 300), ('2026-01-01', 'p', 'constant_amount', 400),
    ('2026-02-01', 'p', 'constant_amount', 480),
    ('2026-01-01', '(all)', 'won_deals', 4), ('2026-02-01', '(all)', 'won_deals', 5),
    ('2026-01-01', '(all)', 'lost_deals', 4), ('2026-02-01', '(all)', 'lost_deals', 4),
    ('2026-01-01', '(all)', 'calls', 3), ('2026-02-01', '(all)', 'calls', 6)
) as rows (start, pipeline_id, input, value);

create table target_attainment as
select kpi_code, period_grain, period_start, entity_level, entity_key, department_id, manager_id, entity_name, unit,
    value, 500.004::decimal(28, 8) as target_value
from kpi_value where kpi_code = 'won_amount' and period_start = '2026-02-01'
union all by name
select * replace (date '2025-01-01' as period_start), 500::decimal(28, 8) as target_value
from kpi_value where kpi_code = 'won_amount' and period_start = '2025-02-01';

create table dim_manager as select 'ann' as manager_id, 'Ann' as manager_name;
create table dim_department as select 'east' as department_id, 'East' as department_name;
"""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("release") / "reporting.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(RELEASE)
    return path


def parts(change: Change) -> dict[str, Decimal]:
    assert sum(driver.contribution for driver in change.drivers) == change.difference
    return {driver.driver: driver.contribution for driver in change.drivers}


def test_won_amount_is_split_among_its_factors(release: Path) -> None:
    change = read_change(release, "won_amount", period="2026-02")
    assert (change.value_before, change.value_after, change.difference) == (400, 480, 80)
    assert parts(change) == {"avg_won_amount": 80}


def test_the_year_before_is_another_comparison(release: Path) -> None:
    # 3 deals of 100 become 4 of 120: 1 × 110, and 20 × 3.5.
    assert parts(read_change(release, "won_amount", period="2026-02", compared_with="last-year")) == {
        "win_rate": 110,
        "avg_won_amount": 70,
    }


def test_a_plan_asks_for_more_than_the_year_before(release: Path) -> None:
    # In whole cents: 500.00 was planned, 200 more than there was.
    change = read_change(release, "won_amount", period="2026-02", compared_with="plan")
    assert (change.value_before, change.difference) == (500, -20)
    assert parts(change) == {"win_rate": 110, "avg_won_amount": 70, "planned_change": -200}


def test_a_plan_that_nothing_can_be_laid_beside_is_not_attributed(release: Path) -> None:
    # The first month of all.
    change = read_change(release, "won_amount", period="2025-01", compared_with="plan")
    assert parts(change) == {"unattributed": -200}


def test_a_quotient_is_split_between_its_sides(release: Path) -> None:
    # 3 × (1/10 + 1/15) / 2, and (1/15 - 1/10) × (3 + 6) / 2.
    change = read_change(release, "win_rate", period="2026-02")
    assert parts(change) == {"numerator": Decimal("0.25"), "denominator": Decimal("-0.15")}


def test_a_sum_is_split_among_its_measures(release: Path) -> None:
    assert parts(read_change(release, "closed_deals", period="2026-02")) == {"won_deals": 1}


def test_a_product_of_measures_is_split_too(release: Path) -> None:
    # 2 × 4 × 3 = 24 becomes 2 × 5 × 6 = 60: 2 × 1 × 4.5, and 2 × 3 × 4.5.
    assert parts(read_change(release, "worth", period="2026-02")) == {"calls": 27, "won_deals": 9}


def test_a_measure_is_all_of_its_own_change(release: Path) -> None:
    assert parts(read_change(release, "calls", period="2026-02", compared_with="2026-01")) == {"calls": 3}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kpi_code": "win_rat"}, "KPI 'win_rat' is not in the catalogue; did you mean 'win_rate'"),
        ({"period": "2026-W02"}, "drivers are told of months, quarters and years, not of a week"),
        ({"compared_with": "2026-Q1"}, "a month is compared with a month, and 2026-Q1 is a quarter"),
        ({"compared_with": "2026-02"}, "2026-02 is compared with itself; give another month in --from"),
        ({"period": "2025-01"}, "the release knows none as a whole so long before 2025-01-01"),
        ({"compared_with": "2024-12"}, "only a part of 2024-12 is known, because figures begin after 2024-12-01"),
        ({"period": "2026-03"}, "is not known in both months, from 2026-02-01 and from 2026-03-01"),
        (
            {"kpi_code": "win_rate", "compared_with": "plan"},
            "no target of win_rate is set for Company in the month from",
        ),
        ({"manager": "Ann", "department": "East"}, "give a manager or a department"),
    ],
)
def test_what_cannot_be_compared_is_refused(release: Path, asked: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_change(release, **{"kpi_code": "won_amount", "period": "2026-02", **asked})  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------ on the screen


def shown(change: Change, capsys: pytest.CaptureFixture[str], language: Language = "en") -> str:
    console = render.console()
    told: Iterator[RenderableType] = of_change(change, language)
    for part in told:
        console.print(part)
    return capsys.readouterr().out


def test_a_change_is_shown_with_its_drivers_and_their_sum(release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    screen = shown(read_change(release, "won_amount", period="2026-02", compared_with="last-year"), capsys)
    assert "won_amount (won_amount), Company, 2026-02-01 … 2026-02-28" in screen
    assert "before, 2025-02-01 … 2025-02-28  300.00" in screen
    assert "difference                       ▲ +180.00" in screen
    assert "│ win rate                         │ 37.5 % │ 50.0 % │ ▲ +110.00    │" in screen
    assert "│ Σ together                       │        │        │ ▲ +180.00    │" in screen


def test_a_rate_changes_by_points(release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    screen = shown(read_change(release, "win_rate", period="2026-02", language="ru"), capsys, "ru")
    assert "▲ +10.00 п. п." in screen
    assert "│ знаменатель │ 10       │ 15     │ ▼ -15.00 п. п. │" in screen


def test_a_plan_says_what_it_is_laid_beside(release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    screen = shown(read_change(release, "won_amount", period="2026-02", compared_with="plan"), capsys)
    assert "laid beside 2025-02-01 … 2025-02-28, as what would drive a plan is not known" in screen
    assert "▼ -200.00" in screen
