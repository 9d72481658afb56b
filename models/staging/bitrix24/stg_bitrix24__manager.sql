-- One row per manager as Bitrix24 last told it.
{{ latest('bitrix24', 'manager') }}
