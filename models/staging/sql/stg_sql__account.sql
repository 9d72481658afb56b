-- One row per account as the database last told it.
{{ mapped_account('sql') }}
