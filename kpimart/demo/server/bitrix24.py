"""Bitrix24's REST API over the demo company: an incoming webhook, OAuth, lists of 50, batches, and the portal's limits.

Methods: crm.item.list, crm.stagehistory.list, crm.category.list, crm.status.list, crm.activity.list, user.get,
user.current, department.get, batch, server.time, scope, profile, app.info.
Limits: 50 requests in a bucket that leaks 2 a second (QUERY_LIMIT_EXCEEDED), 480 seconds of working time of a method
within 10 minutes (OPERATION_TIME_LIMIT). How long a call works is made up: by the rows that it gives, and by those that
it counts; `start = -1` spares the counting.
Source: Bitrix24 REST documentation (limits, batch, list methods, huge data, crm/universal, OAuth renewal).
"""

import contextlib
import math
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.routing import Route

from kpimart.demo.server import bitrix24_records as records
from kpimart.demo.server.bitrix24_lists import Fields, Refused, Result, listed
from kpimart.demo.server.bitrix24_records import iso
from kpimart.demo.server.limits import Bucket, Limit
from kpimart.demo.server.nested import Tree, address_of, nested, values_of
from kpimart.demo.server.served import Api, Call, Json, Served, json_response
from kpimart.demo.server.table import By, Compared, Row, Table
from kpimart.demo.server.tokens import Tokens

# Constants of the demo, secret to nobody.
WEBHOOK_TOKEN = "demo-bitrix24-token"  # noqa: S105
CRM_ONLY_TOKEN = "demo-bitrix24-crm-only-token"  # noqa: S105
CLIENT_ID = "local.demo-bitrix24-client"
CLIENT_SECRET = "demo-bitrix24-client-secret"  # noqa: S105
REFRESH_TOKEN = "demo-bitrix24-refresh-token"  # noqa: S105
ACCESS_TOKEN = "demo-bitrix24-access-token"  # noqa: S105
ACCESS_LIVES = timedelta(hours=1)

SCOPES = ("crm", "department", "user")
WEBHOOKS = {WEBHOOK_TOKEN: SCOPES, CRM_ONLY_TOKEN: ("crm",)}

BATCH = 50
RATE = Bucket("QUERY_LIMIT_EXCEEDED", size=50, per_second=2)
OPERATING_SECONDS = 480.0
OPERATING_MINUTES = 10

# Counting is the documentation's own measurement: 49.9 s for 2,387,743 records.
SECONDS_A_CALL = 0.01
SECONDS_A_ROW = 0.0004
SECONDS_A_COUNTED_ROW = 0.00002

COULD_NOT_FIND = "100"


@dataclass(frozen=True)
class Caller:
    """Who asks: by a webhook, or by the token of an application."""

    scopes: Sequence[str]
    is_application: bool = False


Method = Callable[[Tree, Caller], Result]


# ---------------------------------------------------------------------- methods

ENTITY_NAMES = {records.LEAD: "LEAD", records.DEAL: "DEAL", records.CONTACT: "CONTACT", records.COMPANY: "COMPANY"}


def _any_case(params: Tree) -> Tree:
    """The older methods do not mind how their parameters are written."""
    return {name.lower(): value for name, value in params.items()}


def _own_fields(table: Table, given: Tree) -> Tree:
    """A filter whose fields stand among the parameters."""
    return {name.upper(): value for name, value in given.items() if name.upper() in table.sample}


def _sorted_by(given: Tree) -> Tree:
    return {given["sort"]: given.get("order", "ASC")} if "sort" in given else {}


def _entity_type(params: Tree) -> int:
    if "entityTypeId" not in params:
        raise Refused(400, COULD_NOT_FIND, "Could not find value for parameter {entityTypeId}")
    given = str(params["entityTypeId"])
    return int(given) if given.isdecimal() else 0


def _not_supported(entity_type: int) -> Refused:
    name = ENTITY_NAMES.get(entity_type, str(entity_type))
    return Refused(400, "ENTITY_TYPE_NOT_SUPPORTED", f"Entity type `{name}` is not supported")


