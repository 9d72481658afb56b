"""Splits the change of KPIs between two periods among what drove it.

The same is asked of a build, for the comparisons that are published in `kpi_driver`, and of a release, for any two
periods. It is read from tables by the names that they are published under. The terms of won_amount are explained in
`won_amount`; a quotient is split between its numerator and its denominator, any other formula among its measures.
"""

import re
from collections.abc import Iterator
from itertools import combinations
from math import factorial
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from kpimart.insight.statistics import won_amount
from kpimart.measures import Formula, parse_formula
from kpimart.publish.contract import BUILT
from kpimart.sql import literal

WON_AMOUNT = "won_amount"
_MADE = ("compared", "figure", "change", "pair", "moved", "holder", "segment", "contribution", "planned")
READ = ("kpi_value", "kpi_catalogue", "dim_period", "target_attainment", "driver_input")

# The period before; the same one a year before, which of a year is the period before; and the plan, laid beside that of
# the year before, or else beside the period before. Nothing is compared with a period of which only a part is known.
_PUBLISHED_COMPARISONS = """
create or replace temp table compared as
with

periods as (

    select
        *,
        case when is_covered then period_start end as whole_start,
        lag(whole_start) over earlier as previous_start,
        lag(whole_start, case period_grain when 'month' then 12 when 'quarter' then 4 end) over earlier
            as last_year_start
    from dim_period
    where period_grain in ('month', 'quarter', 'year')
    window earlier as (partition by period_grain order by period_start)

)

select
    'previous_period' as comparison,
    period_grain,
    period_start,
    period_end,
    is_complete,
    previous_start as from_start
from periods
where previous_start is not null
union all
select 'last_year', period_grain, period_start, period_end, is_complete, last_year_start
from periods
where last_year_start is not null
union all
select 'plan', period_grain, period_start, period_end, is_complete, coalesce(last_year_start, previous_start)
from periods
"""


# Last year's figure of another KPI is two numbers away, and would be a third of the table.
_TABLE = """
create or replace table insight.kpi_driver as
select *
from driver_row
where
    comparison <> 'last_year'
    or kpi_code in (select kpi_code from kpi_catalogue where formula = 'won_amount')
"""


def write(connection: duckdb.DuckDBPyConnection) -> None:
    """Write insight.kpi_driver of a build anew. Raises BuildFailed where the inputs are not what the figures are of."""
    relations = {table.name: table.relation for table in BUILT}
    for name in READ:
        connection.execute(f"create or replace temp view {name} as select * from {relations[name]}")
    connection.execute(_PUBLISHED_COMPARISONS)
    decompose(connection)
    connection.execute(_TABLE)
    for name in ("driver_row", *READ):
        connection.execute(f"drop view {name}")
    for name in _MADE:
        connection.execute(f"drop table {name}")


def decompose(
    connection: duckdb.DuckDBPyConnection, *, kpi_code: str | None = None, entity: tuple[str, str] | None = None
) -> None:
    """Leave a temporary view `driver_row`, with the columns of `kpi_driver`, over tables of what is compared.

    These are `change` and, of plans, `planned`: value_before, value_after and unit of each KPI and entity.
    The connection has a table `compared` (comparison, period_grain, period_start, period_end, is_complete, from_start).
    kpi_code, entity (level and key): only this one. Raises BuildFailed where the inputs are not what the figures are
    of.
    """
    whose = f"entity_level = {literal(entity[0])} and entity_key = {literal(entity[1])}" if entity else "true"
    kpis = [kpi_code] if kpi_code else _kpis_with_parts(connection)
    which = f"kpi_code in ({', '.join(map(literal, kpis))})"
    connection.execute(_FIGURES.format(whose=whose, which=which))
    connection.execute(_CHANGES)
    _split_won_amount(connection)
    connection.execute(_PARTS.format(parts="\nunion all\n".join(_parts_of_formulas(connection))))
    connection.execute(_PLANNED.format(whose=whose, which=which))
    connection.execute(_ROWS)


