"""Tryton 8: opportunities with every revision of their history, employees, companies, parties.

Reads: /<database>/rpc/: common.db.login, and of sale.opportunity, company.employee, company.company and party.party
    search_read, search, search_count; history_revisions, and read at a moment of the past (context `_datetime`).
Limits: none on the number of requests; 2,000 records a request (the setting `request.records_limit`), of which 500 are
    asked for, and ids of a model in one answer. One session, renewed when it ends.
Cannot tell: departments (an employee has a supervisor, who is taken to head a team), activities, shares of a deal;
    whether a party is a company or a person, so names of parties are personal data; when an employee changed the
    supervisor before the first load; that an opportunity was brought back by restoring its history, which leaves its
    time of change in the past.
Source: Tryton's documentation (trytond, sale_opportunity) and its source, series 8.2: trytond/protocols/dispatcher.py,
    trytond/protocols/jsonrpc.py, trytond/model/modelsql.py, modules/sale_opportunity, modules/company.

Decimals, dates and times come as objects with a `__class__`; they are kept as text, times with their offset (UTC).
"""

import base64
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count, groupby
from typing import Any

import requests

from kpimart.errors import AccessRefused, BadSourceData, SettingsError, SourceUnreachable
from kpimart.extract.auth import RenewableAuth, required_secret
from kpimart.extract.by_id import Found, is_page_after, pages_by_id
from kpimart.extract.http import Http, Rates
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
    iso_moment,
)
from kpimart.settings import Settings

ROWS = 500
RATES: Rates = {}

_READS = "read access to it, as the group Sales gives it"
# Words of errors of a database that is busy: SQLite's, then PostgreSQL's.
_PASSING = ("database is locked", "could not serialize access", "deadlock detected")

_number = count(1)


@dataclass(frozen=True)
class Model:
    """A model of Tryton and what is read of it, besides id, create_date and write_date."""

    name: str
    technical: str
    fields: tuple[str, ...]
    personal: tuple[str, ...] = ()


OPPORTUNITIES = Model(
    "opportunities",
    "sale.opportunity",
    (
        "number",
        "description",
        "state",
        "party",
        "company",
        "employee",
        "amount",
        "currency.code",
        "conversion_probability",
        "lost_reason",
        "start_date",
        "end_date",
    ),
)
EMPLOYEES = Model("employees", "company.employee", ("rec_name", "company", "supervisor", "start_date", "end_date"))
COMPANIES = Model("companies", "company.company", ("rec_name", "currency.code"))
PARTIES = Model("parties", "party.party", ("code", "replaced_by"), personal=("name",))


# ------------------------------------------------------------------------------------------------------- the protocol


class _SessionAuth(RenewableAuth):
    """A session of a user: opened before the first request, and anew when the server knows it no more."""

    def __init__(self, url: str, user: str, password: str, timeout: float) -> None:
        self._url, self._user, self._password, self._timeout = url, user, password, timeout
        self._lock = threading.Lock()
        self._header = ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        with self._lock:
            self._header = self._header or self._sign_in()
            request.headers["Authorization"] = self._header
        return request

    def renew(self) -> None:
        """Open another session."""
        with self._lock:
            self._header = self._sign_in()

    def _sign_in(self) -> str:
        asked: Any = {"id": 0, "method": "common.db.login", "params": [self._user, {"password": self._password}, None]}
        try:
            response = requests.post(self._url, json=asked, timeout=self._timeout)
        except requests.RequestException as error:
            raise SourceUnreachable(
                f"tryton: signing in: no answer ({type(error).__name__}); look after tryton.url, rerun when it is back"
            ) from None
        if response.status_code == requests.codes.not_found:
            raise SettingsError("tryton.database: the server has no such database; correct it, then rerun")
        if response.status_code == requests.codes.too_many or response.status_code >= 500:
            raise SourceUnreachable(f"tryton: signing in: answered {response.status_code}; rerun later")
        session = response.json().get("result") if response.ok else None
        if not session:
            raise AccessRefused(
                f"tryton: the user {self._user} was refused ({response.status_code}); look after tryton.user and the "
                "variable KPIMART_TRYTON__TOKEN (the password), then rerun"
            )
        user_id, key, *_ = session
        return "Session " + base64.b64encode(f"{self._user}:{user_id}:{key}".encode()).decode()


