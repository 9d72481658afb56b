"""The company's records as amoCRM has them: what its lists give, without the links, which depend on the address.

amoCRM has one record for what the company calls a lead and a deal (here: a card). An inquiry lies among the incoming
ones (`leads/unsorted`), without anybody responsible; accepted, it becomes a lead in the first stage of its pipeline,
under the number and with the `created_at` that it came with. An inquiry that comes to nothing stays where it lies.
The account has one currency: what was agreed in dollars is entered in euros, at the house rate, without cents; an
amount that nobody knows is 0. Departments are groups, without a tree and without heads. A call or a letter is a note, a
meeting or a task is a task. Product and expected close are custom fields; who belongs to which parent company is
nowhere. A deal that was merged away is deleted like any other.
"""

from base64 import b32hexencode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2s
from typing import Any

from kpimart.demo.clock import midnight
from kpimart.demo.crm import Account, Activity, Deal, Lead, Manager, OwnerChange
from kpimart.demo.demand import TAKEN_OVER
from kpimart.demo.server.table import Row, Table
from kpimart.demo.server.world import Person, User, World, department_number, number, person_of, user_number
from kpimart.demo.world import (
    BASE_CURRENCY,
    DEPARTMENTS,
    EXISTING_CUSTOMER,
    LEAD_SOURCES,
    LOSS_REASONS,
    PIPELINES,
    PROSPECTING,
    TIME_ZONE,
    Department,
    Pipeline,
    Stage,
)

ACCOUNT = 31_415_926
ADMINISTRATOR = 1
NOBODY = 0

WON, LOST = 142, 143
INCOMING = "Incoming leads"
TASK_TYPES = {"task": 1, "meeting": 2}
NOTE_TYPES = {"call": "call_out", "email": "amomail_message"}

# What a euro is worth in dollars in the price list.
HOUSE_RATE = 1.1

SOURCES = (*LEAD_SOURCES, PROSPECTING, EXISTING_CUSTOMER, TAKEN_OVER)
PRODUCT_FIELD, EXPECTED_CLOSE_FIELD, SEGMENT_FIELD, COUNTRY_FIELD = 710_001, 710_002, 710_003, 710_004
PHONE_FIELD, EMAIL_FIELD = 710_005, 710_006


def epoch(moment: datetime) -> int:
    return round(moment.timestamp())


def user_id(of: int) -> int:
    """Of a user's number; 0 is a robot."""
    return 8_000_000 + of


def manager_id(manager: Manager) -> int:
    return user_id(user_number(manager.id))


def group_id(department: Department) -> int:
    """0 is the group that every account begins with."""
    return 300_000 + department_number(department) if department.parent else 0


def pipeline_id(pipeline: Pipeline) -> int:
    return 7_000_001 + list(PIPELINES).index(pipeline.id)


def incoming_id(pipeline: Pipeline) -> int:
    """The stage in which inquiries lie until somebody accepts them."""
    return pipeline_id(pipeline) * 10


def status_id(pipeline: Pipeline, stage: Stage) -> int:
    """Winning and losing are the same in every pipeline."""
    final = {"won": WON, "lost": LOST}
    return final.get(stage.outcome) or incoming_id(pipeline) + pipeline.stages.index(stage) + 1


def loss_reason_id(reason: str) -> int:
    return 90_001 + list(LOSS_REASONS).index(reason)


def source_id(source: str) -> int:
    return 95_001 + SOURCES.index(source)


def company_id(account: Account) -> int:
    return 50_000_000 + number(account.id)


def contact_id(lead: Lead) -> int:
    return 60_000_000 + number(lead.id)


def task_id(activity: Activity) -> int:
    return 30_000_000 + number(activity.id)


def note_id(activity: Activity) -> int:
    return 40_000_000 + number(activity.id)


def price(cents: int | None, currency: str) -> int:
    """In whole units of the account's currency."""
    return round((cents or 0) / 100 / (1 if currency == BASE_CURRENCY else HOUSE_RATE))


