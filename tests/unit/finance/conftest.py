"""A company whose release of 16 October 2026 can plan this year and the next, with figures that can be told by heart.

West has North (Ann and Bob, since ever; Eve, hired on 1 September) and South (Cid; Dan left with June), and Gus sits in
it directly; East has Fay. A working day of a manager brings a won amount of 100.00 (Ann 200.00), more towards the end
of the year; a deal a month, a customer every other month, four leads. The forecast of a month is last year's.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from kpimart.build import Build
from kpimart.finance import outlook
from kpimart.finance.budget_import import ImportedBudget, import_budget
from kpimart.finance.budget_workbook import export_budget
from kpimart.language import Language
from kpimart.publish.contract import BUILT
from kpimart.publish.release import find, publish
from kpimart.publish.shelf import Release
from kpimart.settings import Settings
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse

FIRST, SERVED = "20261016T020000Z", "20261017T020000Z"
AS_OF = datetime(2026, 10, 15, 22, tzinfo=UTC)
NOON = datetime(2026, 10, 20, 12, tzinfo=UTC)

COMPANY = """
create table seats as from (values
    ('files:ann', 'Ann', 'files:n', null::date, null::date, 200), ('files:bob', 'Bob', 'files:n', null, null, 100),
    ('files:eve', 'Eve', 'files:n', date '2026-09-01', null, 100), ('files:cid', 'Cid', 'files:s', null, null, 100),
    ('files:dan', 'Dan', 'files:s', null, date '2026-06-30', 100), ('files:gus', 'Gus', 'files:w', null, null, 100),
    ('files:fay', 'Fay', 'files:e', null, null, 100)
) as rows (manager_id, manager_name, department_id, hired_on, left_on, speed);

insert into core.dim_manager by name
select * exclude (speed), false as is_inferred from seats
union all by name
select 'files:(unassigned)' as manager_id, '(unassigned)' as manager_name, 'files:(unassigned)' as department_id,
    true as is_inferred;

insert into core.dim_department by name
from (values
    ('files:w', 'West', null), ('files:n', 'North', 'files:w'), ('files:s', 'South', 'files:w'),
    ('files:e', '=East', null)
) as rows (department_id, department_name, parent_department_id) select *, false as is_inferred;

insert into core.dim_department_closure by name
select *, date '0001-01-01' as valid_from, date '9999-12-31' as valid_to
from (values ('files:w', 'files:w', 0), ('files:n', 'files:n', 0), ('files:s', 'files:s', 0), ('files:e', 'files:e', 0),
    ('files:n', 'files:w', 1), ('files:s', 'files:w', 1)) as rows (department_id, ancestor_department_id, depth);

insert into seeds.kpi_catalogue by name
select *, 'higher' as better, 'both' as level, 'day' as finest_grain
from (values
    ('won_amount', 'Won amount', 'Сумма побед', 'won_amount', 'currency', '#,##0.00'),
    ('won_deals', 'Won deals', 'Победы', 'won_deals', 'count', '#,##0'),
    ('new_customers', 'New customers', 'Новые клиенты', 'new_customers', 'count', '#,##0'),
    ('leads_created', 'Created leads', 'Лиды', 'leads_created', 'count', '#,##0'),
    ('win_rate', 'Win rate', 'Доля побед', 'won_deals / closed_deals', 'ratio', '0.0%')
) as rows (kpi_code, name_en, name_ru, formula, unit, format);

-- Twenty working days a month, 22 in March.
create table months as
select start::date as month_start, last_day(start) as month_end, year(start) - 2026 as years_ahead,
    month(start)::integer as place, if(month(start) = 3, 22, 20)::integer as working_days,
    last_day(start) < date '2026-10-15' as is_over, start <= date '2026-10-15' as is_begun
from generate_series(timestamp '2023-01-01', timestamp '2027-12-01', interval 1 month) as rows (start);

insert into core.dim_period by name
select 'month' as period_grain, month_start as period_start, month_end as period_end, is_over as is_complete,
    true as is_covered, strftime(month_start, '%Y-%m') as period_name, working_days,
    working_days as working_days_elapsed
from months where is_begun
union all by name
select 'year' as period_grain, min(month_start) as period_start, max(month_end) as period_end,
    bool_and(is_over) as is_complete, true as is_covered, year(min(month_start))::varchar as period_name,
    sum(working_days)::integer as working_days, 0 as working_days_elapsed
