"""The workbook calculated anew by LibreOffice: every formula comes to our own number, to the cent."""

import subprocess
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from kpimart.finance.budget import Key
from kpimart.finance.sheets.budget import AT, FIRST_ROW, KEYS

SECONDS = 300
# LibreOffice believes the results that a file brings with it, unless it is told not to.
ALWAYS_CALCULATE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop>
</item>
</oor:items>
"""

Calculate = Callable[[Path], Any]


@pytest.fixture
def calculated(tmp_path: Path) -> Calculate:
    """A file as LibreOffice saves it after calculating all of it."""
    profile = tmp_path / "profile"
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(ALWAYS_CALCULATE)

    def calculate(file: Path) -> Any:
        target = tmp_path / "calculated"
        subprocess.run(
            [
                *("soffice", "--headless", f"-env:UserInstallation={profile.as_uri()}"),
                *("--convert-to", "xlsx", "--outdir", str(target), str(file)),
            ],
            check=True,
            capture_output=True,
            timeout=SECONDS,
        )
        return openpyxl.load_workbook(target / file.name, data_only=True)

    return calculate


def differences(planning: Any, calculated: Any) -> tuple[int, list[str]]:
    """How many formulas there are, and those that came to something else than the file says."""
    formulas, values = planning.book(), planning.book(values=True)
    count, found = 0, []
    for sheet in formulas:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    count += 1
                    ours = values[sheet.title][cell.coordinate].value
                    theirs = calculated[sheet.title][cell.coordinate].value
                    if not is_same(ours, theirs):
                        found.append(f"{sheet.title}!{cell.coordinate} {cell.value}: {ours!r}, not {theirs!r}")
    return count, found


def is_same(ours: object, theirs: object) -> bool:
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return abs(ours - theirs) < 0.005
    return (ours or None) == (theirs or None)


def typed() -> dict[Key, Decimal]:
    """Months, quarters and years of several, some of which do not add up."""

    def key(entity: str, grain: str, month: int = 1, level: str = "department", code: str = "won_amount") -> Key:
        return Key(code, level, entity, grain, date(2027, month, 1))

    months = {key("files:n", "month", month): Decimal("1234.56") * month for month in range(1, 13)}
    return months | {
        key("files:s", "year"): Decimal("98765.43"),
        key("files:e", "quarter", 4): Decimal("1000.01"),
        key("files:n", "quarter", 7): Decimal(1),
        key("company", "month", 12, "company"): Decimal(70000),
        key("company", "year", 1, "company", "new_customers"): Decimal(40),
        key("files:w", "month", 2, code="won_deals"): Decimal(3),
    }


@pytest.mark.parametrize("year", [2026, 2027])
def test_every_formula_comes_to_our_number(planning: Any, calculated: Calculate, year: int) -> None:
    planning.export(year, inputs=typed() if year == 2027 else {})
    count, found = differences(planning, calculated(planning.file))
    assert count > 1000
    assert found == []


def test_a_workbook_follows_what_is_typed_in_it(planning: Any, calculated: Calculate, tmp_path: Path) -> None:
    """Typed by hand in the empty workbook, the formulas come to what they do in the one that had it from the start."""
    planning.export()
    book = planning.book()
    rows = {
        "|".join(str(cell.value) for cell in row[: len(KEYS)]): row
        for row in book["Budget"].iter_rows(min_row=FIRST_ROW + 1)
    }
    for key, value in typed().items():
        rows["|".join(map(str, key))][AT["input"]].value = float(value)
    by_hand = tmp_path / "by_hand.xlsx"
    book.save(by_hand)
    recalculated = calculated(by_hand)
    planning.export(inputs=typed())
    _, found = differences(planning, recalculated)
    assert found == []


def test_drivers_and_scenarios_follow_their_levers(planning: Any, calculated: Calculate, tmp_path: Path) -> None:
    """North has three managers: with four, and prices 10 % up, it wins a third more of a tenth more."""
    planning.export()
    book = planning.book()
    before = planning.book(values=True)
    scenarios, drivers = book["Scenarios"], book["Drivers"]
    place = next(row[0].row for row in scenarios.iter_rows() if [row[0].value, row[1].value] == ["Won amount", "North"])
    scenarios.cell(place, 7).value, scenarios.cell(place, 8).value = 4, 0.1
    january = next(row[0].row for row in drivers.iter_rows() if [row[0].value, row[1].value] == ["North", "2027-01"])
    drivers.cell(january, 3).value = 2 * before["Drivers"].cell(january, 3).value
    changed = tmp_path / "changed.xlsx"
    book.save(changed)
    after = calculated(changed)
    for column in (9, 10, 11):
        base = before["Scenarios"].cell(place, column).value
        assert after["Scenarios"].cell(place, column).value == pytest.approx(base * 4 / 3 * 1.1)
    amount = before["Drivers"].cell(january, 7).value
    assert after["Drivers"].cell(january, 7).value == pytest.approx(2 * amount)
    last = before["Drivers"].max_row
    assert after["Drivers"].cell(last, 7).value == pytest.approx(before["Drivers"].cell(last, 7).value + amount)
