-- One row per version of a stage change: from changed_at on the deal is in this stage.
{{ mapped_deal_stage_change('sql') }}
