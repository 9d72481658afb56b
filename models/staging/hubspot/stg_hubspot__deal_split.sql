-- One row per share of a deal; the splits of HubSpot's largest plan are not read, so there are none.
{{ no_such_entity() }}
