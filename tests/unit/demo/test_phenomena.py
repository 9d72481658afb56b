"""What a sales department goes through, counted: each must be there, often enough to be seen."""

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest

from kpimart.demo import Company
from kpimart.demo.world import LOSS_REASONS, PIPELINES, PRODUCTS

from .exported import BERLIN, Export, Row, berlin_day

POSITIONS = {
    stage.name: position for pipeline in PIPELINES.values() for position, stage in enumerate(pipeline.stages, start=1)
}
OPEN = {stage.name for pipeline in PIPELINES.values() for stage in pipeline.open_stages}
WON = {pipeline.won.name for pipeline in PIPELINES.values()}
START, END = date(2023, 10, 16), date(2026, 10, 16)


def changes(demo: Export) -> list[tuple[str, str]]:
    """All pairs of stages that a deal was in one after the other."""
    return [(one["stage"], other["stage"]) for history in demo.stages.values() for one, other in pairwise(history)]


def win_rate(demo: Export, department: str) -> float:
    members = {row["id"] for row in demo["managers"] if row["department"] == department}
    won, lost = (sum(deal["manager"] in members for deal in deals) for deals in (demo.won, demo.lost))
    return won / (won + lost)


def won_amount(demo: Export, department: str) -> float:
    members = {row["id"] for row in demo["managers"] if row["department"] == department}
    return sum(float(deal["amount"]) for deal in demo.won if deal["manager"] in members)


def response_hours(lead: Row, first: Row) -> float:
    waited = datetime.fromisoformat(first["occurred_at"]) - datetime.fromisoformat(lead["created_at"])
    return waited / timedelta(hours=1)


def is_at_quarter_end(day: date) -> bool:
    in_a_week = day + timedelta(days=7)
    return (day.month - 1) // 3 != (in_a_week.month - 1) // 3


def test_some_forty_managers_come_and_go(demo: Export) -> None:
    hired = [date.fromisoformat(row["hired_on"]) for row in demo["managers"]]
    assert 34 <= len(hired) <= 46
    assert sum(day < START for day in hired) == 28
    assert sum(day >= START for day in hired) >= 6
    assert sum(row["left_on"] is not None for row in demo["managers"]) >= 4


def test_managers_move_between_departments(demo: Export) -> None:
    assert len(demo["manager_assignments"]) - len(demo["managers"]) >= 3


def test_deals_change_hands(demo: Export) -> None:
    assert sum(len(owners) > 1 for owners in demo.owners.values()) >= 100


@pytest.mark.parametrize(("pipeline", "at_least"), [("new_business", 3000), ("renewals", 400), ("partner", 500)])
def test_every_pipeline_is_in_use(demo: Export, pipeline: str, at_least: int) -> None:
    deals = [deal for deal in demo["deals"] if deal["pipeline"] == pipeline]
    assert len(deals) >= at_least
    assert {deal["stage"] for deal in deals} == {stage.name for stage in PIPELINES[pipeline].stages}


def test_its_size_keeps_a_run_short(demo: Export) -> None:
    assert 6_000 <= len(demo["deals"]) <= 10_000


def test_deals_skip_stages(demo: Export) -> None:
    forward = [(one, other) for one, other in changes(demo) if {one, other} <= OPEN]
    assert sum(POSITIONS[other] - POSITIONS[one] > 1 for one, other in forward) >= 200


def test_deals_fall_back(demo: Export) -> None:
    assert sum(POSITIONS[other] < POSITIONS[one] for one, other in changes(demo) if one in OPEN) >= 200


def test_won_and_lost_deals_are_reopened_and_closed_either_way(demo: Export) -> None:
    reopened = [
        (next(stage for stage in reversed(stages[:-1]) if stage not in OPEN), stages[-1])
        for history in demo.stages.values()
        if (stages := [change["stage"] for change in history])
        if any(stage not in OPEN for stage in stages[:-1])
    ]
    fates = Counter((before in WON, after in WON) for before, after in reopened if after not in OPEN)
    assert all(fates[before, after] >= 3 for before in (True, False) for after in (True, False)), fates


def test_some_deals_are_forgotten_in_their_stage(demo: Export) -> None:
    month_ago = (END - timedelta(days=30)).isoformat()
    stale = [deal for deal in demo.open if demo.stages[deal["id"]][-1]["changed_at"] < month_ago]
    assert 0.02 < len(stale) / len(demo.open) < 0.5


def test_deals_older_than_the_crm_have_no_date_of_creation(demo: Export) -> None:
    undated = [deal for deal in demo["deals"] if deal["created_at"] is None]
    assert len(undated) == 28 * 8
    assert {deal["source"] for deal in undated} == {"Taken over"}


def test_duplicates_are_deleted(demo: Export) -> None:
    deleted = [deal for deal in demo["deals"] if deal["is_deleted"]]
    assert len(deleted) >= 10
    assert all(deal["closed_at"] is None for deal in deleted)


def test_open_deals_lack_some_of_what_they_should_have(demo: Export) -> None:
    for column in ("account", "amount", "expected_close_on"):
        assert 0 < sum(deal[column] is None for deal in demo.open) < len(demo.open) / 2, column


def test_every_won_deal_has_an_account(demo: Export) -> None:
    assert all(deal["account"] for deal in demo.won)


def test_leads_come_from_every_source_and_some_become_deals(demo: Export) -> None:
    sources = Counter(lead["source"] for lead in demo["leads"])
    assert len(sources) == 5
    converted = sum(lead["deal"] is not None for lead in demo["leads"])
    assert 0.25 < converted / len(demo["leads"]) < 0.55


