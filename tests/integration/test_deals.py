"""Deals that become one, deals that are shared, and deals in another currency, in a small company that exports files.

Two exports, and a build that knows of both: in the second, deals were merged. In a third a deal has a currency that
nobody gave a rate for.
"""

from dataclasses import dataclass

import pytest
from small_company import CONFIG, Company

from kpimart import pipeline
from kpimart.errors import BuildFailed

SETTINGS = (
    CONFIG.replace('updated_at = "changed"', 'updated_at = "changed"\nmerged_into = "master"', 1)
    + """
[[files.deal_splits]]
file = "shares.csv"
[files.deal_splits.columns]
deal = "deal"
manager = "agent"
share = "part"
valid_from = "since"
is_overlay = "on top"
"""
)

# D1 and D2 are one sale, and so are D3, D4 and D5. A euro was 1.1814 dollars from 1 February, 1.1689 from 1 March.
FIRST_NIGHT = """\
deal,agent,account,stage,created,closed,amount,currency,changed,master
D1,Ann,Acme,Won,2026-01-05,2026-02-10,1000.00,USD,2026-02-10,
D2,Bob,Acme,Won,2026-01-06,2026-02-12,1000.00,USD,2026-02-12,D2
D3,Ann,Bolt,Won,2026-01-05,2026-01-10,300.00,USD,2026-01-10,
D4,Bob,Bolt,Won,2026-01-05,2026-01-20,300.00,USD,2026-01-20,
D5,Cid,Bolt,Won,2026-01-05,2026-03-05,300.00,USD,2026-03-05,
D6,Ann,Crest,Won,2026-01-07,2026-02-15,100.05,EUR,2026-02-15,
D7,Bob,Crest,Talking,2026-02-10,,200.00,EUR,2026-02-10,
D8,Ann,Dune,Won,2026-01-08,2026-03-15,900.00,USD,2026-03-15,
"""
SECOND_NIGHT = (
    FIRST_NIGHT.replace("USD,2026-02-10,", "USD,2026-03-20,D2")
    .replace("USD,2026-01-10,", "USD,2026-03-21,D4")
    .replace("USD,2026-01-20,", "USD,2026-03-22,D5")
)
THIRD_NIGHT = (
    SECOND_NIGHT
    + "D9,Ann,Elm,Won,2026-01-08,2026-01-09,10.00,GBP,2026-01-09,\n"
    + "D10,Ann,Elm,Lost,2026-01-08,2026-03-09,10.00,GBP,2026-03-09,\n"
)
SHARES = """\
deal,agent,part,since,on top
D8,Ann,60%,2026-01-01,
D8,Bob,40%,2026-01-01,
D8,Ann,0.5,2026-03-01,no
D8,Bob,0.4,2026-03-01,no
D8,Cid,0.25,2026-02-01,yes
"""


@dataclass(frozen=True)
class Nights:
    """The company after its nights, and what was said of them."""

    company: Company
    warnings: tuple[str, ...]
    refusal: str


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    company = Company(tmp_path_factory.mktemp("deals"))
    company.configure(SETTINGS)
    company.write("shares.csv", SHARES)
    company.write("deals.csv", FIRST_NIGHT)
    company.extract_here()
    company.write("deals.csv", SECOND_NIGHT)
    warnings = company.run_here().build.warnings
    company.write("deals.csv", THIRD_NIGHT)
    with pytest.raises(BuildFailed) as failed:
        company.run_here()
    return Nights(company, warnings, str(failed.value))


def won_as_known(company: Company, moment: str) -> dict[tuple[str, str], float]:
    """(month, manager) → amount, of all that was recorded by then."""
    rows = company.ask_served(
        f"""
        select strftime(occurred_on, '%Y-%m') as month, split_part(manager_id, ':', 2) as manager, sum(sign * amount)
        from deal_event where event_type = 'won' and recorded_at <= (select {moment} from deal_event)
        group by all having sum(sign) > 0
        """
    )
    return {(month, who): float(amount) for month, who, amount in rows}


