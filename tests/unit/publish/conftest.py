"""A company of two departments with one manager each, whose warehouse holds a build that passed its gate."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpimart.build import Build
from kpimart.publish import contract, release
from kpimart.sql import quoted
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse

FIRST_NIGHT = datetime(2026, 11, 21, tzinfo=UTC)

BUILT = """
create schema core;
create schema kpi;
create schema insight;
create schema finance;
create schema seeds;

create table seeds.kpi_catalogue as
select * from (values
    ('won_amount', 'Won amount', 'Сумма побед', 'Bookings.', 'Продажи.', 'won_amount', 'currency', 'higher', 'both',
        'day', 'Sales', 'results', ',.2f'),
    ('win_rate', 'Win rate', 'Доля побед', null, null, 'won_deals / closed_deals', 'ratio', 'higher', 'both', 'day',
        null, null, null),
    ('open_deals', 'Open deals', 'Открытые сделки', null, null, 'open_deals', 'count', 'higher', 'both', 'week',
        null, null, null)
) as rows (kpi_code, name_en, name_ru, description_en, description_ru, formula, unit, better, level, finest_grain,
    owner, "group", format);

create table core.dim_department as
select * from (values
    ('files:all', 'All', null, 'Ann', false),
    ('files:north', 'North', 'files:all', null, false)
) as rows (department_id, department_name, parent_department_id, head_name, is_inferred);

create table core.dim_manager as
select * from (values
    ('files:mo', 'Mo', 'files:north', false, date '2025-01-01', null::date),
    ('files:li', 'Li', 'files:all', true, null, null)
) as rows (manager_id, manager_name, department_id, is_inferred, hired_on, left_on);

create table core.dim_period as
select
    period_grain, date_trunc(period_grain, date '2026-11-17')::date as period_start,
    (date_trunc(period_grain, date '2026-11-17') + length)::date - 1 as period_end, period_grain = 'day' as is_complete,
    true as is_covered, period_grain || ' of 17 November' as period_name,
    5::integer as working_days, 2::integer as working_days_elapsed
from (values
    ('day', interval 1 day), ('week', interval 7 days), ('month', interval 1 month), ('quarter', interval 3 months),
    ('year', interval 1 year)
) as rows (period_grain, length);

-- entity_id is the build's own and not part of the contract.
create table kpi.kpi_value as
with

entities as (

    select
        'company' as entity_level, 'company' as entity_key, null as department_id, null as manager_id,
        'Company' as entity_name
    union all
    select 'department', department_id, department_id, null, department_name from core.dim_department
    union all
    select 'manager', manager_id, null, manager_id, manager_name from core.dim_manager
    union all
    select 'manager_in_department', manager_id || '|' || department_id, department_id, manager_id, manager_name
    from core.dim_manager

)

select
    7 as entity_id, kpi_code, period_grain, period_start, period_end, is_complete, entity_level, entity_key,
    department_id, manager_id, entity_name,
    case when kpi_code = 'win_rate' then 1 end::decimal(38, 6) as numerator,
    case when kpi_code = 'win_rate' then 4 end::decimal(38, 6) as denominator,
    case kpi_code
        when 'won_amount' then length(entity_key) * 100.10
        when 'win_rate' then if(entity_key = 'files:li', null, 0.25)
        else length(period_grain)
    end::decimal(28, 8) as value,
    unit, 4::bigint as sample_size
from seeds.kpi_catalogue, core.dim_period, entities
where not (finest_grain = 'week' and period_grain = 'day');

create table core.fct_deal as
select
    'files:' || number as deal_id, 'Deal ' || number as deal_name, 'files:acme' as account_id, 'files:mo' as manager_id,
    'files:north' as department_id, 'default' as pipeline_id, 'Won' as stage_id, 'won' as outcome, 'GTX' as product,
    null::varchar as lead_source, (number * 10.05)::decimal(18, 2) as amount, 'USD' as currency_code,
    (number * 10.05)::decimal(18, 2) as native_amount, timestamptz '2026-11-02 09:00:00+00' as created_at,
    timestamptz '2026-11-17 18:00:00+00' as closed_at, null::date as expected_close_on
from range(9, 0, -1) as numbers (number);

create table kpi.kpi_counted_event as
select
    deal_id || '|won|1' as deal_event_id, deal_id, 'won' as event_type, 1::integer as sign, closed_at as occurred_at,
    date '2026-11-17' as occurred_on, closed_at as recorded_at, manager_id, department_id, account_id, amount,
    currency_code
from core.fct_deal;
"""

RECEIVED = """
create table raw.files__deals as
select
    number::varchar as id, null::timestamptz as updated_at, false as is_deleted, '{}' as payload,
    md5(number::varchar) as payload_hash,
    timestamptz '2026-11-20' as extracted_at, timestamptz '2026-11-20' as landed_at,
    if(number < 7, 'files-1', 'files-2') as batch_id
