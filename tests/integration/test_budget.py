"""A budget from one run to the next: written, filled in, read back, and in force to the cent."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
from small_company import Company

from kpimart.clock import utc_now


def test_what_finance_typed_is_the_plan_of_the_next_release_at_every_level(company: Company, tmp_path: Path) -> None:
    """The company is to win 24,000.01 in 2027: its departments, managers, quarters and months are planned that much."""
    file = tmp_path / "budget.xlsx"
    assert company.kpimart("export", "budget", str(file), "--year", "2027").code == 0
    book = openpyxl.load_workbook(file)
    sheet = book["Budget"]
    column = {cell.value: cell.column for cell in sheet[1]}
    year = ("won_amount", "company", "company", "year", "2027-01-01")
    row = next(row for row in sheet.iter_rows() if tuple(cell.value for cell in row[:5]) == year)
    row[column["input"] - 1].value = 24000.01
    book.save(file)
    assert "1 cells came to 84 targets" in company.kpimart("import", "budget", str(file), "--by", "A. Ruiz").said
    assert "nothing was recorded" in company.kpimart("import", "budget", str(file), "--by", "A. Ruiz").said

    company.run_here(as_of=utc_now() + timedelta(days=1))

    planned = company.ask_served(
        """
        select entity_level, period_grain, sum(plan) from budget_input
        where kpi_code = 'won_amount' and scope = 'period' and period_start between '2027-01-01' and '2027-12-31'
            and (entity_level <> 'department' or entity_key in ('files:North', 'files:South'))
        group by all
        """
    )
    assert len(planned) == 9
    assert {total for *_, total in planned} == {Decimal("24000.01")}
