-- One row per user as Pipedrive last told it.
{{ latest('pipedrive', 'manager') }}