def test_activities_are_of_every_kind(demo: Export) -> None:
    kinds = Counter(activity["type"] for activity in demo.done)
    assert kinds.keys() == {"call", "email", "meeting", "task"}
    assert min(kinds.values()) >= 1000


def test_the_next_step_is_planned_with_many_open_deals_and_not_with_all(demo: Export) -> None:
    """What was planned and has not been done is due later, or the deal was closed before it was."""
    end = max(activity["occurred_at"] for activity in demo.done)
    to_do = [activity for activity in demo["activities"] if not activity["occurred_at"]]
    planned = {activity["deal"] for activity in to_do if activity["due_at"] > end}
    overdue = {activity["deal"] for activity in to_do if activity["due_at"] <= end}
    open_deals = {deal["id"] for deal in demo.open}
    assert 0.2 < len(open_deals & planned) / len(open_deals) < 0.8
    assert len(overdue) > len(overdue & open_deals) * 10


def test_leads_are_answered_soon_late_before_they_were_entered_or_never(demo: Export) -> None:
    first: dict[str, Row] = {}
    for activity in demo["activities"]:
        if activity["lead"]:
            first.setdefault(activity["lead"], activity)
    hours = [response_hours(lead, first[lead["id"]]) for lead in demo["leads"] if lead["id"] in first]
    assert sum(value < 0 for value in hours) >= 100
    assert sum(0 <= value < 4 for value in hours) >= 1000
    assert sum(value > 24 for value in hours) >= 500
    assert len(demo["leads"]) - len(hours) >= 300


def test_some_customers_are_regular_and_some_lapse(demo: Export) -> None:
    purchases = list(demo.purchases())
    third_within_a_year = [
        days
        for days in purchases
        if any(third - first < timedelta(days=365) for first, third in zip(days, days[2:], strict=False))
    ]
    lapsed = [days for days in purchases if END - days[-1] > timedelta(days=365)]
    back_after_a_year = [days for days in purchases if any(b - a > timedelta(days=365) for a, b in pairwise(days))]
    assert len(third_within_a_year) >= 100
    assert len(lapsed) >= 300
    assert len(back_after_a_year) >= 20
    assert sum(len(days) == 1 for days in purchases) >= 500


def test_deals_are_in_two_currencies(demo: Export) -> None:
    currencies = Counter(deal["currency"] for deal in demo["deals"])
    assert currencies.keys() == {"EUR", "USD"}
    assert currencies["USD"] > len(demo["deals"]) / 10


def test_demand_has_its_seasons(demo: Export) -> None:
    days = [berlin_day(lead["created_at"]) for lead in demo["leads"]]
    months, weekdays = Counter(day.month for day in days), Counter(day.weekday() for day in days)
    assert months[8] < 0.8 * months[9]
    assert weekdays[5] + weekdays[6] < 0.5 * weekdays[4] < 0.5 * weekdays[1]


def test_deals_close_at_the_end_of_the_quarter(demo: Export) -> None:
    at_the_end = sum(is_at_quarter_end(berlin_day(deal["closed_at"])) for deal in demo.won)
    assert at_the_end / len(demo.won) > 1.5 * 7 / 91


def test_deals_hardly_close_on_weekends(demo: Export) -> None:
    weekdays = Counter(berlin_day(deal["closed_at"]).weekday() for deal in [*demo.won, *demo.lost])
    assert weekdays[5] + weekdays[6] < 0.05 * weekdays.total()
    assert max(weekdays.values()) < 1.5 * min(weekdays[day] for day in range(5))


def test_some_deals_close_on_another_day_in_utc(demo: Export) -> None:
    closed = [datetime.fromisoformat(deal["closed_at"]) for deal in [*demo.won, *demo.lost]]
    assert sum(moment.date() != moment.astimezone(BERLIN).date() for moment in closed) >= 50


def test_the_strong_department_beats_the_weak_one(demo: Export) -> None:
    assert win_rate(demo, "dach") > 1.5 * win_rate(demo, "south")
    assert won_amount(demo, "dach") > 2 * won_amount(demo, "south")


def test_every_product_sells_and_deals_are_lost_for_every_reason(demo: Export) -> None:
    assert {deal["product"] for deal in demo.won} == {product.name for product in PRODUCTS}
    assert {deal["loss_reason"] for deal in demo.lost} == set(LOSS_REASONS)


def test_targets_are_set_for_company_departments_and_managers_and_some_are_corrected(demo: Export) -> None:
    levels = Counter(row["entity_level"] for row in demo["targets"])
    assert min(levels[level] for level in ("company", "department", "manager")) >= 50
    july = [row for row in demo["targets"] if row["entity"] == "dach" and row["period_start"] == "2025-07-01"]
    assert {berlin_day(row["set_at"]) for row in july} == {date(2025, 7, 1)}


def test_expected_close_dates_slip_into_later_months() -> None:
    company = Company(seed=5, opened_on=date(2025, 1, 1))
    company.advance(date(2025, 5, 1))
    before = {deal.id: deal.expected_close_on for deal in company.crm.deals if deal.is_open}
    company.advance(date(2025, 6, 1))
    slipped = [
        deal.id
        for deal in company.crm.deals
        if (was := before.get(deal.id)) and deal.expected_close_on and deal.expected_close_on.replace(day=1) > was
    ]
    assert len(slipped) >= 10


def test_amounts_change_on_the_way() -> None:
    company = Company(seed=5, opened_on=date(2025, 1, 1))
    company.advance(date(2025, 5, 1))
    before = {deal.id: deal.amount for deal in company.crm.deals}
    company.advance(date(2025, 6, 1))
    changed = [deal.id for deal in company.crm.deals if (was := before.get(deal.id)) and deal.amount != was]
    assert len(changed) >= 10
