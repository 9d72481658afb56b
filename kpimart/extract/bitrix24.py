"""Bitrix24: deals, their stage history, leads, companies, activities, users, departments, pipelines, statuses.

Reads: crm.item.list, crm.stagehistory.list and crm.activity.list (keyset on the id, start=-1), user.get,
department.get, crm.category.list, crm.status.list. All goes through `batch`: 50 calls, each of which goes on after the
last id of the one before it (`$result[…]`), so that one request reads up to 2,500 records.
Limits: 2 requests/s (leaky bucket of 50), 50 records a page, 50 calls a batch, 480 s of a method's time in 10 minutes.
Cannot tell: who owned a deal before, and its earlier amounts; when a user was dismissed; when a department moved; what
was deleted. Without a feed of deletions, live ids are counted range by range while they are read. Each night the
portal's own counts of these ranges are asked for, in the same request that begins to read what changed, and only where
a count differs are the ids of that range listed: a quiet night costs one request an object, whatever its size.
Source: Bitrix24 REST documentation (apidocs.bitrix24.com), on limits, batch, large volumes and system errors.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from itertools import chain, count, pairwise
from typing import Any, TypeVar
from urllib.parse import quote

import orjson
import requests

from kpimart.errors import AccessRefused, BadSourceData, KpiMartError, SettingsError, SourceUnreachable
from kpimart.extract.auth import RefreshingToken
from kpimart.extract.http import Http, Rate
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
    id_at,
    iso_moment,
)
from kpimart.settings import Settings

NAME = "bitrix24"
ROWS_A_PAGE = 50
CALLS_A_BATCH = 50
# The bucket leaks 2 a second and holds 50: this fills it to 40 at most, and leaves some room to others at our address.
RATES = {"": (Rate(40, 20.0),)}

# Counted are live ids in ranges of so many ids, compared in so many groups of neighbours at first.
IDS_A_RANGE = 1_000
GROUPS = 25
# A list that keeps changing while it is read page by page is read again from its beginning, so often.
ATTEMPTS_AT_A_LIST = 3

LEAD, DEAL, COMPANY = 1, 2, 4

K = TypeVar("K")
Command = tuple[str, Mapping[str, Any]]
"""A method and its parameters."""

_LATER = frozenset({"QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT"})
_REFUSED = frozenset(
    {"insufficient_scope", "access_denied", "invalid_credentials", "user_access_error", "no_auth_found"}
)


# ------------------------------------------------------------------------------------------------------------- portal


@dataclass(frozen=True)
class Reply:
    """What a batch brought, by the keys of its calls. `at`: the portal's clock."""

    results: Mapping[str, Any]
    errors: Mapping[str, Any]
    totals: Mapping[str, int]
    nexts: Mapping[str, int]
    at: datetime


class Portal:
    """A portal, which answers batches. Bears threads."""

    def __init__(self, http: Http, settings: Settings) -> None:
        self._http = http
        self._properties = settings.bitrix24.properties
        self._own_fields = tuple(settings.bitrix24.fields.values())
        self.overlap = timedelta(minutes=settings.bitrix24.overlap_minutes)
        self._session = secrets.token_hex(3)
        self._numbers = count(1)

    def keys(self, calls: int) -> list[str]:
        """Keys for the calls of a batch, which no other batch of this or another session has."""
        batch = next(self._numbers)
        return [f"{self._session}_{batch}_{number}" for number in range(calls)]

    def fields_of(self, table: "Table") -> list[str]:
        """What to ask for of a table: its fields, and those that the settings add."""
        added = self._own_fields if table.name == "deals" else ()
        return list(dict.fromkeys((*table.fields, *self._properties.get(table.name, ()), *added)))

    def ask(
        self,
        commands: Mapping[str, Command],
        *,
        required: Sequence[str],
        is_usable: Callable[[Reply], bool] = lambda _: True,
    ) -> Reply:
        """Run calls in one request, up to the first that fails; the required ones must not.

        The keys tell the calls of one batch from those of any other, so that an old answer is not taken for a new one.
        Raises AccessRefused or BadSourceData with the portal's words where a required call failed.
        """

        def check(parsed: Any) -> bool:
            reply = _reply_in(parsed, datetime.now(UTC))
            if reply is None:
                return isinstance(parsed, dict) and "error" in parsed
            has_failed = any(key in reply.errors and _code(reply.errors[key]) not in _LATER for key in required)
            return has_failed or (reply.results.keys() >= set(required) and is_usable(reply))

        body = {"halt": 1, "cmd": {key: _written(command) for key, command in commands.items()}}
        answer = self._http.post("batch", body, check=check)
        reply = _reply_in(answer.json, answer.at)
        if reply is None:
            raise _refusal("batch", answer.json)
        for key in required:
            if key in reply.errors:
                raise _refusal(commands[key][0], reply.errors[key])
        return reply


