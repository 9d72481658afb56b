"""What the reporting gate judges besides the tables themselves: how they compare with raw, and with what was published.

Four tables are made for the time of a judgement, each with a suite of its own in expectations/reporting:

control_total    deals and amounts, counted from raw; against what is published of them
restated_figure  figures of periods that an earlier release has closed already; against what it says of them
new_figure       figures of periods that have closed since; against those of the periods before, in that release
table_size       rows of each published table; against those in that release

Where there is no earlier release the last three are empty, and what passes for that reason says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from kpimart.extract.source import Deals
from kpimart.quality.protocol import Compared
from kpimart.sql import literal

TABLES = ("control_total", "restated_figure", "new_figure", "table_size")

NOTHING_TO_COMPARE = "nothing to compare with: there is no release of an earlier as_of"
NOTHING_SINCE = "nothing to compare: release {release} and this build have no such figure"

# The figures that the ledger's events add up to, and the event of each.
EVENT_OF = {"won_amount": "won", "won_deals": "won", "lost_deals": "lost", "created_deals": "created"}
# So many periods before a new one say what is usual.
USUAL_PERIODS = 28
# Events are looked for behind so many figures, those that changed most, and so many deals are shown of each.
EXPLAINED_FIGURES, SHOWN_DEALS = 50, 3

# The latest version of each deal, without any model. What it does not tell of itself, staging says.
_RAW = """
    select
        '{source}' as source,
        '{source}:' || id as deal_id,
        latest.native_amount,
        latest.is_deleted,
        latest.is_deal
    from (
        select
            version.id,
            arg_max(
                {{
                    'native_amount': {deals.amount},
                    'is_deleted': version.is_deleted,
                    'is_deal': coalesce({deals.is_deal}, false)
                }},
                row(coalesce(version.updated_at, timestamptz '-infinity'), version.landed_at)
            ) as latest
        from "{raw}".raw.{source}__{deals.object} as version
        inner join "{raw}".ops.batch_verdict as verdict using (batch_id)
        where verdict.verdict = 'accepted' and verdict.judged_at <= {known_at}
        group by version.id
    ) as counted
"""

# A deal is settled if all that raw tells of it had happened by `as_of`: others stand otherwise in the figures, rightly.
_STAGED = """
    select
        '{source}' as source,
        version.deal_id,
        coalesce(stage.outcome, 'open') as outcome,
        version.currency_code,
        version.is_deleted,
        (version.effective_at < {as_of} or (version.version_number = 1 and not version.has_source_time))
        and coalesce(version.created_at < {as_of}, true)
        and coalesce(version.closed_at < {as_of}, true) as is_settled
    from "{catalog}".staging.stg_{source}__deal_version as version
    left join "{catalog}".staging.stg_{source}__pipeline_stage as stage
        on version.stage_id = stage.stage_id
    where version.is_latest
"""

_CONTROL_TOTAL = """
create table control_total as
with

received as ({received}),

staged as ({staged}),

-- a deal that went into another is none of its own any more, whatever its record says
merged as (select deal_id from deal_event where event_type = 'merged'),

compared as (
    select
        split_part(deal_id, ':', 1) as source,
        coalesce(staged.outcome, deal.outcome, 'not staged') as outcome,
        coalesce(staged.currency_code, deal.currency_code) as currency_code,
        deal_id,
        received.source is not null and not received.is_deleted and not coalesce(staged.is_deleted, false)
            and (received.is_deal or staged.source is not null) as is_counted,
        deal.outcome is not null as is_published,
        staged.outcome is distinct from deal.outcome
            or coalesce(received.native_amount, 0) <> coalesce(deal.native_amount, 0) as is_otherwise,
        received.native_amount as counted_amount,
        case when staged.outcome = deal.outcome then deal.native_amount end as published_amount
    from received
    full join staged using (deal_id)
    full join deal using (deal_id)
    where
        coalesce(staged.is_settled, true)
        and deal_id not in (select deal_id from merged)
)

select
    source,
    outcome,
    currency_code,
    count(*) filter (where is_counted) as deals_counted,
    count(*) filter (where is_published) as deals_published,
    count(*) filter (where is_counted <> is_published or (is_published and is_otherwise)) as deals_differing,
    coalesce(sum(counted_amount) filter (where is_counted), 0) as amount_counted,
    coalesce(sum(published_amount), 0) as amount_published,
    array_to_string(
        (list(deal_id order by coalesce(abs(counted_amount), 0) desc, deal_id) filter (
            where is_counted <> is_published or (is_published and is_otherwise)
        ))[:{shown}],
        ', '
    ) as differing
from compared
where is_counted or is_published
group by source, outcome, currency_code
"""

_EARLIER = """
create table earlier_release as select release_id, known_at from earlier.main.release where is_this_release;

create table earlier_figure as
select
    figure.kpi_code, figure.period_grain, figure.period_start, figure.period_end, figure.entity_level,
    figure.entity_key, figure.value, figure.unit, figure.sample_size
