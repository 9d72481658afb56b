import io
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from openpyxl.workbook import Workbook

from kpimart.errors import SettingsError, StorageFailed
from kpimart.publish import workbook
from kpimart.publish.shelf import Release
from kpimart.publish.workbook import DEFAULT_TABLES, export_workbook

BERLIN = ZoneInfo("Europe/Berlin")

POISONED = {
    "formula": "=cmd|' /C calc'!A0",
    "plus": "+1+1",
    "minus": "-2+3",
    "at": "@SUM(A1)",
    "tab": "\t=1+1",
    "link": "https://evil.example/x",
    "html": "<script>alert(1)</script>",
    "sql": "'); drop table deal; --",
    "number": "007",
    "control": "a\x07b\x00c",
    "long": "я" * 40_000,
    "wide": "😀" * 20_000,
    "huge": "x" * 10_000_000,
}


def write(company, file: Path, *tables: str) -> Workbook:
    made = company.publish()
    export_workbook(made, file, BERLIN, tables)
    return openpyxl.load_workbook(file)


def column(sheet, name: str) -> list[object]:
    (place,) = [cell.column for cell in sheet[1] if cell.value == name]
    return [row[place - 1].value for row in sheet.iter_rows(min_row=2)]


def test_a_workbook_begins_with_what_it_is_of_and_has_the_figures_first(company, tmp_path: Path) -> None:
    book = write(company, tmp_path / "kpi.xlsx")
    assert book.sheetnames == ["about", *(name[:31] for name in DEFAULT_TABLES)]
    about = {row[0].value: row[1].value for row in book["about"].iter_rows()}
    assert about["release"] == company.served_id()
    assert str(about["figures as of"]) == "2026-11-21 01:00:00"  # midnight of UTC, in Berlin
    assert about["times are those of"] == "Europe/Berlin"


def test_a_sheet_has_a_frozen_head_filters_formats_and_notes(company, tmp_path: Path) -> None:
    company.change("""update seeds.kpi_catalogue set format = '0.0%' where kpi_code = 'win_rate'""")
    book = write(company, tmp_path / "kpi.xlsx", "kpi_company_month", "kpi_value")
    sheet = book["kpi_company_month"]
    head = {cell.value: cell for cell in sheet[1]}
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == f"A1:{head['won_amount'].column_letter}2"
    assert head["win_rate"].comment.text == "Win rate (ratio)"
    formats = {name: sheet.cell(2, cell.column).number_format for name, cell in head.items()}
    assert (formats["won_amount"], formats["win_rate"], formats["open_deals"]) == ("#,##0.00", "0.0%", "#,##0")
    assert sheet.cell(2, head["won_amount"].column).value == 700.70
    long = book["kpi_value"]
    values = {cell.value: cell.column for cell in long[1]}
    shown = {
        row[values["kpi_code"] - 1].value: row[values["value"] - 1].number_format for row in long.iter_rows(min_row=2)
    }
    assert shown["win_rate"] == "0.0%"
    assert shown["open_deals"] == "#,##0"


def test_a_format_that_excel_might_not_open_is_replaced(company, tmp_path: Path) -> None:
    company.change("""update seeds.kpi_catalogue set format = '"<!' where kpi_code = 'open_deals'""")
    book = write(company, tmp_path / "kpi.xlsx", "kpi_company_month")
    sheet = book["kpi_company_month"]
    (place,) = [cell.column for cell in sheet[1] if cell.value == "open_deals"]
    assert sheet.cell(2, place).number_format == "#,##0"


