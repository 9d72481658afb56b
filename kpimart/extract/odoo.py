"""Odoo 16 to 19: leads and opportunities, what changed of them, stages, teams and members, users, partners, activities.

Reads: /jsonrpc: common.version and .authenticate; object.execute_kw with search_read, search, search_count, fields_get,
    read_group (formatted_read_group from 19 on). Odoo 19 serves it by its module `rpc`, which is installed by itself.
Limits: Odoo documents none; its own cloud (*.odoo.com), which many share, is asked once a second at most. 1,000 records
    a page, the ids of an object in one answer.
Cannot tell: what was deleted, other than by its id not being there any more; the history of a lead apart from that of
    the one it was merged into, if that was before the first load; what a membership was before somebody deleted it
    instead of archiving it; a probability that Odoo's own prediction set, which leaves the time of change as it is.
Source: Odoo's documentation (external API) and its source, branches 16.0 to 19.0: odoo/http.py, odoo/models.py,
    addons/crm, addons/sales_team, addons/mail.

Times are in UTC and shown to the second, though stored finer. False stands for every empty value; it is kept as null,
except where it means no. Of a related record the id is kept, and its name only where that cannot be a person's.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from kpimart.errors import AccessRefused, BadSourceData, SettingsError
from kpimart.extract.auth import required_secret
from kpimart.extract.by_id import Found, is_page_after, pages_by_id
from kpimart.extract.http import Answer, Http, NotThere, Rate, Rates
from kpimart.extract.source import (
    ApiObject,
    ApiSource,
    Counted,
    Cursor,
    Deals,
    Json,
    Listing,
    Page,
    Total,
    amount_in_raw,
    at,
)
from kpimart.settings import Settings

ROWS = 1000
CLOUD_RATES: Rates = {"": (Rate(1, 1.0),)}
TRACKED = ("stage_id", "user_id", "expected_revenue", "active")

_SALES = "the group Sales / User: All Documents"
_EMPLOYEE = "an internal user"
_SETTINGS = "the group Administration / Settings: only administrators may read mail.tracking.value"

_number = count(1)


@dataclass(frozen=True)
class Model:
    """A model of Odoo and what is read of it.

    fields: what is asked for, besides id, create_date and write_date. named: the related records whose name is kept
    too. flags: the fields whose false means no. domain: which records. archived: whether archived ones are read as
    well. varies: not every version has all the fields, or shows them to everybody. thinned: Odoo takes what a user may
    not see out of a page, so that a short one need not be the last.
    """

    name: str
    technical: str
    right: str
    fields: tuple[str, ...]
    named: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    domain: tuple[Any, ...] = ()
    archived: bool = True
    varies: bool = False
    thinned: bool = False


LEADS = Model(
    "leads_and_deals",
    "crm.lead",
    _SALES,
    fields=(
        "name",
        "type",
        "active",
        "probability",
        "won_status",
        "stage_id",
        "user_id",
        "team_id",
        "partner_id",
        "source_id",
        "lost_reason_id",
        "expected_revenue",
        "company_currency",
        "date_conversion",
        "date_closed",
        "date_deadline",
    ),
    named=("source_id",),
    flags=("active",),
    varies=True,
)
STAGES = Model("stages", "crm.stage", _SALES, ("name", "sequence", "is_won"), flags=("is_won",))
TEAMS = Model("teams", "crm.team", _SALES, ("name", "active", "user_id"), flags=("active",))
MEMBERS = Model("team_members", "crm.team.member", _SALES, ("user_id", "crm_team_id", "active"), flags=("active",))
USERS = Model(
    "users",
    "res.users",
    _EMPLOYEE,
    ("name", "active", "sale_team_id"),
    flags=("active",),
    # Not the customers who have a login.
    domain=(["share", "=", False],),
)
PARTNERS = Model(
    "partners",
    "res.partner",
    _EMPLOYEE,
    ("name", "active", "is_company", "commercial_partner_id", "parent_id", "country_id", "industry_id"),
    named=("country_id", "industry_id"),
    flags=("active", "is_company"),
)
LOST_REASONS = Model("lost_reasons", "crm.lost.reason", _SALES, ("name",))
CURRENCIES = Model("currencies", "res.currency", _EMPLOYEE, ("name",))
TRACKING = Model(
    "tracking",
    "mail.tracking.value",
    _SETTINGS,
    (
        "field",
        "field_id",
        "mail_message_id",
        "old_value_integer",
        "new_value_integer",
        "old_value_float",
        "new_value_float",
        "old_value_monetary",
        "new_value_monetary",
    ),
    varies=True,
)
ACTIVITY_TYPES = Model("activity_types", "mail.activity.type", _EMPLOYEE, ("name", "category", "icon"))
ACTIVITIES = Model(
    "activities",
    "mail.activity",
    _SALES,
    ("res_id", "user_id", "activity_type_id", "date_deadline"),
    domain=(["res_model", "=", "crm.lead"],),
    # From 17 on done ones may stay, archived; their messages tell of them in every version.
    archived=False,
    thinned=True,
)
DONE_ACTIVITIES = Model(
    "done_activities",
    "mail.message",
    _SALES,
    ("res_id", "date", "create_uid", "mail_activity_type_id"),
    domain=(["model", "=", "crm.lead"], ["mail_activity_type_id", "!=", False]),
    thinned=True,
)


# ------------------------------------------------------------------------------------------------------- the protocol


@dataclass(frozen=True)
class Client:
    """A user in a database of an Odoo server.

    version: the server's, 16 to 19. properties: further fields, by object. own_fields: the company's own fields of
    crm.lead that hold what Odoo has no standard one for, canonical name → field.
    """

    http: Http
    database: str
    uid: int
    key: SecretStr
    version: int
    overlap: timedelta
    properties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own_fields: Mapping[str, str] = field(default_factory=dict)

    def execute(
        self, model: Model, method: str, *args: Any, check: Callable[[Any], bool] = lambda _: True, **kwargs: Any
    ) -> tuple[Any, datetime]:
        """What a method of a model gives, and when. `check`: whether that can be right; else it is asked for again."""
        secret = self.key.get_secret_value()
        arguments = [self.database, self.uid, secret, model.technical, method, list(args), kwargs]
        answer = _call(self.http, "object", "execute_kw", arguments, check)
        if "error" in answer.json:
            raise _refusal(answer.json["error"], f"{model.technical} {method}", model.right)
        return answer.json["result"], answer.at


def _call(
    http: Http, service: str, method: str, args: Sequence[Any], check: Callable[[Any], bool] = lambda _: True
) -> Answer:
    number = next(_number)
    params = {"service": service, "method": method, "args": list(args)}

    def is_answer(content: Any) -> bool:
        """Whether it answers this request, and not one before."""
        if not isinstance(content, dict):
            return False
        return "error" in content or (content.get("id") == number and "result" in content and check(content["result"]))

    return http.post("/jsonrpc", {"jsonrpc": "2.0", "method": "call", "id": number, "params": params}, check=is_answer)


def _error(content: Any) -> tuple[str, str]:
    """The class of an error and its words, from an answer or from the error in it; empty where there is none."""
    error = content.get("error", content) if isinstance(content, dict) else {}
    data = error.get("data") or {} if isinstance(error, dict) else {}
    return str(data.get("name", "")), str(data.get("message", "")).strip()


def _is_passing(_: int, content: Any) -> bool:
    """Whether the database, busy or restarting, is to blame; Odoo has tried a few times itself by then."""
    name, words = _error(content)
    is_of_database = name.startswith("psycopg2.") or name.endswith(".ConcurrencyError")
    return is_of_database and not words.endswith("does not exist")


def _refusal(error: Json, what: str, right: str) -> AccessRefused | BadSourceData | SettingsError:
    name, words = _error(error)
    if name.endswith(".AccessDenied"):
        return AccessRefused(
            f"odoo: {what}: the user or the token was refused; look after odoo.user and the variable "
            "KPIMART_ODOO__TOKEN (an API key, or the password), then rerun"
        )
    if name.endswith(".AccessError"):
        said = " ".join(words.split())
        return AccessRefused(f"odoo: {what}: the user has no right to it and needs {right}. Odoo says: {said}")
    if name == "psycopg2.OperationalError":
        return SettingsError(f"odoo.database: the server has no such database ({words}); correct it, then rerun")
    said = " ".join(f"{name}: {words or error.get('message', '')}".split())
    if words.startswith("Invalid field"):
        hint = "look after odoo.fields and odoo.properties, then rerun"
    elif words.startswith("Object "):
        hint = "install the app CRM in this database, or correct odoo.database, then rerun"
    else:
        hint = "a retry changes nothing"
    return BadSourceData(f"odoo: {what}: {said}; {hint}")


@contextmanager
def connect(settings: Settings) -> Iterator[Client]:
    """A client, signed in; raises SettingsError where a setting is missing, AccessRefused where the user is refused."""
    own = settings.odoo
    url, database, user = (_required(name, getattr(own, name)) for name in ("url", "database", "user"))
    key = required_secret("odoo", "token", own.token)
    with Http("odoo", url.rstrip("/"), settings, rates=_rates(settings), retry_if=_is_passing) as http:
        version = _version(http)
        signed_in = _call(http, "common", "authenticate", [database, user, key.get_secret_value(), {}]).json
        if "error" in signed_in:
            raise _refusal(signed_in["error"], "common authenticate", _EMPLOYEE)
        if not signed_in["result"]:
            raise AccessRefused(
                f"odoo: database {database} does not know the user {user} with this token; look after odoo.database, "
                "odoo.user and the variable KPIMART_ODOO__TOKEN (an API key, or the password), then rerun"
            )
        yield Client(
            http,
            database,
            signed_in["result"],
            key,
            version,
            timedelta(minutes=own.overlap_minutes),
            own.properties,
            {str(canonical): name for canonical, name in own.fields.items()},
        )


def _rates(settings: Settings) -> Rates:
    """Those of Odoo's own cloud; a server of the company's own has none."""
    return CLOUD_RATES if (urlsplit(settings.odoo.url or "").hostname or "").endswith(".odoo.com") else {}


def _version(http: Http) -> int:
    """The server's version, also of the ones between two: 17 for saas~17.2."""
    try:
        answer = _call(http, "common", "version", []).json
    except NotThere:
        raise SettingsError(
            "odoo.url: there is no /jsonrpc at this address; give it without /web or /odoo. From version 19 on it "
            "takes the module rpc, which is installed unless somebody took it away"
        ) from None
    if "error" in answer:
        raise _refusal(answer["error"], "common version", _EMPLOYEE)
    return int(re.sub(r"\D", "", str(answer["result"]["server_version_info"][0])))


