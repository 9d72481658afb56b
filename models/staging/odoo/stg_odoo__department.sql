-- One row per sales team as Odoo last told it.
{{ latest('odoo', 'department') }}
