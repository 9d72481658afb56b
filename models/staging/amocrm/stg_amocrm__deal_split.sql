-- One row per share of a deal; amoCRM has none.
{{ no_such_entity() }}
