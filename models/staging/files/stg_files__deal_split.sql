-- One row per share of a deal; the export says nothing of shares, so there are none.
{{ no_such_entity() }}
