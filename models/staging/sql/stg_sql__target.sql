-- One row per target as the database last told it.
{{ mapped_target('sql') }}