def test_a_merge_leaves_the_credit_once_with_the_deal_that_stayed(nights: Nights) -> None:
    assert won_as_known(nights.company, "min(recorded_at)") == {
        ("2026-01", "Ann"): 300,
        ("2026-01", "Bob"): 300,
        ("2026-02", "Ann"): 1118.20,
        ("2026-02", "Bob"): 1000,
        ("2026-03", "Ann"): 900,
        ("2026-03", "Cid"): 300,
    }
    assert won_as_known(nights.company, "max(recorded_at)") == {
        ("2026-02", "Ann"): 118.20,
        ("2026-02", "Bob"): 1000,
        ("2026-03", "Ann"): 900,
        ("2026-03", "Cid"): 300,
    }


def test_a_merge_takes_back_in_the_original_period_and_is_an_event_of_its_own(nights: Nights) -> None:
    rows = nights.company.ask_served(
        """
        select deal_id, event_type, sign, occurred_on::varchar, amount::varchar, constant_amount::varchar,
            merged_into_deal_id, dense_rank() over (order by recorded_at) as night
        from deal_event
        where deal_id in ('files:D1', 'files:D3', 'files:D4') and event_type in ('won', 'merged')
        order by deal_id, night, event_type desc
        """
    )
    merged = (("D1", "02-10", "1000.00", "03-20", "D2"), ("D3", "01-10", "300.00", "03-21", "D4"),
              ("D4", "01-20", "300.00", "03-22", "D5"))  # fmt: skip
    assert rows == [
        row
        for deal, won_on, amount, merged_on, into in merged
        for row in (
            (f"files:{deal}", "won", 1, f"2026-{won_on}", amount, amount, None, 1),
            (f"files:{deal}", "won", -1, f"2026-{won_on}", amount, amount, None, 2),
            (f"files:{deal}", "merged", 1, f"2026-{merged_on}", amount, amount, f"files:{into}", 2),
        )
    ]
    assert nights.company.ask_served("select string_agg(deal_id, ' ' order by deal_id) from deal") == [
        ("files:D2 files:D5 files:D6 files:D7 files:D8",)
    ]


def test_an_amount_is_told_as_it_is_at_the_rate_of_its_day_and_at_one_rate_for_all_days(nights: Nights) -> None:
    """100.05 × 1.1814 = 118.199…; × 1.1689 = 116.948…; the open deal was booked in February."""
    assert nights.company.ask_served(
        """
        select deal_id, native_amount::varchar, currency_code, amount::varchar, constant_amount::varchar
        from deal where currency_code = 'EUR' order by deal_id
        """
    ) == [("files:D6", "100.05", "EUR", "118.20", "116.95"), ("files:D7", "200.00", "EUR", "236.28", "233.78")]


def test_shares_hold_from_their_day_and_are_one_together_but_for_those_on_top(nights: Nights) -> None:
    assert nights.company.ask(
        """
        select manager_id, share::varchar, is_overlay, valid_from::varchar, valid_to::varchar
        from core.deal_share order by is_overlay, valid_from, manager_id
        """
    ) == [
        ("files:Ann", "0.600000", False, "2026-01-01", "2026-03-01"),
        ("files:Bob", "0.400000", False, "2026-01-01", "2026-03-01"),
        ("files:Ann", "0.555556", False, "2026-03-01", "9999-12-31"),
        ("files:Bob", "0.444444", False, "2026-03-01", "9999-12-31"),
        ("files:Cid", "0.250000", True, "2026-02-01", "9999-12-31"),
    ]
    (warning,) = nights.warnings
    assert warning.splitlines()[1:] == ["  deal files:D8 from 2026-03-01 on: 0.900000"]


def test_without_a_rate_the_run_says_what_to_add_and_publishes_nothing(nights: Nights) -> None:
    assert nights.refusal.splitlines() == [
        "amounts cannot be converted: add these lines, with their rates, to seeds/exchange_rate.csv and rerun",
        "  GBP: no rate into USD that is at most 31 days old on 2026-01-08 and 2 more days to 2026-03-09 "
        "(deals: 2); add",
        "    GBP,USD,2026-01-08,<rate>",
        "    GBP,USD,2026-03-09,<rate>",
    ]
    with pytest.raises(BuildFailed, match="did not finish"):
        pipeline.publish(nights.company.settings())
    assert nights.company.ask_served("select count(*) from release") == [(1,)]
