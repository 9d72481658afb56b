"""A company whose warehouse has built and published two nights, with figures few enough to know by heart."""

import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from kpimart.build import Build
from kpimart.publish.contract import BUILT, KPI_VALUE
from kpimart.publish.release import publish
from kpimart.warehouse import RAW_COLUMNS, WAREHOUSE_FILE, open_warehouse, raw_table

FIRST_NIGHT = datetime(2027, 1, 7, 2, tzinfo=UTC)

# A week across the new year, of a year that has 53; a fiscal year from February, in a grain of its own.
PERIODS = """
    ('day', date '2027-01-06', date '2027-01-06', true, '2027-01-06'),
    ('day', date '2028-02-29', date '2028-02-29', false, '2028-02-29'),
    ('week', date '2026-12-21', date '2026-12-27', true, '2026-W52'),
    ('week', date '2026-12-28', date '2027-01-03', true, '2026-W53'),
    ('week', date '2027-01-04', date '2027-01-10', false, '2027-W01'),
    ('month', date '2026-11-01', date '2026-11-30', true, '2026-11'),
    ('month', date '2026-12-01', date '2026-12-31', true, '2026-12'),
    ('month', date '2027-01-01', date '2027-01-31', false, '2027-01'),
    ('quarter', date '2026-08-01', date '2026-10-31', true, 'FY2026-Q3'),
    ('quarter', date '2026-11-01', date '2027-01-31', false, 'FY2026-Q4'),
    ('year', date '2026-02-01', date '2027-01-31', false, 'FY2026')
"""

CATALOGUE = """
    ('won_amount', 'Won amount', 'Сумма побед', 'currency', 'higher'),
    ('win_rate', 'Win rate', 'Доля побед', 'ratio', 'higher'),
    ('lost_deals', 'Lost deals', 'Проиграно', 'count', 'lower'),
    ('created_amount', 'Created amount', 'Создано', 'currency', 'higher'),
    ('new_customers', 'New customers', 'Новые клиенты', 'count', 'higher'),
    ('won_deals', 'Won deals', 'Побед', 'count', 'higher')
"""

# KPI, unit, start of the month, level, entity, name, value.
FIGURES = """
    ('won_amount', 'EUR', date '2026-11-01', 'company', 'company', 'Company', 1000000.00),
    ('won_amount', 'EUR', date '2026-12-01', 'company', 'company', 'Company', 1250000.50),
    ('won_amount', 'EUR', date '2027-01-01', 'company', 'company', 'Company', 90000.00),
    ('win_rate', 'ratio', date '2026-11-01', 'company', 'company', 'Company', 0.6),
    ('win_rate', 'ratio', date '2026-12-01', 'company', 'company', 'Company', 0.615),
    ('win_rate', 'ratio', date '2027-01-01', 'company', 'company', 'Company', null),
    ('lost_deals', 'count', date '2026-11-01', 'company', 'company', 'Company', 1000),
    ('lost_deals', 'count', date '2026-12-01', 'company', 'company', 'Company', 1100),
    ('lost_deals', 'count', date '2027-01-01', 'company', 'company', 'Company', 4),
    ('won_amount', 'EUR', date '2026-12-01', 'department', 'files:s', 'South [old]', 0),
    ('won_amount', 'EUR', date '2026-12-01', 'department', 'files:n', 'North', 1250000.50),
    ('win_rate', 'ratio', date '2026-12-01', 'department', 'files:n', 'North', 0.7)
"""


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the company; for tests that only look."""
    home = tmp_path_factory.mktemp("published") / "home"
    home.mkdir()
    with open_warehouse(home) as connection:
        for schema in ("core", "kpi", "insight", "finance", "seeds"):
            connection.execute(f"create schema {schema}")
        for table in BUILT:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            connection.execute(f"create table {table.relation} ({columns})")
        for name in ("deals", "accounts"):
            connection.execute(f"create table {raw_table('files', name)} ({RAW_COLUMNS})")
        connection.execute(f"""
            insert into core.dim_period by name
            select *, true as is_covered, 5 as working_days, 2 as working_days_elapsed
            from (values {PERIODS}) as rows (period_grain, period_start, period_end, is_complete, period_name)
        """)
        connection.execute(f"""
            insert into seeds.kpi_catalogue by name
            select *, 'won_deals' as formula, 'both' as level, 'day' as finest_grain
            from (values {CATALOGUE}) as rows (kpi_code, name_en, name_ru, unit, better)
        """)
        connection.execute(f"""
            insert into {KPI_VALUE.relation} by name
            select figures.*, period_grain, period_end, is_complete, 7 as sample_size
            from (values {FIGURES})
                as figures (kpi_code, unit, period_start, entity_level, entity_key, entity_name, value)
            inner join core.dim_period on period_grain = 'month' and dim_period.period_start = figures.period_start
        """)
        connection.execute("""
            insert into ops.batch values ('files-1', 'files', '2027-01-07 00:30:00+00', '2027-01-07 01:00:00+00');
            insert into ops.batch_verdict values ('files-1', 'accepted', '2027-01-07 01:01:00+00', null);
            insert into ops.batch_object values
                ('files-1', 'files', 'deals', 'full', 8800, 8798, 2, 0, 0, null),
                ('files-1', 'files', 'accounts', 'full', 85, 85, 0, 0, 0, null);
        """)
    for night in range(2):
        publish_night(home, night)
    return home


def publish_night(home: Path, night: int) -> None:
    started_at = FIRST_NIGHT + timedelta(days=night)
    build_id = f"{started_at:%Y%m%dT%H%M%SZ}"
    as_of = started_at.replace(hour=0)
    with open_warehouse(home) as connection:
        connection.execute(
            "insert into ops.build values (?, ?, ?, ?, ?, ?)",
            [build_id, as_of, started_at, started_at, started_at + timedelta(minutes=1), WAREHOUSE_FILE],
        )
        connection.execute(
            "insert into ops.quality_result values (?, 'reporting', 'kpi_value', 'x', 'critical', 'passed', "
            "null, null, null, ?)",
            [build_id, started_at],
        )
    made = Build(build_id, as_of, started_at, home / WAREHOUSE_FILE)
    publish(made, home, clock=lambda: started_at + timedelta(minutes=2))


@pytest.fixture
def home(published: Path, tmp_path: Path) -> Path:
    """A home of the company's own, to be changed."""
    return shutil.copytree(published, tmp_path / "home")


@pytest.fixture
def nobody(tmp_path: Path) -> int:
    """Somebody who may see this test's folder but not write there; root may do everything, so root becomes them."""
    for parent in (tmp_path, *tmp_path.parents):
        if parent.owner() == tmp_path.owner() and parent != Path(parent.anchor):
            parent.chmod(parent.stat().st_mode | 0o055)
    return 65534


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of an S3 server."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