from months group by years_ahead having bool_or(is_begun)
union all by name
select 'day' as period_grain, date '2026-10-15' as period_start, date '2026-10-15' as period_end, true as is_complete,
    true as is_covered, '2026-10-15' as period_name, 1 as working_days, 1 as working_days_elapsed;

-- Of each manager and month: the days there, and what was brought.
create table brought as
select months.*, seats.manager_id, seats.department_id,
    case
        when seats.hired_on > months.month_end or seats.left_on < months.month_start then 0 else months.working_days
    end as days_there,
    unnest(['won_amount', 'won_deals', 'new_customers', 'leads_created']) as kpi_code,
    unnest([speed * days_there * (1 + place / 10), 1, place % 2, 4])::decimal(28, 8) as each,
    if(is_begun and days_there > 0, each, 0) as value
from months cross join seats;

create table entities as
select manager_id, department_id, 'manager' as entity_level, manager_id as entity_key, manager_name as entity_name,
    null as own_department_id, manager_id as own_manager_id from seats
union all
select null, closure.department_id, 'department', ancestor_department_id, department_name, ancestor_department_id, null
from core.dim_department_closure as closure
inner join core.dim_department as named on ancestor_department_id = named.department_id
union all
select null, department_id, 'company', 'company', 'Company', null, null from core.dim_department;

create table cells as
select kpi_code, month_start, any_value(month_end) as month_end, any_value(years_ahead) as years_ahead,
    any_value(place) as place, any_value(working_days) as working_days, any_value(is_over) as is_over,
    any_value(is_begun) as is_begun, entity_level, entity_key, any_value(entity_name) as entity_name,
    any_value(own_department_id) as department_id, any_value(own_manager_id) as manager_id, sum(value) as value,
    max(if(entity_level = 'manager', days_there, working_days)) as days_there
from brought
inner join entities
    on brought.department_id = entities.department_id
        and (entities.manager_id is null or brought.manager_id = entities.manager_id)
group by all;

insert into kpi.kpi_value by name
select kpi_code, 'month' as period_grain, month_start as period_start, month_end as period_end, is_over as is_complete,
    entity_level, entity_key, department_id, manager_id, entity_name, value,
    if(kpi_code = 'won_amount', 'EUR', 'count') as unit, 1 as sample_size
from cells where is_begun;

insert into finance.budget_basis by name
with parts as (
    select 'period' as scope, 'month' as period_grain, month_start as start, month_start from months
    union all select 'period', 'quarter', date_trunc('quarter', month_start), month_start from months
    union all select 'period', 'year', date_trunc('year', month_start), month_start from months
    union all select 'year_to_date', 'month', whole.month_start, part.month_start from months as whole
        inner join months as part on whole.years_ahead = part.years_ahead and part.month_start <= whole.month_start
)
select kpi_code, scope, period_grain, start::date as period_start, max(month_end) as period_end,
    case period_grain when 'month' then strftime(start, '%Y-%m') when 'year' then strftime(start, '%Y')
        else strftime(start, '%Y-Q') || quarter(start) end as period_name,
    any_value(years_ahead)::integer as years_ahead,
    case period_grain when 'month' then month(start) when 'quarter' then quarter(start) else 1 end::integer as place,
    bool_and(is_over) as is_complete, true as is_covered, entity_level, entity_key,
    any_value(department_id) as department_id, any_value(manager_id) as manager_id,
    any_value(entity_name) as entity_name,
    if(kpi_code = 'won_amount', 'EUR', 'count') as unit, sum(working_days)::integer as working_days,
    sum(days_there)::integer as days_there, case when bool_or(is_begun) then sum(value) end as actual,
    coalesce(sum(value) filter (is_over), 0) as complete_actual,
    case when kpi_code = 'won_amount' and entity_level <> 'manager' and year(start) = 2026
        then 40000 * count(*) end as plan,
    sum(days_there) > 0 or sum(value) <> 0 as is_there,
    min(month_start) filter (not is_over) as first_open_month, max(month_start) as last_month
from parts inner join cells using (month_start)
group by kpi_code, scope, period_grain, start, entity_level, entity_key
having sum(days_there) > 0 or sum(value) <> 0 or not bool_and(is_over);

