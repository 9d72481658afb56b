"""amoCRM's API v4 over the demo company: lists of 250 (events: 100), 204 for an empty page, and its limits.

Under /api/v4: account, users, leads, leads/pipelines, leads/unsorted, leads/loss_reasons, leads/notes, companies,
contacts, tasks, events; a single record as <list>/<id>. /oauth2/access_token gives out tokens: a refresh token is good
for one use.
Limits: 7 requests in a second, else 429; who goes on regardless is blocked (403, not in JSON) for a while. How often
and how long is made up, the documentation does not say. A filter or an order that it does not name is refused (400).
Source: amoCRM's and Kommo's API documentation (leads, filters, events and notes, tasks, users, limitations, OAuth).
"""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from kpimart.demo.server import amocrm_records as records
from kpimart.demo.server.amocrm_lists import (
    COMPANIES,
    CONTACTS,
    DELETED_LEADS,
    EVENTS,
    LEADS,
    NOTES,
    TASKS,
    UNSORTED,
    USERS,
    List,
    Refused,
    invalid,
    positive,
)
from kpimart.demo.server.amocrm_records import ACCOUNT, ADMINISTRATOR, Records, epoch, user_id
from kpimart.demo.server.limits import Limit, Window, WindowMeter
from kpimart.demo.server.nested import Tree, address_of, nested
from kpimart.demo.server.served import Api, Call, Served, json_response
from kpimart.demo.server.table import Compared, Row, Table
from kpimart.demo.server.tokens import Tokens
from kpimart.demo.world import BASE_CURRENCY, TIME_ZONE

# The demo's keys are no secrets.
TOKEN = "demo-amocrm-token"  # noqa: S105
CLIENT_ID = "demo-amocrm-client"
CLIENT_SECRET = "demo-amocrm-client-secret"  # noqa: S105
REFRESH_TOKEN = "demo-amocrm-refresh-token"  # noqa: S105
ACCESS_TOKEN = "demo-amocrm-access-token"  # noqa: S105
ACCESS_LIVES = timedelta(days=1)
REDIRECT_URI = "https://kpimart.example/amocrm"


# ---------------------------------------------------------------------- limits


@dataclass(frozen=True)
class Patience:
    """Blocks who was refused `refusals` times within `seconds`, for as long again."""

    name: str
    window: Window
    refusals: int
    seconds: float

    def meter(self) -> "PatienceMeter":
        return PatienceMeter(self, self.window.meter())


@dataclass
class PatienceMeter:
    limit: Patience
    _window: WindowMeter
    _refused: deque[float] = field(default_factory=deque)
    _blocked_until: float = 0.0

    def wait(self, now: float) -> float:
        """Every request asks, so that this sees those which the window refuses, too."""
        if now >= self._blocked_until and self._window.wait(now):
            self._refused.append(now)
            while self._refused[0] <= now - self.limit.seconds:
                self._refused.popleft()
            if len(self._refused) > self.limit.refusals:
                self._refused.clear()
                self._blocked_until = now + self.limit.seconds
        return max(self._blocked_until - now, 0.0)

    def count(self, now: float) -> None:
        self._window.count(now)


RATE = Window("7 requests a second", requests=7, seconds=1.0)
PATIENCE = Patience("blocked", RATE, refusals=100, seconds=60.0)


# ---------------------------------------------------------------------- requests

Shape = Callable[[Row], Row]
PATHS_OF_ENTITIES = {"lead": "leads", "task": "tasks"}


