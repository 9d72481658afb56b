-- One row per stay of a department at a place of the tree: under another department, or at the top. The stays of a
-- department cover all of time. What runs in a circle is no tree: on the days of one that has ended, which nobody could
-- still mend, the next tree holds already.
with recursive

versions as (

    select
        *,
        lag(department_id) over version_order is null as is_first,
        lag(parent_department_id) over version_order as parent_before
    from {{ ref('int_department__known') }}
    window version_order as (partition by department_id order by valid_from)

),

told as (

    select
        department_id,
        parent_department_id,
        valid_from,
        coalesce(
            lead(valid_from) over (partition by department_id order by valid_from), date '9999-12-31'
        ) as valid_to
    from versions
    where is_first or parent_department_id is distinct from parent_before

),

walks as (

    select
        department_id,
        parent_department_id as ancestor_department_id,
        1 as depth,
        valid_from,
        valid_to
    from told
    where parent_department_id is not null

    union all

    select
        walks.department_id,
        told.parent_department_id as ancestor_department_id,
        walks.depth + 1 as depth,
        greatest(walks.valid_from, told.valid_from) as valid_from,
        least(walks.valid_to, told.valid_to) as valid_to
    from walks
    inner join told
        on
            walks.ancestor_department_id = told.department_id
            and walks.valid_from < told.valid_to
            and walks.valid_to > told.valid_from
    where
        told.parent_department_id is not null
        and walks.ancestor_department_id <> walks.department_id
        and walks.depth < {{ deepest_department() }}

),

circles as (

    select
        valid_from,
        valid_to
    from walks
    where ancestor_department_id = department_id
    group by valid_from, valid_to

),

turns as (

    select
        told.valid_from,
        count(circles.valid_from) > 0 as begins_circle
    from (select distinct valid_from from told) as told
    left join circles
        on told.valid_from >= circles.valid_from and told.valid_from < circles.valid_to
    group by told.valid_from

),

counted as (

    select
        *,
        sum(case when begins_circle then 0 else 1 end) over (order by valid_from) as tree_number,
        sum(case when begins_circle then 0 else 1 end) over () as tree_count
    from turns

),

-- Several circles, one after the other, end with the last of them.
spells as (

    select
        *,
        min(case when begins_circle and tree_number < tree_count then valid_from end) over (
            partition by tree_number
        ) as spell_from
    from counted

),

effective as (

    select
        valid_from as told_from,
        case
            when lag(begins_circle) over (order by valid_from)
                then coalesce(lag(spell_from) over (order by valid_from), valid_from)
            else valid_from
        end as valid_from
    from spells

)

select
    told.department_id,
    told.parent_department_id,
    begun.valid_from,
    coalesce(ended.valid_from, told.valid_to) as valid_to
from told
inner join effective as begun
    on told.valid_from = begun.told_from
left join effective as ended
    on told.valid_to = ended.told_from
where begun.valid_from < coalesce(ended.valid_from, told.valid_to)
