{#-
    Tables that are kept from night to night and built deal by deal: a build removes what some deals had, and derives
    their rows anew, in one transaction. Which deals those are depends on what the rows are derived from:
    'changed': those of which staging tells something else;
    'touched': also those that their surroundings, or the time that passed, tell otherwise;
    'counted': also those whose purchase has another number.
-#}
{% macro deals(which) -%}
    {%- if which == 'changed' -%}
        select deal_id
        from {{ ref('int_deal__content') }}
        where changed_in = (select build_id from {{ ref('stg_kpimart__build') }})
    {%- elif which == 'touched' -%}
        select deal_id
        from {{ ref('deal_touched') }}
    {%- elif which == 'counted' -%}
        {{ deals('touched') }}
        union
        select deal_id
        from {{ ref('purchase_content') }}
        where changed_in = (select build_id from {{ ref('build_moment') }})
    {%- endif -%}
{%- endmacro %}

{#-
    Before the rows of these deals are appended, those that they had go. dbt learns from this hook of the refs that only
    a build after the first one resolves.
-#}
{% macro remove_rows_of(which) -%}
    {%- set deals = deals(which) -%}
    {%- if goes_on() -%}
        delete from {{ this }} where deal_id in ({{ deals }})
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}

{#- Of a relation with a deal_id the rows to derive from: those of these deals, in a full build all. -#}
{% macro rows_of(which, condition='true') -%}
    where {{ condition }}
    {%- if goes_on() %} and deal_id in ({{ deals(which) }}){% endif %}
{%- endmacro %}

{#- Whether this build goes on with the table that an earlier one left. In unit tests there is none but what they give. -#}
{% macro goes_on() -%}
    {{ return(this is not none and is_incremental()) }}
{%- endmacro %}

{#-
    Of the rows of `told`, a key and the hash `content` of what is told under it, those that are new or others than in
    the table that an earlier build left, and those that are gone, without a content. `changed_in` is this build. One
    that did not finish has brought nothing up to date: what it found is found again.
-#}
{% macro what_changed(told, key) -%}
select
    {%- for column in key %}
    coalesce({{ told }}.{{ column }}, before.{{ column }}) as {{ column }},
    {%- endfor %}
    {{ told }}.content,
    build.build_id as changed_in
from {{ told }}
full join (
    {% if goes_on() -%}
        select * from {{ this }}
    {%- else -%}
        select *, cast(null as varchar) as changed_in from {{ told }} where false
    {%- endif %}
) as before
    on
        {%- for column in key %}
        {{ 'and ' if not loop.first }}{{ told }}.{{ column }} = before.{{ column }}
        {%- endfor %}
cross join {{ ref('stg_kpimart__build') }} as build
where
    before.{{ key[0] }} is null
    or {{ told }}.content is distinct from before.content
    or before.changed_in not in (
        select live_builds.build_id from {{ ref('stg_kpimart__live_build') }} as live_builds where live_builds.is_finished
    )
{%- endmacro %}
