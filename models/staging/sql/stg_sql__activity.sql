-- One row per activity as the database last told it.
{{ mapped_activity('sql') }}
