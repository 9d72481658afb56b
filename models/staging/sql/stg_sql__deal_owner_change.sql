-- One row per version of a change of owner: from changed_at on the deal is this manager's.
{{ mapped_deal_owner_change('sql') }}
