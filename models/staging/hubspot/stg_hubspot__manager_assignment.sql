-- One row per stay of an owner in their primary team, as night by night it was seen: HubSpot keeps no history of teams.
{{ assignments_from_versions('hubspot') }}
