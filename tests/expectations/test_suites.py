"""The suites that ship: that they can be read and run, and that each expectation finds the fault it is there for."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from kpimart.extract.canonical import OBJECTS
from kpimart.extract.landing import prepare_pending_views
from kpimart.extract.packages import SOURCES, object_names
from kpimart.extract.source import Deals, amount_in_raw
from kpimart.paths import EXPECTATIONS
from kpimart.publish.contract import BUILT
from kpimart.quality import wording
from kpimart.quality.evidence import TABLES as COMPARISONS
from kpimart.quality.gate import Judge
from kpimart.quality.parameters import raw_parameters, reporting_parameters
from kpimart.quality.protocol import Compared
from kpimart.quality.verdict import Verdict
from kpimart.settings import Settings
from kpimart.warehouse import RAW_COLUMNS, WAREHOUSE_FILE, open_database, open_warehouse, raw_table

RAW_PARAMETERS = {
    "max_quarantined_share": 0.01,
    "max_vanished_share": 0.2,
    "fresh_since": "2017-12-26T00:00:00+00:00",
}
REPORTING_PARAMETERS = {"last_day": "2017-12-31"}
NEW_YEAR = date(2018, 1, 1)
AS_OF = datetime(2018, 1, 1, tzinfo=UTC)
TABLES = {table.name: table.relation for table in BUILT if table.relation}

BATCH = """
insert into ops.batch values ('files-1', 'files', '2018-01-01 02:00:00+00', '2018-01-01 02:00:05+00');
"""
LANDED_OBJECT = """
insert into ops.batch_object values ('files-1', 'files', '{name}', 'full', 1000, 2, 0, 1, 1000, null);

insert into {table} values
    ('a', '2017-12-31', false, '{{}}', sha256('a'), '2018-01-01 02:00:00+00', '2018-01-01 02:00:05+00', 'files-1'),
    ('b', null, false, '{{}}', sha256('b'), '2018-01-01 02:00:00+00', '2018-01-01 02:00:05+00', 'files-1');
"""

BUILD = """
create schema core;
create schema kpi;
create schema seeds;
create schema insight;
create schema finance;

create table seeds.kpi_catalogue as
select * from (values
    ('won_amount', 'Won amount', 'Выиграно', 'won_amount', 'currency', 'higher', 'both', 'day'),
    ('win_rate', 'Win rate', 'Доля побед', 'won_deals / closed_deals', 'ratio', 'higher', 'both', 'day'),
    ('open_deals', 'Open deals', 'Открытые сделки', 'open_deals', 'count', 'higher', 'both', 'week'),
    ('data_completeness', 'Filled in', 'Заполнено', 'filled / due', 'ratio', 'higher', 'both', 'week'),
    ('sales_cycle_days', 'Cycle', 'Цикл', 'cycle_days / won_deals', 'days', 'lower', 'both', 'week')
) as rows (kpi_code, name_en, name_ru, formula, unit, better, level, finest_grain);

create table core.dim_department as
select * from (values ('files:north', 'North'), ('files:south', 'South')) as rows (department_id, department_name);

create table core.dim_manager as
select 'files:m' || i as manager_id, 'Manager ' || i as manager_name,
    if(i % 2 = 0, 'files:north', 'files:south') as department_id, false as is_inferred,
    date '2016-01-01' as hired_on, if(i = 1, date '2017-06-30', null) as left_on
from range(10) as rows (i);

create table core.dim_period as
select distinct period_grain, date_trunc(period_grain, day)::date as period_start,
    (date_trunc(period_grain, day) + length)::date - 1 as period_end, true as is_complete, true as is_covered,
    period_grain || ' from ' || date_trunc(period_grain, day)::date as period_name,
    if(period_grain = 'day', 1, 20)::integer as working_days, 1::integer as working_days_elapsed
from
    (select unnest(generate_series(date '2017-11-01', date '2017-12-31', interval 1 day))::date as day) as days,
    (values
        ('day', interval 1 day), ('week', interval 7 days), ('month', interval 1 month), ('quarter', interval 3 months),
        ('year', interval 1 year)
    ) as grains (period_grain, length);

create table kpi.kpi_value as
with

entities as (

    select 'company' as entity_level, 'company' as entity_key, 'Company' as entity_name, count(*) as managers
    from core.dim_manager
    union all
    select 'department', department_id, department_id, count(*) from core.dim_manager group by all
    union all
    select 'manager', manager_id, manager_name, 1 from core.dim_manager
    union all
    select 'manager_in_department', manager_id || '|' || department_id, manager_name, 1 from core.dim_manager

)

