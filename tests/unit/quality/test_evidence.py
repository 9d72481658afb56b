"""What a build is compared with: raw as staging tells it, and the release before."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpimart.extract.source import Deals
from kpimart.quality.evidence import Gathered, gather
from kpimart.quality.protocol import Compared
from kpimart.warehouse import open_database, open_memory

AS_OF = datetime(2026, 11, 24, tzinfo=UTC)
DEALS = {
    "crm": Deals("deals", "(payload ->> '/amount')::decimal(18, 2)", "payload ->> '/kind' is distinct from 'lead'")
}
TABLES = ("kpi_value", "kpi_catalogue", "deal", "deal_event", "dim_manager", "dim_department_closure")

# January to March: 30 deals a month, 100.00 each, by Ann in the north and Bob in the south.
PUBLISHED = """
create table kpi_catalogue as
select * from (values ('won_amount', 'won_amount'), ('won_deals', 'won_deals')) as rows (kpi_code, formula);

create table dim_manager as
select * from (values ('crm:ann', 'Ann'), ('crm:bob', 'Bob')) as rows (manager_id, manager_name);

create table dim_department_closure as
select * from (values ('crm:north', 'crm:all'), ('crm:south', 'crm:all'), ('crm:north', 'crm:north'),
    ('crm:south', 'crm:south'), ('crm:all', 'crm:all')) as rows (department_id, ancestor_department_id)
cross join (select date '0001-01-01' as valid_from, date '9999-12-31' as valid_to);

create table deal as
select 'crm:' || i as deal_id, 'won' as outcome, 100.00::decimal(18, 2) as native_amount, 'EUR' as currency_code,
    date '2026-01-01' + interval (i % 90) day as closed_on, i % 2 = 0 as is_anns
from range(90) as numbers (i);

create table deal_event as
select 'won' as event_type, deal_id, 1 as sign, native_amount as amount, cast(closed_on as date) as occurred_on,
    timestamptz '2026-04-01 02:00:00+00' as recorded_at, if(is_anns, 'crm:ann', 'crm:bob') as manager_id,
    if(is_anns, 'crm:north', 'crm:south') as department_id
from deal;
"""
FIGURES = """
create table kpi_value as
with sums as (
    select grain as period_grain, cast(date_trunc(grain, occurred_on) as date) as period_start,
        entity_level, entity_key, sum(sign)::decimal(28, 8) as won_deals,
        sum(sign * amount)::decimal(28, 8) as won_amount
    from deal_event
    cross join (values ('day'), ('month')) as grains (grain)
    inner join (
        select 'company' as entity_level, 'company' as entity_key, unnest(['crm:north', 'crm:south']) as department_id
        union all
        select 'department', ancestor_department_id, department_id from dim_department_closure
    ) as entities using (department_id)
    group by all
)
select kpi_code, period_grain, period_start,
    cast(if(period_grain = 'day', period_start, last_day(period_start)) as date) as period_end, true as is_complete,
    entity_level, entity_key, entity_key as entity_name, if(kpi_code = 'won_deals', won_deals, won_amount) as value,
    if(kpi_code = 'won_deals', 'count', 'EUR') as unit, won_deals::bigint as sample_size
from sums cross join (values ('won_deals'), ('won_amount')) as kpis (kpi_code);
"""
STAGING = """
create schema staging;
create table staging.stg_crm__pipeline_stage as
select * from (values ('crm:Won', 'won'), ('crm:Lost', 'lost')) as stages (stage_id, outcome);
create table staging.stg_crm__deal_version as
select deal_id, 'crm:Won' as stage_id, currency_code, false as is_deleted,
    timestamptz '2025-12-01' as created_at, closed_on::timestamptz as closed_at, closed_on::timestamptz as effective_at,
    true as has_source_time, 1 as version_number, true as is_latest
from deal;

-- a deal was changed from 1.00 to 100.00; a lead is none; a batch that came later is not known yet
create schema raw;
create table raw.crm__deals as
with version (batch_id, updated_at, amount) as (
    values ('first', null, 1.00), ('second', timestamptz '2026-04-01', 100.00), ('held', '2026-04-02', 7.00),
        ('later', '2026-12-24', 8.00)
)
select i::varchar as id, updated_at, timestamptz '2026-04-02' as landed_at, false as is_deleted, batch_id,
    json_object('amount', amount) as payload
