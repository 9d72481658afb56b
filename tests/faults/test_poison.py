"""An export in which somebody, or a broken program, wrote what should not be there: counted right or set aside."""

import csv
import io
from collections.abc import Callable, Iterator
from decimal import Decimal

import openpyxl
import pytest
from small_company import CONFIG, DEALS, RELEASED, Company

from kpimart.publish.release import find
from kpimart.publish.workbook import export_workbook
from sampling import IS_FULL

CHANGES = 1_000_000 if IS_FULL else 1_000

ACCOUNTS = {
    "formula": "=cmd|' /C calc'!A0",
    "sql": "'); drop table raw.files__deals; --",
    "html": "<img src=x onerror=alert(1)>",
    "jinja": "{{ 1 / 0 }}{% raw %}",
    "control": "bell\x07 escape\x1b[31m",
    "bidi": "\u202egnp.exe",
    # Longer than a field of CSV may be; set aside.
    "huge": "x" * 10_000_000,
}
POISONED = [f"P{number}" for number in range(1, len(ACCOUNTS))]

# id → amount, created, closed, whether it counts: whatever can be an amount and a day does.
NUMBERS = {
    "N1": ("-250.00", "2026-03-01", "2026-03-20", True),
    "N2": ("9999999999.99", "2026-03-01", "2026-03-20", True),
    # A build of a century takes its time.
    "N3": ("10.00", "1900-01-01" if IS_FULL else "2025-01-01", "2026-03-20", True),
    "N4": ("10.00", "2026-03-01", "9999-12-31", False),
    "N5": ("NaN", "2026-03-01", "2026-03-20", False),
    "N6": ("Infinity", "2026-03-01", "2026-03-20", False),
    "N7": ("1e40", "2026-03-01", "2026-03-20", False),
    "N8": ("12.00", "0000-00-00", "2026-03-20", False),
}

HISTORY = """
[[files.stage_changes]]
file = "history.csv"
extent = "delta"
[files.stage_changes.columns]
deal = "deal"
stage = "stage"
changed_at = "at"
"""


def poisoned_deals() -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for number, account in enumerate(ACCOUNTS.values(), start=1):
        rows.writerow([f"P{number}", "Ann", account, "Won", "2026-03-01", "2026-03-20", "1.00", "USD", "2026-03-20"])
    for deal, (amount, created, closed, _) in NUMBERS.items():
        rows.writerow([deal, "Bob", "Acme", "Won", created, closed, amount, "USD", "2026-03-20"])
    return DEALS + text.getvalue()


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The company after a night with that export, and with very many stage changes of the deal D04."""
    from small_company import company_in

    company = company_in(tmp_path_factory)
    company.write("deals.csv", poisoned_deals())
    stages = ["Talking", "Won"]
    changes = (
        f"D04,{stages[number % 2]},2026-02-{number % 27 + 1:02}T00:00:{number % 60:02}.{number:06}Z"
        for number in range(CHANGES)
    )
    company.write("history.csv", "deal,stage,at\n" + "\n".join([*changes, "D04,Talking,2026-03-01T00:00:00Z"]) + "\n")
    # A deal is called like its account.
    company.configure(CONFIG.replace('account = "account"', 'account = "account"\nname = "account"') + HISTORY)
    company.run_here()
    yield company
    company.rewind(RELEASED)


def test_every_deal_counts_or_is_set_aside_with_its_reason(poisoned: Company) -> None:
    counted = {*POISONED, *(deal for deal, (*_, counts) in NUMBERS.items() if counts)}
    set_aside = poisoned.ask("select record_id, reason from ops.quarantine where record_id is not null")
    won = poisoned.ask_served("select deal_id from deal where outcome = 'won' and closed_at < '2026-04-01'")
    assert counted <= {deal.removeprefix("files:") for (deal,) in won}
    assert {deal for deal, _ in set_aside} == {deal for deal, (*_, counts) in NUMBERS.items() if not counts}
    assert all(reason for _, reason in set_aside)


def test_the_sum_is_that_of_what_counts(poisoned: Company) -> None:
    """4,500.50 of the first night, 1.00 of each poisoned account, and N1, N2, N3."""
    expected = Decimal("4500.50") + len(POISONED) + Decimal("-250.00") + Decimal("9999999999.99") + Decimal("10.00")
    ((value, open_amounts),) = poisoned.ask_served("""
        select
            max(value) filter (where kpi_code = 'won_amount'), count(*) filter (where value::varchar = 'NaN')
        from kpi_value
        where period_grain = 'quarter' and period_start = date '2026-01-01' and entity_level = 'company'
    """)
    assert (value, open_amounts) == (expected, 0)


def test_names_arrive_as_they_were_written(poisoned: Company) -> None:
    arrived = set(ACCOUNTS.values()) - {ACCOUNTS["huge"]}
    names = poisoned.ask("select distinct payload ->> 'account' from raw.files__deals where id like 'P%'")
    assert {name for (name,) in names} == arrived
    published = poisoned.ask_served("select distinct deal_name from deal where deal_id like 'files:P%'")
    assert {name for (name,) in published} == arrived


def test_every_stage_change_of_the_one_deal_is_kept(
    poisoned: Company, record_property: Callable[[str, object], None]
) -> None:
    assert poisoned.ask("select count(*) from raw.files__stage_changes") == [(CHANGES + 1,)]
    assert poisoned.ask_served("select outcome from deal where deal_id = 'files:D04'") == [("open",)]
    record_property(
        "figure",
        f"{len(ACCOUNTS)} poisoned names, {len(NUMBERS)} impossible amounts and days, {CHANGES:,} stage changes of one "
        "deal: each counts, or is set aside with its reason",
    )


def test_the_workbook_of_it_holds_no_live_formula(poisoned: Company) -> None:
    file = poisoned.root / "poisoned.xlsx"
    export_workbook(find(poisoned.home), file, poisoned.settings().zone, ["deal", "dim_manager", "leaderboard"])
    kinds = {cell.data_type for sheet in openpyxl.load_workbook(file) for row in sheet.iter_rows() for cell in row}
    assert "f" not in kinds


def test_the_commands_that_show_it_end_well(poisoned: Company) -> None:
    shown = poisoned.kpimart("kpi", "explain", "won_amount", "--period", "2026-Q1", "--all")
    assert (shown.code, "\x1b" in shown.out, "\x07" in shown.out) == (0, False, False)
