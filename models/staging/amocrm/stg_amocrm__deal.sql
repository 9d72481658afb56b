-- One row per deal as amoCRM last told it.
{{ latest('amocrm', 'deal') }}
