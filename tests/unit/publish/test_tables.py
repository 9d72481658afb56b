from decimal import Decimal
from itertools import product
from pathlib import Path

import duckdb
import pytest

from kpimart.errors import BuildFailed
from kpimart.publish import release
from kpimart.publish.contract import ENTITY_LEVELS, GRAINS, PUBLISHED, wide_view


def test_every_published_table_has_the_columns_of_its_contract_and_no_others(published) -> None:
    for table in PUBLISHED:
        found = published.ask(
            f"select column_name, lower(data_type), is_nullable from duckdb_columns() where table_name = '{table.name}'"
        )
        assert found == [(column.name, column.type, column.nullable) for column in table.columns]


def test_rows_lie_in_the_order_of_their_key(published) -> None:
    rows = published.ask("select kpi_code, period_grain, period_start, entity_level, entity_key from kpi_value")
    assert rows == sorted(rows)
    assert published.ask("select deal_id from deal limit 2") == [("files:1",), ("files:2",)]


def test_parquet_holds_the_same_rows_in_the_same_order(published) -> None:
    made = release.releases(published.home)[0]
    for table in PUBLISHED:
        parquet = made.folder / "parquet" / f"{table.name}.parquet"
        assert published.ask(f"from '{parquet}'") == published.ask(f"from {table.name}")


def test_what_a_table_and_a_column_mean_can_be_read_in_the_file(published) -> None:
    (comment,) = published.ask("select comment from duckdb_tables() where table_name = 'kpi_value'")[0]
    assert comment.startswith("One row per KPI")
    assert published.ask("select 1 from duckdb_columns() where comment is null and table_name = 'deal'") == []
    assert published.ask("select comment from duckdb_views() where view_name = 'kpi_manager_month'") == [
        ("One row per manager and month; one column a KPI.",)
    ]
    assert published.ask(
        "select comment from duckdb_columns() where table_name = 'kpi_company_year' and column_name = 'win_rate'"
    ) == [("Win rate (ratio)",)]


@pytest.mark.parametrize(("level", "grain"), product(ENTITY_LEVELS, GRAINS))
def test_a_wide_view_says_what_kpi_value_says(published, level: str, grain: str) -> None:
    codes = ("won_amount", "win_rate") if grain == "day" else ("won_amount", "win_rate", "open_deals")
    long = published.ask(f"""
        select entity_name, kpi_code, value from kpi_value
        where entity_level = '{level}' and period_grain = '{grain}' order by all
    """)
    wide = published.ask(f"""
        from (select entity_name, {", ".join(codes)} from {wide_view(level, grain)})
        unpivot include nulls (value for kpi_code in ({", ".join(codes)}))
        select entity_name, kpi_code, value order by all
    """)
    assert len(long) > 0
    assert wide == long


def test_a_kpi_is_no_column_at_a_grain_finer_than_its_finest(published) -> None:
    columns = [row[0] for row in published.ask("describe kpi_manager_in_department_day")]
    expected = "period_start period_end manager_id department_id entity_name is_complete win_rate won_amount"
    assert columns == expected.split()


def test_a_wide_view_says_that_a_period_is_over_though_a_cohort_in_it_is_not(company) -> None:
    company.change("update kpi.kpi_value set is_complete = false where kpi_code = 'win_rate'")
    company.publish()
    assert company.ask("select is_complete from kpi_company_day") == [(True,)]


def test_names_from_the_catalogue_are_data_and_not_sql(company) -> None:
    code = """it's "quoted"; drop table deal"""
    company.change(f"""
        update seeds.kpi_catalogue set kpi_code = '{code.replace("'", "''")}' where kpi_code = 'win_rate';
        update kpi.kpi_value set kpi_code = '{code.replace("'", "''")}' where kpi_code = 'win_rate';
    """)
    company.publish()
    quoted = code.replace('"', '""')
    assert company.ask(f'select "{quoted}" from kpi_company_month') == [(Decimal("0.25"),)]


def test_a_column_that_is_missing_or_of_another_type_is_named(company) -> None:
    company.change("""
        alter table core.dim_manager drop column hired_on;
        alter table core.fct_deal alter column amount type double;
        drop table core.dim_period;
    """)
    with pytest.raises(BuildFailed) as refusal:
        company.publish()
    assert "core.dim_manager.hired_on: missing, expected date" in str(refusal.value)
    assert "core.fct_deal.amount: is double, expected decimal(18,2)" in str(refusal.value)
    assert "core.dim_period: there is no such table, and dim_period is taken from it" in str(refusal.value)
    assert release.releases(company.home) == []


def test_an_empty_value_where_the_contract_wants_one_is_named(company) -> None:
    company.change("update core.fct_deal set manager_id = null where deal_id = 'files:3'")
    with pytest.raises(BuildFailed, match=r"(?s)core.fct_deal.*deal.manager_id"):
        company.publish()


def test_a_build_in_a_scratch_file_is_published_from_there(company, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch.duckdb"
    with duckdb.connect() as connection:
        connection.execute(
            f"attach '{company.home}/warehouse.duckdb' as live (read_only); attach '{scratch}' as scratch"
        )
        connection.execute("copy from database live to scratch")
        connection.execute("update scratch.core.dim_manager set manager_name = 'Mo of old' where manager_name = 'Mo'")
        connection.execute("delete from scratch.ops.quality_result")
    build = company.build()
    release.publish(type(build)(build.build_id, build.as_of, build.known_at, scratch), company.home)
    assert company.ask("select manager_name from dim_manager order by all") == [("Li",), ("Mo of old",)]
    assert company.ask("select count(*) from quality_result where boundary = 'reporting'") == [(1,)]


def test_results_of_this_build_and_of_the_batches_it_read_are_published(published) -> None:
    second = release.releases(published.home)[0]
    assert published.ask("select distinct subject_id from quality_result order by all") == [
        (second.release_id,),
        ("files-1",),
        ("files-2",),
    ]


def test_a_stretch_in_which_a_deal_is_open_on_no_evening_is_not_published(company) -> None:
    company.change("""
        insert into kpi.kpi_open_interval by name
        select * from (values
            ('closed', date '2026-11-02', date '2026-11-03'),
            ('at_once', date '2026-11-02', date '2026-11-02'),
            ('open', date '2026-11-02', null)
        ) as rows (deal_id, started_on, ended_on)
        cross join (select 'm' as manager_id, 'd' as department_id, 0 as fields_filled, false as tells_next_steps)
    """)
    company.publish()
    assert company.ask("select deal_id from deal_open_interval order by 1") == [("closed",), ("open",)]