def _required(name: str, value: str | None) -> str:
    if not value:
        raise SettingsError(f"odoo.{name}: is missing; put it into kpimart.toml or KPIMART_ODOO__{name.upper()}")
    return value


def _server_time(client: Client) -> datetime:
    return _call(client.http, "common", "version", []).at


# ------------------------------------------------------------------------------------------------------------ records


def _written(moment: datetime) -> str:
    """A moment as domains take it, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def moment_at(name: str) -> Callable[[Json], datetime | None]:
    """The moment in a field, as Odoo writes it; raises ValueError for any other text."""

    def moment_of(record: Json) -> datetime | None:
        value = record.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise ValueError(f"expected a time at {name!r}, found {value!r}")  # noqa: TRY004 - a bad value like others
        return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)

    return moment_of


def _asked(client: Client, model: Model) -> list[str]:
    """The fields to ask for: those that this server has, and shows to this user, and whatever the settings name."""
    standard = set(model.fields)
    if model.varies:
        there, _ = client.execute(model, "fields_get", list(model.fields), attributes=["type"])
        standard &= there.keys()
    named = (*client.properties.get(model.name, ()), *(client.own_fields.values() if model is LEADS else ()))
    return sorted({*standard, "create_date", "write_date", *named})


def _record(client: Client, model: Model, found: Json) -> Json:
    """A record with null for what is empty, and with the id alone of a related record that might be a person."""
    as_given = set(client.properties.get(model.name, ())) - set(model.fields)

    def plain(name: str, value: Any) -> Any:
        if name in as_given or name in model.flags:
            return value
        if value is False:
            return None
        return value[0] if isinstance(value, list) and name not in model.named else value

    record = {name: plain(name, value) for name, value in found.items()}
    if model is LEADS and client.own_fields:
        record["own"] = {canonical: _text(found.get(name)) for canonical, name in client.own_fields.items()}
    if model is PARTNERS and not record.get("is_company"):
        record["person_name"] = record.pop("name", None)
    return record


def _text(value: Any) -> str | None:
    """A value as text: of a related record its name."""
    named = value[1] if isinstance(value, list) and len(value) == 2 else value
    return None if named is None or named is False else str(named)


def _context(model: Model) -> Json:
    return {"active_test": not model.archived}


def _rows(
    client: Client, model: Model, asked: Sequence[str], since: datetime | None, after: int, domain: Sequence[Any] = ()
) -> tuple[list[Json], datetime]:
    """The next records by ascending id."""
    changed = [["write_date", ">=", _written(since)]] if since else []
    found, at = client.execute(
        model,
        "search_read",
        [*model.domain, *domain, *changed, ["id", ">", after]],
        check=partial(is_page_after, after),
        fields=list(asked),
        order="id",
        limit=ROWS,
        context=_context(model),
    )
    return [_record(client, model, one) for one in found], at


def _found(model: Model, records: list[Json], at: datetime) -> Found:
    is_end = not records or (len(records) < ROWS and not model.thinned)
    return Found(records, None if is_end else records[-1]["id"], at)


def _listing(client: Client, model: Model) -> tuple[Listing, ...]:
    """The ids of all records, in one answer: eight bytes each."""
    ids, _ = client.execute(model, "search", list(model.domain), order="id", context=_context(model))
    return (Listing(tuple(map(str, ids))),)


def _changing(model: Model, client: Client, cursor: Cursor) -> Iterator[Page]:
    """All records at first, then those that were written since; each time the ids that there are."""
    asked = _asked(client, model)

    def ask(since: datetime | None, after: int) -> Found:
        return _found(model, *_rows(client, model, asked, since, after))

    yield from pages_by_id(ask, client.overlap, cursor, partial(_listing, client, model))


def _whole(model: Model, client: Client, _: Cursor) -> Iterator[Page]:
    """All records, every time: they are few, and what is shown of them may change without their being written."""
    asked = _asked(client, model)
    ids: list[str] = []
    after: int | None = 0
    while after is not None:
        found = _found(model, *_rows(client, model, asked, None, after))
        ids += [str(record["id"]) for record in found.records]
        after = found.last
        yield Page(found.records)
    yield Page(cursor={}, listings=(Listing(tuple(ids)),))


def _tracking(client: Client, cursor: Cursor) -> Iterator[Page]:
    """What changed of leads, with the field and the lead it was. Such records are never written again, nor listed."""
    asked = _asked(client, TRACKING)
    link = "field_id" if "field_id" in asked else "field"
    names = _field_names(client)

    def ask(since: datetime | None, after: int) -> Found:
        records, at = _rows(client, TRACKING, asked, since, after, [[link, "in", sorted(names)]])
        leads = _leads_of_messages(client, [record["mail_message_id"] for record in records])
        told = [
            {**record, "changed": names[record[link]], "lead_id": leads.get(record["mail_message_id"])}
            for record in records
        ]
        return _found(TRACKING, told, at)

    yield from pages_by_id(ask, client.overlap, cursor)


def _field_names(client: Client) -> dict[int, str]:
    model = Model("", "ir.model.fields", _SETTINGS, ())
    domain = [["model", "=", LEADS.technical], ["name", "in", list(TRACKED)]]
    found, _ = client.execute(model, "search_read", domain, fields=["name"])
    return {record["id"]: record["name"] for record in found}


def _leads_of_messages(client: Client, messages: Sequence[int]) -> dict[int, int]:
    """The lead that each message is about; none for a message that this user may not see."""
    if not messages:
        return {}
    domain = [["id", "in", sorted(set(messages))]]
    found, _ = client.execute(Model("", "mail.message", _SALES, ()), "search_read", domain, fields=["res_id"])
    return {record["id"]: record["res_id"] for record in found}


def _estimate(model: Model, client: Client, cursor: Cursor) -> int | None:
    """How many records the first load has; a later one is over before they are counted."""
    if cursor:
        return None
    found, _ = client.execute(model, "search_count", list(model.domain), context=_context(model))
    return int(found)


def _totals(client: Client, _: Settings) -> Iterator[Total]:
    """Leads and opportunities by owner and month of creation, with the sum of the expected revenue."""
    groups = ["user_id", "create_date:month"]
    context = _context(LEADS)
    if client.version >= 19:
        sums = ["__count", "expected_revenue:sum"]
        rows, _at = client.execute(LEADS, "formatted_read_group", [], groups, sums, context=context)
    else:
        sums = ["expected_revenue:sum"]
        rows, _at = client.execute(LEADS, "read_group", [], sums, groups, lazy=False, context=context)
    for row in rows:
        amount = row.get("expected_revenue:sum", row.get("expected_revenue"))
        owner = row["user_id"]
        yield Total(
            LEADS.name,
            str(owner[0]) if owner else None,
            _month(row),
            row["__count"],
            Decimal(str(amount or 0)).quantize(Decimal("0.01")),
        )


def _month(row: Json) -> date | None:
    """The month of a group: from 19 on with its name, before that as a range."""
    month = row["create_date:month"]
    if not month:
        return None
    begins = month[0] if isinstance(month, list) else row["__range"]["create_date:month"]["from"]
    return date.fromisoformat(begins[:10])


# ---------------------------------------------------------------------------------------------------------- the source


def _probe(model: Model, client: Client) -> None:
    client.execute(model, "search_read", list(model.domain), fields=["id"], limit=1, context=_context(model))


def _object(
    model: Model,
    read: Callable[[Client, Cursor], Iterator[Page]],
    *,
    needed: Mapping[str, tuple[type, ...]],
    keep: tuple[str, ...] = (),
    personal: tuple[str, ...] = (),
    is_counted: bool = False,
) -> ApiObject[Client]:
    return ApiObject(
        model.name,
        read,
        keep=("id", *model.fields, "create_date", "write_date", *keep),
        needed={"id": (int,), **needed},
        updated_at=moment_at("write_date"),
        personal=personal,
        right=model.right,
        probe=partial(_probe, model),
        estimate=partial(_estimate, model) if is_counted else None,
    )


_TEXT, _ID, _FLAG, _NUMBER = (str,), (int,), (bool,), (int, float)

SOURCE = ApiSource(
    "odoo",
    connect,
    _rates,
    (
        _object(
            LEADS,
            partial(_changing, LEADS),
            needed={
                "type": _TEXT,
                "active": _FLAG,
                "probability": _NUMBER,
                "stage_id": _ID,
                "user_id": _ID,
                "expected_revenue": _NUMBER,
                "create_date": _TEXT,
                "date_closed": _TEXT,
            },
            keep=("own",),
            is_counted=True,
        ),
        _object(STAGES, partial(_whole, STAGES), needed={"name": _TEXT, "sequence": _ID, "is_won": _FLAG}),
        _object(TEAMS, partial(_whole, TEAMS), needed={"name": _TEXT, "user_id": _ID}),
        _object(MEMBERS, partial(_whole, MEMBERS), needed={"user_id": _ID, "crm_team_id": _ID, "active": _FLAG}),
        _object(USERS, partial(_whole, USERS), needed={"name": _TEXT}),
        _object(
            PARTNERS,
            partial(_changing, PARTNERS),
            needed={"is_company": _FLAG, "commercial_partner_id": _ID},
            personal=("person_name",),
            is_counted=True,
        ),
        _object(LOST_REASONS, partial(_whole, LOST_REASONS), needed={"name": _TEXT}),
        _object(CURRENCIES, partial(_whole, CURRENCIES), needed={"name": _TEXT}),
        _object(
            TRACKING,
            _tracking,
            needed={"changed": _TEXT, "lead_id": _ID, "new_value_integer": _ID, "create_date": _TEXT},
            keep=("changed", "lead_id"),
        ),
        _object(ACTIVITY_TYPES, partial(_whole, ACTIVITY_TYPES), needed={"category": _TEXT}),
        _object(ACTIVITIES, partial(_whole, ACTIVITIES), needed={"res_id": _ID}),
        _object(
            DONE_ACTIVITIES,
            partial(_changing, DONE_ACTIVITIES),
            needed={"res_id": _ID, "date": _TEXT, "create_uid": _ID},
        ),
    ),
    _server_time,
    _totals,
    {LEADS.name: Counted(at("user_id"), moment_at("create_date"), at("expected_revenue"))},
    deals=Deals(LEADS.name, amount_in_raw("/expected_revenue"), "payload ->> '/type' = 'opportunity'"),
)
