-- One row per manager as the export last told it.
{{ latest('files', 'manager') }}
