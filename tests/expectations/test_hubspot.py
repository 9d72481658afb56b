"""What is asked of HubSpot's tables beyond every object: each expectation finds its fault, and only that."""

from typing import Any

import pytest
from judged import found

from kpimart.paths import EXPECTATIONS
from kpimart.quality.suites import read_suite

DEAL = {
    "properties": {
        "dealstage": "won",
        "amount": "10.5",
        "hubspot_owner_id": "7",
        "closedate": "2026-03-01T10:00:00Z",
    },
    "propertiesWithHistory": {"dealstage": [{"value": "won", "timestamp": "2026-03-01T10:00:00Z"}]},
}
PIPELINE = {"stages": [{"metadata": {"probability": "1.0"}}, {"metadata": {"probability": "0.0"}}]}
OWNER = {"archived": False, "teams": [{"id": "1", "primary": True}]}
RIGHT = {"deals": DEAL, "pipelines": PIPELINE, "owners": OWNER}

FAULTS = [
    ("deals", "live deals are in a stage", {**DEAL, "properties": {**DEAL["properties"], "dealstage": ""}}),
    ("deals", "live deals have the history of their stages", {"properties": DEAL["properties"]}),
    ("deals", "amounts are numbers", {**DEAL, "properties": {**DEAL["properties"], "amount": "ten"}}),
    ("deals", "live deals have an owner", {**DEAL, "properties": {**DEAL["properties"], "hubspot_owner_id": None}}),
    (
        "deals",
        "closing dates lie between 1990 and 2100",
        {**DEAL, "properties": {**DEAL["properties"], "closedate": "0206-03-01T10:00:00Z"}},
    ),
    ("pipelines", "a pipeline has stages", {"stages": []}),
    ("pipelines", "a pipeline can be won and lost", {"stages": [{"metadata": {"probability": "1.0"}}]}),
    ("owners", "most owners sit in a primary team", {"archived": False, "teams": [{"id": "1", "primary": False}]}),
]


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_wrong_with_records_as_they_should_be(name: str) -> None:
    assert found(f"hubspot__{name}", RIGHT[name]) == set()


@pytest.mark.parametrize(("name", "expectation", "payload"), FAULTS, ids=[fault[1] for fault in FAULTS])
def test_an_expectation_finds_the_fault_it_is_there_for(name: str, expectation: str, payload: dict[str, Any]) -> None:
    assert found(f"hubspot__{name}", payload) == {expectation}


def test_every_expectation_has_a_fault() -> None:
    suites = [read_suite(path) for path in (EXPECTATIONS / "raw").glob("hubspot__*.json")]
    assert {each["description"] for suite in suites for each in suite.expectations} == {fault[1] for fault in FAULTS}
