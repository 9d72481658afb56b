-- One row per stay of a user in a team, by the versions that were read.
{{ assignments_from_versions('pipedrive') }}
