"""What a person reads of weak spots: ties, what is weak, and that too few deals say nothing."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from rich.console import Console

from kpimart.figures import Period
from kpimart.insight.weak_spot import WeakSpot, WeakSpots
from kpimart.report.weak_spot import of_weak_spots

SPOT = WeakSpot(
    kind="stage_conversion",
    entity_key="ann",
    entity_name="Ann",
    pipeline_id="crm:1",
    pipeline_name="New business",
    stage_name="Demo",
    loss_reason="(none)",
    value=Decimal("0.3"),
    value_low=Decimal("0.2"),
    value_high=Decimal("0.4"),
    peer_value=Decimal("0.5"),
    peer_median=Decimal("0.55"),
    shrunk_value=Decimal("0.35"),
    sample_size=40,
    gap=Decimal("0.25"),
    is_weak=True,
    deal_worth=Decimal("100.00"),
    leak_amount=Decimal("1000.00"),
    leak_low=Decimal("600.00"),
    leak_high=Decimal("1400.00"),
    shrunk_leak_amount=Decimal("800.00"),
    leak_rank=1,
    is_tied=True,
)
FOUND = WeakSpots(
    period=Period("year", date(2025, 1, 1), date(2025, 12, 31), is_complete=True, start_before=None),
    is_complete=True,
    spots=(SPOT, replace(SPOT, entity_key="bob", entity_name="Bob", is_weak=False)),
    too_few=7,
    pipelines=1,
)


def printed(found: WeakSpots, language: str, shown_rows: int | None = None) -> str:
    console = Console(width=200, record=True, file=None, markup=False)
    with console.capture() as capture:
        for part in of_weak_spots(found, "manager", language, shown_rows=shown_rows):  # type: ignore[arg-type]
            console.print(part)
    return capture.get()


@pytest.mark.parametrize(("language", "deals"), [("en", "deals"), ("ru", "сделок")])
def test_a_tie_a_weakness_and_an_interval_are_shown(language: str, deals: str) -> None:
    told = printed(FOUND, language)
    assert deals in told
    assert [line.split()[1:3] for line in told.splitlines() if "Ann" in line or "Bob" in line] == [["1", "="]] * 2
    assert "30.0 % *" in told
    assert "20.0 % … 40.0 %" in told
    (row,) = (line for line in told.splitlines() if "Ann" in line)
    assert [cell.strip() for cell in row.split("│")[-4:-1]] == ["800.00", "1,000.00", "600.00 … 1,400.00"]


@pytest.mark.parametrize("kind", ["stage_conversion", "win_rate", "loss_reason", "stage_time"])
def test_of_several_pipelines_the_name_is_shown_and_of_one_none(kind: str) -> None:
    spot = replace(SPOT, kind=kind, loss_reason="Price")
    found = replace(FOUND, spots=(spot, replace(spot, pipeline_id="crm:2", pipeline_name="Renewals")))
    place = {"win_rate": [], "loss_reason": ["Price"]}.get(kind, ["Demo"])

    def places(told: str) -> list[list[str]]:
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in told.splitlines() if "│ Ann" in line]
        return [row[row.index("Ann") + 1 : row.index("30.0 % *" if kind != "stage_time" else "0.3 *")] for row in rows]

    told = printed(replace(found, pipelines=2), "en")
    assert places(told) == [["New business", *place], ["Renewals", *place]]
    assert "pipeline" in told
    assert "crm:1" not in told
    one = printed(found, "en")
    assert places(one) == [place, place]
    assert "pipeline" not in one


@pytest.mark.parametrize(
    ("is_over", "english", "russian"),
    [
        (True, "deals created 2025-01-01 … 2025-12-31, some still open", "2025-12-31, часть ещё открыта"),
        (False, "deals created 2025-01-01 … 2025-12-31, the period goes on", "2025-12-31, период ещё идёт"),
    ],
)
def test_what_may_still_change_is_told_with_why(is_over: bool, english: str, russian: str) -> None:
    found = replace(FOUND, is_complete=False, period=replace(FOUND.period, is_complete=is_over))
    assert printed(found, "en").splitlines()[0] == english
    assert printed(found, "ru").splitlines()[0].endswith(russian)
    if not is_over:
        nothing = replace(found, is_complete=True, spots=(), too_few=0)
        assert printed(nothing, "en").splitlines()[0] == english
    assert printed(FOUND, "en").splitlines()[0] == "deals created 2025-01-01 … 2025-12-31"


def test_what_is_left_out_is_counted() -> None:
    told = printed(FOUND, "en", shown_rows=1)
    assert "Bob" not in told
    assert "and 1 more: --all" in told
    assert "too few deals to tell: 7" in told


def test_where_nobody_is_behind_that_is_said() -> None:
    assert "Nobody is below the median peer" in printed(replace(FOUND, spots=()), "en")
