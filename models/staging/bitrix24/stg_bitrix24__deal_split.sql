-- One row per share of a deal; Bitrix24 has none.
{{ no_such_entity() }}