select kpi_code, period_grain, period_start, period_end, is_complete, entity_level, entity_key, entity_name,
    case unit when 'ratio' then 0.5 when 'days' then 52 else 100.01 * managers end::decimal(28,8) as value,
    replace(unit, 'currency', 'EUR') as unit, 10 * managers::bigint as sample_size,
    null::decimal(38, 6) as numerator, null::decimal(38, 6) as denominator
from core.dim_period, seeds.kpi_catalogue, entities;

create table kpi.kpi_value_by_cut as
select kpi_value.*, credit_lens, amount_basis, cut_by, cut_value
from kpi.kpi_value, (values
    ('current_owner', 'booking', 'all', 'all'), ('at_event', 'native', 'currency', 'EUR')
) as cuts (credit_lens, amount_basis, cut_by, cut_value)
where period_grain in ('month', 'quarter', 'year') and (amount_basis = 'booking' or unit = 'EUR');

-- December was closed when its won amount was 5.00 less, and one deal fewer.
insert into kpi.kpi_value_by_cut
select * replace (value - 5 as value), 'at_event', 'booking', 'as_closed', 'r1'
from kpi.kpi_value
where kpi_code = 'won_amount' and period_grain = 'month' and period_start = '2017-12-01' and entity_level = 'company';
create table finance.restatement as
select kpi_code, 'month' as period_grain, period_start, period_end, entity_level, entity_key, entity_name, 4 as step,
    'late_entry' as cause, 0.00 as numerator_change, 0.00 as denominator_change, value - 5 as value_before,
    5.00::decimal(28, 8) as value_change, value as value_after
from kpi.kpi_value
where kpi_code = 'won_amount' and period_grain = 'month' and period_start = '2017-12-01' and entity_level = 'company';
create table finance.restatement_entry as
select period_grain, period_start, period_end, entity_level, entity_key, step, cause, 'events' as relation,
    'won' as what, 'files:1' as subject_id, 1 as entry_number, 0 as count_before, 1 as count_after,
    null::decimal(38, 2) as amount_before, 5.00::decimal(38, 2) as amount_after
from finance.restatement;

create table core.fct_deal as
select 'files:' || i as deal_id, 'files:m' || i % 10 as manager_id, 'won' as outcome, 100.00::decimal(18,2) as amount,
    100.00::decimal(18,2) as native_amount, 'EUR' as currency_code,
    timestamptz '2017-11-01 12:00:00+00' as created_at, timestamptz '2017-12-01 12:00:00+00' as closed_at
from range(100) as rows (i);

create table kpi.kpi_counted_event as
select 'files:e' || i as deal_event_id, 'files:' || i as deal_id, 'won' as event_type, 1 as sign,
    date '2017-12-01' as occurred_on, timestamptz '2018-01-01' as recorded_at, 'files:m' || i % 10 as manager_id,
    'files:north' as department_id, 100.00::decimal(18,2) as amount
from range(100) as rows (i);

create schema staging;
create table staging.stg_files__pipeline_stage as select 'files:Won' as stage_id, 'won' as outcome;
create table staging.stg_files__deal_version as
select deal_id, 'files:Won' as stage_id, currency_code, false as is_deleted, created_at, closed_at,
    closed_at as effective_at, true as has_source_time, 1 as version_number, true as is_latest
from core.fct_deal;

create table kpi.kpi_open_interval as
select 'files:' || i as deal_id, date '2017-11-01' as started_on, date '2017-12-01' as ended_on
from range(100) as rows (i);

create table kpi.kpi_next_step as
select 'files:1' as deal_id, date '2017-12-01' as started_on, date '2017-12-04' as ended_on;

create table kpi.kpi_counted_purchase as
select 'files:' || i as deal_id, 'files:a' || i % 10 as account_id, i // 10 + 1 as purchase_number
from range(98) as rows (i);

create table kpi.kpi_counted_lead as select 'files:l' as lead_id, 1.5 as first_response_hours;

create table kpi.kpi_counted_activity as select 'files:a' as activity_id, 'call' as activity_type;

create table kpi.win_rate_curve as
select period_grain, period_start, 'company' as entity_level, 'Company' as entity_name,
    0.50 as cumulative_win_rate, 0.50 as mature_win_rate
from core.dim_period where period_grain in ('month', 'quarter', 'year');

create table kpi.funnel_stage as
select period_grain, period_start, 'company' as entity_level, 'Company' as entity_name, 0.50 as next_stage_rate,
    0.50 as won_rate, 9.5 as mean_stay_days, 7.5 as median_stay_days, 30.5 as median_open_days
