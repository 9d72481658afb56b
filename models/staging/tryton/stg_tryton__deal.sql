-- One row per deal as Tryton last told it.
{{ latest('tryton', 'deal') }}
