-- One row per stay of a manager in a department: as the database states it, else from the versions seen of the manager.
{{ mapped_manager_assignment('sql') }}
