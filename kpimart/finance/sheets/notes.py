"""What the workbook is, how it is filled in and given back; and, where nobody edits, what it was made from."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from kpimart.finance.sheets.audit import local
from kpimart.finance.sheets.book import SHEETS, Book, Look
from kpimart.finance.spreading import RAMP

NAME = "Notes"
FACTS_SHEET = "kpimart"
"""The sheet that tells the import what the workbook was made from; not shown, and not to be shown by a click."""

GUIDE = (
    "Type in the yellow cells of the sheet «Budget» only: months, quarters or the year, departments or the company. "
    "What is left empty changes nothing.",
    "A target of a quarter or a year goes to its months by the shares of the last years and by working days; that of a "
    "department to its managers by their last twelve months, seniority and working days. Sums hold to the cent.",
    "What is set below stands: the rest of a target goes to those for whom nothing is typed. The last column says "
    "where typed figures do not add up.",
    "«Drivers» and «Scenarios» are for trying out; to take a result over, type =, click its cell, and save in Excel.",
    "Forecasts are those of the vintage named above; low and high are the ends of the interval that covers 80 % of "
    "outcomes.",
    "New managers reach full productivity in five months: {ramp} of it in the first months.",
    "The sheets are protected against slips, without a password. Sort and filter as you like; do not delete rows.",
)


def write(made: Book, zone: ZoneInfo, facts: Mapping[str, str], command: str) -> None:
    """Write the first sheet, and the hidden one. command: how the workbook is read back."""
    sheet = made.open(NAME, widths={0: 34.0, 1: 110.0}, head_row=0, frozen_columns=0)
    year = made.budget.year.name
    sheet.write_string(0, 0, made.say("Budget {year}", year=year), made.title)
    release = made.release
    origins = {known.origin_on for known in made.budget.figures.values() if known.origin_on}
    rows = [
        (made.say("Release"), release.release_id),
        (made.say("Figures as of"), local(release.as_of, zone)),
        (made.say("Known at"), local(release.known_at, zone)),
        (made.say("Published at"), local(release.published_at, zone)),
        (made.say("Vintage of the forecast"), max(origins).isoformat() if origins else made.say("no forecast")),
        (made.say("Made by"), f"kpimart {release.code_version}"),
        (made.say("Check the release with"), f"kpimart verify {release.release_id}"),
        (made.say("Read this workbook back with"), command),
    ]
    for place, (name, value) in enumerate(rows, start=2):
        made.text(sheet, place, 0, name, Look(is_total=True))
        made.text(sheet, place, 1, value)
    guide_row = len(rows) + 3
    ramp = ", ".join(f"{share:.0%}" for share in map(float, RAMP))
    for number, line in enumerate(GUIDE, start=1):
        sheet.set_row(guide_row + number, 30)
        sheet.write_string(guide_row + number, 0, f"{number}.", made.wrapped)
        sheet.write_string(guide_row + number, 1, made.say(line, ramp=ramp), made.wrapped)
    sheets_row = guide_row + len(GUIDE) + 2
    sheet.write_string(sheets_row, 0, made.say("Sheets"), made.head)
    for number, name in enumerate(SHEETS[1:], start=1):
        sheet.write_url(sheets_row + number, 0, f"internal:'{made.say(name)}'!A1", string=made.say(name))
    sheet.write_blank(sheets_row + len(SHEETS) + 1, 0, None, made.look(Look(is_input=True)))
    sheet.write_string(sheets_row + len(SHEETS) + 1, 1, made.say("a cell to type in"))
    _write_facts(made, facts)


def _write_facts(made: Book, facts: Mapping[str, str]) -> None:
    sheet = made.book.add_worksheet(FACTS_SHEET)
    for row, (name, value) in enumerate(facts.items()):
        sheet.write_string(row, 0, name)
        sheet.write_string(row, 1, value)
    sheet.protect()
    sheet.very_hidden()
    for name, value in facts.items():
        if ":" not in name:
            made.book.set_custom_property(f"kpimart {name}", value, "text")