# ---------------------------------------------------------------------- cards


@dataclass(frozen=True)
class Card:
    """An inquiry, the deal that it became, or a deal that nobody inquired for."""

    id: int
    lead: Lead | None
    deal: Deal | None
    created_at: datetime


class Cards:
    """All cards, numbered as they came, and where to find that of a lead or of a deal."""

    def __init__(self, world: World) -> None:
        self.entered_at: dict[str, datetime] = {}
        for entered in world.crm.stage_changes:
            self.entered_at.setdefault(entered.deal.id, entered.changed_at)
        self._owners: dict[str, list[OwnerChange]] = {}
        for change in world.crm.owner_changes:
            self._owners.setdefault(change.deal.id, []).append(change)
        inquiries = [(lead.created_at, 0, number(lead.id), lead, lead.deal) for lead in world.crm.leads]
        others = [(self._created(deal), 1, number(deal.id), None, deal) for deal in world.crm.deals if not deal.lead]
        came = sorted([*inquiries, *others], key=lambda each: each[:3])
        self.all = [
            Card(20_000_000 + at, lead, deal, created_at)
            for at, (created_at, _, _, lead, deal) in enumerate(came, start=1)
        ]
        self.of_lead = {card.lead.id: card for card in self.all if card.lead}
        self.of_deal = {card.deal.id: card for card in self.all if card.deal}

    def _created(self, deal: Deal) -> datetime:
        """A deal older than the CRM came with it."""
        return deal.created_at or self.entered_at[deal.id]

    def owner_at(self, deal: Deal, moment: datetime) -> int:
        """The user who had a deal then, or first."""
        owners = self._owners[deal.id]
        return manager_id(next((own for own in reversed(owners) if own.changed_at <= moment), owners[0]).manager)

    def of_activity(self, activity: Activity) -> Card | None:
        if activity.deal:
            return self.of_deal[activity.deal.id]
        return self.of_lead[activity.lead.id] if activity.lead else None


