"""HubSpot's CRM API v3 as the demo company's account speaks it, read-only.

Serves: /crm/v3/objects/<object> with /<id>, /search and /batch/read, /crm/v4/associations/<from>/<to>/batch/read,
    /crm/v3/owners, /crm/v3/pipelines/deals, /crm/v3/properties/<object>, /settings/v3/users/teams,
    /account-info/v3/details, /oauth/v1/token.
Limits: 100 requests in 10 s, 5 searches a second; 100 records a page, 50 with history, 200 a page of a search, 10,000
    a search; 100 inputs a batch, 50 with history; 500 owners a page; 1,000 inputs a batch of associations.
Source: HubSpot developer documentation (CRM objects, search, associations v4, owners, usage guidelines, error handling,
    changelog "Deals now support merging") and answers quoted in public issue threads.
"""

import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.responses import Response
from starlette.routing import Route

from kpimart.demo.server.hubspot_properties import ALWAYS, BY_DEFAULT, FIELD_TYPES, PROPERTIES, Property
from kpimart.demo.server.hubspot_records import LINK_TYPES, Json, Records, Row, text_of
from kpimart.demo.server.hubspot_search import Refused, Search, found
from kpimart.demo.server.limits import Limit, Window
from kpimart.demo.server.served import Api, Call, Handler, Served, json_response
from kpimart.demo.world import BASE_CURRENCY, TIME_ZONE

TOKEN = "demo-hubspot-token"  # noqa: S105  # the demo's keys are no secrets
DEALS_ONLY_TOKEN = "demo-hubspot-deals-token"  # noqa: S105
CLIENT_ID, CLIENT_SECRET = "demo-hubspot-client", "demo-hubspot-secret"
REFRESH_TOKEN = "demo-hubspot-refresh-token"  # noqa: S105
TOKEN_LIVES = timedelta(minutes=30)

TEN_SECONDLY = Window("TEN_SECONDLY_ROLLING", 100, 10.0)
SECONDLY = Window("SECONDLY", 5, 1.0)

ROWS, ROWS_WITH_HISTORY, DEFAULT_ROWS = 100, 50, 10
OWNER_ROWS, DEFAULT_OWNER_ROWS = 500, 100
LINK_INPUTS = 1000

OWNERS, TEAMS, ANY = "crm.objects.owners.read", "settings.users.teams.read", ""
SCOPES = {
    "deals": "crm.objects.deals.read",
    "companies": "crm.objects.companies.read",
    "contacts": "crm.objects.contacts.read",
    "calls": "crm.objects.contacts.read",
    "meetings": "crm.objects.contacts.read",
    "emails": "sales-email-read",
    "tasks": "crm.objects.contacts.read",
}
ALL_SCOPES = frozenset({*SCOPES.values(), OWNERS, TEAMS, ANY})


class BatchInput(BaseModel):
    id: str | int


class Batch(BaseModel):
    """The body of a batch: records, or starts of associations, by id."""

    inputs: list[BatchInput]
    properties: list[str] = []
    propertiesWithHistory: list[str] = []  # noqa: N815  # HubSpot's name


@dataclass(frozen=True)
class Asked:
    """What is to be told of each record."""

    properties: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