from range(1, 10) as numbers (number);

insert into ops.batch values
    ('files-1', 'files', '2026-11-19 22:00:00+00', '2026-11-19 23:00:00+00'),
    ('files-2', 'files', '2026-11-20 22:00:00+00', '2026-11-20 23:00:00+00'),
    ('files-held', 'files', '2026-11-20 22:00:00+00', '2026-11-20 23:00:00+00'),
    ('files-later', 'files', '2026-12-20 22:00:00+00', '2026-12-20 23:00:00+00');
insert into ops.batch_verdict values
    ('files-1', 'accepted', '2026-11-19 23:01:00+00', null),
    ('files-2', 'accepted', '2026-11-20 23:01:00+00', null),
    ('files-held', 'held', '2026-11-20 23:01:00+00', 'too much vanished'),
    ('files-later', 'accepted', '2026-12-20 23:01:00+00', null);
insert into ops.batch_object values
    ('files-1', 'files', 'deals', 'full', 6, 6, 0, 0, 0, null),
    ('files-1', 'files', 'accounts', 'full', 2, 0, 2, 0, 0, null),
    ('files-2', 'files', 'deals', 'full', 9, 3, 0, 0, 6, null);
insert into ops.quality_result
select batch_id, 'raw', 'deals', 'row_count', 'critical', 'passed', '9', '1 …', null, judged_at from ops.batch_verdict;
"""


def with_all_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Whatever else the contract lists is there too: tables without rows, columns without values."""
    for table in contract.BUILT:
        columns = [f"{quoted(column.name)} {column.type}" for column in table.columns]
        connection.execute(f"create table if not exists {table.relation} ({', '.join(columns)})")
        for column in columns:
            connection.execute(f"alter table {table.relation} add column if not exists {column}")


@dataclass
class Company:
    """A home with a warehouse, in which nights can be built, changed and published."""

    home: Path
    nights: int = 0

    @contextmanager
    def warehouse(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with open_warehouse(self.home) as connection:
            yield connection

    def change(self, statement: str) -> None:
        with self.warehouse() as connection:
            connection.execute(statement)

    def build(
        self, as_of: datetime | None = None, *, outcome: str | None = "passed", severity: str = "critical"
    ) -> Build:
        """One more build, judged; by default it speaks of the night after the last one."""
        self.nights += 1
        moment = as_of or FIRST_NIGHT + timedelta(days=self.nights - 1)
        build_id = (FIRST_NIGHT + timedelta(days=self.nights - 1, hours=2)).strftime("%Y%m%dT%H%M%SZ")
        if outcome:
            self.judge(build_id, outcome, severity)
        return Build(build_id, moment, FIRST_NIGHT + timedelta(hours=1), self.home / WAREHOUSE_FILE)

    def judge(self, build_id: str, outcome: str, severity: str = "critical") -> None:
        self.change(f"""
            insert into ops.quality_result values (
                '{build_id}', 'reporting', 'kpi_value', 'won_amount of company', '{severity}', '{outcome}',
                '41', '0 … 6', null, now()
            )
        """)

    def publish(self, as_of: datetime | None = None, **options: Any) -> release.Release:
        return release.publish(self.build(as_of), self.home, **options)

    def ask(self, query: str, file: Path | None = None) -> list[tuple[Any, ...]]:
        """Query the served file, or another."""
        with duckdb.connect(str(file or release.served_file(self.home)), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def served_id(self) -> str:
        return str(self.ask("select release_id from release where is_this_release")[0][0])


@pytest.fixture(scope="session")
def warehouse_of_a_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("night")
    with open_warehouse(home) as connection:
        connection.execute(BUILT)
        with_all_tables(connection)
        connection.execute(RECEIVED)
    return home / WAREHOUSE_FILE


def found_company(home: Path, warehouse: Path) -> Company:
    home.mkdir()
    shutil.copy(warehouse, home)
    return Company(home)


@pytest.fixture(scope="session")
def found(warehouse_of_a_night: Path) -> Callable[[Path], Company]:
    """Make a company at a home; it has published nothing yet."""
    return lambda home: found_company(home, warehouse_of_a_night)


@pytest.fixture
def company(tmp_path: Path, warehouse_of_a_night: Path) -> Company:
    """Has published nothing yet."""
    return found_company(tmp_path / "home", warehouse_of_a_night)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, warehouse_of_a_night: Path) -> Company:
    """Has published two nights; for tests that only look."""
    made = found_company(tmp_path_factory.mktemp("published") / "home", warehouse_of_a_night)
    made.publish()
    made.publish()
    return made
