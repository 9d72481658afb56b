-- One row per version of a change of owner; Bitrix24 keeps no history of owners, so the versions seen tell of changes.
{{ no_such_entity() }}