@dataclass(frozen=True)
class Client:
    """A user in a database of a Tryton server.

    properties: further fields, by object. own_fields: the company's own fields of sale.opportunity that hold what
    Tryton has no standard one for, canonical name → field.
    """

    http: Http
    path: str
    overlap: timedelta
    personal_data: bool = False
    properties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own_fields: Mapping[str, str] = field(default_factory=dict)

    def execute(
        self,
        model: Model,
        method: str,
        *args: Any,
        at: datetime | None = None,
        check: Callable[[Any], bool] = lambda _: True,
    ) -> tuple[Any, datetime]:
        """What a method of a model gives, and when; with `at`, as it was at that moment.

        check: whether that can be right; else it is asked for again.
        """
        number = next(_number)
        context = {"active_test": False, **({"_datetime": _encoded(at)} if at else {})}
        # Tryton takes it for a call only with exactly these three keys.
        call = {"id": number, "method": f"model.{model.technical}.{method}", "params": [*args, context]}

        def is_answer(content: Any) -> bool:
            """Whether it answers this request, and not one before."""
            if not isinstance(content, dict) or content.get("id") != number:
                return False
            return "error" in content or ("result" in content and check(content["result"]))

        answer = self.http.post(self.path, call, check=is_answer)
        if "error" in answer.json:
            raise _refusal(answer.json["error"], f"{model.technical} {method}")
        return answer.json["result"], answer.at


def _words(error: Any) -> str:
    """The words of an error: its class and what it says, or what an exception says."""
    parts = error if isinstance(error, list) else [error]
    texts = [part if isinstance(part, str) else (part[0] if isinstance(part, list) and part else "") for part in parts]
    return " ".join(": ".join(text for text in texts[:2] if text).split())


def _is_passing(_: int, content: Any) -> bool:
    words = _words(content["error"]) if isinstance(content, dict) and content.get("error") else ""
    return words.startswith("ConcurrencyException") or any(phrase in words for phrase in _PASSING)


def _refusal(error: Any, what: str) -> AccessRefused | BadSourceData:
    words = _words(error)
    if words.startswith("UserError"):
        return AccessRefused(f"tryton: {what}: the user was refused and needs {_READS}. Tryton says: {words}")
    return BadSourceData(
        f"tryton: {what}: {words[:300]}; a retry changes nothing. Is the module sale_opportunity activated there?"
    )


@contextmanager
def connect(settings: Settings) -> Iterator[Client]:
    """A client, which signs in with its first request; raises SettingsError where a setting is missing."""
    own = settings.tryton
    url, database, user = (_required(name, getattr(own, name)) for name in ("url", "database", "user"))
    password = required_secret("tryton", "token", own.token).get_secret_value()
    url, path = url.rstrip("/"), f"/{database}/rpc/"
    auth = _SessionAuth(url + path, user, password, settings.http.timeout_seconds)
    with Http("tryton", url, settings, rates=RATES, auth=auth, retry_if=_is_passing) as http:
        yield Client(
            http,
            path,
            timedelta(minutes=own.overlap_minutes),
            own.personal_data,
            own.properties,
            {str(canonical): name for canonical, name in own.fields.items()},
        )


def _required(name: str, value: str | None) -> str:
    if not value:
        raise SettingsError(f"tryton.{name}: is missing; put it into kpimart.toml or KPIMART_TRYTON__{name.upper()}")
    return value


def _server_time(client: Client) -> datetime:
    return client.http.post("/rpc/", {"id": 0, "method": "common.server.version", "params": []}).at


def _encoded(moment: datetime) -> Json:
    """A moment as Tryton takes it: in UTC, without saying so."""
    utc = moment.astimezone(UTC)
    parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{part: getattr(utc, part) for part in parts}}


def _decoded(value: Any) -> Any:
    """A value as JSON without classes: decimals, dates and times as text."""
    if not isinstance(value, dict) or "__class__" not in value:
        return value
    kind, parts = value["__class__"], {name: part for name, part in value.items() if name != "__class__"}
    if kind == "datetime":
        return datetime(**parts, tzinfo=UTC).isoformat()
    if kind == "date":
        return date(**parts).isoformat()
    return parts.get("decimal", parts)


def _record(client: Client, model: Model, found: Json) -> Json:
    """A record; a field of a related one, `currency.code`, stands as `currency_code` in it."""
    record = {}
    for name, value in found.items():
        if name.endswith("."):
            record.update(
                {f"{name[:-1]}_{inner}": _decoded(one) for inner, one in (value or {}).items() if inner != "id"}
            )
        else:
            record[name] = _decoded(value)
    if model is OPPORTUNITIES and client.own_fields:
        record["own"] = {
            canonical: None if (value := record.get(name.replace(".", "_"))) is None else str(value)
            for canonical, name in client.own_fields.items()
        }
    return record


