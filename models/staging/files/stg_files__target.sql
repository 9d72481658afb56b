-- One row per target as the export last told it.
{{ mapped_target('files') }}
