{#-
    How people are judged, once. Plain Jinja over names of relations, without anything of dbt: the models write these rules
    out over what they build, and `kpimart kpi simulate` over a release and over weights that nobody has adopted yet. A
    second formula in Python would be right on the day it is written; the same text is right always.
-#}

{#- Whether a KPI of this level may judge that entity: personal ones people, department-wide ones departments. -#}
{% macro may_judge(level, entity_level) -%}
    ({{ level }} = 'both' or ({{ level }} = 'personal') = ({{ entity_level }} = 'manager'))
{%- endmacro %}

{#-
    How far a target was reached, 1 is exactly: value / target, or target / value where lower is better. A target of 0 is
    met (1) or not (0). Where lower is better and nothing was counted, no number says how good that is: null.
-#}
{% macro attainment(value, target, better) -%}
    case
        when {{ value }} is null or {{ target }} is null or {{ target }} < 0 then null
        when {{ target }} = 0 and {{ better }} = 'higher' then case when {{ value }} >= 0 then 1 else 0 end
        when {{ target }} = 0 then case when {{ value }} <= 0 then 1 else 0 end
        when {{ better }} = 'higher' then cast(round({{ value }} / {{ target }}, 6) as decimal(28, 6))
        when {{ value }} > 0 then cast(round({{ target }} / {{ value }}, 6) as decimal(28, 6))
    end
{%- endmacro %}

{#-
    What an attainment scores: nothing below the threshold, no more than the cap, itself between them. The best there is,
    nothing of what there should be little of, scores the cap.
-#}
{% macro score(attainment, value, target, better, threshold, cap) -%}
    case
        when {{ attainment }} is null and {{ better }} = 'lower' and {{ target }} > 0 and {{ value }} <= 0 then {{ cap }}
        when {{ attainment }} is null then null
        when {{ attainment }} < {{ threshold }} or {{ attainment }} < 0 then 0
        else least({{ attainment }}, {{ cap }})
    end
{%- endmacro %}

{#-
    CTEs, the last of them `scorecards`: one row per KPI of a scorecard, with the total of the scorecard in each. They stand
    after these five:

    attainments  as target_attainment has them
    kpis         kpi_code, better, level
    profile      kpi_code, weight, threshold, cap
    assigned     entity_level, entity_key, period_grain, period_start, kpi_code, weight, threshold, cap: what replaces the
                 profile's; without a weight the profile's stands
    steps        score_from, coefficient
-#}
{% macro scored() -%}
weighed as (

    select
        attainments.*,
        kpis.better,
        coalesce(assigned.weight, profile.weight) as weight,
        case when assigned.weight is null then profile.threshold else assigned.threshold end as threshold,
        case when assigned.weight is null then profile.cap else assigned.cap end as cap,
        assigned.weight is not null as is_assigned
    from attainments
    inner join kpis
        on attainments.kpi_code = kpis.kpi_code
    left join profile
        on attainments.kpi_code = profile.kpi_code
    left join assigned
        on
            attainments.kpi_code = assigned.kpi_code
            and attainments.entity_level = assigned.entity_level
            and attainments.entity_key = assigned.entity_key
            and attainments.period_grain = assigned.period_grain
            and attainments.period_start = assigned.period_start
    where
        attainments.period_grain in ('month', 'quarter', 'year')
        and attainments.entity_level in ('company', 'department', 'manager')
        and attainments.employed_share > 0
        and {{ may_judge('kpis.level', 'attainments.entity_level') }}
        and coalesce(assigned.weight, profile.weight) is not null

),

scores as (

    select
        *,
        cast(
            {{ score('attainment', 'value', 'target_value', 'better', 'threshold', 'cap') }} as decimal(9, 6)
        ) as score
    from weighed

),

-- Only what has a target and a value is scored; the rest is missing, which is not 0.
totals as (

    select
        entity_level,
        entity_key,
        period_grain,
        period_start,
        sum(weight) as weight,
        sum(case when score is not null then weight else 0 end) as scored_weight,
        sum(weight * score) as weighted_score
    from scores
    group by entity_level, entity_key, period_grain, period_start

),

rated as (

    select
        entity_level,
        entity_key,
        period_grain,
        period_start,
        cast(coalesce(round(scored_weight / nullif(weight, 0), 4), 0) as decimal(5, 4)) as scored_weight,
        cast(round(weighted_score / nullif(scored_weight, 0), 4) as decimal(9, 4)) as total_score
    from totals

),

ladder as (

    select
        score_from,
        coefficient,
        lead(score_from) over (order by score_from) as score_to
    from steps

),

scorecards as (

    select
        scores.*,
        rated.scored_weight,
        rated.total_score,
        ladder.coefficient as bonus_coefficient
    from scores
    inner join rated
        on
            scores.entity_level = rated.entity_level
            and scores.entity_key = rated.entity_key
            and scores.period_grain = rated.period_grain
            and scores.period_start = rated.period_start
    left join ladder
        on
            rated.total_score >= ladder.score_from
            and (ladder.score_to is null or rated.total_score < ladder.score_to)

)
{%- endmacro %}
