-- One row per version of a department that the export brought.
{{ mapped_department_version('files') }}