from earlier.main.kpi_value as figure
inner join earlier.main.kpi_catalogue as catalogue_before using (kpi_code)
inner join kpi_catalogue as catalogue
    on figure.kpi_code = catalogue.kpi_code and catalogue_before.formula = catalogue.formula
where figure.is_complete and figure.entity_level in ('company', 'department') and figure.kpi_code in ({kpis});

create table figure as
select
    kpi_code, period_grain, period_start, period_end, entity_level, entity_key, entity_name, value, unit, sample_size
from kpi_value
where is_complete and entity_level in ('company', 'department') and kpi_code in ({kpis});
"""

# Deals whose events brought most to a figure, as text. `{figures}` are the figures, `{only}` which events.
_BEHIND = """
behind as (
    select
        figures.kpi_code, figures.period_grain, figures.period_start, figures.entity_key, event.deal_id,
        sum(event.sign * case when figures.kpi_code = 'won_amount' then coalesce(event.amount, 0) else 1 end) as part,
        max(event.event_type) as event_type,
        arg_max(coalesce(manager.manager_name, event.manager_id), event.recorded_at) as who,
        max(event.recorded_at) as recorded_at
    from {figures} as figures
    inner join deal_event as event
        on
            event.occurred_on between figures.period_start and figures.period_end
            and event.event_type = (map {event_of})[figures.kpi_code]
    left join dim_manager as manager
        on event.manager_id = manager.manager_id
    where
        {only}
        and (
            figures.entity_level = 'company'
            or exists (
                from dim_department_closure as closure
                where
                    closure.department_id = event.department_id
                    and closure.ancestor_department_id = figures.entity_key
                    and event.occurred_on >= closure.valid_from
                    and event.occurred_on < closure.valid_to
            )
        )
    group by all
),

shown as (
    select
        kpi_code, period_grain, period_start, entity_key,
        string_agg(
            format(
                'deal {{}} {{}} {{}}{{:,.2f}} by {{}}, recorded {{}} UTC',
                deal_id, event_type, case when part < 0 then '−' else '+' end, cast(abs(part) as double), who,
                strftime(recorded_at, '%Y-%m-%d %H:%M')
            ),
            '; ' order by abs(part) desc, deal_id
        ) as events_behind
    from (
        from behind
        where part <> 0
        qualify row_number() over (
            partition by kpi_code, period_grain, period_start, entity_key order by abs(part) desc, deal_id
        ) <= {shown}
    ) as most
    group by all
)
"""

_RESTATED = """
create table restated_figure as
with

compared as (
    select
        before.kpi_code, before.period_grain, before.period_start, before.period_end, before.entity_level,
        before.entity_key, coalesce(figure.entity_name, before.entity_key) as entity_name,
        before.value as value_before, coalesce(figure.value, 0) as value,
        coalesce(figure.value, 0) - coalesce(before.value, 0) as change,
        greatest(before.sample_size, coalesce(figure.sample_size, 0)) as sample_size
    from earlier_figure as before
    left join figure using (kpi_code, period_grain, period_start, entity_key)
    where
        before.period_grain in ('month', 'quarter', 'year')
        -- another calendar, or another currency, is another figure
        and (figure.kpi_code is null or (figure.period_end = before.period_end and figure.unit = before.unit))
        -- a department may go; what the company has done may not
        and (figure.kpi_code is not null or before.entity_level = 'company')
),

shares as (
    select *, cast(coalesce(change / nullif(abs(value_before), 0), sign(change)) as double) as change_share
    from compared
),

changed as (
    select * from shares where change <> 0 order by abs(change_share) desc, sample_size desc limit {explained}
),

{behind}

select
    shares.kpi_code, shares.period_grain, shares.period_start, shares.entity_level, shares.entity_name,
    shares.value_before, shares.value, shares.change_share, shares.sample_size, earlier_release.release_id as release,
    case
        when shares.change <> 0 then coalesce(
            shown.events_behind,
            'no event was recorded since that explains it: look for a changed setting, seed or model'
        )
    end as events_behind
from shares
cross join earlier_release
left join shown using (kpi_code, period_grain, period_start, entity_key)
"""

_NEW = """
create table new_figure as
with

fresh as (
    select figure.*
    from figure
    anti join earlier_figure as before using (kpi_code, period_grain, period_start, entity_key)
    where figure.entity_level = 'company' and figure.period_grain in ('day', 'week', 'month')
),

usual as (
    select fresh.kpi_code, fresh.period_grain, fresh.period_start, before.value, before.sample_size
    from fresh
    inner join earlier_figure as before
        on
            fresh.kpi_code = before.kpi_code
            and fresh.period_grain = before.period_grain
            and fresh.entity_key = before.entity_key
            and fresh.unit = before.unit
            and before.period_start < fresh.period_start
    qualify row_number() over (
        partition by fresh.kpi_code, fresh.period_grain, fresh.period_start order by before.period_start desc
    ) <= {usual_periods}
),

ranges as (
    select
        kpi_code, period_grain, period_start, count(*) as periods_before, min(value) as lowest_before,
        max(value) as highest_before, cast(sum(sample_size) as bigint) as sample_size_before
    from usual
    group by all
),

