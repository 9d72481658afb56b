-- One row per department as the database last told it.
{{ latest('sql', 'department') }}
