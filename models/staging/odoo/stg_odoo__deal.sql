-- One row per deal as Odoo last told it.
{{ latest('odoo', 'deal') }}
