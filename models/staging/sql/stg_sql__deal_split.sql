-- One row per share of a deal, as the database has it.
{{ mapped_deal_split('sql') }}
