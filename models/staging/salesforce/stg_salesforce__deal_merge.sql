-- One row per deal that became a part of another; Salesforce merges no opportunities, so there are none.
{{ no_such_entity() }}
