-- One row per version of a deal that the database brought.
{{ mapped_deal_version('sql') }}
