-- One row per share of a deal; an opportunity has one employee, so there are none.
{{ no_such_entity() }}
