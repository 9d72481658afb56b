{#- The customer of a deal or a lead: its company, else its contact. CRMs write 0, or nothing, for none. -#}
{% macro customer_id(crm, company, contact) -%}
    coalesce(
        {{ crm_id(crm, "nullif(nullif(" ~ company ~ ", '0'), '')") }},
        {{ contact_id(crm, "nullif(nullif(" ~ contact ~ ", '0'), '')") }}
    )
{%- endmacro %}

{#- A contact among the customers: its number may be a company's, too. -#}
{% macro contact_id(crm, id) -%}
    {{ crm_id(crm, "'contact:' || " ~ id) }}
{%- endmacro %}
