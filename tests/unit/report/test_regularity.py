"""How regularities are shown."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from kpimart.figures import Period
from kpimart.insight.regularity import Buying, Cycle, EarlySign, Regularities, Season
from kpimart.language import Language
from kpimart.report.regularity import of_regularities

QUARTER = Period("quarter", date(2026, 7, 1), date(2026, 9, 30), True, date(2026, 4, 1))
SEASONS = (
    Season("month_of_year", "06", Decimal("1.496"), 2),
    Season("month_of_year", "P13", Decimal("0.5"), 2),
    Season("weekday", "1", Decimal("1.16"), 148),
)
CYCLE = Cycle("pipeline", "crm:1", "New business", 40, *[Decimal(9)] * 5)
SIGN = EarlySign(
    *("crm:1", "New business", "meeting", None, None, 40, 30),
    *(Decimal("0.6"), Decimal("0.5"), Decimal("0.1"), Decimal("-0.1"), Decimal("0.2"), Decimal("1.5"), "neither", True),
)
BUYING = Buying(2341, Decimal(91), Decimal("211.00"), Decimal("327.5"), 1094, 16)


def printed(language: Language, period: Period = QUARTER, **known: Any) -> str:
    nothing = {"closings": (), "since": None, "cycles": (), "signs": (), "seasons": (), "buying": None, "pipelines": 1}
    console = Console(width=200, record=True)
    for part in of_regularities(Regularities(period, **{**nothing, **known}), "company", language):
        console.print(part)
    return console.export_text()


@pytest.mark.parametrize(
    ("language", "names"), [("en", ["June", "P13", "Monday"]), ("ru", ["июнь", "P13", "понедельник"])]
)
def test_a_season_has_a_name_and_a_month_of_a_year_of_weeks_its_number(language: Language, names: list[str]) -> None:
    rows = [line.split("│")[2:5] for line in printed(language, seasons=SEASONS).splitlines() if line.startswith("│")]
    found = [tuple(cell.strip() for cell in row) for row in rows]
    assert found == [(names[0], "1.50", "2"), (names[1], "0.50", "2"), (names[2], "1.16", "148")]


def test_a_period_without_closings_says_why() -> None:
    assert "no wins in the period" in printed("en")
    assert "период ещё идёт" in printed("ru", replace(QUARTER, is_complete=False))


def test_purchases_are_told_in_a_sentence() -> None:
    assert (
        printed("en", buying=BUYING)
        .splitlines()[-1]
        .startswith(
            "Days from one purchase of an account to the next: median 211.0, middle half 91.0 … 327.5; 16 of 1,094 "
        )
    )
    assert "просрочили 16 из 1,094 клиентов" in printed("ru", buying=BUYING)


def test_what_is_not_known_is_not_told() -> None:
    said = printed("en")
    assert "company: too short a history" in said
    assert "purchase" not in said


def test_a_pipeline_is_called_by_its_name_where_there_are_several() -> None:
    told = printed("en", cycles=(CYCLE,), signs=(SIGN,), pipelines=2)
    assert "crm:1" not in told
    assert re.search(r"pipeline +│ New business +│ 9.0", told)
    assert re.search(r"│ New business +│ a meeting within 14 days", told)
    assert re.search(r"\n│ a meeting within 14 days", printed("en", signs=(SIGN,)))


def test_bands_of_amounts_are_words_with_separators() -> None:
    bands = ("below 1000", "1000 to 9999", "10000 to 99999", "100000 to 999999", "1000000 and more")
    cycles = tuple(replace(CYCLE, segment_by="amount_band", segment=band, segment_name=band) for band in bands)
    told = [line.split("│")[2].strip() for line in printed("ru", cycles=cycles).splitlines() if line.startswith("│")]
    assert told == [
        "меньше 1,000",
        "от 1,000 до 9,999",
        "от 10,000 до 99,999",
        "от 100,000 до 999,999",
        "1,000,000 и больше",
    ]
    assert "│ 100,000 to 999,999 │" in printed("en", cycles=cycles)


def test_wins_are_headed_as_what_is_counted() -> None:
    assert re.search("┃ 90 % +┃ побед ┃", printed("ru", cycles=(CYCLE,)))
    assert re.search("┃ 90 % +┃ wins ┃", printed("en", cycles=(CYCLE,)))


def test_a_sign_of_which_the_source_does_not_tell_is_not_counted() -> None:
    few = replace(SIGN, deals_with=0, goes_with=None)
    assert re.search(r"│ 0 / 30 +│ too few", printed("en", signs=(few,)))
    silent = replace(few, is_told=False)
    assert re.search("│ – +│ the source does not tell", printed("en", signs=(silent,)))
    assert re.search("│ – +│ источник не сообщает", printed("ru", signs=(silent,)))
