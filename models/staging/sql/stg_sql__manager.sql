-- One row per manager as the database last told it.
{{ latest('sql', 'manager') }}
