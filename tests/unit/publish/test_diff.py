import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from kpimart.errors import SettingsError
from kpimart.publish import contract
from kpimart.publish.diff import diff

CORRECTED = """
    update core.fct_deal set amount = amount + 1000 where deal_id = 'files:3';
    insert into kpi.kpi_counted_event by name
    select
        deal_id || '|corrected|' || entry_sign as deal_event_id, deal_id, 'won' as event_type, entry_sign as sign,
        occurred_at, occurred_on, timestamptz '2026-11-22 01:00:00+00' as recorded_at,
        manager_id, department_id, account_id,
        (amount + more)::decimal(18, 2) as amount, currency_code
    from kpi.kpi_counted_event, (values (-1, 0), (1, 1000)) as entries (entry_sign, more)
    where deal_id = 'files:3';
    update kpi.kpi_value set value = value + 1000
    where
        kpi_code = 'won_amount' and period_grain = 'month'
        and entity_key in ('company', 'files:north', 'files:mo', 'files:mo|files:north');
"""


@pytest.fixture(scope="module")
def corrected(published, warehouse_of_a_night: Path, tmp_path_factory: pytest.TempPathFactory):
    """Two releases; between them deal 3 of Mo, in North, became worth 1,030.15 instead of 30.15."""
    company = type(published)(tmp_path_factory.mktemp("corrected"))
    shutil.copy(warehouse_of_a_night, company.home)
    first = company.publish()
    company.change(CORRECTED)
    return first, company.publish()


def test_the_figures_that_changed_are_named_with_their_change(corrected) -> None:
    found = diff(*corrected, limit=None)
    assert [(cell.entity_level, cell.period_grain, cell.change) for cell in found.cells] == [
        (level, "month", Decimal(1000)) for level in ("company", "department", "manager", "manager_in_department")
    ]
    company = found.cells[0]
    assert (company.before, company.after) == (Decimal("700.70"), Decimal("1700.70"))
    assert [(kpi.kpi_code, kpi.cells) for kpi in found.kpis] == [("won_amount", 4)]


def test_each_comes_with_the_entries_of_the_ledger_behind_it(corrected) -> None:
    found = diff(*corrected, limit=None)
    assert found.entries == 2
    for cell in found.cells[:1] + found.cells[2:]:
        assert [(entry.sign, entry.amount, entry.why) for entry in cell.causes] == [
            (1, Decimal("1030.15"), "recorded"),
            (-1, Decimal("30.15"), "recorded"),
        ]
    entry = found.cells[0].causes[0]
    assert (entry.deal_id, entry.deal_name, entry.manager_name) == ("files:3", "Deal 3", "Mo")
    assert entry.occurred_on == date(2026, 11, 17)


def test_what_a_department_below_did_is_behind_the_figure_of_the_one_above(company) -> None:
    company.change("""
        insert into core.dim_department_closure values
            ('files:north', 'files:all', 1, date '0001-01-01', date '9999-12-31'),
            ('files:north', 'files:north', 0, date '0001-01-01', date '9999-12-31')
    """)
    first = company.publish()
    company.change(CORRECTED.replace("('company',", "('files:all',"))
    found = diff(first, company.publish(), level="department", limit=None)
    assert {cell.entity_key: cell.cause_count for cell in found.cells} == {"files:all": 2, "files:north": 2}


def test_what_happened_in_time_is_told_apart_from_what_became_known(company) -> None:
    company.change("delete from kpi.kpi_counted_event where deal_id = 'files:9'")
    first = company.publish()
    company.change("""
        insert into kpi.kpi_counted_event by name
        select * replace ('late' as deal_event_id, timestamptz '2026-11-20' as recorded_at)
        from kpi.kpi_counted_event where deal_id = 'files:1';
        update kpi.kpi_value set value = value + 1 where kpi_code = 'won_amount' and entity_level = 'company'
    """)
    found = diff(first, company.publish(), limit=1)
    assert [(entry.deal_id, entry.why) for entry in found.cells[0].causes] == [("files:1", "happened")]


def test_backwards_what_only_the_first_has_is_no_longer_there(corrected) -> None:
    first, second = corrected
    found = diff(second, first, limit=1)
    assert found.cells[0].change == Decimal(-1000)
    assert {entry.why for entry in found.cells[0].causes} == {"no longer there"}


def test_a_figure_of_one_release_only_has_no_change(company) -> None:
    first = company.publish()
    company.change("delete from kpi.kpi_value where kpi_code = 'open_deals' and entity_level <> 'company'")
    company.change("delete from kpi.kpi_value where kpi_code = 'open_deals' and period_grain <> 'year'")
    (cell,) = diff(first, company.publish(), level="company", kpi_codes=["open_deals"], limit=1).cells
    assert (cell.period_grain, cell.before, cell.after, cell.change) == ("quarter", Decimal(7), None, None)


def test_few_are_shown_and_all_are_counted(corrected) -> None:
    found = diff(*corrected, limit=1)
    assert (len(found.cells), found.cell_count) == (1, 4)


def test_only_the_kpis_and_the_level_that_are_asked_for_are_compared(corrected) -> None:
    assert diff(*corrected, kpi_codes=["win_rate"], limit=None).cells == ()
    assert [cell.entity_key for cell in diff(*corrected, level="manager", limit=None).cells] == ["files:mo"]


def test_a_kpi_that_neither_has_is_refused(corrected) -> None:
    with pytest.raises(SettingsError, match="--kpi: won_amout: expected codes"):
        diff(*corrected, kpi_codes=["won_amout"], limit=None)


def test_a_release_is_not_compared_with_itself(corrected) -> None:
    with pytest.raises(SettingsError, match="one and the same release"):
        diff(corrected[0], corrected[0], limit=None)


def test_a_release_of_an_older_contract_is_named(company, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(contract, "BUILT", tuple(each for each in contract.BUILT if each.name != "dim_manager"))
        patch.setattr(contract, "PUBLISHED", (*contract.BUILT, contract.QUALITY_RESULT, contract.RELEASE))
        old = company.publish()
    with pytest.raises(SettingsError, match=r"one is of an older contract: .*dim_manager"):
        diff(old, company.publish(), limit=None)
