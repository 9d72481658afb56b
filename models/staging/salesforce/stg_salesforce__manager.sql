-- One row per user as Salesforce last told it.
{{ latest('salesforce', 'manager') }}
