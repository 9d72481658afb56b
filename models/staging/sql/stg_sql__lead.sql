-- One row per lead as the database last told it.
{{ mapped_lead('sql') }}
