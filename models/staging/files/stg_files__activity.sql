-- One row per activity as the export last told it.
{{ mapped_activity('files') }}
