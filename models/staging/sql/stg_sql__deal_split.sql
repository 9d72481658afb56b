-- One row per share of a deal; the database says nothing of shares, so there are none.
{{ no_such_entity() }}