def _reply_in(parsed: Any, at: datetime) -> Reply | None:
    """The reply in an answer; None where there is none. PHP writes an empty object as an empty list."""
    parts = parsed.get("result") if isinstance(parsed, dict) else None
    if not isinstance(parts, dict):
        return None
    results, errors, totals, nexts = (
        parts.get(name) or {} for name in ("result", "result_error", "result_total", "result_next")
    )
    return Reply(results, errors, totals, nexts, at)


def _code(error: Any) -> str:
    return str(error.get("error", "")) if isinstance(error, dict) else str(error)


def _refusal(method: str, error: Any) -> KpiMartError:
    code = _code(error)
    words = error.get("error_description") if isinstance(error, dict) else None
    about = f"{NAME}: {method}: {code}{f' ({words})' if words else ''}"
    if code.lower() in _REFUSED:
        return AccessRefused(f"{about}; give the webhook or the application that right, then rerun")
    return BadSourceData(f"{about}; this is not what its documentation promises, a retry changes nothing")


def _written(command: Command) -> str:
    """A call as `batch` takes it: the method and its parameters as a PHP query, which the portal decodes once."""
    method, params = command
    query = "&".join(f"{_quoted(name)}={_quoted(str(value))}" for name, value in _flat("", params))
    return f"{method}?{query}" if query else method


# Most of what the calls of a batch say is the same.
_quoted = lru_cache(maxsize=4_096)(partial(quote, safe=""))


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping | list):
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, below in pairs:
            yield from _flat(f"{name}[{key}]" if name else str(key), below)
    else:
        yield name, value


class MethodTime:
    """What the portal says of the time that methods may still take; tells when to ask again, and how much later."""

    def __init__(self) -> None:
        self._known: tuple[float, float] | None = None

    def is_later(self, _: int, parsed: Any) -> bool:
        """Whether an answer only says "later", be it inside a batch of which nothing was done."""
        self._note(parsed)
        if not isinstance(parsed, dict):
            return False
        reply = _reply_in(parsed, datetime.now(UTC))
        inner = {_code(error) for error in reply.errors.values()} if reply and not reply.results else set()
        return bool(_LATER & {_code(parsed), *inner})

    def pause(self, _: int, parsed: Any) -> float | None:
        """Seconds until the oldest minute of method time is forgotten, if that is what is waited for."""
        if "OPERATION_TIME_LIMIT" not in str(parsed):
            return None
        self._note(parsed)
        if self._known is None:
            return None
        reset_in, noted_at = self._known
        return max(1.0, reset_in - (time.monotonic() - noted_at))

    def _note(self, parsed: Any) -> None:
        if not isinstance(parsed, dict) or not isinstance(parsed.get("time"), dict):
            return
        parts = parsed.get("result")
        inner = parts.get("result_time") if isinstance(parts, dict) else None
        times = [parsed["time"], *(inner.values() if isinstance(inner, dict) else ())]
        resets = [each["operating_reset_at"] for each in times if each.get("operating_reset_at")]
        if resets and "finish" in parsed["time"]:
            # Both are the portal's own times.
            self._known = max(resets) - float(parsed["time"]["finish"]), time.monotonic()


