"""Which records of raw are deals, and for how much, by the mappings that they came through."""

from decimal import Decimal

from kpimart.extract.mapped import deals_of
from kpimart.settings import FileMapping
from kpimart.warehouse import open_memory

MAPPINGS = (
    FileMapping(file="old.csv", columns={"id": "deal", "amount": "sum/net~"}, decimal_mark=","),  # type: ignore[dict-item]
    FileMapping(file="new.csv", columns={"id": "deal", "amount": {"column": "sum", "values": {"-": "0"}}}),  # type: ignore[dict-item]
    FileMapping(file="fixed.csv", columns={"id": "it's", "amount": {"constant": "7.5"}}),  # type: ignore[dict-item]
    FileMapping(file="bare.csv", columns={"id": "deal", "stage": "stage"}),  # type: ignore[dict-item]
)
# Payload → whether it is a deal, and its amount.
RECORDS = {
    '{"deal": "1", "sum/net~": "-1.054,50"}': (True, Decimal("-1054.50")),
    '{"deal": "2", "sum/net~": ""}': (True, None),
    '{"deal": "3", "sum": " 1\u00a0054.50 "}': (True, Decimal("1054.50")),
    '{"deal": "4", "sum": "-"}': (True, Decimal("0.00")),
    '{"it\'s": "5"}': (True, Decimal("7.50")),
    '{"deal": "6", "stage": "Won"}': (True, None),
    # A mapping that is there no more.
    '{"deal": "7", "agent": "Ann"}': (False, None),
}


def test_a_record_is_a_deal_of_the_mapping_whose_columns_it_has() -> None:
    deals = deals_of(MAPPINGS)
    with open_memory() as connection:
        found = connection.execute(
            f"select payload, {deals.is_deal}, {deals.amount} from (select unnest($payloads) as payload)",
            {"payloads": list(RECORDS)},
        ).fetchall()
    assert {payload: (is_deal, amount) for payload, is_deal, amount in found} == RECORDS


def test_without_a_mapping_nothing_is_a_deal() -> None:
    assert deals_of(()).is_deal == "false"
