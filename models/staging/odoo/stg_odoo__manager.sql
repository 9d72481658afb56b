-- One row per manager as Odoo last told it.
{{ latest('odoo', 'manager') }}