@contextmanager
def connect(settings: Settings) -> Iterator[Portal]:
    """The portal of the settings; raises SettingsError where neither a webhook nor OAuth is configured."""
    own, method_time = settings.bitrix24, MethodTime()
    if own.webhook is not None:
        base_url, auth = own.webhook.get_secret_value(), None
    elif own.url:
        base_url = f"{own.url.rstrip('/')}/rest/"
        auth = RefreshingToken(NAME, settings, token_url=own.token_url, form={}, apply=_with_token)
    else:
        raise SettingsError(
            "bitrix24: neither a webhook nor a portal; put the address of an incoming webhook into "
            "KPIMART_BITRIX24__WEBHOOK, or set bitrix24.url and what OAuth needs"
        )
    with Http(
        NAME,
        f"{base_url.rstrip('/')}/",
        settings,
        rates=RATES,
        auth=auth,
        retry_if=method_time.is_later,
        pause_of=method_time.pause,
    ) as http:
        yield Portal(http, settings)


def _with_token(request: requests.PreparedRequest, token: str) -> requests.PreparedRequest:
    """The token goes into the body: an address is logged more easily."""
    body = orjson.loads(request.body) if isinstance(request.body, str | bytes) else {}
    request.prepare_body(data=None, files=None, json={**body, "auth": token})
    return request


# ------------------------------------------------------------------------------------------ tables, in the order of ids


