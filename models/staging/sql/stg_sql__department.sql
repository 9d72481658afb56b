-- One row per department as the database last told it.
{{ mapped_department('sql') }}
