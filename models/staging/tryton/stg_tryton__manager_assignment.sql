-- One row per stay of an employee in a team, as night by night it was seen: Tryton keeps no history of supervisors.
{{ assignments_from_versions('tryton') }}
