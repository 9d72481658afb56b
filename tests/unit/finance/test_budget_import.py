"""Reading a budget workbook back: what it comes to, and what is refused, cell by cell, with nothing recorded."""

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kpimart.errors import SettingsError, WorkbookRefused
from kpimart.finance.budget import Key
from kpimart.finance.sheets.budget import AT, FIRST_ROW, KEYS
from kpimart.publish.release import rollback
from kpimart.warehouse import open_warehouse

FIRST, SERVED = "20261016T020000Z", "20261017T020000Z"


@pytest.fixture
def finance(planning: Any, tmp_path: Path) -> Any:
    """Somebody with a home of their own, who may import."""
    return replace(planning, home=shutil.copytree(planning.home, tmp_path / "home", copy_function=shutil.copy2))


def key(entity: str, grain: str = "year", month: int = 1, level: str = "department", code: str = "won_amount") -> Key:
    return Key(code, level, entity, grain, date(2027, month, 1))


def place_of(sheet: Any, wanted: Key | str, column: str = "input") -> Any:
    """The cell of a row."""
    name = wanted if isinstance(wanted, str) else "|".join(map(str, wanted))
    for row in sheet.iter_rows(min_row=FIRST_ROW + 1):
        if "|".join(str(cell.value) for cell in row[: len(KEYS)]) == name:
            return row[AT[column]]
    raise AssertionError(name)


WORKBOOKS: dict[str, bytes] = {}


def workbook_of(finance: Any) -> bytes:
    """The workbook of 2027, without sheets that are only looked at and cost a second to read and write."""
    served = finance.release.release_id
    if served not in WORKBOOKS:
        finance.export()
        book = finance.book()
        del book["Audit"], book["Overview"]
        book.save(finance.file)
        WORKBOOKS[served] = finance.file.read_bytes()
    return WORKBOOKS[served]


def filled(finance: Any, inputs: dict[Key, object], spoil: Callable[[Any], None] | None = None) -> None:
    """Type in the workbook, as Excel saves it, and do something to it."""
    finance.file.write_bytes(workbook_of(finance))
    book = finance.book()
    for wanted, value in inputs.items():
        place_of(book["Budget"], wanted).value = value
    if spoil:
        spoil(book)
    book.save(finance.file)


def refused(finance: Any) -> str:
    with pytest.raises(WorkbookRefused) as error:
        finance.give_back()
    assert finance.recorded() == {}
    return str(error.value)


# ----------------------------------------------------------------------------------------------------- what it comes to


def test_a_months_target_goes_to_the_managers_by_what_they_brought(finance: Any) -> None:
    """Ann brings 200 a day, Bob 100. Eve, hired on 1 September, has not shown yet what she can: their mean, 150."""
    filled(finance, {key("files:n", "month", 3): 1000.01})
    done = finance.give_back(note="first draft")
    assert (done.cells, done.targets, done.is_repeated) == (1, 4, False)
    assert finance.recorded() == {
        "won_amount|department|files:n|month|2027-03-01": Decimal("1000.01"),
        "won_amount|manager|files:ann|month|2027-03-01": Decimal("444.45"),
        "won_amount|manager|files:bob|month|2027-03-01": Decimal("222.22"),
        "won_amount|manager|files:eve|month|2027-03-01": Decimal("333.34"),
    }
    (total,) = done.totals
    assert (total.value, total.departments, total.managers) == (Decimal("1000.01"), 1, 3)


def test_who_is_new_is_asked_for_less_at_first(finance: Any) -> None:
    """In January Eve is in her fifth month, at 90 % of 150: 4,350 by 200 : 100 : 135."""
    filled(finance, {key("files:n", "month", 1): 4350})
    finance.give_back()
    found = finance.recorded()
    assert [found[f"won_amount|manager|files:{who}|month|2027-01-01"] for who in ("ann", "bob", "eve")] == [
        2000,
        1000,
        1350,
    ]


def test_a_years_target_goes_to_its_months_by_season_and_working_days(finance: Any) -> None:
    """A day of January brings 1.1, one of December 2.2, and March has 22 days: 20 × 1.1 of 20 × 19.8 + 2 × 1.3."""
    filled(finance, {key("files:e"): 3986})
    finance.give_back()
    months = [finance.recorded()[f"won_amount|department|files:e|month|2027-{month:02}-01"] for month in range(1, 13)]
    assert sum(months) == 3986
    assert [months[place] for place in (0, 2, 11)] == [220, 286, 440]