from range(90) as numbers (i) cross join version
union all
select 'lead', null, '2026-04-02', false, 'first', '{"kind": "lead", "amount": 5}';
create schema ops;
create table ops.batch_verdict as
select * from (values
    ('first', 'accepted', timestamptz '2026-04-02'), ('second', 'accepted', '2026-04-02'),
    ('held', 'held', '2026-04-02'), ('later', 'accepted', '2026-12-25')
) as verdicts (batch_id, verdict, judged_at);
"""


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    path = tmp_path / "earlier.duckdb"
    with open_database(path, read_only=False) as connection:
        connection.execute(PUBLISHED + FIGURES)
        connection.execute(
            "create table release as "
            "select 'before' as release_id, timestamptz '2026-04-02 02:00:00+00' as known_at, true as is_this_release"
        )
    return path


class Gate:
    """A build that can be spoilt before its figures are computed, and what the comparisons make of it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        connection.execute(PUBLISHED + STAGING)

    def gather(self, earlier: Path | None) -> dict[str, Gathered]:
        self.connection.execute(FIGURES)
        compared = Compared(DEALS, Path("warehouse"), AS_OF, AS_OF, earlier)
        gathered = gather(self.connection, "memory", "memory", TABLES, compared)
        return {each.name: each for each in gathered}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()


@pytest.fixture
def gate() -> Iterator[Gate]:
    with open_memory() as connection:
        yield Gate(connection)


def test_without_an_earlier_release_there_is_nothing_to_compare_with_and_that_is_said(gate: Gate) -> None:
    gathered = gate.gather(None)
    nothing = "nothing to compare with: there is no release of an earlier as_of"
    reasons = {name: each.is_empty_because for name, each in gathered.items()}
    assert reasons == {"control_total": None, "restated_figure": nothing, "new_figure": nothing, "table_size": nothing}


def test_an_earlier_release_that_cannot_be_read_is_an_error_of_what_needs_it(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "torn.duckdb").write_bytes(b"torn")
    gathered = gate.gather(tmp_path / "torn.duckdb")
    assert all("torn.duckdb cannot be read" in (each.error or "") for each in gathered.values())


def test_a_figure_that_was_published_is_compared_with_itself_and_shown_with_the_events_since(
    gate: Gate, earlier: Path
) -> None:
    """In February Ann sold 14 deals of 100.00: one of them is 40,000.00 now, as was recorded on 3 April."""
    gate.connection.execute("""
        update deal_event set amount = 40000, recorded_at = '2026-04-03 18:02:00+00' where deal_id = 'crm:40'
    """)
    gate.gather(earlier)
    changed = gate.rows("""
        select entity_name, value_before, value, change_share, sample_size, release, events_behind from restated_figure
        where change_share <> 0 order by entity_name
    """)
    event = "deal crm:40 won +40,000.00 by Ann, recorded 2026-04-03 18:02 UTC"
    assert changed == [
        ("company", 2800, 42700, 14.25, 28, "before", event),
        ("crm:all", 2800, 42700, 14.25, 28, "before", event),
        ("crm:north", 1400, 41300, 28.5, 14, "before", event),
    ]


def test_a_figure_that_changed_without_an_event_says_so(gate: Gate, earlier: Path) -> None:
    gate.connection.execute("delete from deal_event where deal_id = 'crm:40'")
    gate.gather(earlier)
    told = gate.rows("select distinct events_behind from restated_figure where change_share <> 0")
    assert told == [("no event was recorded since that explains it: look for a changed setting, seed or model",)]


def test_a_period_that_the_company_no_longer_has_is_a_change_to_nothing(gate: Gate, earlier: Path) -> None:
    gate.connection.execute("delete from deal_event where occurred_on < '2026-02-01'")
    gate.gather(earlier)
    january = "where period_start = '2026-01-01' and kpi_code = 'won_deals'"
    assert gate.rows(f"select entity_name, value, change_share from restated_figure {january}") == [
        ("company", 0, -1.0)
    ]


@pytest.mark.parametrize(
    "otherwise",
    [
        "update kpi_catalogue set formula = 'won_deals * 2'",
        "alter table deal_event alter occurred_on type date using (occurred_on + 400)",
    ],
    ids=["another formula", "no such period"],
)
def test_what_is_another_figure_is_not_compared(gate: Gate, earlier: Path, otherwise: str) -> None:
    gate.connection.execute(otherwise)
    gate.gather(earlier)
    assert gate.rows("select count(*) from restated_figure where entity_level <> 'company'") == [(0,)]