@dataclass(frozen=True)
class Table:
    """A list that can be read in the order of its whole-numbered ids.

    changed: the field that dates a record's last change. wrapper: under which name the records are, if any.
    is_counted: whether records can vanish from it on their own, and are counted to find that out.
    """

    name: str
    method: str
    fields: tuple[str, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    id: str = "id"
    changed: str = "updatedTime"
    wrapper: str = "items"
    is_counted: bool = True

    def page(self, after: int | str, conditions: Mapping[str, Any], fields: Sequence[str]) -> Command:
        """The page of the records after an id, in the order of ids, uncounted."""
        return self.method, {
            **self.params,
            "order": {self.id: "ASC"},
            "filter": {f">{self.id}": after, **conditions},
            "select": list(fields),
            "start": -1,
        }

    def count(self, conditions: Mapping[str, Any]) -> Command:
        """A call whose total tells how many records there are."""
        return self.method, {**self.params, "filter": conditions, "select": [self.id], "start": 0}

    def chain(
        self, keys: Sequence[str], after: int, conditions: Mapping[str, Any], fields: Sequence[str]
    ) -> dict[str, Command]:
        """Pages in a row, each after the last record of the one before; what comes after a short page says nothing."""
        inside = f"[{self.wrapper}]" if self.wrapper else ""
        afters: list[int | str] = [after, *(f"$result[{key}]{inside}[{ROWS_A_PAGE - 1}][{self.id}]" for key in keys)]
        return {key: self.page(last, conditions, fields) for key, last in zip(keys, afters, strict=False)}

    def pages_in(self, reply: Reply, keys: Sequence[str]) -> Iterator[list[Json]]:
        """The pages of a chain, up to the first short one or one that failed."""
        for key in keys:
            if key not in reply.results:
                return
            result = reply.results[key]
            rows = result.get(self.wrapper, []) if self.wrapper and isinstance(result, dict) else result
            yield rows
            if len(rows) < ROWS_A_PAGE:
                return

    def ids_of(self, rows: Sequence[Json]) -> list[int]:
        """The ids of some records, as numbers."""
        return [int(row[self.id]) for row in rows]

    def is_in_order(self, keys: Sequence[str], after: int, reply: Reply) -> bool:
        """Whether the ids of a chain rise from record to record, as was asked for."""
        try:
            ids = [after, *(number for rows in self.pages_in(reply, keys) for number in self.ids_of(rows))]
        except (KeyError, TypeError, ValueError):
            return False
        return all(one < following for one, following in pairwise(ids))


@dataclass(frozen=True)
class Span:
    """Ids from low to high, both inclusive, of which so many were live when they were last counted."""

    low: int
    high: int
    live: int

    def conditions(self, table: Table) -> dict[str, int]:
        return {f">={table.id}": self.low, f"<={table.id}": self.high}


class Census:
    """How many live ids each range of IDS_A_RANGE ids has, up to the highest id that was read."""

    def __init__(self, high: int, counts: Mapping[str, int]) -> None:
        self.high = high
        self._counts = Counter({int(number): count for number, count in counts.items()})

    def as_json(self) -> dict[str, Any]:
        return {"high": self.high, "counts": {str(number): count for number, count in sorted(self._counts.items())}}

    def see(self, ids: Sequence[int]) -> None:
        """Count the ids that are new, which are above all others."""
        new = [number for number in ids if number > self.high]
        self._counts.update(number // IDS_A_RANGE for number in new)
        self.high = max([self.high, *new])

    def spans(self) -> list[Span]:
        """The ranges that had live ids."""
        return [self._span([number]) for number in sorted(self._counts) if self._counts[number]]

    def groups(self) -> list[Span]:
        """All ranges in not too many groups of neighbours."""
        numbers = sorted(number for number, count in self._counts.items() if count)
        size = -(-len(numbers) // GROUPS) or 1
        return [self._span(numbers[first : first + size]) for first in range(0, len(numbers), size)]

    def recount(self, span: Span, live: int) -> None:
        """Take down what a range has now."""
        self._counts[span.low // IDS_A_RANGE] = live

    def _span(self, numbers: Sequence[int]) -> Span:
        high = min(self.high, (numbers[-1] + 1) * IDS_A_RANGE - 1)
        return Span(numbers[0] * IDS_A_RANGE, high, sum(self._counts[number] for number in numbers))


@dataclass
class _Pass:
    """One reading of a table: all of it the first time, then what changed since. Its cursor is where it stands."""

    table: Table
    overlap: timedelta
    since: str | None
    began: datetime | None
    newest: datetime | None
    after: int
    census: Census

    @classmethod
    def of(cls, table: Table, overlap: timedelta, cursor: Cursor) -> "_Pass":
        began, newest = (
            datetime.fromisoformat(cursor[key]) if cursor.get(key) else None for key in ("began", "newest")
        )
        census = Census(cursor.get("high", 0), cursor.get("counts", {}))
        return cls(table, overlap, cursor.get("since"), began, newest, cursor.get("after", 0), census)

    def conditions(self) -> dict[str, Any]:
        return {f">={self.table.changed}": self.since} if self.since else {}

    def move_on(self, rows: Sequence[Json], at: datetime) -> None:
        """Take down what was read, at a moment of the portal's clock."""
        self.began = self.began or at
        self.newest = max(filter(None, (self.newest, *self._latest_of_each_offset(rows))), default=None)
        ids = self.table.ids_of(rows)
        self.after = ids[-1] if ids else self.after
        self.census.see(ids if self.table.is_counted else [])

    def cursor(self, *, is_last: bool) -> Cursor:
        """Where a later fetch goes on: after the last record, or after the last page with what changed since then.

        Since the pass began, that is, but not later than the latest change that was seen: the clock in an answer's
        header may be another one than the one that dates changes.
        """
        counted = self.census.as_json() if self.table.is_counted else {}
        if not is_last:
            began, newest = (moment.isoformat() if moment else None for moment in (self.began, self.newest))
            return {"since": self.since, "began": began, "newest": newest, "after": self.after, **counted}
        since = self.since
        if self.began and self.newest:
            since = (min(self.began, self.newest) - self.overlap).isoformat()
        return {"since": since, **counted} if since else {}

    def _latest_of_each_offset(self, rows: Sequence[Json]) -> Iterator[datetime]:
        """The latest changes of some records; texts with the same offset sort as their times do."""
        latest: dict[str, str] = {}
        for row in rows:
            text = row.get(self.table.changed)
            if isinstance(text, str) and text > latest.get(text[-6:], ""):
                latest[text[-6:]] = text
        for text in latest.values():
            # A time that cannot be read is quarantined with its record.
            with suppress(ValueError):
                yield datetime.fromisoformat(text).astimezone(UTC)


def read_table(table: Table, portal: Portal, cursor: Cursor) -> Iterator[Page]:
    """A table's records: all of them after the cursor, or those that changed since, and what vanished of the others."""
    reading = _Pass.of(table, portal.overlap, cursor)
    fields = portal.fields_of(table)
    groups = reading.census.groups() if reading.since and table.is_counted else []
    is_last = False
    while not is_last:
        pages, live, at = _ask_for_pages(table, portal, reading.after, reading.conditions(), fields, groups)
        is_last = len(pages[-1]) < ROWS_A_PAGE
        differing = [span for span in groups if live[span] != span.live]
        listings = tuple(_vanished(table, portal, reading.census, differing))
        rows = [row for page in pages for row in page]
        reading.move_on(rows, at)
        groups = []
        yield Page(rows, reading.cursor(is_last=is_last), listings)


def _ask_for_pages(
    table: Table,
    portal: Portal,
    after: int,
    conditions: Mapping[str, Any],
    fields: Sequence[str],
    counted: Sequence["Span"] = (),
) -> tuple[list[list[Json]], dict["Span", int], datetime]:
    """As many pages after an id as go into one batch, with the counts of some ranges before them."""
    keys = portal.keys(CALLS_A_BATCH)
    counts = {key: table.count(span.conditions(table)) for key, span in zip(keys, counted, strict=False)}
    page_keys = keys[len(counts) :]

    def is_usable(reply: Reply) -> bool:
        return reply.totals.keys() >= counts.keys() and table.is_in_order(page_keys, after, reply)

    chain = table.chain(page_keys, after, conditions, fields)
    reply = portal.ask({**counts, **chain}, required=[*counts, page_keys[0]], is_usable=is_usable)
    live = {span: reply.totals[key] for key, span in zip(counts, counted, strict=True)}
    return list(table.pages_in(reply, page_keys)), live, reply.at


def _vanished(table: Table, portal: Portal, census: Census, groups: Sequence[Span]) -> Iterator[Listing]:
    """The ids that there are in those ranges of the groups whose count is another one now."""
    spans = [span for span in census.spans() if any(group.low <= span.low <= group.high for group in groups)]
    live = _counts(table, portal, {span: span.conditions(table) for span in spans})
    for span in spans:
        if live[span] != span.live:
            ids = _ids_within(table, portal, span)
            census.recount(span, len(ids))
            yield Listing(tuple(map(str, ids)), low=span.low, high=span.high)


def _ids_within(table: Table, portal: Portal, span: Span) -> list[int]:
    ids: list[int] = []
    is_last = False
    while not is_last:
        after = ids[-1] if ids else span.low - 1
        pages, *_ = _ask_for_pages(table, portal, after, {f"<={table.id}": span.high}, [table.id])
        ids += [number for page in pages for number in table.ids_of(page)]
        is_last = len(pages[-1]) < ROWS_A_PAGE
    return ids


def _counts(table: Table, portal: Portal, wanted: Mapping[K, Mapping[str, Any]]) -> dict[K, int]:
    """How many records meet each of some conditions."""
    counted: dict[K, int] = {}
    todo = list(wanted.items())
    for first in range(0, len(todo), CALLS_A_BATCH):
        part = todo[first : first + CALLS_A_BATCH]
        keys = portal.keys(len(part))
        calls = {key: table.count(conditions) for key, (_, conditions) in zip(keys, part, strict=True)}
        reply = portal.ask(calls, required=keys, is_usable=partial(_has_totals, keys))
        counted.update({place: reply.totals[key] for key, (place, _) in zip(keys, part, strict=True)})
    return counted


def _has_totals(keys: Sequence[str], reply: Reply) -> bool:
    return reply.totals.keys() >= set(keys)


def ids_left(table: Table, portal: Portal, cursor: Cursor) -> int | None:
    """How many records a first load has left at most: the ids up to the newest one. None for a later one."""
    if cursor.get("since"):
        return None
    newest = _one(table, portal, {table.id: "DESC"}, table.id)
    return max(0, int(newest) - int(cursor.get("after", 0))) if newest else 0


def _one(
    table: Table, portal: Portal, order: Mapping[str, str], name: str, conditions: Mapping[str, Any] | None = None
) -> Any:
    """A field of the first record in an order, of all or of those that meet conditions; None if there is none."""
    (key,) = portal.keys(1)
    asked = {"order": order, "filter": conditions or {}, "select": [table.id, name], "start": -1}
    call = (table.method, {**table.params, **asked})
    rows = next(table.pages_in(portal.ask({key: call}, required=[key]), [key]))
    return rows[0].get(name) if rows else None


def may_read(table: Table, portal: Portal) -> None:
    """Raises AccessRefused if the table must not be read."""
    _one(table, portal, {table.id: "DESC"}, table.id)


# ---------------------------------------------------------------------------------------------- short lists, read whole


@dataclass(frozen=True)
class Directory:
    """A short list that tells no changes, and is read whole each time, page by page."""

    name: str
    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    id: str = "ID"
    wrapper: str = ""


def read_directory(directory: Directory, portal: Portal, _: Cursor) -> Iterator[Page]:
    """All records of a short list, and their ids.

    Raises SourceUnreachable where it keeps changing while it is read: its pages are told by their place in the list, so
    that only a list as long as the portal says has no gap.
    """
    for _attempt in range(ATTEMPTS_AT_A_LIST):
        records, total = _all_of(directory, portal)
        ids = tuple(dict.fromkeys(str(record[directory.id]) for record in records))
        if len(ids) == total:
            yield Page(records, {}, (Listing(ids),))
            return
    raise SourceUnreachable(
        f"{NAME}: {directory.method}: {len(ids)} records came, and the portal counts {total}, {ATTEMPTS_AT_A_LIST} "
        "times; rerun when fewer people change them"
    )


def _all_of(directory: Directory, portal: Portal) -> tuple[list[Json], int]:
    """The records of all pages, and how many the portal counts."""
    records: list[Json] = []
    start: int | None = 0
    total = 0
    while start is not None:
        (key,) = portal.keys(1)
        reply = portal.ask({key: (directory.method, _page_of(directory, start))}, required=[key])
        result = reply.results[key]
        page = result.get(directory.wrapper, []) if directory.wrapper and isinstance(result, dict) else result
        records += page
        total = reply.totals.get(key, len(records))
        start = reply.nexts.get(key)
    return records, total


def _page_of(directory: Directory, start: int) -> Mapping[str, Any]:
    # department.get documents its START in capitals, all other methods in small letters; the portal reads small ones.
    names = ("START", "start") if directory.method == "department.get" else ("start",)
    return {**directory.params, **(dict.fromkeys(names, start) if start else {})}


def may_read_directory(directory: Directory, portal: Portal) -> None:
    """Raises AccessRefused if the list must not be read."""
    portal.ask({directory.name: (directory.method, directory.params)}, required=[directory.name])


# --------------------------------------------------------------------------------------------------------------- totals


def totals(portal: Portal, _: Settings) -> Iterator[Total]:
    """The portal's counts of deals and leads by owner and month (UTC) of creation; it gives no sums."""
    (users,) = read_directory(USERS, portal, {})
    owners = [str(user["ID"]) for user in users.records]
    for table in (DEALS, LEADS):
        oldest = _one(table, portal, {"createdTime": "ASC"}, "createdTime")
        if oldest:
            months = list(_months(datetime.fromisoformat(oldest).astimezone(UTC).date(), server_time(portal).date()))
            yield from _totals_of(table, portal, owners, months)


def _totals_of(table: Table, portal: Portal, users: Sequence[str], months: Sequence[date]) -> Iterator[Total]:
    of_month = _counts(table, portal, {month: _created_in(month) for month in months})
    left = {month: number for month, number in of_month.items() if number}
    # Whoever else owns something is looked for only where the users do not account for all.
    for owners in chain([users], ([stranger] for stranger in _strangers(table, portal, users))):
        wanted = {(month, of): {**_created_in(month), "=assignedById": of} for month in left for of in owners}
        for (month, owner), number in _counts(table, portal, wanted).items():
            left[month] -= number
            if number:
                yield Total(table.name, owner, month, number, None)
        if max(left.values(), default=0) <= 0:
            return
    yield from (Total(table.name, None, month, number, None) for month, number in left.items() if number > 0)


def _strangers(table: Table, portal: Portal, users: Sequence[str]) -> Iterator[str]:
    """Those who own records and are not among the users whom the portal shows: it shows not everybody to everybody."""
    known = list(users)
    while True:
        others = {">assignedById": 0, "!@assignedById": known}
        owner = _one(table, portal, {"assignedById": "ASC"}, "assignedById", others)
        if owner is None or str(owner) in known:
            return
        known.append(str(owner))
        yield known[-1]


def _created_in(month: date) -> dict[str, str]:
    first, after = _midnight(month), _midnight(_next(month))
    return {">=createdTime": first.isoformat(), "<createdTime": after.isoformat()}


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _next(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


def _months(first: date, last: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = _next(month)


def server_time(portal: Portal) -> datetime:
    """The portal's clock."""
    return portal.ask({"clock": ("server.time", {})}, required=[]).at


# -------------------------------------------------------------------------------------------------------------- objects

_ITEM = ("id", "assignedById", "createdTime", "updatedTime")
_STAGED = ("stageId", "stageSemanticId", "movedTime", "sourceId", "companyId", "contactId")

DEALS = Table(
    "deals",
    "crm.item.list",
    (*_ITEM, *_STAGED, "title", "categoryId", "leadId", "opportunity", "currencyId", "closedate", "isRecurring"),
    {"entityTypeId": DEAL},
)
LEADS = Table("leads", "crm.item.list", (*_ITEM, *_STAGED, "dateClosed"), {"entityTypeId": LEAD})
COMPANIES = Table("companies", "crm.item.list", (*_ITEM, "title", "industry", "isMyCompany"), {"entityTypeId": COMPANY})
# A deal's history goes with the deal.
STAGE_HISTORY = Table(
    "deal_stage_history",
    "crm.stagehistory.list",
    ("ID", "TYPE_ID", "OWNER_ID", "CREATED_TIME", "CATEGORY_ID", "STAGE_SEMANTIC_ID", "STAGE_ID"),
    {"entityTypeId": DEAL},
    id="ID",
    changed="CREATED_TIME",
    is_counted=False,
)
ACTIVITIES = Table(
    "activities",
    "crm.activity.list",
    (
        *("ID", "OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID", "PROVIDER_ID", "RESPONSIBLE_ID", "COMPLETED", "DIRECTION"),
        *("CREATED", "START_TIME", "END_TIME", "DEADLINE", "LAST_UPDATED"),
    ),
    id="ID",
    changed="LAST_UPDATED",
    wrapper="",
)
USERS = Directory(
    "users",
    "user.get",
    {
        "sort": "ID",
        "order": "ASC",
        "select": ["ID", "ACTIVE", "NAME", "LAST_NAME", "UF_DEPARTMENT", "UF_EMPLOYMENT_DATE", "USER_TYPE"],
    },
)
DEPARTMENTS = Directory("departments", "department.get", {"sort": "ID", "order": "ASC"})
CATEGORIES = Directory("categories", "crm.category.list", {"entityTypeId": DEAL}, id="id", wrapper="categories")
STATUSES = Directory("statuses", "crm.status.list")

_NUMBER = (int, float, str)
_WHOLE = (int, str)


def _table_object(table: Table, needed: Mapping[str, tuple[type, ...]]) -> ApiObject[Portal]:
    return ApiObject(
        name=table.name,
        read=partial(read_table, table),
        keep=table.fields,
        needed={table.id: _WHOLE, table.changed: (str,), **needed},
        updated_at=iso_moment(table.changed),
        id_of=id_at(table.id),
        right="scope crm, and the right to read all its records",
        probe=partial(may_read, table),
        estimate=partial(ids_left, table),
    )


def _directory_object(
    directory: Directory, right: str, keep: tuple[str, ...], needed: Mapping[str, tuple[type, ...]]
) -> ApiObject[Portal]:
    return ApiObject(
        name=directory.name,
        read=partial(read_directory, directory),
        keep=keep,
        needed={directory.id: _WHOLE, **needed},
        id_of=id_at(directory.id),
        right=right,
        probe=partial(may_read_directory, directory),
    )


SOURCE = ApiSource(
    name=NAME,
    connect=connect,
    rates=lambda _: RATES,
    objects=(
        _table_object(
            DEALS,
            {
                "stageId": (str,),
                "categoryId": _WHOLE,
                "opportunity": _NUMBER,
                "currencyId": (str,),
                "assignedById": _WHOLE,
                "createdTime": (str,),
            },
        ),
        _table_object(
            STAGE_HISTORY, {"OWNER_ID": _WHOLE, "STAGE_ID": (str,), "CATEGORY_ID": _WHOLE, "TYPE_ID": _WHOLE}
        ),
        _table_object(LEADS, {"assignedById": _WHOLE, "createdTime": (str,), "stageSemanticId": (str,)}),
        _table_object(COMPANIES, {"title": (str,)}),
        _table_object(ACTIVITIES, {"TYPE_ID": _WHOLE, "COMPLETED": (str,), "RESPONSIBLE_ID": _WHOLE}),
        _directory_object(
            USERS,
            "scope user",
            ("ID", "ACTIVE", "NAME", "LAST_NAME", "UF_DEPARTMENT", "UF_EMPLOYMENT_DATE", "USER_TYPE"),
            {"ACTIVE": (bool, str)},
        ),
        _directory_object(
            DEPARTMENTS, "scope department", ("ID", "NAME", "SORT", "PARENT", "UF_HEAD"), {"NAME": (str,)}
        ),
        _directory_object(
            CATEGORIES, "scope crm", ("id", "name", "sort", "isDefault"), {"name": (str,), "sort": _WHOLE}
        ),
        _directory_object(
            STATUSES,
            "scope crm",
            ("ID", "ENTITY_ID", "STATUS_ID", "NAME", "SORT", "SEMANTICS", "CATEGORY_ID"),
            {"ENTITY_ID": (str,), "STATUS_ID": (str,), "NAME": (str,)},
        ),
    ),
    server_time=server_time,
    totals=totals,
    counted={table.name: Counted(at("assignedById"), iso_moment("createdTime")) for table in (DEALS, LEADS)},
    # A template that new deals are made from is none itself.
    deals=Deals(DEALS.name, amount_in_raw("/opportunity"), "payload ->> '/isRecurring' is distinct from 'Y'"),
)
