-- One row per stay of a user in a group, as night by night it was seen: amoCRM keeps no history of groups.
{{ assignments_from_versions('amocrm') }}
