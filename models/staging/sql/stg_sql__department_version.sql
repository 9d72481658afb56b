-- One row per version of a department that the database told.
{{ mapped_department_version('sql') }}