class Records:
    """The lists as they stand; each is made when it is first asked for after the clock was moved."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def cards(self) -> Cards:
        return self._world.derive("amocrm cards", lambda: Cards(self._world))

    def _group_at(self, manager: Manager, moment: datetime) -> int:
        """The group in which a manager sat when a record was last changed: a record keeps it."""
        groups = self._world.derive("amocrm groups", self._groups_since)
        day = moment.astimezone(TIME_ZONE).date()
        return next((group for since, group in reversed(groups[manager.id]) if since <= day), groups[manager.id][0][1])

    def _groups_since(self) -> dict[str, list[tuple[date, int]]]:
        since: dict[str, list[tuple[date, int]]] = {}
        for assignment in self._world.crm.assignments:
            since.setdefault(assignment.manager.id, []).append((assignment.valid_from, group_id(assignment.department)))
        return since

    # ------------------------------------------------------------------ leads

    def leads(self) -> Table:
        """What was accepted, and is not deleted."""
        return self._world.derive("amocrm leads", lambda: Table(self._leads(), identity="id"))

    def _leads(self) -> Iterator[Row]:
        for card in self.cards.all:
            if card.deal and not card.deal.is_deleted:
                yield self._lead(card, card.deal)

    def _lead(self, card: Card, deal: Deal) -> Row:
        owner = manager_id(deal.manager)
        return {
            "id": card.id,
            "name": deal.name,
            "price": price(deal.amount, deal.currency),
            "responsible_user_id": owner,
            "group_id": self._group_at(deal.manager, deal.updated_at),
            "status_id": status_id(deal.pipeline, deal.stage),
            "pipeline_id": pipeline_id(deal.pipeline),
            "loss_reason_id": loss_reason_id(deal.loss_reason) if deal.loss_reason else None,
            "source_id": None,
            "created_by": NOBODY if card.lead else self.cards.owner_at(deal, card.created_at),
            "updated_by": owner,
            "created_at": epoch(card.created_at),
            "updated_at": epoch(deal.updated_at),
            "closed_at": epoch(deal.closed_at) if deal.closed_at else None,
            "closest_task_at": None,
            "is_deleted": False,
            "custom_fields_values": list(_fields_of(deal)),
            "score": None,
            "account_id": ACCOUNT,
            "labor_cost": None,
            "_embedded": {"tags": [], "companies": [{"id": company_id(deal.account)}] if deal.account else []},
        }

    def source(self, lead_id: int) -> Row:
        deal = self._deal(lead_id)
        return {"id": source_id(deal.source), "name": deal.source}

    def loss_reason(self, lead_id: int) -> list[Row]:
        """At most one."""
        reason = self._deal(lead_id).loss_reason
        return [row for row in loss_reasons(self._world) if row["name"] == reason]

    def contacts_of(self, lead_id: int) -> list[Row]:
        """At most one."""
        lead = self._deal(lead_id).lead
        return [{"id": contact_id(lead), "is_main": True}] if lead else []

    def _deal(self, lead_id: int) -> Deal:
        deal = self.cards.all[lead_id - self.cards.all[0].id].deal
        if deal is None:
            raise LookupError(f"lead {lead_id} is an inquiry")
        return deal

    def deleted_leads(self) -> Table:
        """What lies in the bin: little more than the numbers."""
        rows = (
            {
                "id": card.id,
                "updated_by": manager_id(card.deal.manager),
                "created_at": epoch(card.created_at),
                "updated_at": epoch(card.deal.updated_at),
                "is_deleted": True,
            }
            for card in self.cards.all
            if card.deal and card.deal.is_deleted
        )
        return self._world.derive("amocrm deleted", lambda: Table(rows, identity="id"))

    def unsorted(self) -> Table:
        """Inquiries that nobody has accepted."""
        waiting = (card for card in self.cards.all if card.lead and not card.deal)
        return self._world.derive(
            "amocrm unsorted", lambda: Table((self._inquiry(card) for card in waiting), identity="lead_id")
        )

    def _inquiry(self, card: Card) -> Row:
        lead = card.lead
        if lead is None:
            raise LookupError(f"card {card.id} has no inquiry")
        created_at = epoch(card.created_at)
        department = self._department_at(lead)
        return {
            "lead_id": card.id,
            "contact_id": contact_id(lead),
            "uid": blake2s(str(card.id).encode(), digest_size=20).hexdigest(),
            "source_uid": str(source_id(lead.source)),
            "source_name": lead.source,
            "category": "forms",
            "pipeline_id": pipeline_id(PIPELINES[department.new_pipeline]),
            "created_at": created_at,
            "metadata": {
                "form_id": str(source_id(lead.source)),
                "form_name": lead.source,
                "form_page": "https://lumenwerk.example/contact",
                "form_sent_at": created_at,
            },
            "account_id": ACCOUNT,
        }

    def _department_at(self, lead: Lead) -> Department:
        """Where the manager sat who got it."""
        group = self._group_at(lead.manager, lead.updated_at)
        return next(department for department in DEPARTMENTS if group_id(department) == group)

    # ------------------------------------------------------------------ companies and contacts

    def companies(self) -> Table:
        return self._world.derive("amocrm companies", lambda: Table(map(self._company, self._accounts), identity="id"))

    @property
    def _accounts(self) -> list[Account]:
        return self._world.crm.accounts

    def _company(self, account: Account) -> Row:
        owner, updated_at = manager_id(account.manager), account.handed_over_at or account.updated_at
        return {
            "id": company_id(account),
            "name": account.name,
            "responsible_user_id": owner,
            "group_id": self._group_at(account.manager, updated_at),
            "created_by": user_id(ADMINISTRATOR),
            "updated_by": owner,
            "created_at": epoch(account.updated_at),
            "updated_at": epoch(updated_at),
            "closest_task_at": None,
            "is_deleted": False,
            "custom_fields_values": [
                _field(SEGMENT_FIELD, "Segment", "text", account.segment),
                _field(COUNTRY_FIELD, "Country", "text", account.country),
            ],
            "account_id": ACCOUNT,
            "_embedded": {"tags": []},
        }

    def contacts(self) -> Table:
        """The people who inquired."""
        return self._world.derive(
            "amocrm contacts", lambda: Table(map(self._contact, self._world.crm.leads), identity="id")
        )

    def _contact(self, lead: Lead) -> Row:
        person, owner = person_of(lead), manager_id(lead.manager)
        return {
            "id": contact_id(lead),
            "name": f"{person.first_name} {person.last_name}",
            "first_name": person.first_name,
            "last_name": person.last_name,
            "responsible_user_id": owner,
            "group_id": self._group_at(lead.manager, lead.updated_at),
            "created_by": NOBODY,
            "updated_by": owner,
            "created_at": epoch(lead.created_at),
            "updated_at": epoch(lead.updated_at),
            "is_deleted": False,
            "closest_task_at": None,
            "custom_fields_values": list(_reachable(person)),
            "account_id": ACCOUNT,
            "_embedded": {"tags": [], "companies": [{"id": company_id(lead.account)}] if lead.account else []},
        }

    # ------------------------------------------------------------------ tasks and notes

    def tasks(self) -> Table:
        """Meetings and tasks, each completed when it was written down."""
        done = (activity for activity in self._world.crm.activities if activity.kind in TASK_TYPES)
        return self._world.derive("amocrm tasks", lambda: Table(map(self._task, done), identity="id"))

    def _task(self, activity: Activity) -> Row:
        card, owner = self.cards.of_activity(activity), manager_id(activity.manager)
        return {
            "id": task_id(activity),
            "created_by": owner,
            "updated_by": owner,
            "created_at": epoch(activity.updated_at),
            "updated_at": epoch(activity.updated_at),
            "responsible_user_id": owner,
            "group_id": self._group_at(activity.manager, activity.updated_at),
            "entity_id": card.id if card else None,
            "entity_type": "leads" if card else None,
            "duration": 0,
            "is_completed": True,
            "task_type_id": TASK_TYPES[activity.kind],
            "text": activity.kind.capitalize(),
            "result": {"text": "Done"},
            "complete_till": epoch(activity.occurred_at),
            "account_id": ACCOUNT,
        }

    def notes(self) -> Table:
        """Calls and letters on leads; `created_at` is when the call was, `updated_at` when it was written down."""
        told = (activity for activity in self._world.crm.activities if activity.kind in NOTE_TYPES)
        return self._world.derive("amocrm notes", lambda: Table(map(self._note, told), identity="id"))

    def _note(self, activity: Activity) -> Row:
        card, owner = self.cards.of_activity(activity), manager_id(activity.manager)
        uid = blake2s(activity.id.encode(), digest_size=16).hexdigest()
        call = {"uniq": uid, "duration": 180, "source": "telephony", "link": "", "phone": "", "call_responsible": owner}
        letter = {
            "thread_id": number(activity.id),
            "message_id": number(activity.id),
            "private": False,
            "income": False,
        }
        return {
            "id": note_id(activity),
            "entity_id": card.id if card else None,
            "created_by": owner,
            "updated_by": owner,
            "created_at": epoch(activity.occurred_at),
            "updated_at": epoch(activity.updated_at),
            "responsible_user_id": owner,
            "group_id": self._group_at(activity.manager, activity.updated_at),
            "note_type": NOTE_TYPES[activity.kind],
            "params": call if activity.kind == "call" else letter,
            "account_id": ACCOUNT,
        }

    # ------------------------------------------------------------------ events

    def events(self) -> Table:
        """What happened, in the order in which it did."""
        return self._world.derive("amocrm events", lambda: Table(self._events(), identity="id"))

    def _events(self) -> Iterator[Row]:
        for card in self.cards.all:
            author = NOBODY if card.lead or not card.deal else self.cards.owner_at(card.deal, card.created_at)
            note = [{"note": {"id": 45_000_000 + card.id}}]
            yield _event("lead_added", card.created_at, card.id, author, after=note)
            if card.deal and card.deal.deleted_at:
                yield _event("lead_deleted", card.deal.deleted_at, card.id, manager_id(card.deal.manager))
        yield from self._status_events()
        yield from self._owner_events()
        yield from self._price_events()
        yield from self._activity_events()

    def _status_events(self) -> Iterator[Row]:
        stood: dict[str, int] = {}
        for at, change in enumerate(self._world.crm.stage_changes):
            deal = change.deal
            before = stood.get(deal.id) or (incoming_id(deal.pipeline) if deal.lead else None)
            after = stood[deal.id] = status_id(deal.pipeline, change.stage)
            if before:
                yield _event(
                    "lead_status_changed",
                    change.changed_at,
                    self.cards.of_deal[deal.id].id,
                    self.cards.owner_at(deal, change.changed_at),
                    after=[{"lead_status": {"id": after, "pipeline_id": pipeline_id(deal.pipeline)}}],
                    before=[{"lead_status": {"id": before, "pipeline_id": pipeline_id(deal.pipeline)}}],
                    at=at,
                )

    def _owner_events(self) -> Iterator[Row]:
        owned: dict[str, int] = {}
        for at, change in enumerate(self._world.crm.owner_changes):
            before, after = owned.get(change.deal.id), manager_id(change.manager)
            owned[change.deal.id] = after
            if before:
                yield _event(
                    "entity_responsible_changed",
                    change.changed_at,
                    self.cards.of_deal[change.deal.id].id,
                    user_id(ADMINISTRATOR),
                    after=[{"responsible_user": {"id": after}}],
                    before=[{"responsible_user": {"id": before}}],
                    at=at,
                )

    def _price_events(self) -> Iterator[Row]:
        known: dict[str, int] = {}
        for at, change in enumerate(self._world.crm.amount_changes):
            deal = change.deal
            before, after = known.get(deal.id, 0), price(change.amount, deal.currency)
            known[deal.id] = after
            if after != before and change.changed_at != self.cards.entered_at[deal.id]:
                yield _event(
                    "sale_field_changed",
                    change.changed_at,
                    self.cards.of_deal[deal.id].id,
                    self.cards.owner_at(deal, change.changed_at),
                    after=[{"sale_field_value": {"sale": after}}],
                    before=[{"sale_field_value": {"sale": before}}],
                    at=at,
                )

    def _activity_events(self) -> Iterator[Row]:
        for at, activity in enumerate(self._world.crm.activities):
            card, author = self.cards.of_activity(activity), manager_id(activity.manager)
            if activity.kind == "call" and card:
                note = [{"note": {"id": note_id(activity)}}]
                yield _event("outgoing_call", activity.updated_at, card.id, author, after=note, at=at)
            elif activity.kind in TASK_TYPES:
                yield _event("task_completed", activity.updated_at, task_id(activity), author, entity="task", at=at)


EVENT_TYPES = (
    "lead_added",
    "lead_deleted",
    "lead_status_changed",
    "entity_responsible_changed",
    "sale_field_changed",
    "outgoing_call",
    "task_completed",
)


def _event(
    kind: str,
    moment: datetime,
    entity_id: int,
    author: int,
    *,
    entity: str = "lead",
    after: list[Any] | None = None,
    before: list[Any] | None = None,
    at: int = 0,
) -> Row:
    """An event; `at` tells apart those of one kind, one moment and one record."""
    created_at = epoch(moment)
    return {
        "id": _ulid(created_at * 1000, (EVENT_TYPES.index(kind) * 10**9 + entity_id) * 10**6 + at),
        "type": kind,
        "entity_id": entity_id,
        "entity_type": entity,
        "created_by": author,
        "created_at": created_at,
        "value_after": after or [],
        "value_before": before or [],
        "account_id": ACCOUNT,
    }


def _ulid(milliseconds: int, unique: int) -> str:
    """26 characters that sort by time, then by number."""
    written = (milliseconds << 80 | unique).to_bytes(16)
    return b32hexencode(written).decode().rstrip("=").lower()


# ---------------------------------------------------------------------- custom fields


def _field(field_id: int, name: str, kind: str, value: Any) -> Row:
    return {
        "field_id": field_id,
        "field_name": name,
        "field_code": None,
        "field_type": kind,
        "values": [{"value": value}],
    }


def _fields_of(deal: Deal) -> Iterator[Row]:
    yield _field(PRODUCT_FIELD, "Product", "text", deal.product.name)
    if deal.expected_close_on:
        yield _field(EXPECTED_CLOSE_FIELD, "Expected close", "date", epoch(midnight(deal.expected_close_on)))


def _reachable(person: Person) -> Iterator[Row]:
    for field_id, name, value in ((PHONE_FIELD, "Phone", person.phone), (EMAIL_FIELD, "Email", person.email)):
        yield {
            "field_id": field_id,
            "field_name": name,
            "field_code": name.upper(),
            "field_type": "multitext",
            "values": [{"value": value, "enum_id": field_id * 10, "enum_code": "WORK"}],
        }


# ---------------------------------------------------------------------- what the account has been set up with


def users(world: World) -> Table:
    """Heads and managers; who left is there, but not active."""
    return world.derive("amocrm users", lambda: Table(map(_user, world.users), identity="id"))


def _user(user: User) -> Row:
    every = dict.fromkeys(("view", "edit", "add", "delete", "export"), "A")
    department = user.department
    return {
        "id": user_id(user.number),
        "name": user.name,
        "email": user.email,
        "lang": "en",
        "rights": {
            "leads": every,
            "contacts": every,
            "companies": every,
            "tasks": {"edit": "A", "delete": "A"},
            "mail_access": False,
            "catalog_access": False,
            "status_rights": None,
            "is_admin": user.number == ADMINISTRATOR,
            "is_free": False,
            "is_active": user.left_on is None,
            "group_id": group_id(department),
            "role_id": None,
        },
        "group": {"id": group_id(department), "name": department.name},
    }


def groups() -> list[Row]:
    return [{"id": group_id(department), "name": department.name, "uuid": None} for department in DEPARTMENTS]


def loss_reasons(world: World) -> list[Row]:
    since = epoch(midnight(world.opened_on))
    return [
        {
            "id": loss_reason_id(reason),
            "name": reason,
            "sort": 100_000 * at,
            "created_at": since,
            "updated_at": since,
        }
        for at, reason in enumerate(LOSS_REASONS, start=1)
    ]


def pipelines() -> list[Row]:
    """With the stages of each, in their order: the incoming ones, the open ones, won and lost."""
    return [
        {
            "id": pipeline_id(pipeline),
            "name": pipeline.id.replace("_", " ").capitalize(),
            "sort": at,
            "is_main": at == 1,
            "is_unsorted_on": True,
            "is_archive": False,
            "account_id": ACCOUNT,
            "statuses": list(_statuses(pipeline)),
        }
        for at, pipeline in enumerate(PIPELINES.values(), start=1)
    ]


def _statuses(pipeline: Pipeline) -> Iterator[Row]:
    yield _status(pipeline, incoming_id(pipeline), INCOMING, 10, "#c1c1c1", kind=1)
    for at, stage in enumerate(pipeline.open_stages, start=2):
        yield _status(pipeline, status_id(pipeline, stage), stage.name, at * 10, "#99ccff", is_editable=True)
    yield _status(pipeline, WON, pipeline.won.name, 10_000, "#CCFF66")
    yield _status(pipeline, LOST, pipeline.lost.name, 11_000, "#D5D8DB")


def _status(
    pipeline: Pipeline, status: int, name: str, sort: int, color: str, *, kind: int = 0, is_editable: bool = False
) -> Row:
    """`kind` 1: of the incoming leads."""
    return {
        "id": status,
        "name": name,
        "sort": sort,
        "is_editable": is_editable,
        "pipeline_id": pipeline_id(pipeline),
        "color": color,
        "type": kind,
        "account_id": ACCOUNT,
    }
