-- One row per version of a manager that the database brought.
{{ mapped_manager_version('sql') }}
