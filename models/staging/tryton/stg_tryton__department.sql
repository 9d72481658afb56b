-- One row per team or company as Tryton last told it.
{{ latest('tryton', 'department') }}
