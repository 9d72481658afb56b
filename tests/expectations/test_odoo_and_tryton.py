"""What is asked of Odoo's and Tryton's tables beyond every object: each expectation finds its fault, and only that."""

from typing import Any

import pytest
from judged import found

from kpimart.paths import EXPECTATIONS
from kpimart.quality.suites import read_suite

LEAD = {
    "type": "opportunity",
    "active": False,
    "probability": 0.0,
    "stage_id": 1,
    "user_id": 7,
    "date_closed": "2026-03-01 10:00:00",
    "date_deadline": "2026-03-01",
}
CHANGE = {"changed": "stage_id", "lead_id": 1}
OPPORTUNITY = {"state": "won", "employee": 1, "amount": "10.00", "end_date": "2026-03-01"}
RIGHT = {"odoo__leads_and_deals": LEAD, "odoo__tracking": CHANGE, "tryton__opportunities": OPPORTUNITY}

FAULTS = [
    ("odoo__leads_and_deals", "live opportunities are in a stage", {**LEAD, "stage_id": None}),
    ("odoo__leads_and_deals", "leads and opportunities are what Odoo calls them", {**LEAD, "type": "deal"}),
    ("odoo__leads_and_deals", "live opportunities have an owner", {**LEAD, "user_id": None}),
    ("odoo__leads_and_deals", "lost opportunities have a closing date", {**LEAD, "date_closed": None}),
    (
        "odoo__leads_and_deals",
        "expected closing dates lie between 1990 and 2100",
        {**LEAD, "date_deadline": "0206-03-01"},
    ),
    ("odoo__tracking", "what was tracked is told of its lead", {**CHANGE, "lead_id": None}),
    ("tryton__opportunities", "an opportunity is in a state that staging knows", {**OPPORTUNITY, "state": "on hold"}),
    ("tryton__opportunities", "what is more than a lead has an employee", {**OPPORTUNITY, "employee": None}),
    ("tryton__opportunities", "what is won has an amount", {**OPPORTUNITY, "amount": None}),
    ("tryton__opportunities", "end dates lie between 1990 and 2100", {**OPPORTUNITY, "end_date": "2206-03-01"}),
]


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_wrong_with_records_as_they_should_be(name: str) -> None:
    assert found(name, RIGHT[name]) == set()


@pytest.mark.parametrize(("name", "expectation", "payload"), FAULTS, ids=[fault[1] for fault in FAULTS])
def test_an_expectation_finds_the_fault_it_is_there_for(name: str, expectation: str, payload: dict[str, Any]) -> None:
    assert found(name, payload) == {expectation}


def test_every_expectation_has_a_fault() -> None:
    suites = [read_suite(path) for crm in ("odoo", "tryton") for path in (EXPECTATIONS / "raw").glob(f"{crm}__*.json")]
    assert {each["description"] for suite in suites for each in suite.expectations} == {fault[1] for fault in FAULTS}
