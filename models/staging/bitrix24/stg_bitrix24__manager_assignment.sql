-- One row per stay of a manager in a department, as night by night it was seen: Bitrix24 keeps no history of it.
{{ assignments_from_versions('bitrix24') }}
