"""What is asked of Bitrix24's and amoCRM's tables beyond every object: each finds its fault, and only that."""

from typing import Any

import pytest
from judged import found

from kpimart.paths import EXPECTATIONS
from kpimart.quality.suites import read_suite

DEAL = {
    "stageId": "NEW",
    "categoryId": 0,
    "opportunity": 10.5,
    "assignedById": 6,
    "closedate": "2026-03-01T03:00:00+03:00",
}
STEP = {"OWNER_ID": 1, "STAGE_ID": "NEW", "CREATED_TIME": "2026-03-01T03:00:00+03:00"}
STATUS = {"ENTITY_ID": "DEAL_STAGE_3", "STATUS_ID": "C3:WON", "SEMANTICS": "S"}
ACTIVITY = {"COMPLETED": "Y", "START_TIME": "2026-03-01T03:00:00+03:00", "END_TIME": ""}
LEAD = {
    "status_id": 142,
    "pipeline_id": 50,
    "price": 10,
    "responsible_user_id": 6,
    "created_at": 1772323200,
    "closed_at": 1772323200,
}
MOVE = {"type": "lead_status_changed", "value_after": [{"lead_status": {"id": 142, "pipeline_id": 50}}]}
HANDOVER = {"type": "entity_responsible_changed", "value_after": [{"responsible_user": {"id": 6}}]}
PIPELINE = {"_embedded": {"statuses": [{"id": 500}, {"id": 142}, {"id": 143}]}}
RIGHT = [
    ("bitrix24__deals", DEAL),
    ("bitrix24__deal_stage_history", STEP),
    ("bitrix24__statuses", STATUS),
    ("bitrix24__activities", ACTIVITY),
    ("amocrm__leads", LEAD),
    ("amocrm__events", MOVE),
    ("amocrm__events", HANDOVER),
    ("amocrm__pipelines", PIPELINE),
    ("amocrm__account", {"currency": "RUB"}),
]
FAULTS = [
    ("bitrix24__deals", "live deals are in a stage of a pipeline", {**DEAL, "stageId": ""}),
    ("bitrix24__deals", "amounts are numbers", {**DEAL, "opportunity": "ten"}),
    ("bitrix24__deals", "live deals have an owner", {**DEAL, "assignedById": 0}),
    ("bitrix24__deals", "closing dates lie between 1990 and 2100", {**DEAL, "closedate": "0206-03-01T03:00:00+03:00"}),
    ("bitrix24__deal_stage_history", "a step names its deal, its stage and its moment", {**STEP, "CREATED_TIME": ""}),
    ("bitrix24__statuses", "a stage of deals is open, won or lost", {**STATUS, "SEMANTICS": "W"}),
    ("bitrix24__statuses", "a status has a code and a list that it is of", {**STATUS, "STATUS_ID": None}),
    ("bitrix24__activities", "what is done tells when", {**ACTIVITY, "START_TIME": ""}),
    ("amocrm__leads", "live deals are in a status of a pipeline", {**LEAD, "pipeline_id": None}),
    ("amocrm__leads", "amounts are numbers", {**LEAD, "price": "ten"}),
    ("amocrm__leads", "live deals have an owner", {**LEAD, "responsible_user_id": 0}),
    ("amocrm__leads", "what is won or lost tells when it was closed", {**LEAD, "closed_at": None}),
    ("amocrm__leads", "dates lie between 1990 and 2100", {**LEAD, "created_at": 1772323200000}),
    ("amocrm__events", "a move names the status that it led to", {**MOVE, "value_after": []}),
    ("amocrm__events", "a change of owner names the new one", {**HANDOVER, "value_after": []}),
    (
        "amocrm__pipelines",
        "a pipeline has a status for what is won and one for what is lost",
        {"_embedded": {"statuses": [{"id": 500}, {"id": 142}]}},
    ),
    ("amocrm__account", "the account has a currency", {"currency": ""}),
]


@pytest.mark.parametrize(("table", "payload"), RIGHT)
def test_nothing_is_wrong_with_records_as_they_should_be(table: str, payload: dict[str, Any]) -> None:
    assert found(table, payload) == set()


@pytest.mark.parametrize(("table", "expectation", "payload"), FAULTS, ids=[fault[1] for fault in FAULTS])
def test_an_expectation_finds_the_fault_it_is_there_for(table: str, expectation: str, payload: dict[str, Any]) -> None:
    assert found(table, payload) == {expectation}


def test_every_expectation_has_a_fault() -> None:
    suites = [
        read_suite(path) for crm in ("bitrix24", "amocrm") for path in (EXPECTATIONS / "raw").glob(f"{crm}__*.json")
    ]
    assert {each["description"] for suite in suites for each in suite.expectations} == {fault[1] for fault in FAULTS}