def test_sums_hold_at_every_level_and_in_every_month(finance: Any) -> None:
    filled(
        finance,
        {
            key("company", level="company"): 1_000_000.07,
            key("files:n", "month", 5): 30_000,
            key("files:s", "quarter", 7): 12_345.67,
        },
    )
    finance.give_back()
    found = finance.recorded()

    def months(level: str, who: str) -> list[Decimal]:
        return [found[f"won_amount|{level}|{who}|month|2027-{month:02}-01"] for month in range(1, 13)]

    def together(*of: list[Decimal]) -> list[Decimal]:
        return [sum(each, Decimal(0)) for each in zip(*of, strict=True)]

    company, west, east = months("company", "company"), months("department", "files:w"), months("department", "files:e")
    north, south = months("department", "files:n"), months("department", "files:s")
    assert sum(company) == Decimal("1000000.07")
    assert company == together(west, east)
    assert west == together(north, south, months("manager", "files:gus"))
    assert north == together(*(months("manager", f"files:{who}") for who in ("ann", "bob", "eve")))
    assert south == months("manager", "files:cid")
    assert north[4] == 30_000
    assert sum(south[6:9]) == Decimal("12345.67")


def test_who_left_gets_nothing(finance: Any) -> None:
    filled(finance, {key("files:s"): 1200})
    finance.give_back()
    assert not any("files:dan" in name for name in finance.recorded())


def test_what_is_left_empty_is_not_touched(finance: Any) -> None:
    filled(finance, {key("files:n", "month", 3): 1000})
    finance.give_back()
    assert {name.split("|")[4] for name in finance.recorded()} == {"2027-03-01"}


def test_a_quarter_and_a_year_of_which_every_month_is_set_become_their_sums(finance: Any) -> None:
    filled(finance, {key("files:e", "quarter", 4): 600})
    finance.give_back()
    taken_back = [name for name, value in finance.recorded().items() if value is None]
    assert taken_back == [
        "won_amount|department|files:e|quarter|2027-04-01",
        "won_amount|manager|files:fay|quarter|2027-04-01",
    ]


def test_counts_are_whole_for_departments_and_hundredths_for_people(finance: Any) -> None:
    filled(finance, {key("files:n", code="won_deals"): 100})
    finance.give_back()
    found = finance.recorded()
    of_north = [value for name, value in found.items() if "|files:n|month" in name]
    assert sum(of_north) == 100
    assert all(value == int(value) for value in of_north)
    assert sum(value for name, value in found.items() if "|manager|" in name and value is not None) == 100


def test_the_same_file_again_changes_nothing(finance: Any) -> None:
    filled(finance, {key("files:n", "month", 3): 1000})
    first = finance.give_back()
    again = finance.give_back(by="Somebody else")
    assert again.is_repeated
    assert (again.decided_at, again.targets) == (first.decided_at, 0)
    with open_warehouse(finance.home) as connection:
        assert connection.execute("select count(*) from raw.kpimart__target").fetchall() == [(4,)]


def test_an_earlier_version_can_be_brought_back(finance: Any, tmp_path: Path) -> None:
    filled(finance, {key("files:n", "month", 3): 1000})
    kept = shutil.copy(finance.file, tmp_path / "first.xlsx")
    finance.give_back()
    filled(finance, {key("files:n", "month", 3): 2000})
    assert finance.give_back().targets == 4
    shutil.copy(kept, finance.file)
    assert not finance.give_back().is_repeated
    assert finance.recorded()["won_amount|department|files:n|month|2027-03-01"] == 1000


def test_what_is_recorded_says_who_decided_it_why_and_by_which_file(finance: Any) -> None:
    filled(finance, {key("files:e", "month", 3): 1000})
    finance.give_back(by=" A. Ruiz ", note=" v2 ")
    with open_warehouse(finance.home) as connection:
        rows = connection.execute(
            """
            select distinct payload ->> '$.decided_by', payload ->> '$.note', payload ->> '$.release_id',
                length(payload ->> '$.file_sha256'), extracted_at
            from raw.kpimart__target
            """
        ).fetchall()
    assert rows == [("A. Ruiz", "v2", SERVED, 64, datetime(2026, 10, 20, 12, tzinfo=UTC))]


