"""The company's records as HubSpot has them: properties as text, their histories, links between objects.

A lead is a contact, an account a company; activities are calls, meetings, emails and tasks. Two deals that are merged
vanish, and a third one with a new id takes their place, with the histories of both.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from typing import Any

from kpimart.demo.clock import midnight
from kpimart.demo.crm import Account, Activity, Deal, Lead, Manager
from kpimart.demo.server.world import World, department_number, number, person_of, user_number
from kpimart.demo.world import DEPARTMENTS, EXISTING_CUSTOMER, PIPELINES, Department, Pipeline, Stage

Json = dict[str, Any]

KEPT_IN_THE_BIN = timedelta(days=90)
NOON = timedelta(hours=12)

# HubSpot's own ids: long numbers, with gaps.
FIRST_DEAL, FIRST_MERGED_DEAL, FIRST_COMPANY, FIRST_CONTACT, FIRST_ACTIVITY = (
    17_210_000_000,
    29_880_000_000,
    9_340_000_000,
    31_500_000_000,
    44_100_000_000,
)
FIRST_OWNER, FIRST_USER, FIRST_TEAM = 76_000_000, 9_500_000, 1_180_000
PIPELINE_IDS = {"new_business": "default", "renewals": "55310127", "partner": "55310128"}
# A pipeline that came with the account: its stages keep their first ids, whatever they are called today.
STAGE_IDS = {
    "new_business": (
        "appointmentscheduled",
        "qualifiedtobuy",
        "presentationscheduled",
        "contractsent",
        "closedwon",
        "closedlost",
    ),
    "renewals": ("110650001", "110650002", "110650003", "110650004"),
    "partner": ("110650011", "110650012", "110650013", "110650014", "110650015"),
}
STAGE_ID_OF = {
    (pipeline.id, stage.name): stage_id
    for pipeline in PIPELINES.values()
    for stage, stage_id in zip(pipeline.stages, STAGE_IDS[pipeline.id], strict=True)
}
ORIGINAL_SOURCES = {
    "Website": "ORGANIC_SEARCH",
    "Referral": "REFERRALS",
    "Campaign": "EMAIL_MARKETING",
    "Partner": "OTHER_CAMPAIGNS",
}
INDUSTRIES = {
    "University": "HIGHER_EDUCATION",
    "Pharma": "PHARMACEUTICALS",
    "Food": "FOOD_PRODUCTION",
    "Chemistry": "CHEMICALS",
    "Environment": "ENVIRONMENTAL_SERVICES",
    "Hospital": "HOSPITAL_HEALTH_CARE",
}
ACTIVITY_KINDS = {"calls": "call", "meetings": "meeting", "emails": "email", "tasks": "task"}
# The types of association that HubSpot defines: its name in v3, its number in v4.
LINK_TYPES = {
    "deal_to_company": 5,
    "deal_to_company_unlabeled": 341,
    "deal_to_contact": 3,
    "contact_to_company": 1,
    "contact_to_company_unlabeled": 279,
    "contact_to_deal": 4,
    "child_to_parent_company": 14,
    "call_to_contact": 194,
    "call_to_company": 182,
    "call_to_deal": 206,
    "email_to_contact": 198,
    "email_to_company": 186,
    "email_to_deal": 210,
    "meeting_to_contact": 200,
    "meeting_to_company": 188,
    "meeting_to_deal": 212,
    "task_to_contact": 204,
    "task_to_company": 192,
    "task_to_deal": 216,
}


def _own_id(deal: Deal) -> int:
    """The id that a deal had before any merging."""
    return FIRST_DEAL + 7 * number(deal.id)


def company_id(account: Account) -> int:
    return FIRST_COMPANY + 3 * number(account.id)


def contact_id(lead: Lead) -> int:
    return FIRST_CONTACT + 50 * number(lead.id) + 1


def owner_id(manager: Manager) -> int:
    return FIRST_OWNER + 37 * number(manager.id)


def user_id(manager: Manager) -> int:
    return FIRST_USER + 11 * number(manager.id)


def team_id(department: Department) -> int:
    return FIRST_TEAM + department_number(department)


def stage_id(pipeline: Pipeline, stage: Stage) -> str:
    return STAGE_ID_OF[pipeline.id, stage.name]


def text_of(moment: datetime) -> str:
    """ISO 8601 in UTC, as HubSpot writes it: without milliseconds where there are none."""
    return moment.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Told:
    """What is told of a record: values (None: never set or cleared), and the ids that it is linked to."""

    values: dict[str, str | None]
    links: dict[str, list[tuple[int, str]]] = field(default_factory=dict)


def _no_changes() -> dict[str, list[Json]]:
    return {}


class Row:
    """A record with what lists need of it; what is told of it is put together when somebody asks.

    `recall` gives the properties whose past is known, with their values from the oldest on.
    """

    def __init__(
        self,
        row_id: int,
        created_at: datetime,
        updated_at: datetime,
        tell: Callable[[], Told],
        recall: Callable[[], dict[str, list[Json]]] = _no_changes,
        archived_at: datetime | None = None,
    ) -> None:
        self.id = row_id
        self.created_at = created_at
        self.updated_at = updated_at
        self.archived_at = archived_at
        self._tell = tell
        self._recall = recall

    @cached_property
    def told(self) -> Told:
        return self._tell()

    @cached_property
    def _changes(self) -> dict[str, list[Json]]:
        return self._recall()

    def history(self, name: str) -> list[Json]:
        """The values of a property, the newest first."""
        if name in self._changes:
            return self._changes[name][::-1]
        value = self.told.values.get(name)
        return [] if value is None else [_change(value, self.created_at, None)]


class Records:
    """All rows of the world, by object. What has not changed since the last day is kept."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: dict[int, Row] = {}
        self._makers: dict[str, Callable[[], Iterable[Row]]] = {
            "deals": self._deals,
            "companies": self._companies,
            "contacts": self._contacts,
        }

    def rows(self, name: str) -> list[Row]:
        """The live records of an object, by ascending id."""
        return self._world.derive(f"hubspot {name}", lambda: self._sorted(name, archived=False))

    def archived(self, name: str) -> list[Row]:
        """What was deleted in the last 90 days, by ascending id."""
        return self._world.derive(f"hubspot {name} archived", lambda: self._sorted(name, archived=True))

    def find(self, name: str, row_id: int, *, archived: bool = False) -> Row | None:
        """The record of an id; of a merged one, the record that it became."""
        rows = self.archived(name) if archived else self.rows(name)
        by_id = self._world.derive(f"hubspot {name} by id {archived}", lambda: {row.id: row for row in rows})
        if name == "deals":
            row_id = self._world.derive("hubspot merged", self._merged_ids).get(row_id, row_id)
        return by_id.get(row_id)

    def _sorted(self, name: str, *, archived: bool) -> list[Row]:
        oldest = self._world.now - KEPT_IN_THE_BIN
        every = self._world.derive(f"hubspot {name} of any kind", lambda: [self._kept(row) for row in self._made(name)])
        if archived:
            kept = [row for row in every if row.archived_at is not None and row.archived_at > oldest]
        else:
            kept = [row for row in every if row.archived_at is None]
        return sorted(kept, key=lambda row: row.id)

    def _made(self, name: str) -> Iterable[Row]:
        return self._makers[name]() if name in self._makers else self._activities(name)

    def _kept(self, row: Row) -> Row:
        """The row that was made before, if the record has not changed since."""
        known = self._known.get(row.id)
        if known is None or known.updated_at != row.updated_at:
            known = self._known[row.id] = row
        return known

    # ------------------------------------------------------------------ deals

    @property
    def _twins(self) -> dict[Deal, Deal]:
        """Deal → the one that was merged into it."""
        return self._world.derive(
            "hubspot twins", lambda: {deal.merged_into: deal for deal in self._world.crm.deals if deal.merged_into}
        )

    def _deal_id(self, deal: Deal) -> int:
        kept = deal.merged_into or deal
        twin = self._twins.get(kept)
        return _own_id(deal) if twin is None else FIRST_MERGED_DEAL + 7 * number(twin.id)

    def _merged_at(self, deal: Deal | None) -> datetime | None:
        twin = self._twins.get(deal) if deal else None
        return twin.deleted_at if twin else None

    def _merged_ids(self) -> dict[int, int]:
        """The ids that were merged away → the id of what they became."""
        return {_own_id(one): self._deal_id(one) for kept, twin in self._twins.items() for one in (kept, twin)}

    def _deals(self) -> Iterable[Row]:
        for deal in self._world.crm.deals:
            if deal.merged_into is None:
                yield Row(
                    self._deal_id(deal),
                    self._entered_at(deal),
                    _latest(deal.updated_at, self._merged_at(deal)),
                    partial(self._tell_deal, deal),
                    partial(self._recall_deal, deal),
                    archived_at=deal.deleted_at,
                )

    def _entered_at(self, deal: Deal) -> datetime:
        """When it came into the CRM, even if it is older."""
        first: datetime = self._by_deal("stage_changes")[deal][0].changed_at
        return first

    def _by_deal(self, changes: str) -> dict[Deal, list[Any]]:
        return self._world.derive(f"hubspot {changes}", lambda: _grouped(getattr(self._world.crm, changes)))

    def _tell_deal(self, deal: Deal) -> Told:
        twin = self._twins.get(deal)
        outcome = deal.stage.outcome
        values: dict[str, str | None] = {
            "hs_object_id": str(self._deal_id(deal)),
            "dealname": deal.name,
            "amount": None if deal.amount is None else _amount(deal.amount),
            "deal_currency_code": deal.currency,
            "closedate": _text_of(deal.closed_at or _noon(deal.expected_close_on)),
            "createdate": _text_of(deal.created_at),
            "hs_createdate": text_of(self._entered_at(deal)),
            "hs_lastmodifieddate": text_of(_latest(deal.updated_at, self._merged_at(deal))),
            "pipeline": PIPELINE_IDS[deal.pipeline.id],
            "dealstage": stage_id(deal.pipeline, deal.stage),
            "dealtype": "existingbusiness" if deal.source == EXISTING_CUSTOMER else "newbusiness",
            "hubspot_owner_id": str(owner_id(deal.manager)),
            "hs_is_closed": _flag(outcome != "open"),
            "hs_is_closed_won": _flag(outcome == "won"),
            "hs_deal_stage_probability": str(deal.stage.probability),
            "closed_lost_reason": deal.loss_reason,
            "hs_analytics_source": _original_source(deal.source),
            "hs_object_source": "CRM_UI" if deal.created_at else "IMPORT",
            "num_associated_contacts": "1" if deal.lead else "0",
            "hs_merged_object_ids": None if twin is None else f"{_own_id(deal)};{_own_id(twin)}",
            "product": deal.product.name,
            "lead_source": deal.source,
        }
        links = {
            "companies": [] if deal.account is None else _primary(company_id(deal.account), "deal_to_company"),
            "contacts": [] if deal.lead is None else [(contact_id(deal.lead), "deal_to_contact")],
        }
        return Told(values, links)

    def _recall_deal(self, deal: Deal) -> dict[str, list[Json]]:
        """Its past; of merged deals, that of both."""
        changes = self._deal_changes(deal)
        if twin := self._twins.get(deal):
            for name, others in self._deal_changes(twin).items():
                changes[name] = sorted([*changes[name], *others], key=lambda change: change["timestamp"])
        return changes

    def _deal_changes(self, deal: Deal) -> dict[str, list[Json]]:
        """Old and new values of what HubSpot's users look at over time, the oldest first."""
        owners = self._by_deal("owner_changes")[deal]

        def by(moment: datetime) -> Manager:
            owner: Manager = [change.manager for change in owners if change.changed_at <= moment][-1]
            return owner

        def told(values: Iterable[tuple[str, datetime]]) -> list[Json]:
            return [_change(value, at, by(at)) for value, at in values]

        stages = self._by_deal("stage_changes")[deal]
        return {
            "dealstage": told((stage_id(deal.pipeline, change.stage), change.changed_at) for change in stages),
            "hubspot_owner_id": told((str(owner_id(change.manager)), change.changed_at) for change in owners),
            "amount": told((_amount(each.amount), each.changed_at) for each in self._by_deal("amount_changes")[deal]),
            "closedate": told(self._close_dates(deal)),
        }

    def _close_dates(self, deal: Deal) -> list[tuple[str, datetime]]:
        """The close date is the expected one until the deal is closed, then when that was; reopening brings it back."""
        events = [
            *((change.changed_at, 0, change) for change in self._by_deal("close_date_changes")[deal]),
            *((change.changed_at, 1, change) for change in self._by_deal("stage_changes")[deal]),
        ]
        events.sort(key=lambda event: event[:2])
        expected, is_closed = "", False
        values: list[tuple[str, datetime]] = []
        for at, is_stage, change in events:
            if not is_stage:
                expected = text_of(midnight(change.expected_close_on) + NOON)
                values.append((expected, at))
            elif change.stage.outcome != "open":
                values.append((text_of(at), at))
                is_closed = True
            elif is_closed:
                values.append((expected, at))
                is_closed = False
        return values

    # ------------------------------------------------------------------ the others

    def _companies(self) -> Iterable[Row]:
        for account in self._world.crm.accounts:
            yield Row(
                company_id(account),
                account.updated_at,
                _latest(account.updated_at, account.handed_over_at),
                partial(_tell_company, account),
            )

    def _contacts(self) -> Iterable[Row]:
        for lead in self._world.crm.leads:
            yield Row(
                contact_id(lead),
                lead.created_at,
                _latest(lead.updated_at, self._merged_at(lead.deal)),
                partial(self._tell_contact, lead),
            )

    def _tell_contact(self, lead: Lead) -> Told:
        person = person_of(lead)
        values: dict[str, str | None] = {
            "hs_object_id": str(contact_id(lead)),
            "firstname": person.first_name,
            "lastname": person.last_name,
            "email": person.email,
            "phone": person.phone,
            "createdate": text_of(lead.created_at),
            "lastmodifieddate": text_of(_latest(lead.updated_at, self._merged_at(lead.deal))),
            "lifecyclestage": "opportunity" if lead.converted_at else "lead",
            "hs_lifecyclestage_lead_date": text_of(lead.created_at),
            "hs_lifecyclestage_opportunity_date": _text_of(lead.converted_at),
            "hubspot_owner_id": str(owner_id(lead.manager)),
            "hs_analytics_source": _original_source(lead.source),
            "hs_object_source": "FORM" if lead.source == "Website" else "CRM_UI",
            "first_deal_created_date": _text_of(lead.converted_at),
            "num_associated_deals": "1" if lead.deal else None,
            "hs_merged_object_ids": None,
            "associatedcompanyid": _company_id(lead.account),
            "lead_source": lead.source,
        }
        links = {
            "companies": [] if lead.account is None else _primary(company_id(lead.account), "contact_to_company"),
            "deals": [] if lead.deal is None else [(self._deal_id(lead.deal), "contact_to_deal")],
        }
        return Told(values, links)

    def _activities(self, name: str) -> Iterable[Row]:
        kind = ACTIVITY_KINDS[name]
        for activity in self._world.crm.activities:
            if activity.kind == kind:
                yield Row(
                    FIRST_ACTIVITY + 9 * number(activity.id),
                    activity.updated_at,
                    _latest(activity.updated_at, self._merged_at(activity.deal)),
                    partial(self._tell_activity, activity),
                )

    def _tell_activity(self, activity: Activity) -> Told:
        about = activity.deal.name if activity.deal else "first contact"
        values: dict[str, str | None] = {
            "hs_object_id": str(FIRST_ACTIVITY + 9 * number(activity.id)),
            "hs_timestamp": text_of(activity.occurred_at),
            "hs_createdate": text_of(activity.updated_at),
            "hs_lastmodifieddate": text_of(_latest(activity.updated_at, self._merged_at(activity.deal))),
            "hubspot_owner_id": str(owner_id(activity.manager)),
            **_of_kind(activity, about),
        }
        kind = activity.kind
        links = {
            "deals": [] if activity.deal is None else [(self._deal_id(activity.deal), f"{kind}_to_deal")],
            "contacts": [] if activity.lead is None else [(contact_id(activity.lead), f"{kind}_to_contact")],
            "companies": [] if activity.account is None else [(company_id(activity.account), f"{kind}_to_company")],
        }
        return Told(values, links)

    # ------------------------------------------------------------------ settings

    def owners(self, *, archived: bool) -> list[Json]:
        """The managers who are there, or those who left, by ascending id."""
        return [
            _owner(manager, self._world) for manager in self._world.crm.managers if archived == bool(manager.left_on)
        ]

    def teams(self) -> list[Json]:
        """The departments, flat: which is part of which is not told."""
        members = self._world.crm.members
        return [
            {
                "id": str(team_id(department)),
                "name": department.name,
                "userIds": [str(user_id(manager)) for manager in members(department)],
                "secondaryUserIds": [],
            }
            for department in DEPARTMENTS
        ]

    def pipelines(self) -> list[Json]:
        set_up_at = text_of(midnight(self._world.opened_on))
        return [
            {
                "id": PIPELINE_IDS[pipeline.id],
                "label": pipeline.id.replace("_", " ").capitalize(),
                "displayOrder": position,
                "createdAt": set_up_at,
                "updatedAt": set_up_at,
                "archived": False,
                "stages": [_stage(pipeline, stage, set_up_at) for stage in pipeline.stages],
            }
            for position, pipeline in enumerate(PIPELINES.values())
        ]


