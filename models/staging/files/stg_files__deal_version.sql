-- One row per version of a deal that the export brought.
{{ mapped_deal_version('files') }}
