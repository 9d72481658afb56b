-- One row per deal as Pipedrive last told it.
{{ latest('pipedrive', 'deal') }}
