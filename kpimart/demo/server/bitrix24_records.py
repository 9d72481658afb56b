"""The company's records as Bitrix24 has them: what `crm.item.list` and the other lists give, field by field.

Where the company knows more or less than a portal can: a deal older than the CRM has the moment it was entered as
`createdTime`; an amount that nobody knows is 0; `closedate` is the expected day until the deal is closed, then the day
on which it was; product, reason of a loss, country and parent company are user fields; who owned a deal before is
nowhere. A contact is made of a lead when it is converted. What happened to a deal stays readable after its deletion,
except the deal itself; the calls and letters of one that was merged away belong to the deal that is left.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from itertools import count

from kpimart.demo.crm import Account, Activity, Deal, Lead
from kpimart.demo.demand import TAKEN_OVER
from kpimart.demo.server.table import Row, Table
from kpimart.demo.server.world import User, World, department_number, number, person_of, user_number
from kpimart.demo.world import (
    BASE_CURRENCY,
    DEPARTMENTS,
    EXISTING_CUSTOMER,
    PIPELINES,
    PROSPECTING,
    SEGMENTS,
    Department,
    Pipeline,
    Stage,
)

PORTAL_TIME = timezone(timedelta(hours=3))

LEAD, DEAL, CONTACT, COMPANY = 1, 2, 3, 4
ADMINISTRATOR = 1

SEMANTICS = {"open": "P", "won": "S", "lost": "F"}
OPEN_STAGES = ("NEW", "PREPARATION", "PREPAYMENT_INVOICE", "EXECUTING")
FINAL_STAGES = {"won": "WON", "lost": "LOSE"}

NEW_LEAD, CONVERTED_LEAD = "NEW", "CONVERTED"

SOURCES = {
    "Website": "WEB",
    "Referral": "RECOMMENDATION",
    "Trade fair": "TRADE_SHOW",
    "Campaign": "ADVERTISING",
    "Partner": "PARTNER",
    PROSPECTING: "CALL",
    EXISTING_CUSTOMER: "REPEAT_SALE",
    TAKEN_OVER: "OTHER",
}
ACTIVITY_TYPES = {"meeting": "1", "call": "2", "task": "3", "email": "4"}
PROVIDERS = {"meeting": "CRM_MEETING", "call": "VOXIMPLANT_CALL", "task": "CRM_TASKS_TASK", "email": "CRM_EMAIL"}


class Kind(Enum):
    """How the values of a field are compared, and what a filter may say of it."""

    NUMBER = "number"
    TEXT = "text"
    MOMENT = "moment"
    FLAG = "flag"


def iso(moment: datetime) -> str:
    """A moment as the portal writes it: its own time, with the offset."""
    return moment.astimezone(PORTAL_TIME).isoformat(timespec="seconds")


def iso_day(day: date) -> str:
    """A day without a time, which the portal takes for midnight in UTC."""
    return iso(datetime(day.year, day.month, day.day, tzinfo=UTC))


def category_id(pipeline: Pipeline) -> int:
    """0 is the category that every portal begins with."""
    return list(PIPELINES).index(pipeline.id)


def stage_id(pipeline: Pipeline, stage: Stage) -> str:
    """As the portal names it: NEW, or C1:NEW in any category but the first."""
    code = FINAL_STAGES.get(stage.outcome) or OPEN_STAGES[pipeline.open_stages.index(stage)]
    category = category_id(pipeline)
    return f"C{category}:{code}" if category else code


# ---------------------------------------------------------------------- items

ITEM_KINDS = {
    **dict.fromkeys(("id", "assignedById", "createdBy", "updatedBy", "movedBy", "companyId", "contactId"), Kind.NUMBER),
    **dict.fromkeys(("leadId", "categoryId", "opportunity", "probability", "taxValue", "revenue"), Kind.NUMBER),
    **dict.fromkeys(("webformId", "lastActivityBy", "ufCrmParentCompany"), Kind.NUMBER),
    **dict.fromkeys(("createdTime", "updatedTime", "movedTime", "lastActivityTime", "dateClosed"), Kind.MOMENT),
    **dict.fromkeys(("begindate", "closedate", "birthdate"), Kind.MOMENT),
    **dict.fromkeys(("opened", "closed", "isNew", "isRecurring", "isManualOpportunity", "isMyCompany"), Kind.FLAG),
    **dict.fromkeys(("hasPhone", "hasEmail", "hasImol", "export"), Kind.FLAG),
}
"""The kinds of the fields of items; a field that is not named here is text."""

_UTM = dict.fromkeys(("utmSource", "utmMedium", "utmCampaign", "utmContent", "utmTerm"))
_FROM_OUTSIDE = {"originatorId": None, "originId": None}


def items(world: World, entity_type: int) -> Table:
    """The items of a type as they stand."""
    rows = {LEAD: _leads, DEAL: _deals, CONTACT: _contacts, COMPANY: _companies}[entity_type]
    return world.derive(f"bitrix24 items {entity_type}", lambda: Table(rows(world), identity="id"))


def _leads(world: World) -> Iterator[Row]:
    for lead in world.crm.leads:
        yield _lead(lead)


def _lead(lead: Lead) -> Row:
    person, owner = person_of(lead), user_number(lead.manager.id)
    is_converted = lead.converted_at is not None
    moved_at = lead.converted_at or lead.created_at
    return {
        "id": number(lead.id),
        "title": f"{lead.source}: {person.last_name}",
        "name": person.first_name,
        "lastName": person.last_name,
        "secondName": None,
        "honorific": None,
        "post": None,
        "birthdate": None,
        "stageId": CONVERTED_LEAD if is_converted else NEW_LEAD,
        "stageSemanticId": "S" if is_converted else "P",
        "statusDescription": None,
        "sourceId": SOURCES[lead.source],
        "sourceDescription": None,
        "companyId": number(lead.account.id) if lead.account else 0,
        "companyTitle": lead.account.name if lead.account else None,
        "contactId": _contact_id(lead),
        "contactIds": [_contact_id(lead)] if is_converted else [],
        "opportunity": 0,
        "currencyId": BASE_CURRENCY,
        "isManualOpportunity": "N",
        "opened": "Y",
        "assignedById": owner,
        **_made(lead.created_at, ADMINISTRATOR, lead.updated_at, owner),
        "movedTime": iso(moved_at),
        "movedBy": owner,
        "dateClosed": iso(lead.converted_at) if lead.converted_at else None,
        "webformId": 0,
        "comments": None,
        "observers": [],
        "hasImol": "N",
        **_reachable(lead),
        **_FROM_OUTSIDE,
        **_UTM,
    }


def _contact_id(lead: Lead) -> int:
    """Made with the deal, so numbered like it; 0 is none."""
    return number(lead.deal.id) if lead.deal else 0


def _reachable(lead: Lead) -> Row:
    person, first = person_of(lead), 2 * number(lead.id) - 1
    return {
        "hasPhone": "Y",
        "hasEmail": "Y",
        "fm": [
            {"id": first, "valueType": "WORK", "value": person.phone, "typeId": "PHONE"},
            {"id": first + 1, "valueType": "WORK", "value": person.email, "typeId": "EMAIL"},
        ],
    }


def _made(created_at: datetime, creator: int, updated_at: datetime, editor: int) -> Row:
    return {
        "createdTime": iso(created_at),
        "createdBy": creator,
        "updatedTime": iso(updated_at),
        "updatedBy": editor,
        "lastActivityTime": iso(updated_at),
        "lastActivityBy": editor,
    }


def _deals(world: World) -> Iterator[Row]:
    first: dict[str, datetime] = {}
    last: dict[str, datetime] = {}
    for change in world.crm.stage_changes:
        first.setdefault(change.deal.id, change.changed_at)
        last[change.deal.id] = change.changed_at
    creators: dict[str, int] = {}
    for given in world.crm.owner_changes:
        creators.setdefault(given.deal.id, user_number(given.manager.id))
    for deal in world.crm.deals:
        if not deal.is_deleted:
            created_at = deal.created_at or first[deal.id]
            yield _deal(deal, created_at=created_at, creator=creators[deal.id], moved_at=last[deal.id])


def _deal(deal: Deal, *, created_at: datetime, creator: int, moved_at: datetime) -> Row:
    owner = user_number(deal.manager.id)
    closes_on = deal.closed_at.astimezone(PORTAL_TIME).date() if deal.closed_at else deal.expected_close_on
    contact = _contact_id(deal.lead) if deal.lead else 0
    return {
        "id": number(deal.id),
        "title": deal.name,
        "typeId": "SALE",
        "categoryId": category_id(deal.pipeline),
        "stageId": stage_id(deal.pipeline, deal.stage),
        "stageSemanticId": SEMANTICS[deal.stage.outcome],
        "isNew": "Y" if deal.stage is deal.pipeline.stages[0] else "N",
        "isRecurring": "N",
        "closed": "Y" if deal.closed_at else "N",
        "opportunity": money(deal.amount or 0),
        "currencyId": deal.currency,
        "isManualOpportunity": "Y",
        "taxValue": 0,
        "probability": round(deal.stage.probability * 100),
        "companyId": number(deal.account.id) if deal.account else 0,
        "contactId": contact,
        "contactIds": [contact] if contact else [],
        "leadId": number(deal.lead.id) if deal.lead else None,
        "sourceId": SOURCES[deal.source],
        "sourceDescription": None,
        "begindate": iso_day(created_at.astimezone(PORTAL_TIME).date()),
        "closedate": iso_day(closes_on) if closes_on else None,
        "opened": "Y",
        "assignedById": owner,
        **_made(created_at, creator, deal.updated_at, owner),
        "movedTime": iso(moved_at),
        "movedBy": owner,
        "webformId": 0,
        "comments": None,
        "additionalInfo": None,
        "observers": [],
        "ufCrmProduct": deal.product.name,
        "ufCrmLossReason": deal.loss_reason,
        **_FROM_OUTSIDE,
        **_UTM,
    }


def money(cents: int) -> int | float:
    """An amount as JSON of a double: without decimals where there are none."""
    return cents / 100 if cents % 100 else cents // 100


def _contacts(world: World) -> Iterator[Row]:
    for lead in world.crm.leads:
        if lead.converted_at is not None:
            yield _contact(lead, lead.converted_at)


def _contact(lead: Lead, created_at: datetime) -> Row:
    person, owner = person_of(lead), user_number(lead.manager.id)
    return {
        "id": _contact_id(lead),
        "name": person.first_name,
        "lastName": person.last_name,
        "secondName": None,
        "honorific": None,
        "post": None,
        "birthdate": None,
        "typeId": "CLIENT",
        "companyId": number(lead.account.id) if lead.account else 0,
        "leadId": number(lead.id),
        "sourceId": SOURCES[lead.source],
        "sourceDescription": None,
        "export": "Y",
        "opened": "Y",
        "assignedById": owner,
        **_made(created_at, owner, created_at, owner),
        "comments": None,
        "observers": [],
        "hasImol": "N",
        **_reachable(lead),
        **_FROM_OUTSIDE,
        **_UTM,
    }


def _companies(world: World) -> Iterator[Row]:
    for account in world.crm.accounts:
        yield _company(account)


def _company(account: Account) -> Row:
    owner = user_number(account.manager.id)
    return {
        "id": number(account.id),
        "title": account.name,
        "typeId": "CUSTOMER",
        "industry": status_of_segment(account.segment),
        "revenue": 0,
        "currencyId": account.currency,
        "employees": None,
        "isMyCompany": "N",
        "leadId": None,
        "opened": "Y",
        "assignedById": owner,
        **_made(account.updated_at, ADMINISTRATOR, account.handed_over_at or account.updated_at, owner),
        "comments": None,
        "observers": [],
        "contactIds": [],
        "hasPhone": "N",
        "hasEmail": "N",
        "hasImol": "N",
        "fm": [],
        "ufCrmCountry": account.country,
        "ufCrmParentCompany": number(account.parent.id) if account.parent else None,
        **_FROM_OUTSIDE,
        **_UTM,
    }


def status_of_segment(segment: str) -> str:
    return segment.upper()


# ---------------------------------------------------------------------- histories

CREATED, MOVED, CLOSED = 1, 2, 3

HISTORY_KINDS = {
    **dict.fromkeys(("ID", "TYPE_ID", "OWNER_ID", "CATEGORY_ID"), Kind.NUMBER),
    "CREATED_TIME": Kind.MOMENT,
}


def stage_history(world: World, entity_type: int) -> Table:
    """The stages that deals or leads entered, in the order in which they did."""
    rows = {LEAD: _lead_history, DEAL: _deal_history}[entity_type]
    return world.derive(f"bitrix24 history {entity_type}", lambda: Table(rows(world), identity="ID"))


def _deal_history(world: World) -> Iterator[Row]:
    seen = set()
    for change in world.crm.stage_changes:
        deal, stage = change.deal, change.stage
        type_id = CREATED if deal.id not in seen else MOVED if stage.outcome == "open" else CLOSED
        seen.add(deal.id)
        yield {
            "ID": number(change.id),
            "TYPE_ID": type_id,
            "OWNER_ID": number(deal.id),
            "CREATED_TIME": iso(change.changed_at),
            "CATEGORY_ID": category_id(deal.pipeline),
            "STAGE_SEMANTIC_ID": SEMANTICS[stage.outcome],
            "STAGE_ID": stage_id(deal.pipeline, stage),
        }


def _lead_history(world: World) -> Iterator[Row]:
    leads = world.crm.leads
    came = [(lead.created_at, number(lead.id), CREATED, NEW_LEAD, "P") for lead in leads]
    went = [
        (lead.converted_at, number(lead.id), CLOSED, CONVERTED_LEAD, "S")
        for lead in leads
        if lead.converted_at is not None
    ]
    for at, (moment, lead_id, type_id, status, semantic) in zip(count(1), sorted(came + went), strict=False):
        yield {
            "ID": at,
            "TYPE_ID": type_id,
            "OWNER_ID": lead_id,
            "CREATED_TIME": iso(moment),
            "STATUS_SEMANTIC_ID": semantic,
            "STATUS_ID": status,
        }


ACTIVITY_KINDS = {
    **dict.fromkeys(("ID", "OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID", "RESPONSIBLE_ID", "AUTHOR_ID"), Kind.NUMBER),
    **dict.fromkeys(("EDITOR_ID", "STATUS", "PRIORITY", "DIRECTION", "ASSOCIATED_ENTITY_ID"), Kind.NUMBER),
    **dict.fromkeys(("CREATED", "LAST_UPDATED", "START_TIME", "END_TIME", "DEADLINE"), Kind.MOMENT),
    "COMPLETED": Kind.FLAG,
}


def activities(world: World) -> Table:
    """Calls, meetings, tasks and letters, each done when it was written down."""
    return world.derive("bitrix24 activities", lambda: _strings(map(_activity, world.crm.activities), ACTIVITY_KINDS))


def _activity(activity: Activity) -> Row:
    author, happened = str(user_number(activity.manager.id)), iso(activity.occurred_at)
    deal, merged_at = activity.deal, None
    if deal and deal.merged_into:
        deal, merged_at = deal.merged_into, deal.deleted_at
    owner = deal or activity.lead
    return {
        "ID": str(number(activity.id)),
        "OWNER_ID": str(number(owner.id) if owner else 0),
        "OWNER_TYPE_ID": str(DEAL if deal else LEAD),
        "TYPE_ID": ACTIVITY_TYPES[activity.kind],
        "PROVIDER_ID": PROVIDERS[activity.kind],
        "PROVIDER_TYPE_ID": activity.kind.upper(),
        "PROVIDER_GROUP_ID": None,
        "ASSOCIATED_ENTITY_ID": "0",
        "SUBJECT": activity.kind.capitalize(),
        "CREATED": iso(activity.updated_at),
        "LAST_UPDATED": iso(merged_at or activity.updated_at),
        "START_TIME": happened,
        "END_TIME": happened,
        "DEADLINE": happened,
        "COMPLETED": "Y",
        "STATUS": "2",
        "RESPONSIBLE_ID": author,
        "PRIORITY": "2",
        "NOTIFY_TYPE": "0",
        "NOTIFY_VALUE": "0",
        "DESCRIPTION": "",
        "DESCRIPTION_TYPE": "1",
        "DIRECTION": "2",
        "LOCATION": "",
        "SETTINGS": [],
        "ORIGINATOR_ID": None,
        "ORIGIN_ID": None,
        "AUTHOR_ID": author,
        "EDITOR_ID": author,
        "PROVIDER_PARAMS": [],
        "PROVIDER_DATA": None,
        "RESULT_MARK": "0",
        "RESULT_STATUS": "0",
    }


def _strings(rows: Iterator[Row], kinds: dict[str, Kind]) -> Table:
    """A table of rows whose numbers are written as strings; a field that not all have is null where it is not."""
    numbers = [field for field, kind in kinds.items() if kind is Kind.NUMBER]
    flags = [field for field, kind in kinds.items() if kind is Kind.FLAG]

    def values(row: Row) -> Row:
        counted = {field: None if row.get(field) is None else int(row[field]) for field in numbers}
        return row | counted | {field: "Y" if row[field] in (True, "Y") else "N" for field in flags}

    return Table(rows, identity="ID", values=values)


# ---------------------------------------------------------------------- people

USER_KINDS = {
    "ID": Kind.NUMBER,
    "ACTIVE": Kind.FLAG,
    **dict.fromkeys(("LAST_LOGIN", "DATE_REGISTER", "PERSONAL_BIRTHDAY", "UF_EMPLOYMENT_DATE"), Kind.MOMENT),
}


def users(world: World) -> Table:
    """Heads and managers; those who left are there, but not active."""
    return world.derive("bitrix24 users", lambda: _strings(map(_user, world.users), USER_KINDS))


def _user(user: User) -> Row:
    is_active = user.left_on is None
    return {
        "ID": str(user.number),
        "ACTIVE": is_active,
        "NAME": user.first_name,
        "LAST_NAME": user.last_name,
        "SECOND_NAME": "",
        "EMAIL": user.email,
        "LAST_LOGIN": iso(user.updated_at),
        "DATE_REGISTER": iso_day(user.created_at.astimezone(PORTAL_TIME).date()),
        "TIME_ZONE": "",
        "IS_ONLINE": "N",
        "TIMESTAMP_X": {},
        "LAST_ACTIVITY_DATE": {},
        "PERSONAL_GENDER": "",
        "PERSONAL_WWW": "",
        "PERSONAL_BIRTHDAY": "",
        "PERSONAL_MOBILE": "",
        "PERSONAL_CITY": "",
        "WORK_PHONE": "",
        "WORK_POSITION": "Head of sales" if user.is_head else "Sales manager",
        "UF_EMPLOYMENT_DATE": "",
        "UF_DEPARTMENT": [department_number(user.department)],
        "USER_TYPE": "employee",
    }


DEPARTMENT_KINDS = dict.fromkeys(("ID", "SORT", "PARENT", "UF_HEAD"), Kind.NUMBER)


def departments(world: World) -> Table:
    """The tree of departments; the first has no parent."""
    heads = {head.department.id: head.number for head in world.heads}
    return world.derive(
        "bitrix24 departments",
        lambda: _strings((_department(each, heads[each.id]) for each in DEPARTMENTS), DEPARTMENT_KINDS),
    )


def _department(department: Department, head: int) -> Row:
    parent = next((each for each in DEPARTMENTS if each.id == department.parent), None)
    return {
        "ID": str(department_number(department)),
        "NAME": department.name,
        "SORT": 500,
        **({"PARENT": str(department_number(parent))} if parent else {}),
        "UF_HEAD": str(head),
    }


# ---------------------------------------------------------------------- pipelines

STATUS_KINDS = dict.fromkeys(("ID", "SORT", "CATEGORY_ID"), Kind.NUMBER)
_COLORS = {"P": "#39A8EF", "S": "#7BD500", "F": "#FF5752"}
_WORDS = {"P": "process", "S": "success", "F": "failure"}


def categories() -> list[Row]:
    """The pipelines of deals."""
    return [
        {
            "id": category_id(pipeline),
            "name": pipeline.id.replace("_", " ").capitalize(),
            "sort": 100 * (category_id(pipeline) + 1),
            "entityTypeId": DEAL,
            "isDefault": "N" if category_id(pipeline) else "Y",
            "originId": "",
            "originatorId": "",
        }
        for pipeline in PIPELINES.values()
    ]


def statuses() -> Table:
    """The entries of all lists of reference: stages of leads and deals, sources, industries."""
    rows = (row | {"ID": str(at)} for row, at in zip(_statuses(), count(101, 2), strict=False))
    return _strings(rows, STATUS_KINDS)


def _statuses() -> Iterator[Row]:
    yield _stage("STATUS", NEW_LEAD, "Unassigned", 10, "P", None)
    yield _stage("STATUS", CONVERTED_LEAD, "Converted", 20, "S", None)
    yield _stage("STATUS", "JUNK", "Not qualified", 30, "F", None)
    for pipeline in PIPELINES.values():
        category = category_id(pipeline)
        entity = f"DEAL_STAGE_{category}" if category else "DEAL_STAGE"
        for sort, stage in enumerate(pipeline.stages, start=1):
            code, semantics = stage_id(pipeline, stage), SEMANTICS[stage.outcome]
            yield _stage(entity, code, stage.name, sort * 10, semantics, str(category) if category else None)
    for sort, (source, code) in enumerate(SOURCES.items(), start=1):
        yield _status("SOURCE", code, source, sort * 10)
    for sort, segment in enumerate(SEGMENTS, start=1):
        yield _status("INDUSTRY", status_of_segment(segment), segment, sort * 10)


def _status(entity: str, code: str, name: str, sort: int) -> Row:
    return {
        "ID": "",
        "ENTITY_ID": entity,
        "STATUS_ID": code,
        "NAME": name,
        "NAME_INIT": "",
        "SORT": str(sort),
        "SYSTEM": "N",
        "CATEGORY_ID": None,
        "COLOR": None,
        "SEMANTICS": None,
    }


def _stage(entity: str, code: str, name: str, sort: int, semantics: str, category: str | None) -> Row:
    is_system = code.rpartition(":")[2] in {NEW_LEAD, *FINAL_STAGES.values(), CONVERTED_LEAD}
    return _status(entity, code, name, sort) | {
        "SYSTEM": "Y" if is_system else "N",
        "CATEGORY_ID": category,
        "COLOR": _COLORS[semantics],
        "SEMANTICS": None if semantics == "P" else semantics,
        "EXTRA": {"SEMANTICS": _WORDS[semantics], "COLOR": _COLORS[semantics]},
    }