class Methods:
    """What can be called, by name."""

    def __init__(self, served: Served) -> None:
        self._world = served.world
        self._statuses = records.statuses()
        self.by_name: dict[str, tuple[str, Method]] = {
            "crm.item.list": ("crm", self._items),
            "crm.stagehistory.list": ("crm", self._stage_history),
            "crm.category.list": ("crm", self._categories),
            "crm.status.list": ("crm", self._status_list),
            "crm.activity.list": ("crm", self._activities),
            "user.get": ("user", self._users),
            "user.current": ("user", self._current_user),
            "department.get": ("department", self._departments),
            "server.time": ("", self._time),
            "scope": ("", self._scope),
            "profile": ("", self._profile),
            "app.info": ("", self._application),
        }

    def _items(self, params: Tree, _: Caller) -> Result:
        entity_type = _entity_type(params)
        if entity_type not in ENTITY_NAMES:
            raise Refused(400, "NOT_FOUND", "SPA not found")
        table = records.items(self._world, entity_type)
        fields = Fields(records.ITEM_KINDS, table.sample, is_strict=True)
        select = [*values_of(params.get("select") or "*"), "id"]
        found = listed(
            table,
            fields,
            where=params.get("filter"),
            order=params.get("order"),
            select=select,
            start=params.get("start"),
        )
        return found._replace(result={"items": found.result})

    def _stage_history(self, params: Tree, _: Caller) -> Result:
        entity_type = _entity_type(params)
        if entity_type not in (records.LEAD, records.DEAL):
            raise _not_supported(entity_type)
        table = records.stage_history(self._world, entity_type)
        found = listed(
            table,
            Fields(records.HISTORY_KINDS, table.sample, is_strict=True),
            where=params.get("filter"),
            order=params.get("order"),
            select=params.get("select"),
            start=params.get("start"),
        )
        return found._replace(result={"items": found.result})

    def _categories(self, params: Tree, _: Caller) -> Result:
        entity_type = _entity_type(params)
        if entity_type not in ENTITY_NAMES:
            raise Refused(400, "NOT_FOUND", "SPA not found")
        if entity_type != records.DEAL:
            raise _not_supported(entity_type)
        categories = records.categories()
        return Result({"categories": categories}, total=len(categories))

    def _status_list(self, params: Tree, _: Caller) -> Result:
        given = _any_case(params)
        fields = Fields(records.STATUS_KINDS, self._statuses.sample, is_strict=False)
        order = fields.order(given.get("order")) or [By("SORT")]
        found = self._statuses.page(
            fields.conditions(given.get("filter")), order, offset=0, limit=len(self._statuses), count=True
        )
        return Result(found.rows, total=found.total)

    def _activities(self, params: Tree, _: Caller) -> Result:
        given = _any_case(params)
        table = records.activities(self._world)
        return listed(
            table,
            Fields(records.ACTIVITY_KINDS, table.sample, is_strict=False),
            where=given.get("filter"),
            order=given.get("order") or {"START_TIME": "ASC"},
            select=given.get("select"),
            start=given.get("start"),
        )

    def _users(self, params: Tree, _: Caller) -> Result:
        given = _any_case(params)
        table = records.users(self._world)
        return listed(
            table,
            Fields(records.USER_KINDS, table.sample, is_strict=False),
            where=given.get("filter", _own_fields(table, given)),
            order=_sorted_by(given),
            select=given.get("select"),
            start=given.get("start"),
        )

    def _current_user(self, _: Tree, __: Caller) -> Result:
        return Result(self._owner())

    def _owner(self) -> Row:
        table = records.users(self._world)
        return table.page([Compared("ID", "=", records.ADMINISTRATOR)], (), offset=0, limit=1, count=False).rows[0]

    def _departments(self, params: Tree, _: Caller) -> Result:
        given = _any_case(params)
        table = records.departments(self._world)
        return listed(
            table,
            Fields(records.DEPARTMENT_KINDS, table.sample, is_strict=False),
            where={name: value for name, value in _own_fields(table, given).items() if name != "SORT"},
            order=_sorted_by(given),
            select=None,
            start=given.get("start"),
        )

    def _time(self, _: Tree, __: Caller) -> Result:
        return Result(iso(self._world.now))

    def _scope(self, _: Tree, caller: Caller) -> Result:
        return Result(list(caller.scopes))

    def _profile(self, _: Tree, __: Caller) -> Result:
        owner = self._owner()
        known = {name: owner[name] for name in ("ID", "NAME", "LAST_NAME", "PERSONAL_GENDER", "TIME_ZONE")}
        return Result(known | {"ADMIN": True})

    def _application(self, _: Tree, caller: Caller) -> Result:
        if not caller.is_application:
            raise Refused(400, "ACCESS_DENIED", "Access denied! Application context required")
        return Result({"ID": 1, "CODE": CLIENT_ID, "VERSION": 1, "STATUS": "L", "INSTALLED": True})


