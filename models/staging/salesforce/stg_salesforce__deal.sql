-- One row per opportunity as Salesforce last told it.
{{ latest('salesforce', 'deal') }}
