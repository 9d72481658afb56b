-- One row per group of users as amoCRM last told it.
{{ latest('amocrm', 'department') }}
