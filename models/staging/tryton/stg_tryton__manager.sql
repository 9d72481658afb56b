-- One row per employee as Tryton last told it.
{{ latest('tryton', 'manager') }}