class HubSpot:
    """The handlers."""

    def __init__(self, served: Served) -> None:
        self._world = served.world
        self._records = Records(served.world)
        # Access token → when it ends.
        self._tokens: dict[str, datetime] = {}

    def routes(self, served: Served) -> list[Route]:
        def route(path: str, handler: Handler, scope: Callable[[Call], str], method: str = "GET") -> Route:
            return Route(path, served.endpoint(self._guarded(handler, scope)), methods=[method])

        objects = "/crm/v3/objects/{object}"
        return [
            route(objects, self.read_page, _scope_of_object),
            route(f"{objects}/search", self.search, _scope_of_object, "POST"),
            route(f"{objects}/batch/read", self.read_batch, _scope_of_object, "POST"),
            route(f"{objects}/{{id:int}}", self.read, _scope_of_object),
            route("/crm/v4/associations/{object}/{to}/batch/read", self.read_links, _scope_of_object, "POST"),
            route("/crm/v3/owners", self.list_owners, lambda _: OWNERS),
            route("/crm/v3/pipelines/deals", self.list_pipelines, lambda _: SCOPES["deals"]),
            route("/crm/v3/properties/{object}", self.list_properties, _scope_of_object),
            route("/settings/v3/users/teams", self.list_teams, lambda _: TEAMS),
            route("/account-info/v3/details", self.tell_account, lambda _: ANY),
            Route("/oauth/v1/token", served.endpoint(self.give_token), methods=["POST"]),
        ]

    # ------------------------------------------------------------------ access

    def _guarded(self, handler: Handler, scope_of: Callable[[Call], str]) -> Handler:
        def answer(call: Call) -> Response:
            if call.named.get("object", "deals") not in PROPERTIES:
                return _error(404, "resource not found", "OBJECT_NOT_FOUND")
            if call.token in self._tokens and self._world.now >= self._tokens[call.token]:
                return expired()
            scopes = self._scopes(call.token)
            if scopes is None:
                return _error(401, NO_CREDENTIALS, "INVALID_AUTHENTICATION")
            if (scope := scope_of(call)) not in scopes:
                return _missing(scope)
            try:
                return handler(call)
            except ValidationError as error:
                wrong = error.errors()[0]
                place = ".".join(str(part) for part in wrong["loc"])
                return _error(400, f"Invalid input JSON: {place} {wrong['msg']}", "VALIDATION_ERROR")
            except Refused as error:
                return _error(400, str(error), "VALIDATION_ERROR")

        return answer

    def _scopes(self, token: str | None) -> frozenset[str] | None:
        """What a token allows; None: it is none."""
        if token == DEALS_ONLY_TOKEN:
            return frozenset({SCOPES["deals"], OWNERS, ANY})
        return ALL_SCOPES if token == TOKEN or token in self._tokens else None

    def give_token(self, call: Call) -> Response:
        """An access token for the refresh token, which stays the same."""
        form = call.form
        if form.get("grant_type") != "refresh_token" or form.get("refresh_token") != REFRESH_TOKEN:
            return _error(400, "missing or invalid refresh token", status_word="BAD_REFRESH_TOKEN")
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _error(400, "missing or unknown client id", status_word="BAD_CLIENT_ID")
        token = f"demo-hubspot-access-{len(self._tokens) + 1}"
        self._tokens[token] = self._world.now + TOKEN_LIVES
        return json_response(
            {
                "token_type": "bearer",
                "refresh_token": REFRESH_TOKEN,
                "access_token": token,
                "expires_in": int(TOKEN_LIVES.total_seconds()),
            }
        )

    # ------------------------------------------------------------------ objects

    def read_page(self, call: Call) -> Response:
        """A page of an object by ascending id, the live ones or the archived ones."""
        name, query = call.named["object"], call.query
        asked = _asked(call)
        limit = _limit(query.get("limit"), DEFAULT_ROWS, ROWS_WITH_HISTORY if asked.history else ROWS)
        after = _number(query.get("after", "0"), "after")
        rows = self._records.archived(name) if _is_archived(call) else self._records.rows(name)
        first = bisect_left(rows, after, key=attrgetter("id"))
        page = rows[first : first + limit + 1]
        answer: Json = {"results": [_told(name, row, asked) for row in page[:limit]]}
        if len(page) > limit:
            answer["paging"] = _next_page(call, page[limit].id)
        return json_response(answer)

    def read(self, call: Call) -> Response:
        """One record; of one that was merged away, the one that it became."""
        name = call.named["object"]
        row = self._records.find(name, call.named["id"], archived=_is_archived(call))
        if row is None:
            return _error(404, "resource not found", "OBJECT_NOT_FOUND")
        return json_response(_told(name, row, _asked(call)))

    def search(self, call: Call) -> Response:
        """A page of what matches; neither history nor associations."""
        name = call.named["object"]
        search = Search.model_validate_json(call.body)
        total, rows, following = found(name, self._records.rows(name), search)
        asked = Asked(properties=tuple(search.properties))
        answer: Json = {"total": total, "results": [_told(name, row, asked) for row in rows]}
        if following is not None:
            answer["paging"] = {"next": {"after": str(following)}}
        return json_response(answer)

    def read_batch(self, call: Call) -> Response:
        """Records by id, in no order that was asked for; 207 if some are not there."""
        name = call.named["object"]
        batch = Batch.model_validate_json(call.body)
        most = ROWS_WITH_HISTORY if batch.propertiesWithHistory else ROWS
        if len(batch.inputs) > most:
            raise Refused(
                f"The maximum number of inputs supported in a batch request is {most}, got {len(batch.inputs)}"
            )
        asked = Asked(properties=tuple(batch.properties), history=tuple(batch.propertiesWithHistory))
        rows: dict[int, Row] = {}
        missing = []
        for given in batch.inputs:
            row = self._records.find(name, _number(str(given.id), "id"), archived=_is_archived(call))
            if row is None:
                missing.append(str(given.id))
            else:
                rows[row.id] = row
        return self._completed([_told(name, rows[each], asked) for each in sorted(rows)], _not_found(name, missing))

    def read_links(self, call: Call) -> Response:
        """The associations of records with those of another object; what has none is an error of its own."""
        name, to = call.named["object"], call.named["to"]
        batch = Batch.model_validate_json(call.body)
        if len(batch.inputs) > LINK_INPUTS:
            raise Refused(f"The maximum number of inputs supported is {LINK_INPUTS}, got {len(batch.inputs)}")
        results, errors = [], []
        for given in batch.inputs:
            row = self._records.find(name, _number(str(given.id), "id"))
            links = row.told.links.get(to, []) if row else []
            if row and links:
                results.append({"from": {"id": str(row.id)}, "to": _links_v4(links)})
            else:
                errors.append(_no_links(name, to, str(given.id)))
        return self._completed(results, errors)

    def _completed(self, results: Sequence[Json], errors: Sequence[Json]) -> Response:
        now = text_of(self._world.now)
        answer: Json = {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}
        if not errors:
            return json_response(answer)
        return json_response({**answer, "numErrors": len(errors), "errors": errors}, 207)

    # ------------------------------------------------------------------ settings

    def list_owners(self, call: Call) -> Response:
        limit = _limit(call.query.get("limit"), DEFAULT_OWNER_ROWS, OWNER_ROWS)
        after = _number(call.query.get("after", "0"), "after")
        owners = self._records.owners(archived=_is_archived(call))
        page = [owner for owner in owners if int(owner["id"]) >= after][: limit + 1]
        answer: Json = {"results": page[:limit]}
        if len(page) > limit:
            answer["paging"] = _next_page(call, int(page[limit]["id"]))
        return json_response(answer)

    def list_teams(self, _: Call) -> Response:
        return json_response({"results": self._records.teams()})

    def list_pipelines(self, _: Call) -> Response:
        return json_response({"results": self._records.pipelines()})

    def list_properties(self, call: Call) -> Response:
        return json_response({"results": [_described(each) for each in PROPERTIES[call.named["object"]]]})

    def tell_account(self, _: Call) -> Response:
        now = self._world.now.astimezone(TIME_ZONE)
        offset = now.utcoffset() or timedelta()
        return json_response(
            {
                "portalId": 48_151_623,
                "accountType": "STANDARD",
                "timeZone": str(TIME_ZONE),
                "companyCurrency": BASE_CURRENCY,
                "additionalCurrencies": ["USD"],
                "utcOffset": now.isoformat()[-len("+00:00") :],
                "utcOffsetMilliseconds": int(offset.total_seconds()) * 1000,
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "eu1",
            }
        )


