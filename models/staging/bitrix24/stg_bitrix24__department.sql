-- One row per department as Bitrix24 last told it.
{{ latest('bitrix24', 'department') }}
