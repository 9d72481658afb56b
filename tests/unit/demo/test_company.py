"""The company: its records agree with each other, and time can be taken in any steps."""

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

from kpimart.demo import Company, write
from kpimart.demo.world import PIPELINES

from .exported import Export, Row, berlin_day

OPENED_ON = date(2024, 2, 15)
OUTCOMES = {stage.name: stage.outcome for pipeline in PIPELINES.values() for stage in pipeline.stages}


def employed(manager: Row, day: date) -> bool:
    return manager["hired_on"] <= day.isoformat() <= (manager["left_on"] or "9999-12-31")


def export_after(folder: Path, *stops: date) -> Export:
    company = Company(seed=3, opened_on=OPENED_ON)
    for stop in stops:
        company.advance(stop)
    write(folder, company.crm)
    return Export(folder)


def test_living_night_by_night_equals_living_on_at_once(tmp_path: Path) -> None:
    nights = [OPENED_ON + timedelta(days=days) for days in range(200)]
    assert export_after(tmp_path / "nights", *nights).rows == export_after(tmp_path / "once", nights[-1]).rows


def test_going_back_changes_nothing(tmp_path: Path) -> None:
    there, back = date(2024, 6, 1), date(2024, 5, 1)
    assert export_after(tmp_path / "back", there, back).rows == export_after(tmp_path / "there", there).rows


def test_a_night_only_adds_to_the_histories(tmp_path: Path) -> None:
    before = export_after(tmp_path / "before", date(2024, 9, 30))
    after = export_after(tmp_path / "after", date(2024, 10, 1))
    for name in ("stage_changes", "owner_changes"):
        assert after[name][: len(before[name])] == before[name], name
        assert len(after[name]) > len(before[name]), name
    assert after.done[: len(before.done)] == before.done
    assert len(after.done) > len(before.done)


def test_a_night_marks_every_deal_that_it_changes(tmp_path: Path) -> None:
    before = export_after(tmp_path / "before", date(2024, 9, 30)).by_id("deals")
    after = export_after(tmp_path / "after", date(2024, 10, 1)).by_id("deals")
    changed = [deal for key, deal in after.items() if key in before and deal != before[key]]
    assert changed
    assert all(berlin_day(deal["updated_at"]) == date(2024, 9, 30) for deal in changed)


def test_every_reference_leads_somewhere(demo: Export) -> None:
    targets = {
        "manager": "managers",
        "account": "accounts",
        "deal": "deals",
        "lead": "leads",
        "department": "departments",
    }
    ids = {name: set(demo.by_id(name)) for name in targets.values()}
    for name, rows in demo.rows.items():
        for column in targets.keys() & rows[0].keys():
            missing = {row[column] for row in rows} - ids[targets[column]] - {None}
            assert not missing, (name, column)
    for name in ("accounts", "departments"):
        assert {row["parent"] for row in demo[name]} <= {None, *demo.by_id(name)}


def test_the_departments_are_one_tree(demo: Export) -> None:
    departments = demo.by_id("departments")
    assert len(departments) == 8
    for department in departments.values():
        path = [department["id"]]
        while parent := departments[path[-1]]["parent"]:
            assert parent not in path
            path.append(parent)
        assert path[-1] == "sales"


def test_every_owner_was_employed_when_the_deal_became_theirs(demo: Export) -> None:
    managers = demo.by_id("managers")
    for change in demo["owner_changes"]:
        assert employed(managers[change["manager"]], berlin_day(change["changed_at"])), change


def test_no_open_deal_is_left_with_somebody_who_has_gone(demo: Export) -> None:
    managers = demo.by_id("managers")
    assert all(managers[deal["manager"]]["left_on"] is None for deal in demo.open)


def test_only_the_employed_are_active(demo: Export) -> None:
    managers = demo.by_id("managers")
    for activity in demo.done:
        assert employed(managers[activity["manager"]], berlin_day(activity["occurred_at"])), activity


def test_an_employed_manager_sits_in_exactly_one_department(demo: Export) -> None:
    day = timedelta(days=1)
    for manager in demo["managers"]:
        stays = [row for row in demo["manager_assignments"] if row["manager"] == manager["id"]]
        assert stays[0]["valid_from"] == manager["hired_on"]
        assert all(stay["valid_to"] == following["valid_from"] for stay, following in pairwise(stays))
        end = manager["left_on"] and (date.fromisoformat(manager["left_on"]) + day).isoformat()
        assert (stays[-1]["valid_to"], stays[-1]["department"]) == (end, manager["department"])


def test_a_deals_history_begins_with_its_creation_and_ends_in_its_stage(demo: Export) -> None:
    for deal in demo["deals"]:
        stages = demo.stages[deal["id"]]
        assert stages[-1]["stage"] == deal["stage"]
        assert deal["created_at"] in (None, stages[0]["changed_at"])
        assert all(one["changed_at"] < other["changed_at"] for one, other in pairwise(stages))
        assert all(one["stage"] != other["stage"] for one, other in pairwise(stages))


def test_a_deal_is_closed_at_its_last_change_if_that_closed_it(demo: Export) -> None:
    for deal in demo["deals"]:
        last = demo.stages[deal["id"]][-1]
        outcome = OUTCOMES[last["stage"]]
        assert deal["closed_at"] == (None if outcome == "open" else last["changed_at"])
        assert (deal["loss_reason"] is not None) == (outcome == "lost")


def test_a_deal_stays_in_its_pipeline(demo: Export) -> None:
    names = {pipeline.id: {stage.name for stage in pipeline.stages} for pipeline in PIPELINES.values()}
    for deal in demo["deals"]:
        assert {change["stage"] for change in demo.stages[deal["id"]]} <= names[deal["pipeline"]]


def test_a_deals_owners_begin_with_its_creation_and_end_with_its_owner(demo: Export) -> None:
    for deal in demo["deals"]:
        owners = demo.owners[deal["id"]]
        assert owners[0]["changed_at"] == demo.stages[deal["id"]][0]["changed_at"]
        assert owners[-1]["manager"] == deal["manager"]
        assert all(one["manager"] != other["manager"] for one, other in pairwise(owners))


def test_a_converted_lead_and_its_deal_know_each_other(demo: Export) -> None:
    deals = demo.by_id("deals")
    for lead in demo["leads"]:
        assert (lead["deal"] is None) == (lead["converted_at"] is None)
        if lead["deal"]:
            deal = deals[lead["deal"]]
            assert (deal["lead"], deal["created_at"]) == (lead["id"], lead["converted_at"])
            assert lead["created_at"] < lead["converted_at"]


def test_the_targets_of_departments_add_up(demo: Export) -> None:
    values = {
        (row["period_start"], row["entity"]): int(row["value"])
        for row in demo["targets"]
        if row["kpi_code"] == "won_amount"
    }
    for month in {month for month, _ in values}:
        assert values[month, "company"] == values[month, "sales"] == values[month, "europe"] + values[month, "overseas"]
        assert values[month, "overseas"] == values[month, "north_america"] + values[month, "partners"]
