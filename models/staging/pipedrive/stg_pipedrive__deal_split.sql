-- One row per share of a deal; a Pipedrive deal has one owner, so there are none.
{{ no_such_entity() }}