# ---------------------------------------------------------------------- working time


@dataclass
class Operating:
    """How long each method worked for each caller, in baskets of a minute that are forgotten after ten."""

    clock: Callable[[], float] = time.monotonic
    _baskets: dict[tuple[str, str], deque[list[float]]] = field(default_factory=dict)

    def spent(self, caller: str, method: str) -> float:
        """Seconds."""
        return sum(seconds for _, seconds in self._live(caller, method))

    def spend(self, caller: str, method: str, seconds: float) -> None:
        baskets, now = self._live(caller, method), self.clock()
        if baskets and now - baskets[-1][0] < 60:
            baskets[-1][1] += seconds
        else:
            baskets.append([now, seconds])

    def resets_in(self, caller: str, method: str) -> float:
        """Seconds until the oldest basket is forgotten."""
        baskets = self._live(caller, method)
        return OPERATING_MINUTES * 60 - (self.clock() - baskets[0][0] if baskets else 0.0)

    def _live(self, caller: str, method: str) -> deque[list[float]]:
        baskets = self._baskets.setdefault((caller, method), deque())
        while baskets and self.clock() - baskets[0][0] >= OPERATING_MINUTES * 60:
            baskets.popleft()
        return baskets


# ---------------------------------------------------------------------- requests

_REFERENCE = re.compile(r"\$(result|error|total|next|time)(\S*)")
_STEP = re.compile(r"\[([^\]]+)\]")


