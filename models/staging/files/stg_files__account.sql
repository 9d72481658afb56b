-- One row per account as the export last told it.
{{ mapped_account('files') }}
