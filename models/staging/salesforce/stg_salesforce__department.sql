-- One row per role as Salesforce last told it.
{{ latest('salesforce', 'department') }}
