-- One row per version of a deal that says into which other it was merged.
{{ mapped_deal_merge('files') }}
