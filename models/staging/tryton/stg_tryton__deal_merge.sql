-- One row per deal that became a part of another; Tryton merges no opportunities, so there are none.
{{ no_such_entity() }}