def test_a_figure_of_a_period_that_has_just_closed_is_held_against_the_28_before(gate: Gate, earlier: Path) -> None:
    """A deal a day, but 1 April, when Bob won one of 700.00 and Ann one of 50.00."""
    gate.connection.execute("""
        insert into deal_event values
            ('won', 'crm:900', 1, 700, '2026-04-01', '2026-04-03', 'crm:bob', 'crm:south'),
            ('won', 'crm:901', 1, 50, '2026-04-01', '2026-04-03', 'crm:ann', 'crm:north')
    """)
    gate.gather(earlier)
    assert gate.rows("""
        select value, lowest_before, highest_before, periods_before, sample_size_before, times_highest, events_behind
        from new_figure where kpi_code = 'won_amount' and period_grain = 'day'
    """) == [
        (
            750,
            100,
            100,
            28,
            28,
            7.5,
            "deal crm:900 won +700.00 by Bob, recorded 2026-04-03 00:00 UTC; "
            "deal crm:901 won +50.00 by Ann, recorded 2026-04-03 00:00 UTC",
        )
    ]


def test_rows_of_a_table_are_held_against_those_before(gate: Gate, earlier: Path) -> None:
    gate.connection.execute("delete from deal where deal_id like 'crm:1%'")
    gate.gather(earlier)
    # crm:1 and crm:10 to crm:19
    assert gate.rows("select rows, rows_before, release from table_size where table_name = 'deal'") == [
        (79, 90, "before")
    ]


TOTALS = "select outcome, deals_counted, deals_published, deals_differing, amount_counted, amount_published from "


def test_what_is_published_is_counted_again_from_raw(gate: Gate) -> None:
    gate.gather(None)
    assert gate.rows(f"{TOTALS} control_total") == [("won", 90, 90, 0, 9000, 9000)]


@pytest.mark.parametrize(
    ("spoilt", "total"),
    [
        ("delete from deal where deal_id in ('crm:1', 'crm:2')", ("won", 90, 88, 2, 9000, 8800)),
        ("update deal set native_amount = 90 where deal_id = 'crm:1'", ("won", 90, 90, 1, 9000, 8990)),
        ("update deal set outcome = 'open' where deal_id = 'crm:1'", ("won", 90, 90, 1, 9000, 8900)),
        (
            "update raw.crm__deals set is_deleted = true where id = '1'",
            ("won", 89, 90, 1, 8900, 9000),
        ),
        (
            "update staging.stg_crm__deal_version set is_deleted = true where deal_id = 'crm:1'",
            ("won", 89, 90, 1, 8900, 9000),
        ),
        (
            "delete from staging.stg_crm__deal_version where deal_id = 'crm:1';"
            "delete from deal where deal_id = 'crm:1'",
            ("not staged", 1, 0, 1, 100, 0),
        ),
        ("delete from raw.crm__deals where id = '1'", ("won", 89, 90, 1, 8900, 9000)),
    ],
    ids=[
        *("lost on the way", "another amount", "another outcome", "deleted and still published"),
        *("deleted in its own words", "lost by staging", "in no batch"),
    ],
)
def test_a_deal_that_is_published_otherwise_is_found_and_named(gate: Gate, spoilt: str, total: tuple[Any, ...]) -> None:
    gate.connection.execute(spoilt)
    gate.gather(None)
    assert gate.rows(f"{TOTALS} control_total where deals_differing > 0") == [total]
    assert "crm:1" in gate.rows("select differing from control_total where deals_differing > 0")[0][0]


@pytest.mark.parametrize(
    "excused",
    [
        "update staging.stg_crm__deal_version set effective_at = '2026-11-24 02:00:00+00' where deal_id = 'crm:1'",
        "update staging.stg_crm__deal_version set closed_at = '2026-12-24' where deal_id = 'crm:1'",
        "insert into deal_event (event_type, deal_id) values ('merged', 'crm:1')",
    ],
    ids=["changed after as_of", "closes after as_of", "merged into another"],
)
def test_a_deal_that_stands_otherwise_rightly_is_left_out(gate: Gate, excused: str) -> None:
    gate.connection.execute("update deal set outcome = 'open' where deal_id = 'crm:1'")
    gate.connection.execute(excused)
    gate.gather(None)
    assert gate.rows(f"{TOTALS} control_total") == [("won", 89, 89, 0, 8900, 8900)]