from core.dim_period where period_grain in ('month', 'quarter', 'year');

create table insight.driver_input as
select period_grain, period_start, 'company' as entity_level, 'company' as entity_key, 'working_days' as input
from core.dim_period where period_grain in ('month', 'quarter', 'year');

create table insight.kpi_driver as
select kpi_code, 'previous_period' as comparison, period_grain, period_start, entity_level, entity_key, driver,
    'own' as part, contribution, value as value_before, value as value_after, 0.00 as difference
from kpi.kpi_value, (values ('mix', 5.00), ('calendar', -5.00)) as drivers (driver, contribution)
where kpi_code = 'won_amount' and period_grain = 'month' and entity_level = 'company';

create table insight.customer_base as
select period_grain, period_start, 'company' as entity_level, 98 as opening_customers, 100 as closing_customers,
    0.10 as top_1_share
from core.dim_period where period_grain in ('month', 'quarter', 'year');

create table insight.cohort_retention as
select period_grain, period_start as cohort_start, 'company' as entity_level, 'company' as entity_key,
    0 as periods_since, 10 as cohort_customers, 10 as retained_customers, 1.00 as retention_rate
from core.dim_period where period_grain in ('month', 'quarter', 'year');

create table insight.customer_segment as
select 'files:a' || i as account_id, 'repeat' as customer_state, 'loyal' as segment, 3 as recency_score,
    30 as recency_days
from range(10) as rows (i);

create table insight.buying_interval as
select 'account' as entity_level, account_id as entity_key, 10.5 as q1_days, 20.5 as median_days, 30.5 as q3_days,
    recency_days as days_since
from insight.customer_segment;

create table kpi.target_attainment as
select 'won_amount' as kpi_code, 'month' as period_grain, date '2017-12-01' as period_start,
    date '2017-12-31' as period_end, 'manager' as entity_level, manager_id as entity_key, manager_name as entity_name,
    'EUR' as unit, 100.00 as target_value, 0.90::decimal(28,6) as attainment, 1.00 as employed_share,
    0.50 as working_day_share, 0.40 as shape_share, 50.00 as expected_by_working_days,
    40.00::decimal(28,8) as expected_by_shape
from core.dim_manager;

create table finance.budget_input as
select kpi_code, 'period' as scope, period_grain, period_start, entity_level, entity_key, is_complete, value as actual,
    value as complete_actual, 0.00 as forecast, value as outlook, value as outlook_low_95, value as outlook_low_80,
    value as outlook_high_80, value as outlook_high_95, target_value as plan, value - target_value as plan_variance,
    value as last_year, 0.00 as last_year_change
from kpi.kpi_value
left join kpi.target_attainment using (kpi_code, period_grain, period_start, entity_level, entity_key)
where kpi_code = 'won_amount' and period_grain = 'month' and entity_level in ('company', 'manager');

create table kpi.scorecard as
select kpi_code, 'month' as period_grain, date '2017-12-01' as period_start, 'manager' as entity_level,
    manager_id as entity_key, manager_name as entity_name, 100.00 as target_value, score as attainment, 0.50 as weight,
    0.70 as threshold, 1.50 as cap, score, 1.00 as scored_weight, 1.00 as total_score, 1.00 as bonus_coefficient
from core.dim_manager, (values ('won_amount', 0.90), ('win_rate', 1.10)) as scores (kpi_code, score);

create table kpi.leaderboard as
select 'won_amount' as kpi_code, 'month' as period_grain, date '2017-12-01' as period_start,
    'files:m' || i as manager_id, 'Manager ' || i as manager_name, 'North' as department_name,
    if(i < 9, 100 - least(i, 7), null) as value, if(i < 9, least(i, 7) + 1, null) as rank, i in (7, 8) as is_tied,
    i = 9 as is_hidden
from range(10) as rows (i);

create table insight.weak_spot as
select 'year' as period_grain, date '2017-01-01' as period_start, manager_id as entity_key, 'win_rate' as kind,
    0.4 as value, 0.3 as value_low, 0.5 as value_high, 'enough' as status, false as is_weak, 100.00 as leak_amount,
    60.00 as shrunk_leak_amount
from core.dim_manager;

create table insight.closing_pattern as
select 'month' as period_grain, date '2017-12-01' as period_start, manager_id as entity_key, 'last_day' as stretch,
    0.4 as deals_share, 0.6 as deals_linearity, 'enough' as status
from core.dim_manager;

create table insight.cycle_length as
select 'year' as period_grain, date '2017-01-01' as period_start, manager_id as entity_key, 'all' as segment_by,
    'all' as segment, 1.0 as p10_days, 2.0 as p25_days, 3.0 as median_days, 4.0 as p75_days, 5.0 as p90_days