def _stage(pipeline: Pipeline, stage: Stage, set_up_at: str) -> Json:
    return {
        "id": stage_id(pipeline, stage),
        "label": stage.name,
        "displayOrder": pipeline.stages.index(stage),
        "metadata": {"isClosed": _flag(stage.outcome != "open"), "probability": str(stage.probability)},
        "createdAt": set_up_at,
        "updatedAt": set_up_at,
        "archived": False,
        "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
    }


def _owner(manager: Manager, world: World) -> Json:
    user = world.users[user_number(manager.id) - 1]
    told = {
        "id": str(owner_id(manager)),
        "email": user.email,
        "type": "PERSON",
        "firstName": user.first_name,
        "lastName": user.last_name,
        "userIdIncludingInactive": user_id(manager),
        "createdAt": text_of(user.created_at),
        "updatedAt": text_of(manager.updated_at),
        "archived": bool(manager.left_on),
        "teams": [{"id": str(team_id(manager.department)), "name": manager.department.name, "primary": True}],
    }
    return told if manager.left_on else {**told, "userId": user_id(manager)}


def _tell_company(account: Account) -> Told:
    values: dict[str, str | None] = {
        "hs_object_id": str(company_id(account)),
        "name": account.name,
        "domain": f"company-{number(account.id)}.example",
        "country": account.country,
        "industry": INDUSTRIES[account.segment],
        "segment": account.segment,
        "createdate": text_of(account.updated_at),
        "hs_lastmodifieddate": text_of(_latest(account.updated_at, account.handed_over_at)),
        "hubspot_owner_id": str(owner_id(account.manager)),
        "hs_parent_company_id": _company_id(account.parent),
        "hs_merged_object_ids": None,
    }
    parents = [] if account.parent is None else [(company_id(account.parent), "child_to_parent_company")]
    return Told(values, {"companies": parents})