def _kpis_with_parts(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """won_amount, and every KPI whose formula names several measures: one that is a measure is all of its change."""
    kpis = connection.execute("select kpi_code, formula from kpi_catalogue order by kpi_code").fetchall()
    return [code for code, text in kpis if text == WON_AMOUNT or len(parse_formula(text).measures) > 1]


# ------------------------------------------------------------------------------------------------- what is compared

_FIGURES = """
create or replace temp table figure as
select
    figures.kpi_code,
    figures.period_grain,
    figures.period_start,
    figures.entity_level,
    figures.entity_key,
    figures.department_id,
    figures.manager_id,
    figures.entity_name,
    figures.unit,
    figures.numerator,
    figures.denominator,
    figures.value,
    kpis.formula
from kpi_value as figures
inner join kpi_catalogue as kpis
    on figures.kpi_code = kpis.kpi_code
where
    figures.period_grain in (select period_grain from compared)
    and figures.entity_level in ('company', 'department', 'manager')
    and figures.{which}
    and {whose}
"""

# A figure that is not there or not known is compared with nothing; but whoever is not there has won nothing.
_CHANGES = """
create or replace temp table change as
with

asked as (

    select distinct period_grain, period_start, from_start
    from compared
    where from_start is not null

),

won_by_nobody as (

    select distinct
        figure.kpi_code,
        figure.period_grain,
        unnest([asked.period_start, asked.from_start]) as period_start,
        figure.entity_level,
        figure.entity_key,
        figure.department_id,
        figure.manager_id,
        figure.entity_name,
        figure.unit
    from figure
    inner join asked
        on figure.period_grain = asked.period_grain and figure.period_start in (asked.period_start, asked.from_start)
    where figure.formula = 'won_amount'

),

figures as (

    select * from figure
    union all by name
    select nobody.*, 'won_amount' as formula, cast(0 as decimal(28, 8)) as value
    from won_by_nobody as nobody
    anti join figure using (kpi_code, period_grain, period_start, entity_level, entity_key)

)

select
    row_number() over (
        order by figure_after.kpi_code, asked.period_grain, asked.period_start, asked.from_start,
            figure_after.entity_level, figure_after.entity_key
    ) as change_id,
    asked.*,
    figure_after.kpi_code,
    figure_after.formula,
    figure_after.entity_level,
    figure_after.entity_key,
    figure_after.department_id,
    figure_after.manager_id,
    figure_after.entity_name,
    figure_after.unit,
    figure_before.numerator as numerator_before,
    figure_before.denominator as denominator_before,
    figure_after.numerator as numerator_after,
    figure_after.denominator as denominator_after,
    figure_before.value as value_before,
    figure_after.value as value_after
from figures as figure_after
inner join asked
    on figure_after.period_grain = asked.period_grain and figure_after.period_start = asked.period_start
inner join figures as figure_before
    on
        figure_after.kpi_code = figure_before.kpi_code
        and figure_after.entity_level = figure_before.entity_level
        and figure_after.entity_key = figure_before.entity_key
        and asked.period_grain = figure_before.period_grain
        and asked.from_start = figure_before.period_start
where figure_before.value is not null and figure_after.value is not null
"""


# ---------------------------------------------------------------------------------------------------- won_amount

# A manager whose time was divided among departments otherwise than before has moved; whoever was not employed in one of
# the two periods has come or gone, which is a matter of headcount.
#
# The holders of a pair are those whose inputs it has on either side: its own, less those of managers who moved.
_PAIRS = """
create or replace temp table pair as
select
    row_number() over (order by change_id) - 1 as pair_id,
    *
from change
where formula = 'won_amount';

create or replace temp table moved as
with

head_days as (

    select entity_level, department_id, manager_id, period_grain, period_start, value
    from driver_input
    where input = 'head_days' and entity_level in ('manager', 'manager_in_department')

),

within as (

    select * from head_days
    where entity_level = 'manager_in_department'

),

members as (

    select distinct department_id, manager_id from within

),

shares as (

    select
        pair.pair_id,
        members.manager_id || '|' || members.department_id as entity_key,
        coalesce(within_before.value, 0) * all_after.value as before_and_all_after,
        coalesce(within_after.value, 0) * all_before.value as after_and_all_before
    from pair
    inner join members
        on pair.entity_level = 'department' and pair.entity_key = members.department_id
    inner join head_days as all_before
        on
            all_before.entity_level = 'manager'
            and members.manager_id = all_before.manager_id
            and pair.period_grain = all_before.period_grain
            and pair.from_start = all_before.period_start
    inner join head_days as all_after
        on
            all_after.entity_level = 'manager'
            and members.manager_id = all_after.manager_id
            and pair.period_grain = all_after.period_grain
            and pair.period_start = all_after.period_start
    left join within as within_before
        on
            members.manager_id = within_before.manager_id
            and members.department_id = within_before.department_id
            and pair.period_grain = within_before.period_grain
            and pair.from_start = within_before.period_start
    left join within as within_after
        on
            members.manager_id = within_after.manager_id
            and members.department_id = within_after.department_id
            and pair.period_grain = within_after.period_grain
            and pair.period_start = within_after.period_start

)

select pair_id, entity_key
from shares
where before_and_all_after <> after_and_all_before;

create or replace temp table holder as
select
    pair.pair_id,
    sides.side,
    cast(1 as integer) as sign,
    pair.entity_level,
    pair.entity_key,
    pair.period_grain,
    case sides.side when 0 then pair.from_start else pair.period_start end as period_start
from pair
cross join (values (0), (1)) as sides (side)
union all
select
    pair.pair_id,
    sides.side,
    -1,
    'manager_in_department',
    moved.entity_key,
    pair.period_grain,
    case sides.side when 0 then pair.from_start else pair.period_start end
from moved
inner join pair on moved.pair_id = pair.pair_id
cross join (values (0), (1)) as sides (side);
"""

# Amounts in cents, which are whole numbers.
_SEGMENTS = """
create or replace temp table segment as
select
    period_grain,
    period_start,
    entity_level,
    entity_key,
    pipeline_id,
    product,
    coalesce(sum(value) filter (where input = 'closed_deals'), 0)::bigint as closed,
    coalesce(sum(value) filter (where input = 'won_deals'), 0)::bigint as won,
    (coalesce(sum(value) filter (where input = 'won_amount'), 0) * 100)::bigint as amount,
    (coalesce(sum(value) filter (where input = 'constant_amount'), 0) * 100)::bigint as constant
    {reached}
from driver_input
where
    pipeline_id <> '(all)'
    and (period_grain, period_start) in (select (period_grain, period_start) from holder)
group by period_grain, period_start, entity_level, entity_key, pipeline_id, product
"""

_TERMS = """
select
    holder.pair_id,
    segment.pipeline_id,
    {sums}
from holder
inner join segment
    on
        holder.entity_level = segment.entity_level
        and holder.entity_key = segment.entity_key
        and holder.period_grain = segment.period_grain
        and holder.period_start = segment.period_start
group by holder.pair_id, segment.pipeline_id, segment.product
order by holder.pair_id, segment.pipeline_id, segment.product
"""

_TOTALS = """
with

inputs as (

    select
        holder.pair_id,
        {sums}
    from holder
    inner join driver_input as inputs
        on
            holder.entity_level = inputs.entity_level
            and holder.entity_key = inputs.entity_key
            and holder.period_grain = inputs.period_grain
            and holder.period_start = inputs.period_start
    where inputs.input in ('head_days', 'created_deals') and inputs.pipeline_id = '(all)'
    group by holder.pair_id

),

amounts as (

    select
        holder.pair_id,
        sum(case when holder.side = 0 then segment.amount else 0 end) as moved_0,
        sum(case when holder.side = 1 then segment.amount else 0 end) as moved_1
    from holder
    inner join segment
        on
            holder.entity_level = segment.entity_level
            and holder.entity_key = segment.entity_key
            and holder.period_grain = segment.period_grain
            and holder.period_start = segment.period_start
    where holder.sign = -1
    group by holder.pair_id

),

calendar as (

    select period_grain, period_start, value
    from driver_input
    where input = 'working_days'

)

select
    cast(pair.value_before * 100 as bigint) as value_0,
    cast(pair.value_after * 100 as bigint) as value_1,
    cast(coalesce(amounts.moved_0, 0) as bigint) as moved_0,
    cast(coalesce(amounts.moved_1, 0) as bigint) as moved_1,
    cast(coalesce(calendar_before.value, 0) as bigint) as working_days_0,
    cast(coalesce(calendar_after.value, 0) as bigint) as working_days_1,
    cast(coalesce(inputs.head_days_0, 0) as bigint) as head_days_0,
    cast(coalesce(inputs.head_days_1, 0) as bigint) as head_days_1,
    cast(coalesce(inputs.created_deals_0, 0) as bigint) as created_deals_0,
    cast(coalesce(inputs.created_deals_1, 0) as bigint) as created_deals_1
from pair
left join inputs on pair.pair_id = inputs.pair_id
left join amounts on pair.pair_id = amounts.pair_id
left join calendar as calendar_before
    on pair.period_grain = calendar_before.period_grain and pair.from_start = calendar_before.period_start
left join calendar as calendar_after
    on pair.period_grain = calendar_after.period_grain and pair.period_start = calendar_after.period_start
order by pair.pair_id
"""


def _split_won_amount(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill the temporary table `contribution`."""
    connection.execute(_PAIRS)
    found = won_amount.split(*_read_pairs(connection))
    table = pa.table(
        {
            "pair_id": pa.array(found.pairs, pa.int64()),
            "driver": pa.array(found.drivers, pa.string()),
            "cents": pa.array(found.cents, pa.int64()),
            "factor_before": pa.array(found.before, pa.float64(), from_pandas=True),
            "factor_after": pa.array(found.after, pa.float64(), from_pandas=True),
        }
    )
    connection.register("contributions", table)
    connection.execute(
        """
        create or replace temp table contribution as
        select
            pair.change_id,
            contributions.driver,
            case contributions.driver when 'transfer' then 'transfer' else 'own' end as part,
            cast(round(contributions.factor_before, 8) as decimal(28, 8)) as factor_before,
            cast(round(contributions.factor_after, 8) as decimal(28, 8)) as factor_after,
            cast(contributions.cents * 0.01 as decimal(28, 8)) as contribution
        from contributions
        inner join pair on contributions.pair_id = pair.pair_id
        """
    )
    connection.unregister("contributions")


def _read_pairs(connection: duckdb.DuckDBPyConnection) -> tuple[won_amount.Pairs, won_amount.Terms]:
    stages = connection.execute(
        """
        select pipeline_id, stage_number, max(stage_name) from driver_input
        where input = 'reached' group by pipeline_id, stage_number order by pipeline_id, stage_number
        """
    ).fetchall()
    names = sorted({name for _, _, name in stages})
    most = max((number for _, number, _ in stages), default=1)
    numbers = range(1, most + 1)
    reached = [
        f", coalesce(sum(value) filter (where input = 'reached' and stage_number = {at}), 0)::bigint as reached_{at}"
        for at in numbers
    ]
    connection.execute(_SEGMENTS.format(reached="\n    ".join(reached)))
    counted = ("closed", "won", "amount", "constant", *(f"reached_{at}" for at in numbers))
    columns = connection.execute(
        _TERMS.format(sums=",\n    ".join(_of_sides(f"segment.{name}", name) for name in counted))
    ).fetchnumpy()
    of_inputs = ("head_days", "created_deals")
    totals = connection.execute(
        _TOTALS.format(
            sums=",\n        ".join(
                _of_sides(f"case inputs.input when '{name}' then inputs.value else 0 end", name) for name in of_inputs
            )
        )
    ).fetchnumpy()
    places = {(pipeline, number): names.index(name) for pipeline, number, name in stages}
    pipelines, of_terms = np.unique(np.asarray(columns["pipeline_id"], dtype=str), return_inverse=True)
    of_pipelines = np.array(
        [[places.get((pipeline, at), -1) for at in numbers] for pipeline in pipelines], dtype=np.intp
    )

    def both(found: dict[str, Any], name: str) -> Any:
        return np.stack([np.asarray(found[f"{name}_0"]), np.asarray(found[f"{name}_1"])], axis=1)

    pairs = won_amount.Pairs(
        value=both(totals, "value"),
        moved=both(totals, "moved"),
        working_days=both(totals, "working_days").astype(float),
        head_days=both(totals, "head_days").astype(float),
        created=both(totals, "created_deals").astype(float),
    )
    terms = won_amount.Terms(
        pairs=np.asarray(columns["pair_id"], dtype=np.intp),
        closed=both(columns, "closed").astype(float),
        won=both(columns, "won").astype(float),
        amount=both(columns, "amount"),
        constant=both(columns, "constant").astype(float),
        reached=np.stack([both(columns, f"reached_{at}") for at in numbers], axis=1).astype(float),
        stages=of_pipelines.reshape(-1, most)[of_terms],
        names=tuple(names),
    )
    return pairs, terms


def _of_sides(value: str, name: str) -> str:
    return ", ".join(
        f"cast(sum(case when holder.side = {side} then holder.sign * ({value}) else 0 end) as bigint) as {name}_{side}"
        for side in (0, 1)
    )


# ------------------------------------------------------------------------------------------------------ other KPIs

# What the division leaves goes to the largest part, so that the parts are the difference.
_PARTS = """
insert into contribution
with

parts as (

    {parts}

),

ranked as (

    select
        parts.change_id,
        parts.driver,
        parts.factor_before,
        parts.factor_after,
        parts.contribution,
        change.value_after - change.value_before - sum(parts.contribution) over (partition by parts.change_id) as rest,
        row_number() over (
            partition by parts.change_id order by abs(parts.contribution) desc, parts.driver
        ) as place
    from parts
    inner join change
        on parts.change_id = change.change_id

)

select
    change_id,
    driver,
    'own' as part,
    factor_before,
    factor_after,
    contribution + case when place = 1 then rest else 0 end as contribution
from ranked
where contribution + case when place = 1 then rest else 0 end <> 0
"""

_QUOTIENTS = """
    select
        change_id,
        'numerator' as driver,
        cast(numerator_before as decimal(28, 8)) as factor_before,
        cast(numerator_after as decimal(28, 8)) as factor_after,
        cast(round(
            (numerator_after - numerator_before)::double
            * (1 / denominator_before::double + 1 / denominator_after::double) / 2, 8
        ) as decimal(28, 8)) as contribution
    from change
    where denominator_before is not null and denominator_after is not null
    union all
    select
        change_id,
        'denominator',
        cast(denominator_before as decimal(28, 8)),
        cast(denominator_after as decimal(28, 8)),
        cast(round(
            (1 / denominator_after::double - 1 / denominator_before::double)
            * (numerator_before::double + numerator_after::double) / 2, 8
        ) as decimal(28, 8))
    from change
    where denominator_before is not null and denominator_after is not null
"""


def _parts_of_formulas(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """SQL of the parts of each KPI but won_amount: change_id, driver, factor_before, factor_after, contribution."""
    yield _QUOTIENTS
    for kpi_code, text in connection.execute(
        "select kpi_code, formula from kpi_catalogue order by kpi_code"
    ).fetchall():
        formula = parse_formula(text)
        if formula.denominator or text == WON_AMOUNT:
            continue
        yield _of_measures(kpi_code, formula) if len(formula.measures) > 1 else _of_one_measure(kpi_code, formula)


def _of_one_measure(kpi_code: str, formula: Formula) -> str:
    return f"""
    select
        change_id,
        {literal(formula.measures[0])},
        cast(null as decimal(28, 8)),
        cast(null as decimal(28, 8)),
        cast(value_after - value_before as decimal(28, 8))
    from change
    where kpi_code = {literal(kpi_code)}
    """


def _of_measures(kpi_code: str, formula: Formula) -> str:
    """The Shapley values of the measures: what each changes after any set of others, all orders counted alike."""
    names = formula.measures
    columns = ",\n            ".join(
        f"sum(case when inputs.input = {literal(name)} and inputs.period_start = change.{start} then inputs.value end) "
        f"as {name}_{side}"
        for name in names
        for side, start in enumerate(("from_start", "period_start"))
    )
    parts = [
        f"""
        select
            change_id,
            {literal(name)},
            cast({name}_0 as decimal(28, 8)),
            cast({name}_1 as decimal(28, 8)),
            cast(round({_effect(formula, name)}, 8) as decimal(28, 8))
        from measured_{kpi_code}
        """
        for name in names
    ]
    return f"""
    select * from (
        with measured_{kpi_code} as (
            select
                change.change_id,
                {columns}
            from change
            left join driver_input as inputs
                on
                    change.entity_level = inputs.entity_level
                    and change.entity_key = inputs.entity_key
                    and change.period_grain = inputs.period_grain
                    and inputs.pipeline_id = '(all)'
            where change.kpi_code = {literal(kpi_code)}
            group by change.change_id
        )
        {" union all ".join(parts)}
    ) as of_measures
    """


def _effect(formula: Formula, name: str) -> str:
    others = [other for other in formula.measures if other != name]
    return " + ".join(
        f"{factorial(size) * factorial(len(others) - size)} * ("
        f"{_value(formula, {name, *changed})} - {_value(formula, set(changed))})"
        for size in range(len(others) + 1)
        for changed in combinations(others, size)
    ).join(("(", f") / {factorial(len(others) + 1)}.0"))


def _value(formula: Formula, changed: set[str]) -> str:
    """The formula, with these measures as they are after and all others as they were before."""
    written = re.sub(
        r"[a-z_]\w*",
        lambda found: f"coalesce({found.group()}_{int(found.group() in changed)}, 0)::double",
        formula.numerator.text,
    )
    return f"({written})"


# ------------------------------------------------------------------------------------------------------ the rows

# What drove a plan is not known. A figure is compared with that of the period which the plan is laid beside, and what
# the plan asks for beyond that one is a driver of its own.
_PLANNED = """
create or replace temp table planned as
select
    targets.kpi_code,
    compared.comparison,
    compared.period_grain,
    compared.period_start,
    compared.period_end,
    compared.is_complete,
    targets.entity_level,
    targets.entity_key,
    targets.department_id,
    targets.manager_id,
    targets.entity_name,
    targets.unit,
    change.change_id,
    change.value_before as value_beside,
    cast(
        case when kpis.formula = 'won_amount' then round(targets.target_value, 2) else targets.target_value end
        as decimal(28, 8)
    ) as value_before,
    coalesce(change.value_after, targets.value) as value_after
from (select * from target_attainment where {whose} and {which}) as targets
inner join compared
    on
        compared.comparison = 'plan'
        and targets.period_grain = compared.period_grain
        and targets.period_start = compared.period_start
inner join kpi_catalogue as kpis
    on targets.kpi_code = kpis.kpi_code
left join change
    on
        targets.kpi_code = change.kpi_code
        and targets.period_grain = change.period_grain
        and targets.period_start = change.period_start
        and compared.from_start = change.from_start
        and targets.entity_level = change.entity_level
        and targets.entity_key = change.entity_key
where
    targets.target_value is not null
    and targets.entity_name is not null
    and targets.entity_level in ('company', 'department', 'manager')
"""

_ROWS = """
create or replace temp view driver_row as
with

drivers as (

    select
        change.kpi_code,
        compared.comparison,
        compared.period_grain,
        compared.period_start,
        compared.period_end,
        compared.is_complete,
        compared.from_start as from_period_start,
        change.entity_level,
        change.entity_key,
        change.department_id,
        change.manager_id,
        change.entity_name,
        change.unit,
        contribution.driver,
        contribution.part,
        contribution.factor_before,
        contribution.factor_after,
        contribution.contribution,
        change.value_before,
        change.value_after
    from compared
    inner join change
        on
            compared.period_grain = change.period_grain
            and compared.period_start = change.period_start
            and compared.from_start = change.from_start
    inner join contribution
        on change.change_id = contribution.change_id
    where compared.comparison <> 'plan'

    union all

    select
        planned.kpi_code,
        planned.comparison,
        planned.period_grain,
        planned.period_start,
        planned.period_end,
        planned.is_complete,
        null,
        planned.entity_level,
        planned.entity_key,
        planned.department_id,
        planned.manager_id,
        planned.entity_name,
        planned.unit,
        contribution.driver,
        contribution.part,
        contribution.factor_before,
        contribution.factor_after,
        contribution.contribution,
        planned.value_before,
        planned.value_after
    from planned
    inner join contribution
        on planned.change_id = contribution.change_id

    union all

    select
        planned.kpi_code,
        planned.comparison,
        planned.period_grain,
        planned.period_start,
        planned.period_end,
        planned.is_complete,
        null,
        planned.entity_level,
        planned.entity_key,
        planned.department_id,
        planned.manager_id,
        planned.entity_name,
        planned.unit,
        case when planned.change_id is null then 'unattributed' else 'planned_change' end,
        'own',
        null,
        null,
        coalesce(planned.value_beside, planned.value_after) - planned.value_before,
        planned.value_before,
        planned.value_after
    from planned
    where coalesce(planned.value_beside, planned.value_after) <> planned.value_before

)

select
    kpi_code,
    comparison,
    period_grain,
    period_start,
    period_end,
    is_complete,
    from_period_start,
    entity_level,
    entity_key,
    department_id,
    manager_id,
    entity_name,
    unit,
    driver,
    part,
    factor_before,
    factor_after,
    cast(contribution as decimal(28, 8)) as contribution,
    cast(value_before as decimal(28, 8)) as value_before,
    cast(value_after as decimal(28, 8)) as value_after,
    cast(value_after - value_before as decimal(28, 8)) as difference
from drivers
"""