insert into finance.kpi_forecast by name
with ahead as (
    select kpi_code, month_start, month_end, entity_level, entity_key, entity_name, sum(each) as forecast
    from brought
    inner join entities
        on brought.department_id = entities.department_id
            and (entities.manager_id is null or brought.manager_id = entities.manager_id)
    where not is_over and days_there > 0
    group by all
)
select kpi_code, 'month' as period_grain, month_start as period_start, month_end as period_end, entity_level,
    entity_key, entity_name, if(kpi_code = 'won_amount', 'EUR', 'count') as unit, 'seasonal_naive' as method,
    'own' as status, date '2026-09-30' as origin_on, (row_number() over months)::integer as horizon, forecast as value,
    forecast - 10 as low_80, forecast + 20 as high_80, forecast - 15 as low_95, forecast + 30 as high_95,
    sum(forecast) over months as cumulative_value, sum(forecast - 8) over months as cumulative_low_80,
    sum(forecast + 16) over months as cumulative_high_80, sum(forecast - 12) over months as cumulative_low_95,
    sum(forecast + 24) over months as cumulative_high_95
from ahead
window months as (partition by kpi_code, entity_level, entity_key order by month_start);
"""

BASIS = """
create table finance.budget_basis (
    kpi_code varchar, scope varchar, period_grain varchar, period_start date, period_end date, period_name varchar,
    years_ahead integer, place integer, is_complete boolean, is_covered boolean, entity_level varchar,
    entity_key varchar, department_id varchar, manager_id varchar, entity_name varchar, unit varchar,
    working_days integer, days_there integer, actual decimal(28, 8), complete_actual decimal(28, 8),
    plan decimal(28, 8), is_there boolean, first_open_month date, last_month date
)
"""


@pytest.fixture(scope="session")
def planning_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the company, with two releases of the same figures; for tests that only look."""
    home = tmp_path_factory.mktemp("planning") / "home"
    home.mkdir()
    with open_warehouse(home) as connection:
        for schema in ("core", "kpi", "insight", "finance", "seeds"):
            connection.execute(f"create schema {schema}")
        for table in BUILT:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            connection.execute(f"create table {table.relation} ({columns})")
        connection.execute(BASIS)
        outlook.write(connection)
        connection.execute(COMPANY)
        outlook.write(connection)
    for release_id in (FIRST, SERVED):
        publish_night(home, release_id)
    return home


def publish_night(home: Path, release_id: str) -> None:
    known_at = datetime.strptime(release_id, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    with open_warehouse(home) as connection:
        connection.execute(
            "insert into ops.build values (?, ?, ?, ?, ?, ?)",
            [release_id, AS_OF, known_at, known_at, known_at, WAREHOUSE_FILE],
        )
        connection.execute(
            "insert into ops.quality_result values (?, 'reporting', 'kpi_value', 'x', 'critical', 'passed', "
            "null, null, null, ?)",
            [release_id, known_at],
        )
    publish(Build(release_id, AS_OF, known_at, home / WAREHOUSE_FILE), home, clock=lambda: known_at)


@dataclass
class Planning:
    """Somebody of finance with a workbook: types in it, spoils it, gives it back."""

    home: Path
    file: Path

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, time_zone="Europe/Berlin", base_currency="EUR")

    @property
    def release(self) -> Release:
        return find(self.home)

    def export(self, year: int = 2027, language: Language = "en", release_id: str | None = None, **more: Any) -> None:
        export_budget(find(self.home, release_id), self.file, year, self.settings.zone, language, **more)

    def book(self, *, values: bool = False) -> Any:
        return openpyxl.load_workbook(self.file, data_only=values)

    def give_back(self, by: str = "A. Ruiz", note: str = "") -> ImportedBudget:
        return import_budget(self.settings, self.file, by=by, note=note, clock=lambda: NOON)

    def recorded(self) -> dict[str, Decimal | None]:
        """The last version of each recorded target, by its key."""
        with open_warehouse(self.home) as connection:
            rows = connection.execute(
                """
                select id, (payload ->> '$.target_value')::decimal(28, 8) from raw.kpimart__target
                qualify row_number() over (partition by id order by landed_at desc) = 1
                """
            ).fetchall()
        return dict(rows)


@pytest.fixture
def planning(planning_home: Path, tmp_path: Path) -> Planning:
    """Somebody who only looks at the home."""
    return Planning(planning_home, tmp_path / "budget.xlsx")


def first_of(year: int, month: int = 1) -> date:
    return date(year, month, 1)
