-- One row per deal as HubSpot last told it.
{{ latest('hubspot', 'deal') }}
