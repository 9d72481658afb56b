-- One row per deal as the export last told it.
{{ latest('files', 'deal') }}