{behind}

select
    fresh.kpi_code, fresh.period_grain, fresh.period_start, fresh.value, ranges.lowest_before, ranges.highest_before,
    ranges.periods_before, ranges.sample_size_before,
    cast(fresh.value / nullif(ranges.highest_before, 0) as double) as times_highest,
    earlier_release.release_id as release, shown.events_behind
from fresh
inner join ranges using (kpi_code, period_grain, period_start)
cross join earlier_release
left join shown using (kpi_code, period_grain, period_start)
"""


_SIZES = """
create table table_size as
select
    sizes.*, cast(rows / nullif(rows_before, 0) as double) as share_of_before, earlier_release.release_id as release
from ({sizes}) as sizes
cross join earlier_release
"""


@dataclass(frozen=True)
class Gathered:
    """A table that was made: why it has no rows, if it has none, and what kept it from being made, if something did."""

    name: str
    is_empty_because: str | None = None
    error: str | None = None


def gather(
    connection: duckdb.DuckDBPyConnection, catalog: str, raw: str, tables: Iterable[str], compared: Compared
) -> tuple[Gathered, ...]:
    """Make the tables, in the current schema, where `tables`, the published ones, are views already.

    catalog: the database of the build; raw: that of the warehouse, which may be the same. What cannot be made is told
    of its table alone.
    """
    listed = tuple(tables)
    try:
        _attach_earlier(connection, listed, compared.earlier)
        release = connection.execute("select max(release_id) from earlier_release").fetchall()[0][0]
    except duckdb.Error as error:
        broken = f"the release in {compared.earlier} cannot be read: {error}"
        return tuple(Gathered(name, error=broken) for name in TABLES)
    made = {
        "control_total": _control_total(catalog, raw, compared),
        "restated_figure": _RESTATED.format(
            behind=_behind("changed", "event.recorded_at > (select known_at from earlier_release)"),
            explained=EXPLAINED_FIGURES,
        ),
        "new_figure": _NEW.format(behind=_behind("fresh", "true"), usual_periods=USUAL_PERIODS),
        "table_size": _SIZES.format(sizes=_sizes(connection, listed)),
    }
    return tuple(_made(connection, name, statement, release) for name, statement in made.items())


def _made(connection: duckdb.DuckDBPyConnection, name: str, statement: str, release: str | None) -> Gathered:
    try:
        connection.execute(statement)
        (rows,) = connection.execute(f"select count(*) from {name}").fetchall()[0]
    except duckdb.Error as error:
        return Gathered(name, error=str(error))
    if rows:
        return Gathered(name)
    return Gathered(name, NOTHING_SINCE.format(release=release) if release else NOTHING_TO_COMPARE)


def _attach_earlier(connection: duckdb.DuckDBPyConnection, tables: Iterable[str], earlier: Path | None) -> None:
    """The earlier release as `earlier`; where there is none, one that has all tables and no rows."""
    if earlier:
        connection.execute(f"attach {literal(str(earlier))} as earlier (read_only)")
    else:
        connection.execute("attach ':memory:' as earlier")
        connection.execute(
            "create table earlier.main.release (release_id varchar, known_at timestamptz, is_this_release boolean)"
        )
        for table in tables:
            connection.execute(f'create table earlier.main."{table}" as from "{table}" limit 0')
    connection.execute(_EARLIER.format(kpis=", ".join(map(literal, EVENT_OF))))


def _control_total(catalog: str, raw: str, compared: Compared) -> str:
    as_of = literal(compared.as_of)
    counted = (received(raw, source, deals, compared.known_at) for source, deals in compared.deals.items())
    staged = (_STAGED.format(catalog=catalog, source=source, as_of=as_of) for source in compared.deals)
    return _CONTROL_TOTAL.format(
        received=" union all ".join(counted), staged=" union all ".join(staged), shown=SHOWN_DEALS
    )


def received(raw: str, source: str, deals: Deals, known_at: datetime) -> str:
    """A query of the deals of a source as its raw has them: source, deal_id, native_amount, is_deleted, is_deal.

    raw: the database; known_at: as far as it was accepted by then.
    """
    return _RAW.format(raw=raw, source=source, deals=deals, known_at=literal(known_at))


def _behind(figures: str, only: str) -> str:
    events = ", ".join(f"{literal(kpi)}: {literal(event)}" for kpi, event in EVENT_OF.items())
    return _BEHIND.format(figures=figures, only=only, event_of=f"{{{events}}}", shown=SHOWN_DEALS)


def _sizes(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> str:
    """A row for each table that both have: an older release may lack one."""
    there = {
        name
        for (name,) in connection.execute(
            "select table_name from duckdb_tables() where database_name = 'earlier'"
        ).fetchall()
    }
    count = '(select count(*) from {relation}"{table}")'
    return " union all ".join(
        f"select {literal(table)} as table_name, {count.format(relation='', table=table)} as rows, "
        f"{count.format(relation='earlier.main.', table=table)} as rows_before"
        for table in tables
        if table in there
    )