def test_no_text_becomes_a_formula_a_link_or_a_number_and_none_is_too_long(company, tmp_path: Path) -> None:
    for name, text in POISONED.items():
        with company.warehouse() as connection:
            connection.execute(
                "insert into core.fct_deal by name select * replace (? as deal_id, ? as deal_name) "
                "from core.fct_deal where deal_id = 'files:1'",
                [name, text],
            )
    file = tmp_path / "kpi.xlsx"
    sheet = write(company, file, "deal")["deal"]
    (place,) = [cell.column for cell in sheet[1] if cell.value == "deal_name"]
    cells = {row[0].value: row[place - 1] for row in sheet.iter_rows(min_row=2)}
    assert {cells[name].data_type for name in POISONED} == {"s"}
    assert [name for name in POISONED if cells[name].quotePrefix] == ["formula", "plus", "minus", "at", "tab"]
    for name in ("formula", "plus", "minus", "at", "link", "html", "sql", "number"):
        assert cells[name].value == POISONED[name]
    assert cells["control"].value == "a\ufffdb\ufffdc"
    assert cells["long"].value == "я" * (32_767 - 8) + " … (cut)"
    assert cells["wide"].value == "😀" * ((32_767 - 8) // 2) + " … (cut)"
    with zipfile.ZipFile(file) as parts:
        sheets = [parts.read(name) for name in parts.namelist() if name.startswith("xl/worksheets/sheet")]
    assert not any(b"<f>" in text or b"<hyperlink" in text for text in sheets)


def test_what_excel_cannot_say_is_left_empty_or_written_out(company, tmp_path: Path) -> None:
    company.change("""
        insert into core.dim_department_closure values
            ('files:a', 'files:all', 1, date '0001-01-01', date '9999-12-31'),
            ('files:b', 'files:all', 1, date '1900-02-28', date '1900-03-01');
        update core.fct_deal set created_at = timestamptz '1899-12-31 00:00:00+00' where deal_id = 'files:1';
        update core.fct_deal set amount = 9999999999999999.99, closed_at = null where deal_id = 'files:2';
        update core.fct_deal set amount = -12.5 where deal_id = 'files:3';
    """)
    book = write(company, tmp_path / "kpi.xlsx", "dim_department_closure", "deal")
    closure, deal = book["dim_department_closure"], book["deal"]
    assert column(closure, "valid_from") == ["0001-01-01", "1900-02-28"]
    assert [str(day) for day in column(closure, "valid_to")] == ["9999-12-31 00:00:00", "1900-03-01 00:00:00"]
    assert column(deal, "created_at")[0] == "1899-12-31 01:00:00+01:00"
    assert column(deal, "amount")[:3] == [10.05, 1e16, -12.5]
    assert column(deal, "closed_at")[1] is None


@pytest.mark.parametrize(
    ("value", "found"),
    [(Decimal("NaN"), None), (float("inf"), None), (10**15, "1000000000000000"), (True, True), (date(2026, 1, 2), "d")],
)
def test_a_value_of_any_kind_has_a_cell(company, tmp_path: Path, value: object, found: object) -> None:
    made = Release("r", *[datetime(2026, 1, 1, tzinfo=UTC)] * 3, "1", None, tmp_path, is_current=True)
    packed = io.BytesIO()
    book = workbook._Book(packed, made, BERLIN, {})
    book.cell(book.book.add_worksheet(), 0, 0, value, "General")
    book.book.close()
    read = openpyxl.load_workbook(packed).active["A1"]
    assert read.data_type == "d" if found == "d" else read.value == found


def test_a_table_that_is_longer_than_a_sheet_is_refused_before_anything_is_written(
    company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = company.publish()
    monkeypatch.setattr(workbook, "MAX_ROWS", 9)
    with pytest.raises(
        SettingsError, match=r"deal \(9 rows\): a sheet has room for 8 rows .*kpimart export parquet DIR"
    ):
        export_workbook(made, tmp_path / "kpi.xlsx", BERLIN, ["dim_manager", "deal"])
    assert list(tmp_path.glob("*.xlsx*")) == []
    monkeypatch.setattr(workbook, "MAX_ROWS", 10)
    export_workbook(made, tmp_path / "kpi.xlsx", BERLIN, ["deal"])


def test_a_failure_leaves_the_workbook_that_was_there(company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = company.publish()
    (tmp_path / "kpi.xlsx").write_bytes(b"yesterday's")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workbook, "_write_about", full)
    with pytest.raises(StorageFailed, match=r"writing .*kpi.xlsx: the disk is full"):
        export_workbook(made, tmp_path / "kpi.xlsx", BERLIN, ["deal"])
    assert (tmp_path / "kpi.xlsx").read_bytes() == b"yesterday's"
    assert [path.name for path in tmp_path.glob(".*xlsx*")] == []


def test_what_is_not_published_and_another_ending_are_refused(company, tmp_path: Path) -> None:
    made = company.publish()
    with pytest.raises(SettingsError, match=r"kpi.csv: a workbook's name ends in .xlsx"):
        export_workbook(made, tmp_path / "kpi.csv", BERLIN)
    with pytest.raises(SettingsError, match="deals: the release has no such table"):
        export_workbook(made, tmp_path / "kpi.xlsx", BERLIN, ["deals"])