from core.dim_manager;

create table insight.early_sign as
select 'year' as period_grain, date '2017-01-01' as period_start, 'company' as entity_key, 'meeting' as sign,
    20 as deals_with, 10 as won_with, 20 as deals_without, 5 as won_without, 0.25 as difference,
    0.01 as difference_low, 'winning' as goes_with;
create table insight.kpi_summary as
select period_grain, period_start, entity_level, entity_key, any_value(entity_name) as entity_name,
    1 as sentence_number, 'moved' as topic, 'Won amount: 1.' as text_en, 'Выиграно: 1.' as text_ru,
    'select 1 as value from reporting.kpi_value' as proof, '{"value":1}' as figures
from kpi.kpi_value
where period_grain in ('month', 'quarter', 'year') and entity_level in ('company', 'department', 'manager')
group by all;

create table core.dim_department_closure as
select department_id, department_id as ancestor_department_id, 0 as depth, date '0001-01-01' as valid_from,
    date '9999-12-31' as valid_to
from core.dim_department;

create table core.fct_period_close as
select 'month' as period_grain, date '2017-11-01' as period_start, date '2017-11-30' as period_end, decision_number,
    action, timestamptz '2017-12-04' as as_of, 'Ann' as decided_by, 'Checked.' as note
from (values (1, 'closed'), (2, 'reopened')) as rows (decision_number, action);

create table insight.kpi_trend as
select kpi_code, period_grain, period_start, entity_level, entity_key, value, 'none' as trend_direction, 1.00 as slope,
    0.50 as q_value, false as is_significant, 0.00 as expected_low, 9999.00 as expected_high, false as is_anomaly,
    'enough' as trend_status
from kpi.kpi_value where entity_level = 'company' and period_grain = 'month';

create table finance.kpi_forecast as
select 'won_amount' as kpi_code, date '2018-01-01' as period_start, entity_level, entity_key, 1 as horizon,
    'own' as status, 100.00 * parts as value, 50.00 as low_95, 80.00 as low_80, 900.00 as high_80, 999.00 as high_95,
    100.00 * parts as cumulative_value, 50.00 as cumulative_low_95, 80.00 as cumulative_low_80,
    900.00 as cumulative_high_80, 999.00 as cumulative_high_95
from (values ('company', 'company', 2), ('manager', 'files:m1', 1), ('manager', 'files:m2', 1))
    as entities (entity_level, entity_key, parts);

create table finance.forecast_accuracy as
select kpi_code, period_start, entity_level, date '2017-11-30' as origin_on, 1 as horizon, 900.00 as value,
    value as actual, abs(900.00 - value) as absolute_error, 20.00 as naive_absolute_error, 0.80 as coverage_80,
    1.00 as coverage_95
from kpi.kpi_value
where kpi_code = 'won_amount' and entity_level = 'company' and period_grain = 'month';

create table insight.seasonal_index as
select 'won_amount' as kpi_code, 'company' as entity_level, 'company' as entity_key, 'month_of_year' as kind,
    number::integer as number, 1.00 as seasonal_index, 2 as sample
from range(1, 13) as rows (number);

create table insight.pipeline_waterfall as
select scope, period_grain, period_start, 'company' as entity_level, 'Company' as entity_name, 10 as opening_deals,
    1 as created_deals, 0 as transferred_in_deals, 0 as pulled_in_deals, 0 as reopened_deals, 1 as won_deals,
    0 as lost_deals, 0 as pushed_out_deals, 0 as transferred_out_deals, 0 as deleted_deals, 10 as closing_deals
from core.dim_period, (values ('open'), ('due')) as scopes (scope);

create table insight.crm_discipline as
select rule, period_grain, period_start, 'company' as entity_level, 'company' as entity_key, 'Company' as entity_name,
    10 as deals, 0.10 as concerned_share, 'win_rate' as kpi_code, 0.50 as kpi_value, 0.40 as strict_kpi_value
from core.dim_period, (values
    ('pushed_close_date'), ('stale_deal'), ('loser_never_closed'), ('missing_next_step'), ('overdue_close_date'),
    ('backdated_win')
) as rules (rule)
where period_grain in ('month', 'quarter', 'year');
"""


# What the build was made of.
RECEIVED = """
insert into ops.batch_verdict values ('files-0', 'accepted', '2017-12-31 02:00:00+00', null);
insert into raw.files__deals
select split_part(deal_id, ':', 2), closed_at, false, json_object('amount', native_amount), sha256(deal_id),
    '2017-12-31 02:00:00+00', '2017-12-31 02:00:00+00', 'files-0'