# ---------------------------------------------------------------------- what is asked


def _scope_of_object(call: Call) -> str:
    return SCOPES[call.named["object"]]


def _asked(call: Call) -> Asked:
    return Asked(_names(call, "properties"), _names(call, "propertiesWithHistory"), _names(call, "associations"))


def _names(call: Call, parameter: str) -> tuple[str, ...]:
    """Names given with commas, by repeating the parameter, or both."""
    return tuple(name for value in call.request.query_params.getlist(parameter) for name in value.split(",") if name)


def _number(text: str, name: str) -> int:
    if not text.isdecimal():
        raise Refused(f"{name} must be a number, got {text}")
    return int(text)


def _limit(text: str | None, default: int, most: int) -> int:
    limit = default if text is None else _number(text, "limit")
    if not 1 <= limit <= most:
        raise Refused(f"limit must be between 1 and {most}, got {limit}")
    return limit


def _is_archived(call: Call) -> bool:
    return call.query.get("archived", "false").lower() == "true"


def _next_page(call: Call, after: int) -> Json:
    link = call.request.url.include_query_params(after=after)
    return {"next": {"after": str(after), "link": str(link)}}


# ---------------------------------------------------------------------- what is told


def _told(name: str, row: Row, asked: Asked) -> Json:
    """A record; properties that there are not are left out, those without a value are null."""
    values = row.told.values
    wanted = asked.properties or BY_DEFAULT.get(name, ())
    shown = {*ALWAYS[name], *(each for each in (*wanted, *asked.history) if each in values)}
    told: Json = {
        "id": str(row.id),
        "properties": {each: values[each] for each in sorted(shown)},
        "createdAt": text_of(row.created_at),
        "updatedAt": text_of(row.updated_at),
        "archived": row.archived_at is not None,
    }
    if row.archived_at:
        told["archivedAt"] = text_of(row.archived_at)
    if asked.history:
        told["propertiesWithHistory"] = {each: row.history(each) for each in asked.history if each in values}
    if asked.links and not row.archived_at:
        links = {to: row.told.links[to] for to in asked.links if row.told.links.get(to)}
        if links:
            told["associations"] = {to: {"results": _links_v3(each)} for to, each in links.items()}
    return told


