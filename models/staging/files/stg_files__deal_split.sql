-- One row per share of a deal, as the export has it.
{{ mapped_deal_split('files') }}
