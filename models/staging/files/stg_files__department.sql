-- One row per department as the export last told it.
{{ mapped_department('files') }}
