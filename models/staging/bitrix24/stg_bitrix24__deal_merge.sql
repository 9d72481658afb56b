-- One row per deal that became a part of another; Bitrix24 tells only that it is gone, so there are none.
{{ no_such_entity() }}