# ------------------------------------------------------------------------------------------------------------- reading


def _asked(client: Client, model: Model) -> list[str]:
    own = client.own_fields.values() if model is OPPORTUNITIES else ()
    personal = model.personal if client.personal_data else ()
    further = client.properties.get(model.name, ())
    return sorted({*model.fields, "create_date", "write_date", *personal, *further, *own})


def _changed(since: datetime | None) -> list[Any]:
    """What was created or written since; a record that was never written has no time of writing."""
    if since is None:
        return []
    moment = _encoded(since)
    return [["OR", [["write_date", ">=", moment]], [["write_date", "=", None], ["create_date", ">=", moment]]]]


def _rows(client: Client, model: Model, since: datetime | None, after: int) -> Found:
    """The next records by ascending id."""
    domain = [["id", ">", after], *_changed(since)]
    asked = [domain, 0, ROWS, [["id", "ASC"]], _asked(client, model)]
    found, at = client.execute(model, "search_read", *asked, check=partial(is_page_after, after))
    records = [_record(client, model, one) for one in found]
    return Found(records, records[-1]["id"] if len(records) == ROWS else None, at)


def _listing(client: Client, model: Model) -> tuple[Listing, ...]:
    """The ids of all records, in one answer."""
    ids, _ = client.execute(model, "search", [], 0, None, [["id", "ASC"]])
    return (Listing(tuple(map(str, ids))),)


def _changing(model: Model, client: Client, cursor: Cursor) -> Iterator[Page]:
    """All records at first, then those that were written since; each time the ids that there are."""
    yield from pages_by_id(partial(_rows, client, model), client.overlap, cursor, partial(_listing, client, model))


def _whole(model: Model, client: Client, _: Cursor) -> Iterator[Page]:
    """All records, every time: they are few, and their names may change without their being written."""
    ids: list[str] = []
    after: int | None = 0
    while after is not None:
        found = _rows(client, model, None, after)
        ids += [str(record["id"]) for record in found.records]
        after = found.last
        yield Page(found.records)
    yield Page(cursor={}, listings=(Listing(tuple(ids)),))


def _opportunities(client: Client, cursor: Cursor) -> Iterator[Page]:
    """Opportunities, each with its revisions of the past: all of them at first, then those since."""

    def ask(since: datetime | None, after: int) -> Found:
        found = _rows(client, OPPORTUNITIES, since, after)
        return Found([*_past(client, found.records, since), *found.records], found.last, found.at)

    yield from pages_by_id(ask, client.overlap, cursor, partial(_listing, client, OPPORTUNITIES))


def _past(client: Client, records: Sequence[Json], since: datetime | None) -> Iterator[Json]:
    """The revisions of some opportunities apart from those that were read already."""
    if not records:
        return
    ids = [record["id"] for record in records]
    found, _ = client.execute(OPPORTUNITIES, "history_revisions", ids)
    read = {(record["id"], _written_at(record)) for record in records}
    revisions = [(number, datetime.fromisoformat(_decoded(moment))) for moment, number, *_ in found]
    spans = [
        span
        for span in _spans(revisions)
        if (span.id, span.begins) not in read and (since is None or span.begins >= since)
    ]
    for moment, seen in moments_that_show(spans):
        rows, _ = client.execute(OPPORTUNITIES, "read", seen, _asked(client, OPPORTUNITIES), at=moment)
        yield from (_record(client, OPPORTUNITIES, one) for one in rows)


_written_by = iso_moment("write_date")
_created_by = iso_moment("create_date")


def _written_at(record: Json) -> datetime | None:
    """When a record, or the revision of one, was written: as long as it never was, when it was created."""
    return _written_by(record) or _created_by(record)


@dataclass(frozen=True)
class Span:
    """How long a revision of a record was the one that stood: from its beginning to just before its end."""

    id: int
    begins: datetime
    ends: datetime


def _spans(revisions: Iterable[tuple[int, datetime]]) -> Iterator[Span]:
    endless = datetime.max.replace(tzinfo=UTC)
    for number, of_record in groupby(sorted(set(revisions)), key=lambda revision: revision[0]):
        moments = [moment for _, moment in of_record]
        for begins, ends in zip(moments, [*moments[1:], endless], strict=True):
            yield Span(number, begins, ends)


