-- One row per share of a deal; an opportunity has one salesperson, so there are none.
{{ no_such_entity() }}
