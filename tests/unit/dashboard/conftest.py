"""The company with its people, its targets and a check that was not passed; and its pages, run without a browser."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from kpimart.build import Build
from kpimart.dashboard.serve import SCRIPT
from kpimart.publish.release import publish
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse

NIGHT = datetime(2027, 1, 9, 2, tzinfo=UTC)
RELEASE = "20270109T020000Z"

# Two of one name sit in one department. North reached its target, South did not.
PEOPLE = """
insert into core.dim_department by name
select * from (values
    ('files:all', 'All', null), ('files:n', 'North', 'files:all'), ('files:s', 'South [old]', 'files:all')
) as rows (department_id, department_name, parent_department_id)
cross join (select false as is_inferred);

insert into core.dim_department_closure by name
select *, date '0001-01-01' as valid_from, date '9999-12-31' as valid_to
from (values
    ('files:all', 'files:all', 0), ('files:n', 'files:n', 0), ('files:s', 'files:s', 0),
    ('files:n', 'files:all', 1), ('files:s', 'files:all', 1)
) as rows (department_id, ancestor_department_id, depth);

insert into core.dim_manager by name
select * from (values ('files:1', 'Mo', 'files:n'), ('files:2', 'Mo', 'files:n'), ('files:3', 'Li', 'files:s'))
    as rows (manager_id, manager_name, department_id)
cross join (select false as is_inferred);

insert into kpi.kpi_value by name
select * from (values
    ('manager_in_department', 'files:1|files:n', 'files:n', 'files:1', 'Mo, North', 300.25),
    ('manager', 'files:1', null, 'files:1', 'Mo', 450.25)
) as rows (entity_level, entity_key, department_id, manager_id, entity_name, value)
cross join (
    select
        'won_amount' as kpi_code, 'EUR' as unit, 'month' as period_grain, date '2026-12-01' as period_start,
        date '2026-12-31' as period_end, true as is_complete, 3 as sample_size
);

update kpi.kpi_value set department_id = entity_key where entity_level = 'department';

insert into kpi.leaderboard by name
select * from (values
    ('files:1', 'Mo', 'files:n', 'North', 450.25, 2), ('files:3', 'Li', 'files:s', 'South [old]', 500, 1)
) as rows (manager_id, manager_name, department_id, department_name, value, rank)
cross join (
    select
        'won_amount' as kpi_code, 'EUR' as unit, 'month' as period_grain, date '2026-12-01' as period_start,
        date '2026-12-31' as period_end, true as is_complete, false as is_tied, false as is_hidden
);

insert into kpi.target_attainment by name
select * from (values
    ('won_amount', date '2026-12-01', true, 1000000, 1.25, null),
    ('won_amount', date '2027-01-01', false, 1000000, 0.09, 0.905)
) as rows (kpi_code, period_start, is_complete, target_value, attainment, pace)
cross join (
    select 'month' as period_grain, 'company' as entity_level, 'company' as entity_key, 7 as sample_size
);

insert into kpi.scorecard by name
select * from (values ('files:n', 'North', 1.2), ('files:s', 'South [old]', 0.305))
    as rows (entity_key, entity_name, total_score)
cross join (
    select
        'growth' as profile, 'won_amount' as kpi_code, 'month' as period_grain, date '2026-12-01' as period_start,
        date '2026-12-31' as period_end, true as is_complete, 'department' as entity_level, 'EUR' as unit, 1 as weight,
        0.5 as threshold, 1.5 as cap, false as is_assigned, 1 as scored_weight, 1 as bonus_coefficient
);

update kpi.scorecard set department_id = entity_key;

-- December is over, 2027 has begun; of North less was reached than planned.
insert into finance.budget_input by name
select *, plan_variance: outlook - plan, department_id: if(entity_level = 'department', entity_key, null)
from (values
    ('period', 'month', date '2026-12-01', date '2026-12-31', '2026-12', true, 450.25, 450.25, null, null, 500),
    ('year_to_date', 'month', date '2026-12-01', date '2026-12-31', '2026-12', true, 900.5, 900.5, null, null, 1000),
    ('period', 'year', date '2026-01-01', date '2026-12-31', '2026', true, 900.5, 900.5, null, null, 1000),
    ('period', 'year', date '2027-01-01', date '2027-12-31', '2027', false, 10, 1200, 1100.5, 1300.25, 1250)
) as rows (
    scope, period_grain, period_start, period_end, period_name, is_complete, actual, outlook, outlook_low_80,
    outlook_high_80, plan
)
cross join (values
    ('company', 'company', 'Company'), ('department', 'files:n', 'North'), ('department', 'files:s', 'South [old]')
) as entities (entity_level, entity_key, entity_name)
cross join (select 'won_amount' as kpi_code, 'EUR' as unit, 21 as working_days, 21 as days_there);
"""


@pytest.fixture(scope="session")
def staffed(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the company; for tests that only look."""
    home = shutil.copytree(published, tmp_path_factory.mktemp("staffed") / "home")
    with open_warehouse(home) as connection:
        connection.execute(PEOPLE)
        connection.execute(
            "insert into ops.build values (?, ?, ?, ?, ?, ?)",
            [RELEASE, NIGHT, NIGHT, NIGHT, NIGHT, WAREHOUSE_FILE],
        )
        connection.execute(
            """
            insert into ops.quality_result values
                (?, 'reporting', 'kpi_value', 'some rows', 'critical', 'passed', '12', '1 …', null, ?),
                (?, 'reporting', 'deal', 'no <b>jump</b>', 'warning', 'failed', '41', '0 … 6', null, ?)
            """,
            [RELEASE, NIGHT, RELEASE, NIGHT],
        )
    publish(Build(RELEASE, NIGHT, NIGHT, home / WAREHOUSE_FILE), home, clock=lambda: NIGHT)
    return home


Open = Callable[..., AppTest]


@pytest.fixture
def open_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """`open_page(home, "manager", of=…, period=…, lang=…)`: the page of that name, by default Overview, there."""
    monkeypatch.chdir(tmp_path)

    def opened(home: Path, name: str = "", /, **address: str) -> AppTest:
        monkeypatch.setenv("KPIMART_HOME", str(home))
        page = AppTest.from_file(str(SCRIPT), default_timeout=60)
        if name:
            # `switch_page` finds files only.
            page._page_hash = calc_hash(name)
        page.query_params.update(address)
        return page.run()

    return opened