class Portal:
    """Answers requests: who asks, for which method, how long it worked."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._world = served.world
        self._methods = Methods(served).by_name
        self._operating = Operating()
        self._tokens = Tokens(served.world, access=ACCESS_TOKEN, refresh=REFRESH_TOKEN, lives=ACCESS_LIVES)

    def by_webhook(self, call: Call) -> Response:
        token = call.named["token"]
        if token not in WEBHOOKS or call.named["user"] != records.ADMINISTRATOR:
            return _no_auth()
        return self._answer(call, token, Caller(WEBHOOKS[token]))

    def by_application(self, call: Call) -> Response:
        params = _params(call)
        token = call.token or str(params.get("auth") or params.get("access_token") or "")
        if not self._tokens.knows(token):
            return _no_auth()
        if self._tokens.has_ended(token):
            return _expired()
        return self._answer(call, CLIENT_ID, Caller(SCOPES, is_application=True))

    def renew(self, call: Call) -> Response:
        """The renewal of tokens, as at oauth.bitrix.info."""
        given = _params(call)
        if (given.get("client_id"), given.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _refusal(Refused(400, "invalid_client", "Invalid client credentials"))
        if given.get("grant_type") != "refresh_token":
            return _refusal(Refused(400, "invalid_request", "The request is malformed"))
        pair = self._tokens.renew(str(given.get("refresh_token")))
        if pair is None:
            return _refusal(Refused(400, "invalid_grant", "Invalid refresh token"))
        url = f"{address_of(call)}/"
        return json_response(
            {
                "access_token": pair.access,
                "client_endpoint": f"{url}rest/",
                "domain": call.request.url.netloc,
                "expires": round((self._world.now + ACCESS_LIVES).timestamp()),
                "expires_in": round(ACCESS_LIVES.total_seconds()),
                "member_id": "a223c6b3710f85df22e9377d6c4f7553",
                "refresh_token": pair.refresh,
                "scope": ",".join(SCOPES),
                "server_endpoint": f"{url}rest/",
                "status": "L",
                "user_id": records.ADMINISTRATOR,
            }
        )

    def _answer(self, call: Call, key: str, caller: Caller) -> Response:
        method = call.named["method"].removesuffix(".json")
        params = _params(call)
        try:
            if method == "batch":
                told = self._batch(params, key, caller)
                return json_response({"result": told, "time": self._told_time(key, method, 0.0)})
            return json_response(self._call(method, params, key, caller))
        except Refused as refused:
            return _refusal(refused)

    def _call(self, method: str, params: Tree, key: str, caller: Caller) -> Json:
        """The whole answer of one method."""
        scope, run = self._methods.get(method, ("", None))
        if run is None:
            raise Refused(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        if scope and scope not in caller.scopes:
            raise Refused(
                403, "insufficient_scope", "The request requires higher privileges than provided by the webhook token"
            )
        if self._served.limits and self._operating.spent(key, method) > OPERATING_SECONDS:
            raise _worked_too_long()
        found = run(params, caller)
        worked = SECONDS_A_CALL + SECONDS_A_ROW * found.rows + SECONDS_A_COUNTED_ROW * found.counted
        self._operating.spend(key, method, worked)
        paging = {name: value for name, value in (("next", found.next), ("total", found.total)) if value is not None}
        return {"result": found.result, **paging, "time": self._told_time(key, method, worked)}

    def _told_time(self, key: str, method: str, worked: float) -> Json:
        began = self._world.now.timestamp()
        date = iso(self._world.now)
        return {
            "start": began,
            "finish": began + worked,
            "duration": worked,
            "processing": worked,
            "date_start": date,
            "date_finish": date,
            "operating_reset_at": round(began + self._operating.resets_in(key, method)),
            "operating": self._operating.spent(key, method),
        }

    def _batch(self, params: Tree, key: str, caller: Caller) -> Json:
        """Run the commands one after the other; what one gave, a later one may refer to."""
        commands = params.get("cmd") or {}
        named = commands if isinstance(commands, dict) else {str(at): each for at, each in enumerate(commands)}
        told: dict[str, Json] = {part: {} for part in ("result", "error", "total", "next", "time")}
        for position, (name, command) in enumerate(named.items()):
            try:
                answer = self._command(str(command), position, told, key, caller)
            except Refused as refused:
                told["error"][name] = refused.answer
                if str(params.get("halt", 0)).lower() in ("1", "true"):
                    break
            else:
                for part, value in answer.items():
                    told[part][name] = value
        return {
            "result": _as_php(told["result"]),
            "result_error": _as_php(told["error"]),
            "result_total": _as_php(told["total"]),
            "result_next": _as_php(told["next"]),
            "result_time": _as_php(told["time"]),
        }

    def _command(self, command: str, position: int, told: Mapping[str, Json], key: str, caller: Caller) -> Json:
        if position >= BATCH:
            raise Refused(400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
        method, _, query = command.partition("?")
        if method == "batch":
            raise Refused(405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")
        params = nested(parse_qsl(query, keep_blank_values=True))
        return self._call(method, _resolved(params, told), key, caller)


def _resolved(given: Any, told: Mapping[str, Json]) -> Any:
    """Parameters with every reference to what earlier commands gave replaced."""
    if isinstance(given, dict):
        return {_referred(name, told): _resolved(value, told) for name, value in given.items()}
    return _referred(given, told)


def _referred(text: str, told: Mapping[str, Json]) -> Any:
    """`$result[name][items][49][id]` → what stands there; the path is followed only as far as there is something.

    So a reference to the fiftieth of fewer records gives the list of them, and the filter that it stands in is refused.
    """
    for found in _REFERENCE.finditer(text):
        value: Any = told[found[1]]
        steps = _STEP.findall(found[2])
        for step in steps:
            below = _below(value, step)
            if below is None:
                break
            value = below
        if steps and found[0] == text:
            return value
        if steps and isinstance(value, str | int | float):
            text = text.replace(found[0], str(value))
    return text


def _below(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return None


def _as_php(by_name: Json) -> Any:
    """An array of PHP as JSON: a list where its keys count up from 0, empty or not."""
    if list(by_name) == [str(at) for at in range(len(by_name))]:
        return list(by_name.values())
    return by_name


def _params(call: Call) -> Tree:
    """The parameters of the address, and those of the body, JSON or form, which count more."""
    tree = nested(call.request.query_params.multi_items())
    if not call.body:
        return tree
    if "json" in call.request.headers.get("content-type", ""):
        with contextlib.suppress(ValueError):
            tree |= call.json if isinstance(call.json, dict) else {}
        return tree
    return tree | nested(parse_qsl(call.body.decode(), keep_blank_values=True))


# ---------------------------------------------------------------------- the API


def routes(served: Served) -> list[Route]:
    portal = Portal(served)
    asked = ["GET", "POST"]
    return [
        Route("/rest/{user:int}/{token}/{method}", served.endpoint(portal.by_webhook), methods=asked),
        Route("/rest/{method}", served.endpoint(portal.by_application), methods=asked),
        Route("/oauth/token/", served.endpoint(portal.renew), methods=asked),
    ]


def _refusal(refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
    return json_response(refused.answer, refused.status, headers)


def _worked_too_long() -> Refused:
    return Refused(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")


def _no_auth() -> Response:
    return _refusal(Refused(401, "NO_AUTH_FOUND", "Wrong authorization data"))


def _expired() -> Response:
    return _refusal(Refused(401, "expired_token", "The access token provided has expired"))


def _failed() -> Response:
    return _refusal(Refused(500, "INTERNAL_SERVER_ERROR", "Internal server error"))


def _too_many(limit: Limit | None, wait: float | None) -> Response:
    """The portal itself never says how long to wait; a fault that does stands for a method that worked too long."""
    if limit is None and wait is not None:
        return _refusal(_worked_too_long(), {"Retry-After": str(math.ceil(wait))})
    return _refusal(Refused(503, "QUERY_LIMIT_EXCEEDED", "Too many requests"))


def _limits(call: Call) -> Sequence[Limit]:
    return () if call.path.startswith("/oauth/") else (RATE,)


def _records(content: Any) -> list[Any] | None:
    """The records of a list, or of the first list in a batch."""
    result = content.get("result") if isinstance(content, dict) else None
    if isinstance(result, dict):
        for part in result.values():
            if isinstance(part, list):
                return part
            if part and (found := _records({"result": part})) is not None:
                return found
        return None
    return result if isinstance(result, list) else None


def _page_of(call: Call) -> str:
    return f"{call.path} {_params(call).get('entityTypeId', '')}"


def _access(url: str) -> list[tuple[str, str]]:
    return [
        ("webhook", f"{url}/bitrix24/rest/{records.ADMINISTRATOR}/{WEBHOOK_TOKEN}/"),
        ("url", f"{url}/bitrix24"),
        ("token_url", f"{url}/bitrix24/oauth/token/"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("refresh_token", REFRESH_TOKEN),
    ]


API = Api(
    name="bitrix24",
    routes=routes,
    records=_records,
    too_many=_too_many,
    expired=_expired,
    failed=_failed,
    access=_access,
    limits=_limits,
    page_of=_page_of,
)