def _links_v3(links: Iterable[tuple[int, str]]) -> list[Json]:
    return [{"id": str(to), "type": kind} for to, kind in links]


def _links_v4(links: Iterable[tuple[int, str]]) -> list[Json]:
    kinds: dict[int, list[Json]] = {}
    for to, kind in links:
        label = "Primary" if LINK_TYPES.get(f"{kind}_unlabeled") else None
        kinds.setdefault(to, []).append({"category": "HUBSPOT_DEFINED", "typeId": LINK_TYPES[kind], "label": label})
    return [{"toObjectId": to, "associationTypes": each} for to, each in kinds.items()]


def _described(known: Property) -> Json:
    return {
        "name": known.name,
        "label": known.label,
        "type": known.kind,
        "fieldType": FIELD_TYPES[known.kind],
        "description": "",
        "groupName": "custom" if known.is_custom else "information",
        "options": [],
        "displayOrder": -1,
        "calculated": False,
        "externalOptions": False,
        "hasUniqueValue": False,
        "hidden": False,
        "hubspotDefined": not known.is_custom,
        "archived": False,
    }


# ---------------------------------------------------------------------- HubSpot's words

NO_CREDENTIALS = (
    "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details at "
    "https://developers.hubspot.com/docs/methods/auth/oauth-overview"
)
MISSING_SCOPES = (
    "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: "
    "https://developers.hubspot.com/scopes."
)


def _error(status: int, message: str, category: str = "", *, status_word: str = "error", **more: Any) -> Response:
    told = {"status": status_word, "message": message, "correlationId": str(uuid.uuid4()), **more}
    return json_response(told | ({"category": category} if category else {}), status)


def _missing(scope: str) -> Response:
    context = {
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": [scope]},
    }
    links = {"scopes": "https://developers.hubspot.com/scopes"}
    return _error(403, MISSING_SCOPES, "MISSING_SCOPES", errors=[context], links=links)


def _not_found(name: str, ids: list[str]) -> list[Json]:
    if not ids:
        return []
    kind = "COMPANY" if name == "companies" else name.removesuffix("s").upper()
    message = f"Could not get some {kind} objects, they may be deleted or not exist. Check that ids are valid."
    return [{"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": {"ids": ids}}]


def _no_links(name: str, to: str, row_id: str) -> Json:
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": f"No {to} is associated with {name} {row_id}.",
        "context": {"fromObjectId": [row_id]},
    }


def expired() -> Response:
    message = "The OAuth token used to make this call expired 0 second(s) ago."
    return _error(401, message, "EXPIRED_AUTHENTICATION")


def too_many(limit: Limit | None, wait: float | None) -> Response:
    """HubSpot names the limit; a pause it names only where that was ordered."""
    policy = (limit or TEN_SECONDLY).name
    response = _error(429, f"You have reached your {policy.lower()} limit.", errorType="RATE_LIMIT", policyName=policy)
    if limit is None and wait is not None:
        response.headers["Retry-After"] = str(round(wait))
    return response


def failed() -> Response:
    return _error(500, "internal error")


def limits(call: Call) -> Sequence[Limit]:
    """Searches have a limit of their own; giving out tokens has none."""
    if call.path.endswith("/search"):
        return (SECONDLY,)
    return () if call.path.startswith("/oauth/") else (TEN_SECONDLY,)


def page_of(call: Call) -> str:
    return f"{call.path} {_is_archived(call)}"


def access(base_url: str) -> list[tuple[str, str]]:
    return [
        ("url", f"{base_url}/hubspot"),
        ("token", TOKEN),
        ("token (deals only)", DEALS_ONLY_TOKEN),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("refresh_token", REFRESH_TOKEN),
    ]


API = Api(
    name="hubspot",
    routes=lambda served: HubSpot(served).routes(served),
    records=lambda content: content.get("results"),
    too_many=too_many,
    expired=expired,
    failed=failed,
    access=access,
    limits=limits,
    page_of=page_of,
)