def moments_that_show(spans: Iterable[Span]) -> Iterator[tuple[datetime, list[int]]]:
    """As few moments as can be at which each span is seen, with the ids to look at then.

    Each span that was not seen yet is looked at just before it ends, with all others that stand at that moment: the
    greedy rule for piercing intervals by points, which needs the fewest.
    """
    waiting = sorted(spans, key=lambda span: (span.ends, span.id))
    while waiting:
        moment = waiting[0].ends - timedelta(microseconds=1)
        yield moment, [span.id for span in waiting if span.begins <= moment]
        waiting = [span for span in waiting if span.begins > moment]


def _estimate(model: Model, client: Client, cursor: Cursor) -> int | None:
    """How many records the first load has, without their revisions; a later one is over before they are counted."""
    return None if cursor else int(client.execute(model, "search_count", [])[0])


def _totals(client: Client, _: Settings) -> Iterator[Total]:
    """Opportunities by employee and month of creation (UTC), as searches count them; Tryton sums nothing."""
    oldest, now = client.execute(OPPORTUNITIES, "search_read", [], 0, 1, [["create_date", "ASC"]], ["create_date"])
    employees, _at = client.execute(EMPLOYEES, "search", [], 0, None, [["id", "ASC"]])
    month = datetime.fromisoformat(_decoded(oldest[0]["create_date"])).date().replace(day=1) if oldest else now.date()
    while oldest and month <= now.date():
        following = (month + timedelta(days=31)).replace(day=1)
        yield from _totals_of(client, month, following, employees)
        month = following


def _totals_of(client: Client, month: date, following: date, employees: Sequence[int]) -> Iterator[Total]:
    first, end = (_encoded(datetime(day.year, day.month, 1, tzinfo=UTC)) for day in (month, following))
    created = [["create_date", ">=", first], ["create_date", "<", end]]
    left = _count(client, created)
    for employee in employees:
        if not left:
            return
        number = _count(client, [*created, ["employee", "=", employee]])
        left -= number
        if number:
            yield Total(OPPORTUNITIES.name, str(employee), month, number, None)
    if left > 0:
        yield Total(OPPORTUNITIES.name, None, month, left, None)


def _count(client: Client, domain: Sequence[Any]) -> int:
    return int(client.execute(OPPORTUNITIES, "search_count", domain)[0])


def _probe(model: Model, client: Client) -> None:
    client.execute(model, "search_read", [], 0, 1, [["id", "ASC"]], ["id"])


def _was_deleted(record: Json) -> bool:
    """The revision that a deletion leaves has nothing but its time."""
    return record.get("create_date") is None


def _object(model: Model, read: Any, needed: Mapping[str, tuple[type, ...]], **rest: Any) -> ApiObject[Client]:
    kept = [name.replace(".", "_") for name in model.fields]
    return ApiObject(
        model.name,
        read,
        keep=("id", *kept, "create_date", "write_date", "own"),
        needed={"id": (int,), **needed},
        updated_at=_written_at,
        personal=model.personal,
        right=f"{_READS} ({model.technical})",
        probe=partial(_probe, model),
        **rest,
    )


_TEXT, _ID = (str,), (int,)

SOURCE = ApiSource(
    "tryton",
    connect,
    lambda _: RATES,
    (
        _object(
            OPPORTUNITIES,
            _opportunities,
            {
                "state": _TEXT,
                "employee": _ID,
                "party": _ID,
                "amount": _TEXT,
                "currency_code": _TEXT,
                "create_date": _TEXT,
                "end_date": _TEXT,
            },
            is_deleted=_was_deleted,
            estimate=partial(_estimate, OPPORTUNITIES),
        ),
        _object(EMPLOYEES, partial(_whole, EMPLOYEES), {"rec_name": _TEXT, "company": _ID, "supervisor": _ID}),
        _object(COMPANIES, partial(_whole, COMPANIES), {"rec_name": _TEXT}),
        _object(PARTIES, partial(_changing, PARTIES), {"code": _TEXT}, estimate=partial(_estimate, PARTIES)),
    ),
    _server_time,
    _totals,
    {OPPORTUNITIES.name: Counted(at("employee"), _created_by)},
    # One that was lost may have been a lead to its end.
    deals=Deals(
        OPPORTUNITIES.name, amount_in_raw("/amount"), "payload ->> '/state' in ('opportunity', 'converted', 'won')"
    ),
)
