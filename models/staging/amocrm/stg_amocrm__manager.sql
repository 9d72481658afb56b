-- One row per manager as amoCRM last told it.
{{ latest('amocrm', 'manager') }}
