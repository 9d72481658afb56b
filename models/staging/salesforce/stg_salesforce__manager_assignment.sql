-- One row per stay of a user in a role, by the versions that were read.
{{ assignments_from_versions('salesforce') }}
