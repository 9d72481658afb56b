"""What is asked of Salesforce's and Pipedrive's tables beyond every object: each expectation finds only its fault."""

from typing import Any

import pytest
from judged import found

from kpimart.paths import EXPECTATIONS
from kpimart.quality.suites import read_suite

RIGHT: dict[str, dict[str, Any]] = {
    "salesforce__opportunities": {
        "StageName": "Won",
        "IsWon": True,
        "IsClosed": True,
        "Amount": 10.5,
        "OwnerId": "005",
        "CloseDate": "2026-03-01",
    },
    "salesforce__opportunity_history": {
        "OpportunityId": "006",
        "StageName": "Won",
        "CreatedDate": "2026-03-01T10:00:00.000Z",
    },
    "salesforce__stages": {"ApiName": "Won", "MasterLabel": "Gewonnen", "IsClosed": True, "IsWon": True},
    "salesforce__splits": {"SplitPercentage": 33.3333},
    "pipedrive__deals": {
        "stage_id": 11,
        "pipeline_id": 1,
        "status": "won",
        "value": 10.5,
        "owner_id": 5,
        "won_time": "2026-03-01T10:00:00Z",
        "expected_close_date": None,
    },
    "pipedrive__deal_changes": {"field_key": "stage_id", "new_value": "12"},
    "pipedrive__stages": {"name": "Offer", "pipeline_id": 1},
}
FAULTS = [
    ("salesforce__opportunities", "live opportunities are in a stage", {"StageName": None}),
    ("salesforce__opportunities", "a won opportunity is closed", {"IsClosed": False}),
    ("salesforce__opportunities", "amounts are numbers", {"Amount": "ten"}),
    ("salesforce__opportunities", "live opportunities have an owner", {"OwnerId": None}),
    ("salesforce__opportunities", "closing days lie between 1990 and 2100", {"CloseDate": "0206-03-01"}),
    ("salesforce__opportunity_history", "entries name their opportunity, stage and time", {"CreatedDate": "today"}),
    ("salesforce__stages", "a stage has a name and a meaning", {"IsWon": None}),
    ("salesforce__splits", "shares lie between 0 and 100", {"SplitPercentage": 120}),
    ("pipedrive__deals", "live deals are in a stage of a pipeline", {"stage_id": None}),
    ("pipedrive__deals", "the status is one that is known", {"status": "frozen"}),
    ("pipedrive__deals", "amounts are numbers", {"value": "ten"}),
    ("pipedrive__deals", "live deals have an owner", {"owner_id": None}),
    ("pipedrive__deals", "a won or lost deal says when", {"won_time": None}),
    ("pipedrive__deals", "expected closing days lie between 1990 and 2100", {"expected_close_date": "0206-03-01"}),
    ("pipedrive__deal_changes", "changes of stage name a stage", {"new_value": "Offer"}),
    ("pipedrive__stages", "a stage is of a pipeline", {"pipeline_id": None}),
]


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_wrong_with_records_as_they_should_be(name: str) -> None:
    assert found(name, RIGHT[name]) == set()


@pytest.mark.parametrize(("name", "expectation", "fault"), FAULTS, ids=[f"{fault[0]}-{fault[1]}" for fault in FAULTS])
def test_an_expectation_finds_the_fault_it_is_there_for(name: str, expectation: str, fault: dict[str, Any]) -> None:
    assert found(name, {**RIGHT[name], **fault}) == {expectation}


def test_every_expectation_has_a_fault() -> None:
    paths = [*(EXPECTATIONS / "raw").glob("salesforce__*.json"), *(EXPECTATIONS / "raw").glob("pipedrive__*.json")]
    asked = {(path.stem, each["description"]) for path in paths for each in read_suite(path).expectations}
    assert asked == {fault[:2] for fault in FAULTS}
