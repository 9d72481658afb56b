-- One row per team as Pipedrive last told it.
{{ latest('pipedrive', 'department') }}
