-- One row per owner as HubSpot last told it.
{{ latest('hubspot', 'manager') }}