from core.fct_deal;
"""

SPOILT_BATCH = """
update ops.batch_object set extent = 'delta', rows_read = 50000 where object = 'leads';
insert into ops.batch
select 'files-0' || i, 'files', timestamptz '2017-12-20 02:00:00+00' + interval (i) day,
    timestamptz '2017-12-20 02:00:00+00' + interval (i) day
from range(7) as nights (i);
insert into ops.batch_verdict
select batch_id, 'accepted', landed_at, null from ops.batch where batch_id <> 'files-1';
insert into ops.batch_object
select earlier.batch_id, source, object, extent, 1001, 0, 0, 0, 1000, null
from ops.batch_object, (select batch_id from ops.batch where batch_id <> 'files-1') as earlier;
insert into ops.schema_change values
    ('files-1', 'files', 'deals', 'discount', 'vanished', 'number', null, '2018-01-01 02:00:05+00');
update ops.batch_object set rows_quarantined = 11 where object = 'deals';
update ops.batch_object set rows_vanished = 201 where object = 'accounts';
update ops.batch_object set rows_read = 0 where object = 'managers' and batch_id = 'files-1';
"""
SPOILT_OBJECT = """
update {table} set id = '', updated_at = '2018-01-03' where id = 'a';
update {table} set payload_hash = 'b', extracted_at = '2018-01-01 03:00:00+00' where id = 'b';
insert into {table} from {table};
update {table} set updated_at = '1980-01-01', id = 'a' || chr(10) where batch_id = 'files-1' and payload_hash = 'b';
alter table {table} add column place varchar;
"""

# The night before: it did not know the last day yet.
EARLIER = """
create table release as
select 'before' as release_id, timestamptz '2017-12-31' as known_at, true as is_this_release;

delete from kpi_value where period_grain = 'day' and period_start = '2017-12-31';
"""

SPOILT_BUILD = """
delete from core.fct_deal where cast(split_part(deal_id, ':', 2) as integer) >= 40;
update kpi.kpi_value set value = 10 * value
where kpi_code = 'won_amount' and (period_grain = 'month' or period_start = '2017-12-31');
insert into kpi.kpi_value (kpi_code, period_grain, period_start, entity_level, unit)
values ('won_amount', 'decade', '2010-01-01', 'planet', 'apples');
delete from kpi.kpi_value where entity_level = 'company' and kpi_code = 'open_deals' and period_grain = 'month';
update kpi.kpi_value set value = 1.5 where kpi_code = 'win_rate';
update kpi.kpi_value set value = 1.01 where kpi_code = 'data_completeness' and entity_key = 'files:m1';
update kpi.kpi_value set value = -1 where kpi_code in ('open_deals', 'sales_cycle_days') and entity_key = 'files:m1';
update kpi.kpi_value set value = value - 0.01
where kpi_code = 'won_amount' and entity_key = 'files:m1|files:south' and period_start = '2017-12-31';

insert into kpi.kpi_value_by_cut (kpi_code, period_grain, credit_lens, amount_basis, cut_by, cut_value, unit)
values ('won_amount', 'week', 'telescope', 'barter', 'colour', null, 'EUR');
update kpi.kpi_value_by_cut set cut_value = 'USD' where amount_basis = 'native' and entity_key = 'files:m1';
update kpi.kpi_value_by_cut set value = value - 0.01
where kpi_code = 'won_amount' and entity_level = 'company' and credit_lens = 'current_owner';

insert into seeds.kpi_catalogue values ('riddle', null, null, null, 'apples', 'sideways', 'nobody', 'decade');

update core.dim_manager set manager_name = null, left_on = '2015-12-31', is_inferred = true
where manager_id <= 'files:m2';
update core.dim_department set department_name = null;

delete from core.dim_period where period_start = '2017-12-31';
insert into core.dim_period values ('decade', '1980-01-01', '1979-12-31', true, true, 'week from 2017-11-06', 0, 1);
update core.dim_period set working_days = 2 where period_grain = 'month' and period_start = '2017-12-01';

update core.fct_deal set outcome = 'maybe' where deal_id = 'files:1';
update core.fct_deal set amount = -1, closed_at = null where deal_id = 'files:2';
update core.fct_deal set closed_at = '2017-10-31' where deal_id = 'files:3';

update kpi.kpi_counted_event set occurred_on = '2017-11-28';
update kpi.kpi_counted_event set event_type = 'dreamt', sign = 2, occurred_on = '1017-12-01'
where deal_event_id = 'files:e1';

