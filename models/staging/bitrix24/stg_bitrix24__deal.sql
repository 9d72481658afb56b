-- One row per deal as Bitrix24 last told it.
{{ latest('bitrix24', 'deal') }}