class Account:
    """Answers requests."""

    def __init__(self, served: Served) -> None:
        self._world = served.world
        self._records = Records(served.world)
        self._tokens = Tokens(served.world, access=ACCESS_TOKEN, refresh=REFRESH_TOKEN, lives=ACCESS_LIVES)

    def allowed(self, handler: Callable[[Call], Response]) -> Callable[[Call], Response]:
        """The handler, for those who have a token."""

        def answer(call: Call) -> Response:
            if call.token != TOKEN and not self._is_good(call.token or ""):
                return _expired()
            try:
                return handler(call)
            except Refused as refused:
                return _refusal(refused)

        return answer

    def _is_good(self, token: str) -> bool:
        return self._tokens.knows(token) and not self._tokens.has_ended(token)

    # ------------------------------------------------------------------ lists

    def leads(self, call: Call) -> Response:
        added = _added(call)
        if "only_deleted" in added:
            return self._paged(call, DELETED_LEADS, self._records.deleted_leads(), self._deleted_lead)
        return self._paged(call, LEADS, self._records.leads(), partial(self._lead, added))

    def lead(self, call: Call) -> Response:
        return self._one(call, self._records.leads(), partial(self._lead, _added(call)))

    def _lead(self, added: set[str], row: Row) -> Row:
        embedded = {**row["_embedded"], "companies": [self._linked("companies", each) for each in _companies_in(row)]}
        more: Row = {}
        if "contacts" in added:
            linked = self._records.contacts_of(row["id"])
            embedded["contacts"] = [self._linked("contacts", each) for each in linked]
        if "loss_reason" in added:
            embedded["loss_reason"] = self._records.loss_reason(row["id"])
        if "source" in added:
            embedded["source"] = self._records.source(row["id"])
        if "source_id" in added:
            more["source_id"] = self._records.source(row["id"])["id"]
        if "is_price_modified_by_robot" in added:
            more["is_price_modified_by_robot"] = False
        return {**row, **more, **_self("leads", row["id"]), "_embedded": embedded}

    def _deleted_lead(self, row: Row) -> Row:
        known = {name: row[name] for name in ("id", "updated_by", "updated_at", "is_deleted")}
        return {**known, **_self("leads", row["id"])}

    def companies(self, call: Call) -> Response:
        return self._paged(call, COMPANIES, self._records.companies(), partial(self._linked, "companies"))

    def company(self, call: Call) -> Response:
        return self._one(call, self._records.companies(), partial(self._linked, "companies"))

    def contacts(self, call: Call) -> Response:
        return self._paged(call, CONTACTS, self._records.contacts(), self._contact)

    def contact(self, call: Call) -> Response:
        return self._one(call, self._records.contacts(), self._contact)

    def _contact(self, row: Row) -> Row:
        companies = [self._linked("companies", each) for each in _companies_in(row)]
        return {**row, **_self("contacts", row["id"]), "_embedded": {**row["_embedded"], "companies": companies}}

    def _linked(self, path: str, row: Row) -> Row:
        return {**row, **_self(path, row["id"])}

    def unsorted(self, call: Call) -> Response:
        return self._paged(call, UNSORTED, self._records.unsorted(), self._inquiry)

    def _inquiry(self, row: Row) -> Row:
        told = {name: value for name, value in row.items() if name not in ("lead_id", "contact_id")}
        embedded = {
            "contacts": [self._linked("contacts", {"id": row["contact_id"]})],
            "leads": [self._linked("leads", {"id": row["lead_id"]})],
            "companies": [],
        }
        return {**told, **_self("leads/unsorted", row["uid"]), "_embedded": embedded}

    def tasks(self, call: Call) -> Response:
        if {"entity_id"} <= _filter(call).keys() and "entity_type" not in _filter(call):
            raise invalid("filter.entity_type", "This value should not be blank.")
        return self._paged(call, TASKS, self._records.tasks(), partial(self._linked, "tasks"))

    def task(self, call: Call) -> Response:
        return self._one(call, self._records.tasks(), partial(self._linked, "tasks"))

    def notes(self, call: Call) -> Response:
        def shape(row: Row) -> Row:
            return {**row, **_self(f"leads/{row['entity_id']}/notes", row["id"])}

        return self._paged(call, NOTES, self._records.notes(), shape)

    def events(self, call: Call) -> Response:
        if "entity_id" in _filter(call) and "entity" not in _filter(call):
            raise invalid("filter.entity", "This value should not be blank.")
        return self._paged(call, EVENTS, self._records.events(), self._event)

    def event(self, call: Call) -> Response:
        return self._one(call, self._records.events(), self._event)

    def _event(self, row: Row) -> Row:
        entity = {"id": row["entity_id"], **_self(PATHS_OF_ENTITIES[row["entity_type"]], row["entity_id"])}
        return {**row, **_self("events", row["id"]), "_embedded": {"entity": entity}}

    def users(self, call: Call) -> Response:
        return self._paged(call, USERS, records.users(self._world), partial(self._user, _added(call)), is_counted=True)

    def user(self, call: Call) -> Response:
        return self._one(call, records.users(self._world), partial(self._user, _added(call)))

    def _user(self, added: set[str], row: Row) -> Row:
        embedded = {
            **({"roles": []} if "role" in added else {}),
            **({"groups": [row["group"]]} if "group" in added else {}),
        }
        told = {name: value for name, value in row.items() if name != "group"}
        return {**told, **_self("users", row["id"]), **({"_embedded": embedded} if embedded else {})}

    def _paged(self, call: Call, listed: List, table: Table, shape: Shape, *, is_counted: bool = False) -> Response:
        limit, page = listed.limit(call.query.get("limit")), positive("page", call.query.get("page"), 1)
        parameters = _parameters(call)
        found = table.page(
            listed.conditions(parameters.get("filter")),
            listed.order(parameters.get("order")),
            offset=(page - 1) * limit,
            limit=limit,
            count=is_counted,
        )
        if not found.rows:
            return Response(status_code=204)
        counted = (
            {"_total_items": found.total, "_page_count": math.ceil((found.total or 0) / limit)} if is_counted else {}
        )
        return _hal(
            call,
            {
                "_page": page,
                **counted,
                "_links": _page_links(call, page, has_next=found.has_more),
                "_embedded": {listed.name: [shape(row) for row in found.rows]},
            },
        )

    def _one(self, call: Call, table: Table, shape: Shape) -> Response:
        found = table.page([Compared("id", "=", call.named["id"])], (), offset=0, limit=1, count=False)
        return _hal(call, shape(found.rows[0])) if found.rows else Response(status_code=204)

    # ------------------------------------------------------------------ the account

    def account(self, call: Call) -> Response:
        added = _added(call)
        opened_at = epoch(self._world.heads[0].created_at)
        embedded: Row = {}
        if "users_groups" in added:
            embedded["users_groups"] = records.groups()
        if "task_types" in added:
            embedded["task_types"] = [
                {"id": 1, "name": "Follow-up", "color": None, "icon_id": None, "code": "FOLLOW_UP"},
                {"id": 2, "name": "Meeting", "color": None, "icon_id": None, "code": "MEETING"},
            ]
        if "datetime_settings" in added:
            embedded["datetime_settings"] = {
                "date_pattern": "d.m.Y H:i",
                "short_date_pattern": "d.m.Y",
                "short_time_pattern": "H:i",
                "date_format": "d.m.Y",
                "time_format": "H:i:s",
                "timezone": TIME_ZONE.key,
                "timezone_offset": self._world.now.astimezone(TIME_ZONE).isoformat()[-6:],
            }
        return _hal(
            call,
            {
                "id": ACCOUNT,
                "name": "Lumenwerk",
                "subdomain": "lumenwerk",
                "created_at": opened_at,
                "created_by": user_id(ADMINISTRATOR),
                "updated_at": opened_at,
                "updated_by": user_id(ADMINISTRATOR),
                "current_user_id": user_id(ADMINISTRATOR),
                "country": "DE",
                "currency": BASE_CURRENCY,
                "currency_symbol": "€",
                "customers_mode": "disabled",
                "is_unsorted_on": True,
                "mobile_feature_version": 0,
                "is_loss_reason_enabled": True,
                "is_helpbot_enabled": False,
                "is_technical_account": False,
                "contact_name_display_order": 1,
                **({"version": 16} if "version" in added else {}),
                **({"is_api_filter_enabled": True} if "is_api_filter_enabled" in added else {}),
                **_self("account", None),
                **({"_embedded": embedded} if embedded else {}),
            },
        )

    def pipelines(self, call: Call) -> Response:
        return _whole_list(call, "pipelines", [self._pipeline(row) for row in records.pipelines()])

    def pipeline(self, call: Call) -> Response:
        found = [self._pipeline(row) for row in records.pipelines() if row["id"] == call.named["id"]]
        if not found:
            raise Refused(404, "Not Found", "Pipeline not found")
        return _hal(call, found[0])

    def _pipeline(self, row: Row) -> Row:
        path = f"leads/pipelines/{row['id']}/statuses"
        told = {name: value for name, value in row.items() if name != "statuses"}
        statuses = [self._linked(path, status) for status in row["statuses"]]
        return {**told, **_self("leads/pipelines", row["id"]), "_embedded": {"statuses": statuses}}

    def loss_reasons(self, call: Call) -> Response:
        rows = [self._linked("leads/loss_reasons", row) for row in records.loss_reasons(self._world)]
        return _whole_list(call, "loss_reasons", rows)

    # ------------------------------------------------------------------ tokens

    def give_tokens(self, call: Call) -> Response:
        """A new pair for a refresh token, which is used up."""
        try:
            given = call.json
        except orjson.JSONDecodeError:
            given = call.form
        if (given.get("client_id"), given.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _bad_oauth(401, "Client authentication failed")
        if given.get("grant_type") != "refresh_token" or given.get("redirect_uri") != REDIRECT_URI:
            return _bad_oauth(400, "Check the `grant_type` and `redirect_uri` parameters")
        pair = self._tokens.renew(str(given.get("refresh_token")))
        if pair is None:
            return _bad_oauth(401, "Token has been revoked")
        return json_response(
            {
                "token_type": "Bearer",
                "expires_in": round(ACCESS_LIVES.total_seconds()),
                "server_time": epoch(self._world.now),
                "access_token": pair.access,
                "refresh_token": pair.refresh,
            }
        )


def _companies_in(row: Row) -> list[Row]:
    companies: list[Row] = row["_embedded"]["companies"]
    return companies


def _parameters(call: Call) -> Tree:
    return nested(call.request.query_params.multi_items())


def _filter(call: Call) -> Tree:
    given = _parameters(call).get("filter")
    return given if isinstance(given, dict) else {}


def _added(call: Call) -> set[str]:
    """What `with` asks for."""
    return {name.strip() for name in call.query.get("with", "").split(",")}


# ---------------------------------------------------------------------- answers

# Stands for the address of the API until an answer is written.
_ADDRESS = "{address}"


def _self(path: str, record_id: Any) -> Row:
    under = f"{path}/{record_id}" if record_id is not None else path
    return {"_links": {"self": {"href": f"{_ADDRESS}/api/v4/{under}"}}}


def _page_links(call: Call, page: int, *, has_next: bool) -> Row:
    others = [(name, value) for name, value in call.request.query_params.multi_items() if name != "page"]

    def link(number: int) -> Row:
        query = "&".join(f"{quote(name)}={quote(value)}" for name, value in [*others, ("page", str(number))])
        return {"href": f"{_ADDRESS}{call.path}?{query}"}

    before = {"first": link(1), "prev": link(page - 1)} if page > 1 else {}
    return {"self": link(page), **({"next": link(page + 1)} if has_next else {}), **before}


def _whole_list(call: Call, name: str, rows: list[Row]) -> Response:
    links = {"self": {"href": f"{_ADDRESS}{call.path}"}}
    return _hal(call, {"_total_items": len(rows), "_links": links, "_embedded": {name: rows}})


def _hal(call: Call, content: Row) -> Response:
    body = orjson.dumps(content).replace(_ADDRESS.encode(), address_of(call).encode())
    return Response(body, media_type="application/hal+json")


def _refusal(refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(refused.answer), refused.status, headers, media_type="application/problem+json")


def _expired() -> Response:
    return _refusal(Refused(401, "Unauthorized", "Invalid user name or password"))


def _bad_oauth(status: int, hint: str) -> Response:
    told = {
        "hint": hint,
        "title": "Bad request",
        "type": "https://developers.amocrm.ru/v3/errors/OAuthProblemJson",
        "status": status,
        "detail": "Parameters are missing in the request, or they are invalid",
    }
    return json_response(told, status)


def _not_found(call: Call) -> Response:
    raise Refused(404, "Not Found", f"Cannot {call.request.method} {address_of(call)}{call.path}")


def _failed() -> Response:
    told = {"title": "ErrInternalServer", "status": 500, "detail": "Our team is most likely already at it."}
    return Response(orjson.dumps(told), 500, media_type="application/problem+json")


def _too_many(limit: Limit | None, wait: float | None) -> Response:
    """The header is a fault's; the API itself says in the answer when to come back."""
    if isinstance(limit, Patience):
        return HTMLResponse("<html><head><title>403 Forbidden</title></head><body>403 Forbidden</body></html>", 403)
    told = {} if wait is None else {"retry_after": math.ceil(wait)}
    refused = Refused(429, "Too Many Requests", "You have sent too many requests. Try again later.", **told)
    headers = {"Retry-After": str(math.ceil(wait))} if limit is None and wait is not None else None
    return _refusal(refused, headers)


# ---------------------------------------------------------------------- the API


def routes(served: Served) -> list[Route]:
    account = Account(served)
    given = {
        "account": account.account,
        "users": account.users,
        "users/{id:int}": account.user,
        "leads": account.leads,
        "leads/pipelines": account.pipelines,
        "leads/pipelines/{id:int}": account.pipeline,
        "leads/unsorted": account.unsorted,
        "leads/loss_reasons": account.loss_reasons,
        "leads/notes": account.notes,
        "leads/{id:int}": account.lead,
        "companies": account.companies,
        "companies/{id:int}": account.company,
        "contacts": account.contacts,
        "contacts/{id:int}": account.contact,
        "tasks": account.tasks,
        "tasks/{id:int}": account.task,
        "events": account.events,
        "events/{id}": account.event,
        "{path:path}": _not_found,
    }
    return [
        *(Route(f"/api/v4/{path}", served.endpoint(account.allowed(handler))) for path, handler in given.items()),
        Route("/oauth2/access_token", served.endpoint(account.give_tokens), methods=["POST"]),
    ]


def _limits(_: Call) -> Sequence[Limit]:
    return (PATIENCE, RATE)


def _records(content: Any) -> list[Any] | None:
    """The records of a list; what is embedded in a single record is none."""
    embedded = content.get("_embedded") if isinstance(content, dict) else None
    if not isinstance(embedded, dict) or "id" in content:
        return None
    return next((part for part in embedded.values() if isinstance(part, list)), None)


def _access(url: str) -> list[tuple[str, str]]:
    return [
        ("url", f"{url}/amocrm"),
        ("token", TOKEN),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("refresh_token", REFRESH_TOKEN),
        ("redirect_uri", REDIRECT_URI),
    ]


API = Api(
    name="amocrm",
    routes=routes,
    records=_records,
    too_many=_too_many,
    expired=_expired,
    failed=_failed,
    access=_access,
    limits=_limits,
)