update kpi.kpi_open_interval set ended_on = '2017-10-01' where deal_id = 'files:4';
update kpi.kpi_open_interval set ended_on = null where deal_id = 'files:5';
update kpi.kpi_next_step set ended_on = started_on;
update kpi.kpi_counted_purchase set purchase_number = 0 where deal_id in ('files:1', 'files:11');
update kpi.kpi_counted_lead set first_response_hours = -1;
update kpi.kpi_counted_activity set activity_type = 'thought';
insert into kpi.kpi_value (kpi_code, period_grain, period_start, entity_level, value, unit)
values ('created_deals', 'month', '2017-10-01', 'company', 1, 'count');
insert into kpi.win_rate_curve values ('week', '2017-12-04', 'planet', null, 1.01, -0.01);
insert into kpi.funnel_stage values ('week', '2017-12-04', 'planet', null, 1.01, -0.01, -1, -1, -1);
update insight.weak_spot set period_grain = 'week', kind = 'luck', value = 0.6, leak_amount = -1
where entity_key = 'files:m1';
update insight.weak_spot set status = 'too_few' where entity_key = 'files:m2';
update insight.closing_pattern set stretch = 'last_hour', deals_share = 1.1, deals_linearity = -0.1, status = 'too_few'
where entity_key = 'files:m1';
update insight.cycle_length set segment_by = 'colour', median_days = -1 where entity_key = 'files:m1';
update insight.early_sign set sign = 'dream', difference = 1.1, won_with = 21, difference_low = -0.01;
delete from insight.driver_input where period_grain = 'quarter';
insert into insight.driver_input (period_grain, entity_level) values ('week', 'planet');
update kpi.kpi_value set value = 1
where kpi_code = 'won_amount' and period_start = '2017-11-01' and entity_key = 'files:m3';
insert into insight.kpi_driver (kpi_code, comparison, part, contribution, difference)
values ('won_amount', 'yesteryear', 'theirs', 1, 2);
insert into insight.customer_base values ('week', '2017-12-04', 'planet', 0, -1, 1.01),
    ('month', '2017-10-01', 'company', 50, 24, null);
insert into insight.cohort_retention values ('week', '2017-12-04', 'planet', 'planet', 0, 10, 11, 1.10);
insert into insight.customer_segment values ('files:b', 'absent', 'ghosts', 6, -1);
insert into insight.buying_interval values ('planet', 'planet', 0.50, 0.40, 0.30, -1);
update core.dim_department_closure set valid_from = '9999-12-31';
delete from core.fct_period_close where action = 'reopened';
update core.fct_period_close set action = 'forgiven', as_of = '2017-11-30', note = ' ';

insert into kpi.target_attainment (kpi_code, period_grain, period_start, entity_level, target_value)
values ('riddle', 'decade', '2010-01-01', 'planet', 1), ('riddle', 'month', '2017-12-01', 'manager', -1);
update kpi.target_attainment set attainment = 21, employed_share = 1.1, working_day_share = -0.1, shape_share = 1.1,
    expected_by_shape = 101
where entity_key = 'files:m1';
insert into kpi.scorecard (kpi_code, period_grain, entity_level, weight, scored_weight, bonus_coefficient)
values ('riddle', 'decade', 'planet', 1.1, 1.1, -1), ('riddle', 'month', 'manager', 1, 1, 1);
update kpi.scorecard set score = 1.6 where entity_key = 'files:m1' and kpi_code = 'win_rate';
update kpi.scorecard set target_value = null where entity_key = 'files:m2';
insert into insight.pipeline_waterfall (scope, period_grain, period_start, entity_level, opening_deals, closing_deals)
values ('sideways', 'decade', '2010-01-01', 'planet', 0, 1);
update insight.pipeline_waterfall set closing_deals = 9, entity_name = null where period_grain = 'month';
insert into insight.crm_discipline (rule, period_grain, entity_level, kpi_code, concerned_share)
values ('neatness', 'decade', 'planet', 'win_rate', 1.1);
update insight.crm_discipline set strict_kpi_value = 0.60 where rule = 'stale_deal';
update insight.kpi_trend set trend_status = 'unwilling', q_value = 1.50, is_anomaly = true;
delete from insight.seasonal_index where number = 12;
update insight.seasonal_index set kind = 'mood', sample = 0 where number = 11;
insert into kpi.leaderboard (kpi_code, period_grain, is_tied, is_hidden) values ('won_amount', 'decade', false, false);
update kpi.leaderboard set value = 1 where is_hidden;
update kpi.leaderboard set is_tied = false where manager_id = 'files:m7';