def test_rows_may_be_sorted(finance: Any) -> None:
    def sort(book: Any) -> None:
        sheet = book["Budget"]
        rows = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=FIRST_ROW + 1)]
        for number, row in enumerate(sorted(rows, key=lambda row: row[4], reverse=True), start=FIRST_ROW + 1):
            for column, value in enumerate(row, start=1):
                sheet.cell(number, column).value = value

    filled(finance, {key("files:n", "month", 3): 1000}, sort)
    finance.give_back()
    assert finance.recorded()["won_amount|department|files:n|month|2027-03-01"] == 1000


def test_a_workbook_in_russian_is_read_alike(finance: Any) -> None:
    finance.export(language="ru")
    book = finance.book()
    place_of(book["Бюджет"], key("files:n", "month", 3)).value = 1000
    book.save(finance.file)
    assert finance.give_back().targets == 4


# ------------------------------------------------------------------------------------------------------ what is refused


def test_every_cell_that_cannot_be_used_is_named(finance: Any) -> None:
    filled(
        finance,
        {
            key("files:n", "month", 1): "12k",
            key("files:n", "month", 2): -5,
            key("files:n", "month", 3): True,
            key("files:n", "month", 4): datetime(2027, 4, 1),  # noqa: DTZ001 - as Excel has it
            key("files:n", "month", 5, code="won_deals"): 2.5,
            key("files:n", "month", 6): "=1+1",
            key("files:n", "month", 7): 1e18,
            key("files:n", "month", 8): 1000,
        },
    )
    said = refused(finance)
    assert "nothing was imported, because of 7 cells or rows" in said
    for line in (
        "(won_amount, North, 2027-01): found the text '12k', expected a number",
        "(won_amount, North, 2027-02): found -5, expected 0 or more",
        "(won_amount, North, 2027-03): found True, expected a number",
        "(won_amount, North, 2027-04): found the date 2027-04-01, expected a number",
        "(won_deals, North, 2027-05): found 2.5, expected a whole number",
        "(won_amount, North, 2027-06): a formula without its result: open the file in Excel and save it",
        "(won_amount, North, 2027-07): found 1e+18, expected 0 or more, and less than 1,000,000,000,000,000",
    ):
        assert line in said
    assert "Budget!O" in said


def rename(book: Any) -> None:
    book["Budget"].title = "My budget"


def delete_a_row(book: Any) -> None:
    book["Budget"].delete_rows(place_of(book["Budget"], key("files:n", "month", 4)).row)


def copy_a_row(book: Any) -> None:
    row = place_of(book["Budget"], key("files:n", "month", 4)).row
    book["Budget"].append([cell.value for cell in book["Budget"][row]])


def paste_over_a_formula(book: Any) -> None:
    place_of(book["Budget"], key("files:n", "month", 4), "result").value = 1234


def change_a_key(book: Any) -> None:
    place_of(book["Budget"], key("files:n", "month", 4), "period_start").value = "2026-04-01"


def delete_a_column(book: Any) -> None:
    book["Budget"].delete_cols(AT["input"] + 1)


def type_below(book: Any) -> None:
    book["Budget"].cell(book["Budget"].max_row + 2, AT["input"] + 1).value = 5


def be_of_another_year(book: Any) -> None:
    next(row for row in book["kpimart"].iter_rows() if row[0].value == "year")[1].value = "2025"


def be_of_another_home(book: Any) -> None:
    next(row for row in book["kpimart"].iter_rows() if row[0].value == "release_id")[1].value = "20200101T000000Z"


def tell_another_moment(book: Any) -> None:
    next(row for row in book["kpimart"].iter_rows() if row[0].value == "as_of")[1].value = "2026-01-01T00:00:00+00:00"


def be_of_a_later_program(book: Any) -> None:
    next(row for row in book["kpimart"].iter_rows() if row[0].value == "format")[1].value = "9"


def lose_its_facts(book: Any) -> None:
    del book["kpimart"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (rename, "has no sheet 'Budget'; it has Notes, My budget, Plan and fact"),
        (delete_a_row, "Budget: the row of won_amount, North, 2027-04 is gone; bring it back"),
        (copy_a_row, "once more; delete one of them"),
        (paste_over_a_formula, "held a formula, and now 1234; bring it back"),
        (change_a_key, "'won_amount|department|files:n|month|2026-04-01', which no row had"),
        (delete_a_column, "has no input; undo their deletion"),
        (type_below, "5 stands in a row without its hidden keys"),
        (be_of_another_year, "is a budget of 2025, which is not to be planned any more"),
        (be_of_another_home, "release 20200101T000000Z, which was never published here"),
        (tell_another_moment, f"says that release {SERVED} is as of 2026-01-01T00:00:00+00:00"),
        (be_of_a_later_program, "is a budget workbook of format '9', and this program reads '1'"),
        (lose_its_facts, "is no budget workbook of kpimart: it has the sheets Notes, Budget"),
    ],
)
def test_a_spoilt_workbook_is_refused_whole(finance: Any, spoil: Callable[[Any], None], said: str) -> None:
    filled(finance, {key("files:n", "month", 3): 1000}, spoil)
    assert said in refused(finance)


