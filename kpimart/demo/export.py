"""The CRM as files: one NDJSON file for each canonical object, as a CRM's own export would be.

Every row has every column. Moments are in UTC with their offset, days are the company's, amounts are text.
"""

from collections.abc import Callable, Iterator
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from kpimart.demo.clock import years_before
from kpimart.demo.company import Company
from kpimart.demo.crm import Account, Activity, Assignment, Crm, Deal, Lead, Manager, OwnerChange, Plan, StageChange
from kpimart.demo.world import DEPARTMENTS

SEED = 2
UNTIL = date(2026, 10, 16)
YEARS = 3

Row = dict[str, Any]


def export(folder: Path, *, seed: int = SEED, until: date = UNTIL) -> None:
    """Simulate the three years up to (and without) `until` and write them into `folder`, which is made if absent."""
    write(folder, simulate(seed=seed, until=until).crm)


def simulate(*, seed: int = SEED, until: date = UNTIL) -> Company:
    """The company as it stands at the beginning of `until`, three years after it began to use its CRM."""
    company = Company(seed=seed, opened_on=years_before(until, YEARS))
    company.advance(until)
    return company


def write(folder: Path, crm: Crm) -> None:
    """Write all objects as they stand now, `<object>.ndjson` each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in ROWS.items():
        with (folder / f"{name}.ndjson").open("wb") as file:
            file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows(crm))


def _departments(_: Crm) -> Iterator[Row]:
    for department in DEPARTMENTS:
        yield {"id": department.id, "name": department.name, "parent": department.parent, "head": department.head}


def _manager(manager: Manager) -> Row:
    return {
        "id": manager.id,
        "name": manager.name,
        "department": manager.department.id,
        "hired_on": manager.hired_on,
        "left_on": manager.left_on,
        "updated_at": manager.updated_at,
    }


def _assignment(assignment: Assignment) -> Row:
    return {
        "id": assignment.id,
        "manager": assignment.manager.id,
        "department": assignment.department.id,
        "valid_from": assignment.valid_from,
        "valid_to": assignment.valid_to,
    }


def _account(account: Account) -> Row:
    return {
        "id": account.id,
        "name": account.name,
        "segment": account.segment,
        "country": account.country,
        "parent": account.parent and account.parent.id,
        "updated_at": account.updated_at,
    }


def _lead(lead: Lead) -> Row:
    return {
        "id": lead.id,
        "manager": lead.manager.id,
        "account": lead.account and lead.account.id,
        "source": lead.source,
        "created_at": lead.created_at,
        "converted_at": lead.converted_at,
        "deal": lead.deal and lead.deal.id,
        "updated_at": lead.updated_at,
    }


def _deal(deal: Deal) -> Row:
    return {
        "id": deal.id,
        "name": deal.name,
        "account": deal.account and deal.account.id,
        "manager": deal.manager.id,
        "pipeline": deal.pipeline.id,
        "stage": deal.stage.name,
        "product": deal.product.name,
        "source": deal.source,
        "amount": None if deal.amount is None else _money(deal.amount),
        "currency": deal.currency,
        "created_at": deal.created_at,
        "closed_at": deal.closed_at,
        "expected_close_on": deal.expected_close_on,
        "lead": deal.lead and deal.lead.id,
        "loss_reason": deal.loss_reason,
        "updated_at": deal.updated_at,
        "is_deleted": deal.is_deleted,
    }


def _stage_change(change: StageChange) -> Row:
    return {"id": change.id, "deal": change.deal.id, "stage": change.stage.name, "changed_at": change.changed_at}


def _owner_change(change: OwnerChange) -> Row:
    return {"id": change.id, "deal": change.deal.id, "manager": change.manager.id, "changed_at": change.changed_at}


def _activity(activity: Activity) -> Row:
    return {
        "id": (activity.plan or activity).id,
        "type": activity.kind,
        "manager": activity.manager.id,
        "deal": activity.deal and activity.deal.id,
        "lead": activity.lead and activity.lead.id,
        "account": activity.account and activity.account.id,
        "created_at": activity.plan.created_at if activity.plan else activity.updated_at,
        "due_at": activity.plan and activity.plan.due_at,
        "occurred_at": activity.occurred_at,
        "updated_at": activity.updated_at,
    }


def _plan(plan: Plan) -> Row:
    """A step that is to come is a task; when it was taken, the record tells what was done."""
    return {
        "id": plan.id,
        "type": "task",
        "manager": plan.manager.id,
        "deal": plan.deal.id,
        "lead": None,
        "account": plan.account and plan.account.id,
        "created_at": plan.created_at,
        "due_at": plan.due_at,
        "occurred_at": None,
        "updated_at": plan.created_at,
    }


def _targets(crm: Crm) -> Iterator[Row]:
    for key, target in crm.targets.items():
        yield {
            "kpi_code": key.kpi_code,
            "entity_level": key.entity_level,
            "entity": key.entity,
            "period_grain": key.period_grain,
            "period_start": key.period_start,
            "value": str(target.value),
            "set_at": target.set_at,
        }


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


ROWS: dict[str, Callable[[Crm], Iterator[Row]]] = {
    "departments": _departments,
    "managers": lambda crm: map(_manager, crm.managers),
    "manager_assignments": lambda crm: map(_assignment, crm.assignments),
    "accounts": lambda crm: map(_account, crm.accounts),
    "leads": lambda crm: map(_lead, crm.leads),
    "deals": lambda crm: map(_deal, crm.deals),
    "stage_changes": lambda crm: map(_stage_change, crm.stage_changes),
    "owner_changes": lambda crm: map(_owner_change, crm.owner_changes),
    "activities": lambda crm: chain(map(_activity, crm.activities), map(_plan, crm.plans.values())),
    "targets": _targets,
}