update finance.restatement set cause = 'weather', entity_name = null, value_change = 4;
insert into finance.restatement
select * replace (5 as step, 'not_split' as cause, 1 as value_change) from finance.restatement;
update finance.restatement_entry set relation = 'rumours';
insert into finance.restatement_entry
select * replace ('events' as relation, 6.00 as amount_after) from finance.restatement_entry;
update finance.budget_input set actual = 1, forecast = 5, plan = 1, outlook_low_80 = outlook + 1
where entity_key = 'files:m1';
update finance.budget_input set outlook = outlook + 1 where entity_key = 'files:m2';
insert into finance.budget_input (scope, period_grain, entity_level) values ('sometimes', 'decade', 'planet');

delete from insight.kpi_summary where entity_key = 'files:m1';
update insight.kpi_summary set topic = 'weather', text_ru = 'Won amount: null.', figures = '{"value":null}'
where entity_key = 'files:m2';
update insight.kpi_summary set proof = 'trust me' where entity_key = 'files:m3';

update finance.kpi_forecast set value = 79, status = 'wished', horizon = 19 where entity_key = 'files:m1';
update finance.forecast_accuracy set actual = 400, absolute_error = 1, coverage_80 = 1.01, coverage_95 = -0.01;
"""

# A company need not have leads or activities, an open deal, a customer who is known, a deal whose creation is dated, or
# a month that was closed, or one that is over.
MAY_BE_EMPTY = {
    *("lead", "activity", "deal_open_interval", "deal_next_step", "customer_purchase"),
    *("win_rate_curve", "funnel_stage", "period_close", "seasonal_index"),
    *("weak_spot", "closing_pattern", "cycle_length", "early_sign"),
    *("pipeline_waterfall", "crm_discipline"),
    # Nor more than one period.
    *("driver_input", "kpi_driver"),
    *("cohort_retention", "customer_segment", "buying_interval"),
    "kpi_summary",
    # Nor a month that was closed and is another one since.
    *("restatement", "restatement_entry"),
    # Nor two years of months.
    *("kpi_forecast", "forecast_accuracy"),
}
NO_ROWS = "".join(f"delete from {table.relation};" for table in BUILT)


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


def a_warehouse(home: Path, *, spoilt_by: str = "") -> Path:
    """A home whose warehouse is as it should be, but for what the SQL does to it."""
    with open_warehouse(home) as connection:
        connection.execute(BATCH)
        for name in OBJECTS:
            table = raw_table("files", name)
            connection.execute(f"create table {table} ({RAW_COLUMNS})")
            connection.execute(LANDED_OBJECT.format(name=name, table=table))
        prepare_pending_views(connection)
        connection.execute(BUILD)
        connection.execute(RECEIVED)
        if spoilt_by:
            connection.execute(spoilt_by)
    return home


def judged_raw(judge: Judge, home: Path) -> Verdict:
    return judge.judge_raw(home, RAW_PARAMETERS)


def judged_reporting(judge: Judge, home: Path, earlier: Path | None = None, documents: Path | None = None) -> Verdict:
    """What the gate makes of the build; by default the release before is as the build should be, but for a day."""
    deals = {"files": Deals("deals", amount_in_raw("/amount"))}
    compared = Compared(deals, home / WAREHOUSE_FILE, AS_OF, AS_OF, earlier or an_earlier_release(home))
    return judge.judge_reporting(home / WAREHOUSE_FILE, TABLES, REPORTING_PARAMETERS, compared, documents)


def an_earlier_release(home: Path) -> Path:
    path = home / "earlier.duckdb"
    with open_database(path, read_only=False) as connection:
        connection.execute(BUILD)
        for name, relation in TABLES.items():
            connection.execute(f"create table {name} as from {relation}")
        connection.execute(EARLIER)
    return path


def with_outcome(verdict: Verdict, outcome: str) -> set[tuple[str, str]]:
    return {(result.table, result.expectation) for result in verdict.results if result.outcome == outcome}


def suite_files() -> list[Path]:
    return sorted(EXPECTATIONS.glob("*/*.json"))


def all_expectations() -> list[tuple[Path, dict[str, Any]]]:
    return [(path, each) for path in suite_files() for each in json.loads(path.read_text())["expectations"]]


@pytest.mark.parametrize("path", suite_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_suite_is_named_after_its_file_and_tells_its_expectations_apart(path: Path) -> None:
    suite = json.loads(path.read_text())
    told = [(wording.label(each), wording.expected(each["type"], each["kwargs"])) for each in suite["expectations"]]

    assert suite["name"] == f"{path.parent.name}.{path.stem}"
    assert suite["meta"]["notes"]
    assert len(set(told)) == len(told) > 0


def test_every_expectation_has_a_severity_and_says_why_it_is_there() -> None:
    bare = [
        (path.stem, wording.label(each))
        for path, each in all_expectations()
        if each.get("severity") not in {"critical", "warning", "info"} or not each["meta"]["notes"]
    ]

    assert bare == []


def test_every_query_has_a_description_and_names_its_batch() -> None:
    bare = [
        (path.stem, wording.label(each))
        for path, each in all_expectations()
        if each["type"] == wording.ROWS_QUERY
        and not (each.get("description") and "{batch}" in each["kwargs"]["unexpected_rows_query"])
    ]

    assert bare == []


def test_every_suite_is_of_something_that_is_there_and_every_published_table_has_one() -> None:
    raw = {path.stem for path in suite_files() if path.parent.name == "raw"}
    published = {path.stem for path in suite_files() if path.parent.name == "reporting"}

    assert raw >= {"batch_object", "every_object"}
    assert raw - {"batch_object", "every_object"} <= {
        f"{source}__{name}" for source in SOURCES for name in object_names(source)
    }
    assert published == {*TABLES, *COMPARISONS}


def test_the_parameters_of_the_tests_are_those_of_a_run() -> None:
    settings = Settings()

    assert RAW_PARAMETERS.keys() == raw_parameters(settings, settings.moment(NEW_YEAR)).keys()
    assert REPORTING_PARAMETERS.keys() == reporting_parameters(settings, settings.moment(NEW_YEAR)).keys()


def test_a_batch_as_it_should_be_passes_every_expectation(judge: Judge, tmp_path: Path) -> None:
    verdict = judged_raw(judge, a_warehouse(tmp_path))

    assert [result for result in verdict.results if result.outcome != "passed"] == []
    assert verdict.is_open


def test_where_no_batch_waits_nothing_is_wrong(judge: Judge, tmp_path: Path) -> None:
    judged = "insert into ops.batch_verdict values ('files-1', 'accepted', now(), null)"

    assert judged_raw(judge, a_warehouse(tmp_path, spoilt_by=judged)).is_open


def test_a_build_as_it_should_be_passes_every_expectation(judge: Judge, tmp_path: Path) -> None:
    verdict = judged_reporting(judge, a_warehouse(tmp_path))

    assert [result for result in verdict.results if result.outcome != "passed"] == []
    assert verdict.is_open


def test_every_raw_expectation_finds_the_fault_it_is_there_for(judge: Judge, tmp_path: Path) -> None:
    objects = "".join(SPOILT_OBJECT.format(table=raw_table("files", name)) for name in OBJECTS)

    verdict = judged_raw(judge, a_warehouse(tmp_path, spoilt_by=SPOILT_BATCH + objects))

    assert with_outcome(verdict, "passed") == set()
    assert with_outcome(verdict, "errored") == set()


def test_every_reporting_expectation_finds_the_fault_it_is_there_for(judge: Judge, tmp_path: Path) -> None:
    verdict = judged_reporting(judge, a_warehouse(tmp_path, spoilt_by=SPOILT_BUILD))

    volumes = {(table, "expect_table_row_count_to_be_between") for table in TABLES.keys() - MAY_BE_EMPTY}
    assert with_outcome(verdict, "passed") == volumes
    assert with_outcome(verdict, "errored") == set()


def test_tables_without_rows_are_refused(judge: Judge, tmp_path: Path) -> None:
    verdict = judged_reporting(judge, a_warehouse(tmp_path, spoilt_by=NO_ROWS))

    volumes = {(table, "expect_table_row_count_to_be_between") for table in TABLES.keys() - MAY_BE_EMPTY}
    assert volumes <= with_outcome(verdict, "failed")
    assert with_outcome(verdict, "errored") == set()


def test_a_cent_that_does_not_add_up_is_shown(judge: Judge, tmp_path: Path) -> None:
    a_cent = """
        update kpi.kpi_value set value = value - 0.01
        where kpi_code = 'won_amount' and entity_key = 'files:m1|files:south' and period_start = '2017-12-31'
    """

    verdict = judged_reporting(judge, a_warehouse(tmp_path, spoilt_by=a_cent))

    (refusal,) = verdict.refusals
    assert refusal.expectation == "managers add up to the company"
    assert json.loads(refusal.samples or "") == [
        {
            "kpi_code": "won_amount",
            "period_grain": "day",
            "period_start": "2017-12-31",
            "company": 1000.1,
            "managers": 1000.1,
            "managers_in_departments": 1000.09,
        }
    ]
