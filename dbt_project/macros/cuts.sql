{#-
    The cuts that figures are published in, each varying one thing of the main one: who gets the credit, by which rate
    amounts are converted, and by which property of the deal they are told apart. The first is the main cut.

    credit_lens    at_event:      the owner when it happened
                   current_owner: the owner now
                   split:         those who share the deal, by their shares, which sum to one
                   overlay:       those who are credited on top of that; these figures sum to no company total
    amount_basis   booking:  the rate of the day it happened on
                   constant: one rate for all days
                   native:   not converted
    property       the column whose values make a cut each
-#}
{% macro cuts() -%}
    {% set main = {'credit_lens': 'at_event', 'amount_basis': 'booking', 'cut_by': 'all'} %}
    {{ return([
        main,
        dict(main, cut_by='pipeline', property='pipeline_id'),
        dict(main, cut_by='product', property='product'),
        dict(main, cut_by='lead_source', property='lead_source'),
        dict(main, cut_by='currency', property='currency_code', amount_basis='native'),
        dict(main, amount_basis='constant'),
        dict(main, credit_lens='current_owner'),
        dict(main, credit_lens='split'),
        dict(main, credit_lens='overlay'),
    ]) }}
{%- endmacro %}

{#- The number of the main cut, which is published at every grain; all others are from month on. -#}
{% macro main_cut() -%}
    0
{%- endmacro %}

{% macro grains_of_cuts() -%}
    {{ return(['month', 'quarter', 'year']) }}
{%- endmacro %}

{#- Whether a cut has figures at a grain; `finest` are the grains that are asked for in the main cut. -#}
{% macro has_grain(finest, cut_id, period_grain) -%}
    (
        {{ period_grain }} in {{ sql_list(grains_of_cuts()) }}
        or ({{ cut_id }} = {{ main_cut() }} and {{ period_grain }} in {{ sql_list(finest) }})
    )
{%- endmacro %}

{#- What a deal without a property is told under. -#}
{% macro no_property() -%}
    '(none)'
{%- endmacro %}

{#-
    The rows of a relation, once for every cut that they are in. `columns` are carried along; `measures` are those whose
    sums the relation has, one column for each basis; `properties` are those that its rows have, of the ones that cuts go
    by.
-#}
{% macro in_every_cut(relation, columns, measures=[], properties=['pipeline_id', 'product', 'lead_source', 'currency_code']) -%}
    {%- for cut in cuts() %}
    select
        cuts.cut_id
        {%- for column in columns %},
        {{ relation }}.{{ column }}
        {%- endfor %}
        {%- for measure in measures %},
        {{ relation }}.{{ measure.name }}_{{ cut.amount_basis if cut.amount_basis in bases_of(measure) else 'booking' }} as {{ measure.name }}
        {%- endfor %}
    from {{ relation }}
    inner join {{ ref('kpi_cut') }} as cuts
        on
            cuts.credit_lens = '{{ cut.credit_lens }}'
            and cuts.amount_basis = '{{ cut.amount_basis }}'
            and cuts.cut_by = '{{ cut.cut_by }}'
            {%- if cut.property in properties %}
            and cuts.cut_value = coalesce({{ relation }}.{{ cut.property }}, {{ no_property() }})
            {%- elif cut.property %}
            and cuts.cut_value = {{ no_property() }}
            {%- endif %}
    where {{ relation }}.credit_lens = '{{ cut.credit_lens }}'
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
{%- endmacro %}

{#- The bases in which a measure differs: all of them where it looks at an amount. -#}
{% macro bases_of(measure) -%}
    {%- set looks_at_amount = 'amount' in measure.sql ~ measure.get('filter', '') and measure.relation in ('events', 'open_changes') -%}
    {{ return(['booking', 'constant', 'native'] if looks_at_amount else ['booking']) }}
{%- endmacro %}

{#- An expression of a measure over the amounts of a basis. -#}
{% macro in_basis(expression, basis) -%}
    {{ return(expression if basis == 'booking' else modules.re.sub('\\b(weighted_)?amount\\b', '\\g<1>' ~ basis ~ '_amount', expression)) }}
{%- endmacro %}

{#-
    A part of an amount, in cents that sum to the whole over `whole`: what rounding down leaves goes to the largest
    remainders, one cent each, of equal ones to the manager who comes first.
-#}
{% macro apportioned(amount, share, whole) -%}
    {%- set exact = 'cast(abs(' ~ amount ~ ') as decimal(20, 2)) * cast(' ~ share ~ ' * 100 as decimal(9, 6))' -%}
    cast(
        sign({{ amount }}) * (
            floor({{ exact }})
            + case
                when
                    row_number() over (
                        partition by {{ whole }} order by {{ exact }} - floor({{ exact }}) desc, manager_id
                    ) <= cast(abs({{ amount }}) as decimal(20, 2)) * 100 - sum(floor({{ exact }})) over (partition by {{ whole }})
                    then 1
                else 0
            end
        ) * 0.01 as decimal(18, 2)
    )
{%- endmacro %}
