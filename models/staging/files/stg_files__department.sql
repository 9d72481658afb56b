-- One row per department as the export last told it.
{{ latest('files', 'department') }}
