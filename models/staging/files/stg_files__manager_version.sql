-- One row per version of a manager that the export brought.
{{ mapped_manager_version('files') }}
