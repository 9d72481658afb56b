-- One row per deal as the database last told it.
{{ latest('sql', 'deal') }}
