{#-
    Reading a source through its mapping: each macro renders the SQL of one canonical property. The checks at reading
    let only values pass that these casts can read, so a value that fails here is a mapping that changed since.
-#}

{#-
    The records of a canonical object, mapping by mapping. The caller renders the columns of one mapping; `only` says
    which versions are wanted.
-#}
{% macro from_mappings(crm, object, only='true') -%}
{#- Without a mapping there is one without columns, which makes an empty, typed model. -#}
{%- set mappings = (company().get(crm) or {}).get(object) or [{'columns': {}}] -%}
with

versions as (

    {{ raw_versions(crm, object) }}

),

{% for mapping in mappings %}
rows_{{ loop.index }} as (

    {{ mapped_rows(mapping, 'versions') }}

),

{% endfor %}
mapped as (

    {% for mapping in mappings %}
    select
        {{ caller(mapping) }}
    from rows_{{ loop.index }}
    where {{ only }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from mapped
{%- endmacro %}

{#- The rows that a mapping reads, with the mapped columns parsed once into `source`. -#}
{% macro mapped_rows(mapping, versions) -%}
    {%- set names = [] -%}
    {%- for column in mapping.columns.values() if column.get('column') and column.column not in names -%}
        {%- do names.append(column.column) -%}
    {%- endfor -%}
    {%- set structure = {} -%}
    {%- for name in names -%}{%- do structure.update({name: 'VARCHAR'}) -%}{%- endfor -%}
    {%- if names %}
    select
        *,
        from_json(payload, {{ sql_text(tojson(structure)) }}) as source
    from {{ versions }}
    -- a row has the columns of its own mapping only, in the order of their code points
    where json_keys(payload) = [{% for name in names | sort(case_sensitive=true) %}{{ sql_text(name) }}{% if not loop.last %}, {% endif %}{% endfor %}]
    {%- else %}
    select
        *,
        cast(null as varchar) as source
    from {{ versions }}
    where false
    {%- endif -%}
{%- endmacro %}

{% macro sql_text(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}

{#- The text of a property: trimmed of all kinds of blanks, cleaned up as the mapping says; empty is null. -#}
{% macro mapped_text(mapping, property) -%}
    {%- set column = mapping.columns.get(property) -%}
    {%- if column is none or column is not defined -%}
        cast(null as varchar)
    {%- elif column.get('constant') is not none -%}
        {{ sql_text(column.constant) }}
    {%- else -%}
        {%- set blanks = "chr(32)||chr(9)||chr(10)||chr(13)||chr(11)||chr(12)||chr(160)||chr(8199)||chr(8239)||chr(8203)||chr(65279)" -%}
        {%- set trimmed = 'nullif(trim(source."' ~ (column.column | replace('"', '""')) ~ '", ' ~ blanks ~ "), '')" -%}
        {%- if column.get('values') -%}
            case {{ trimmed }}
                {%- for found, meant in column['values'].items() %} when {{ sql_text(found) }} then {{ sql_text(meant) }}{% endfor %}
                else {{ trimmed }} end
        {%- else -%}
            {{ trimmed }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- The id of another record that a property names. -#}
{% macro mapped_id(crm, mapping, property) -%}
    {{ crm_id(crm, mapped_text(mapping, property)) }}
{%- endmacro %}

{#- The source says that the record is deleted, or it is no longer there. -#}
{% macro mapped_is_deleted(mapping) -%}
    is_deleted or coalesce(cast({{ mapped_text(mapping, 'is_deleted') }} as boolean), false)
{%- endmacro %}

{% macro mapped_amount(mapping, property, type='decimal(18, 2)') -%}
    {%- set text = mapped_text(mapping, property) -%}
    {%- if mapping.get('decimal_mark') == ',' -%}
        {%- set digits = "replace(regexp_replace(" ~ text ~ ", '[ \\x{00a0}\\x{202f}''’.]', '', 'g'), ',', '.')" -%}
    {%- else -%}
        {%- set digits = "regexp_replace(" ~ text ~ ", '[ \\x{00a0}\\x{202f}''’,]', '', 'g')" -%}
    {%- endif -%}
    cast({{ digits }} as {{ type }})
{%- endmacro %}

{#- A part of a whole: 0 to 1, or a percentage with its sign. -#}
{% macro mapped_share(mapping, property) -%}
    {%- set text = mapped_text(mapping, property) -%}
    {%- set digits = "rtrim(" ~ text ~ ", ' %')" -%}
    {%- if mapping.get('decimal_mark') == ',' -%}{%- set digits = "replace(" ~ digits ~ ", ',', '.')" -%}{%- endif -%}
    cast(
            cast({{ digits }} as decimal(11, 8)) * case when {{ text }} like '%\%' escape '\' then 0.01 else 1.00 end
            as decimal(9, 8)
        )
{%- endmacro %}

{#- The pattern of a date or a moment, or none for ISO 8601. -#}
{% macro mapped_format(mapping, property) -%}
    {%- set column = mapping.columns.get(property) or {} -%}
    {{ return(column.get('format') or mapping.get('date_format')) }}
{%- endmacro %}

{% macro mapped_date(mapping, property) -%}
    {%- set text = mapped_text(mapping, property) -%}
    {%- set format = mapped_format(mapping, property) -%}
    {%- if format -%}
        cast(strptime({{ text }}, {{ sql_text(format) }}) as date)
    {%- else -%}
        cast(left({{ text }}, 10) as date)
    {%- endif -%}
{%- endmacro %}

{#- A moment in UTC: a time without an offset is in the mapping's zone, a bare date begins in the company's. -#}
{% macro mapped_moment(mapping, property) -%}
    {%- set text = mapped_text(mapping, property) -%}
    {%- set format = mapped_format(mapping, property) -%}
    {%- set zone = sql_text(mapping.get('time_zone') or company().time_zone) -%}
    {%- if format and '%z' in format -%}
        strptime(regexp_replace({{ text }}, 'Z$', '+00:00'), {{ sql_text(format) }})
    {%- elif format and '%H' not in format and '%I' not in format -%}
        {{ start_of_day('strptime(' ~ text ~ ', ' ~ sql_text(format) ~ ')') }}
    {%- elif format -%}
        timezone({{ zone }}, strptime({{ text }}, {{ sql_text(format) }}))
    {%- else -%}
        case
            when regexp_full_match({{ text }}, '\d{4}-\d\d-\d\d') then {{ start_of_day(text) }}
            when regexp_matches({{ text }}, '\d\d:\d\d.*(Z|UTC|[+-]\d\d(:?\d\d)?)$') then cast(
                regexp_replace(
                    regexp_replace({{ text }}, ' ?(Z|UTC)$', '+00:00'),
                    '([T ]\d\d:\d\d(:\d\d(\.\d+)?)?) ?([+-])',
                    -- DuckDB asks for seconds
                    case when regexp_matches({{ text }}, '[T ]\d\d:\d\d:') then '\1\4' else '\1:00\4' end
                ) as timestamptz
            )
            else timezone({{ zone }}, cast({{ text }} as timestamp))
        end
    {%- endif -%}
{%- endmacro %}
