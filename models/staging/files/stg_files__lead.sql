-- One row per lead as the export last told it.
{{ mapped_lead('files') }}
