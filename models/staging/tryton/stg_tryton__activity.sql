-- One row per activity; these modules of Tryton have none.
{{ no_such_entity() }}
