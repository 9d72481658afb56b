-- One row per team as HubSpot last told it.
{{ latest('hubspot', 'department') }}