def _of_kind(activity: Activity, about: str) -> dict[str, str | None]:
    """The properties that only calls, meetings, emails or tasks have."""
    occurred_at = text_of(activity.occurred_at)
    if activity.kind == "call":
        return {
            "hs_call_title": f"Call: {about}",
            "hs_call_body": f"{activity.manager.name} called.",
            "hs_call_direction": "OUTBOUND",
            "hs_call_status": "COMPLETED",
            "hs_call_duration": str(60_000 * (number(activity.id) % 25 + 1)),
        }
    if activity.kind == "meeting":
        return {
            "hs_meeting_title": f"Meeting: {about}",
            "hs_meeting_start_time": occurred_at,
            "hs_meeting_end_time": text_of(activity.occurred_at + timedelta(hours=1)),
            "hs_meeting_outcome": "COMPLETED",
        }
    if activity.kind == "email":
        return {"hs_email_subject": f"Your inquiry: {about}", "hs_email_direction": "EMAIL", "hs_email_status": "SENT"}
    return {"hs_task_subject": f"Prepare: {about}", "hs_task_status": "COMPLETED", "hs_task_type": "TODO"}


def _change(value: str, at: datetime, by: Manager | None) -> Json:
    change: Json = {"value": value, "timestamp": text_of(at), "sourceType": "CRM_UI"}
    if by:
        change |= {"sourceId": f"userId:{user_id(by)}", "updatedByUserId": user_id(by)}
    return change


def _primary(row_id: int, kind: str) -> list[tuple[int, str]]:
    """A primary company is told twice: once as the primary one, once without a label."""
    return [(row_id, kind), (row_id, f"{kind}_unlabeled")]


def _original_source(source: str) -> str:
    return ORIGINAL_SOURCES.get(source, "OFFLINE")


def _latest(one: datetime, other: datetime | None) -> datetime:
    return one if other is None else max(one, other)


def _noon(day: date | None) -> datetime | None:
    return None if day is None else midnight(day) + NOON


def _text_of(moment: datetime | None) -> str | None:
    return None if moment is None else text_of(moment)


def _company_id(account: Account | None) -> str | None:
    return None if account is None else str(company_id(account))


def _amount(cents: int) -> str:
    return str(cents // 100) if cents % 100 == 0 else f"{cents // 100}.{cents % 100:02}"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _grouped(changes: Iterable[Any]) -> dict[Deal, list[Any]]:
    by_deal: dict[Deal, list[Any]] = defaultdict(list)
    for change in changes:
        by_deal[change.deal].append(change)
    return by_deal