def test_what_is_over_is_not_planned(finance: Any) -> None:
    finance.export(2026)
    book = finance.book()
    place_of(book["Budget"], "won_amount|department|files:n|month|2026-03-01").value = 1000
    book.save(finance.file)
    assert "(won_amount, North, 2026-03): that period, or a month of it, is over" in refused(finance)


def test_an_empty_workbook_is_refused(finance: Any) -> None:
    filled(finance, {})
    assert "nothing is typed in the yellow cells of 'Budget'" in refused(finance)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PK\x03\x04 and no more"])
def test_a_file_that_is_no_workbook_is_refused(finance: Any, content: bytes) -> None:
    finance.file.write_bytes(content)
    assert "is no Excel workbook that can be read" in refused(finance)


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/worksheets/sheet2.xml", "xl/styles.xml"])
def test_a_workbook_with_a_damaged_part_is_refused(finance: Any, part: str) -> None:
    filled(finance, {key("files:n", "month", 3): 1000})
    with zipfile.ZipFile(finance.file) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(finance.file, "w") as packed:
        for name, content in parts.items():
            packed.writestr(name, content[: len(content) // 2] if name == part else content)
    assert "is no Excel workbook that can be read" in refused(finance)


def test_a_zip_of_something_else_is_refused(finance: Any) -> None:
    with zipfile.ZipFile(finance.file, "w") as packed:
        packed.writestr("hello.txt", "hello")
    assert "is no Excel workbook that can be read" in refused(finance)


def test_a_file_that_is_not_there_and_nobodys_decision_are_refused(finance: Any) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        finance.give_back()
    with pytest.raises(SettingsError, match="needs the name of who decides it"):
        finance.give_back(by=" ")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (
            {key("files:n", "quarter", 1): 100, **{key("files:n", "month", month): 40 for month in (1, 2, 3)}},
            "won_amount, North, 2027-Q1: its months and quarters come to 20.00 more than it",
        ),
        (
            {key("files:n", "quarter", 1): 100, **{key("files:n", "month", month): 30 for month in (1, 2, 3)}},
            "won_amount, North, 2027-Q1: its months and quarters come to 10.00 less than it, and nobody is left",
        ),
        (
            {
                key("company", "month", 3, "company"): 100,
                key("files:w", "month", 3): 60,
                key("files:e", "month", 3): 50,
            },
            "won_amount, Company, 2027-03: those of its departments come to 10.00 more than it",
        ),
    ],
)
def test_what_does_not_add_up_is_refused(finance: Any, inputs: dict[Key, object], said: str) -> None:
    filled(finance, inputs)
    assert said in refused(finance)


# --------------------------------------------------------------------------------------------- what it was made from


def test_a_workbook_of_a_release_that_is_served_no_more_says_so(finance: Any) -> None:
    finance.export(release_id=FIRST)
    book = finance.book()
    place_of(book["Budget"], key("files:n", "month", 3)).value = 1000
    book.save(finance.file)
    (warning,) = finance.give_back().warnings
    assert f"it was made from release {FIRST}" in warning
    assert f"kpimart releases diff {FIRST}" in warning


def test_a_workbook_of_the_release_that_was_gone_back_to_is_fresh(finance: Any) -> None:
    rollback(finance.home, FIRST)
    filled(finance, {key("files:n", "month", 3): 1000})
    assert finance.give_back().warnings == ()


def test_a_workbook_of_a_damaged_release_is_refused(finance: Any) -> None:
    filled(finance, {key("files:n", "month", 3): 1000})
    file = finance.home / "reporting" / "releases" / SERVED / "parquet" / "kpi_value.parquet"
    file.chmod(0o644)
    file.write_bytes(b"something else")
    said = refused(finance)
    assert "was made from a release that is not what it was" in said
    assert "kpi_value.parquet" in said
