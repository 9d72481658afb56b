"""amoCRM, outside Russia Kommo: leads (which are deals), inquiries, events, calls, notes, tasks, companies, contacts,
users, groups, pipelines.

Reads, of /api/v4: leads, companies and contacts in the order of their times; tasks, leads/notes and events, which
cannot be put into that order, by windows of time; account (currency, groups of users), users, leads/pipelines and
leads/unsorted (inquiries that nobody accepted yet) whole.
Limits: 7 requests/s, more of them end in 429 and then in a blocked address (403); 250 records a page, 100 events.
An empty page is 204. Refresh tokens are for one use.
Cannot tell: sources of accepted leads; heads of groups, or groups in groups; when a user joined or left, or a task was
done, other than by the last change; companies' and contacts' countries; sums or counts, so nothing can be reconciled.
Deleted leads are told as long as they lie in the bin; other deletions, and merges, only by events.
Source: amoCRM and Kommo API documentation (developers.kommo.com): limitations, leads, filters, events, tasks, users.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from kpimart.errors import SettingsError, SourceUnreachable
from kpimart.extract.auth import HeaderToken, RefreshingToken, required_secret
from kpimart.extract.http import Http, Rate
from kpimart.extract.source import (
    ApiObject,
    ApiSource,
    Cursor,
    Deals,
    Json,
    Listing,
    Page,
    amount_in_raw,
    epoch_moment,
    id_at,
)
from kpimart.settings import Settings

NAME = "amocrm"
# One less than is allowed: requests that leave a second apart may arrive within one.
RATES = {"": (Rate(6, 1.0),)}
ROWS_A_PAGE = 250
EVENTS_A_PAGE = 100

# The first window of time to be read page by page, the pages that make a good one, those after which a narrower one is
# tried, and when there was no amoCRM yet.
WINDOW_SECONDS = 30 * 24 * 3600
PAGES_A_WINDOW = 20
MOST_PAGES_A_WINDOW = 80
EARLIEST = int(datetime(2009, 1, 1, tzinfo=UTC).timestamp())
ATTEMPTS_AT_A_LIST = 5
SECONDS_OF_A_BLOCK = 60.0

DELETED = {"with": "only_deleted"}


@dataclass(frozen=True)
class Entity:
    """A list of records of one kind.

    with_: what the API is to add to them. type_field, types: the only types that are read. deletion: the type of the
    event that tells that one was deleted. is_ordered: can be put in the order of its times.
    """

    name: str
    path: str
    wrapper: str
    with_: str = ""
    type_field: str = ""
    types: tuple[str, ...] = ()
    deletion: str = ""
    clock: str = "updated_at"
    is_ordered: bool = True
    limit: int = ROWS_A_PAGE

    @property
    def params(self) -> dict[str, Any]:
        """What every request for it says."""
        added = {"with": self.with_} if self.with_ else {}
        chosen = {f"filter[{self.type_field}][]": list(self.types)} if self.types else {}
        return {"limit": self.limit, **added, **chosen}


@dataclass(frozen=True)
class Listed:
    """A page of a list, whether there is another one, and the server's clock."""

    rows: list[Json]
    has_next: bool
    at: datetime


class Account:
    """An account of amoCRM. Bears threads."""

    def __init__(self, http: Http, settings: Settings) -> None:
        self._http = http
        self._settings = settings.amocrm
        self.overlap = timedelta(minutes=settings.amocrm.overlap_minutes)

    def with_chosen_fields(self, entity: "Entity", rows: list[Json]) -> list[Json]:
        """The records with those custom fields only that the settings name, by id or by name."""
        chosen = {*self._settings.properties.get(entity.name, ()), *self._settings.fields.values()}
        for row in rows if chosen else ():
            fields = row.get("custom_fields_values") or []
            row["custom_fields_values"] = [
                one for one in fields if chosen & {str(one.get("field_id")), one.get("field_name")}
            ]
        return rows

    def page(
        self,
        path: str,
        wrapper: str,
        params: Mapping[str, Any],
        number: int = 1,
        *,
        is_usable: Callable[[Sequence[Json]], bool] = lambda _: True,
    ) -> Listed:
        """A page of a list; one that is not the page asked for, or not usable, is asked for again."""

        def check(parsed: Any) -> bool:
            if parsed is None:
                return True
            return parsed.get("_page", number) == number and is_usable(_rows_in(parsed, wrapper))

        numbered = {"page": number} if number > 1 else {}
        answer = self._http.get(path, {**params, **numbered}, check=check)
        has_next = "next" in ((answer.json or {}).get("_links") or {})
        return Listed(_in_one_order(_rows_in(answer.json, wrapper)), has_next, answer.at)

    def itself(self) -> tuple[Json, datetime]:
        """The account with its groups of users, and the server's clock."""
        answer = self._http.get(
            "/api/v4/account", {"with": "users_groups"}, check=lambda parsed: "id" in (parsed or {})
        )
        return answer.json, answer.at


def _rows_in(parsed: Any, wrapper: str) -> list[Json]:
    rows: list[Json] = ((parsed or {}).get("_embedded") or {}).get(wrapper) or []
    return rows


def _in_one_order(rows: list[Json]) -> list[Json]:
    """The records with the lists in them in the order of ids: the API promises none."""
    for row in rows:
        for linked in (row.get("_embedded") or {}).values():
            if isinstance(linked, list) and len(linked) > 1:
                linked.sort(key=lambda one: one.get("id") or 0)
    return rows


@contextmanager
def connect(settings: Settings) -> Iterator[Account]:
    """The account of the settings; raises SettingsError where its address, or any token, is missing."""
    own = settings.amocrm
    if not own.url:
        raise SettingsError("amocrm.url: is missing; name the account's address, such as https://company.amocrm.ru")
    auth = (
        RefreshingToken(
            NAME,
            settings,
            token_url=f"{own.url.rstrip('/')}/oauth2/access_token",
            form={"redirect_uri": own.redirect_uri or ""},
            as_json=True,
        )
        if own.refresh_token
        else HeaderToken(required_secret(NAME, "token", own.token))
    )
    with Http(
        NAME, own.url.rstrip("/"), settings, rates=RATES, auth=auth, retry_if=_is_blocked, pause_of=_pause_of_block
    ) as http:
        yield Account(http, settings)


def _is_blocked(status: int, parsed: Any) -> bool:
    """A 403 of the API says in JSON what right is missing; one without comes from what blocks addresses."""
    return status == 403 and not isinstance(parsed, dict)


def _pause_of_block(status: int, parsed: Any) -> float | None:
    return SECONDS_OF_A_BLOCK if _is_blocked(status, parsed) else None


# ------------------------------------------------------------------------------------------------------ reading by time


def _in_order(entity: Entity, account: Account, clock: str, low: int) -> Iterator[tuple[Listed, int]]:
    """The records from a moment on, in the order of their times, with the moment before which all were given.

    Instead of asking for a further page, from whose place records may have moved, it asks again from the last moment
    that it saw.
    """
    while True:
        ordered = {**entity.params, f"filter[{clock}][from]": low, f"order[{clock}]": "asc"}
        is_usable = partial(_are_in_order, _Wanted(entity, clock, low))
        listed = account.page(entity.path, entity.wrapper, ordered, is_usable=is_usable)
        high = listed.rows[-1][clock] if listed.rows else low
        yield listed, high
        if not listed.has_next:
            return
        if high == low:
            for within in _within(account, _Wanted(entity, clock, low, low)):
                yield within, low
            high += 1
        low = high


@dataclass(frozen=True)
class _Wanted:
    """What was asked for: an answer with anything else in it is the answer to another question."""

    entity: Entity
    clock: str
    low: int
    high: int | None = None

    def fits(self, rows: Sequence[Json]) -> bool:
        return all(self._is_one(row) for row in rows)

    def _is_one(self, row: Json) -> bool:
        moment = row.get(self.clock) or 0
        is_in_time = self.low <= moment and (self.high is None or moment <= self.high)
        is_of_type = not self.entity.types or row.get(self.entity.type_field) in self.entity.types
        is_from_the_bin = self.entity == LEADS and row.get("is_deleted")
        return is_in_time and is_of_type and not is_from_the_bin


def _are_in_order(wanted: _Wanted, rows: Sequence[Json]) -> bool:
    return wanted.fits(rows) and all(one[wanted.clock] <= following[wanted.clock] for one, following in pairwise(rows))


def _within(account: Account, wanted: _Wanted) -> Iterator[Listed]:
    """The records of a window of time, page by page.

    A record that leaves the window meanwhile, because it changed or was deleted, makes the others move up, and one of
    them might slip through between two pages. Then the last page is another one when it is asked for again, and all
    pages are read again. Raises SourceUnreachable where that goes on and on.
    """
    entity, clock = wanted.entity, wanted.clock
    window = {**entity.params, f"filter[{clock}][from]": wanted.low, f"filter[{clock}][to]": wanted.high}
    page = partial(account.page, entity.path, entity.wrapper, window, is_usable=wanted.fits)
    for _ in range(ATTEMPTS_AT_A_LIST):
        number, has_next = 0, True
        while has_next:
            number += 1
            listed = page(number)
            yield listed
            has_next = listed.has_next
        if number == 1:
            return
        again = page(number)
        if _ids(again) == _ids(listed) and not again.has_next:
            return
    raise SourceUnreachable(
        f"{NAME}: {entity.name} from {_iso(wanted.low)} on kept changing while they were read, {ATTEMPTS_AT_A_LIST} "
        "times; rerun when fewer people change them"
    )


def _ids(listed: Listed) -> list[Any]:
    return [row.get("id", row.get("uid")) for row in listed.rows]


def _by_windows(entity: Entity, account: Account, low: int) -> Iterator[tuple[Listed, int]]:
    """The records from a moment on, with the moment before which all were given.

    What does not fit on one page is read in windows of time that have ended, so that nothing is added to them.
    """
    params, clock = entity.params, entity.clock
    first_page = account.page(
        entity.path,
        entity.wrapper,
        {**params, f"filter[{clock}][from]": low},
        is_usable=_Wanted(entity, clock, low).fits,
    )
    yield first_page, low
    if first_page.has_next:
        for listed, after in _windows(entity, account, low, int(first_page.at.timestamp())):
            low = after
            yield listed, after
    yield Listed([], has_next=False, at=first_page.at), low


def _windows(entity: Entity, account: Account, low: int, until: int) -> Iterator[tuple[Listed, int]]:
    # What is older than the account was brought along, and seldom is much.
    opened_at = int(account.itself()[0].get("created_at") or 0)
    width = max(WINDOW_SECONDS, opened_at - low)
    while low <= until:
        high = min(low + width - 1, until)
        pages = 0
        for listed in _within(account, _Wanted(entity, entity.clock, low, high)):
            pages += 1
            yield listed, low
            if pages > MOST_PAGES_A_WINDOW and width > 1:
                break
        else:
            width = WINDOW_SECONDS if low < opened_at <= high + 1 else width
            low = high + 1
            yield Listed([], has_next=False, at=listed.at), low
        width = _next_width(width, pages)


def _next_width(width: int, pages: int) -> int:
    """Wider where little was found, narrower where much was: a fetch can go on between windows only."""
    if pages <= PAGES_A_WINDOW // 4:
        return width * 2
    return max(1, width // (8 if pages > MOST_PAGES_A_WINDOW else 2)) if pages > PAGES_A_WINDOW * 2 else width


@dataclass
class _Pass:
    """One reading of an entity. `after`: all before this moment was given. Times in seconds since 1970."""

    overlap: timedelta
    since: int | None
    began: int | None
    newest: int | None
    after: int

    @classmethod
    def of(cls, overlap: timedelta, cursor: Cursor) -> "_Pass":
        since, first = cursor.get("since"), cursor.get("first", {})
        after = since if since is not None else first.get("after", 0)
        return cls(overlap, since, first.get("began"), first.get("newest"), after)

    def move_on(self, listed: Listed, clock: str, after: int) -> None:
        self.began = self.began or int(listed.at.timestamp())
        times = [row[clock] for row in listed.rows if isinstance(row.get(clock), int)]
        self.newest = max([*times, *([self.newest] if self.newest else [])], default=None)
        self.after = max(self.after, after)

    def cursor(self) -> Cursor | None:
        """A first load can go on from here; what changed since the last one is few, and read as a whole."""
        if self.since is not None:
            return None
        return {"first": {"began": self.began, "newest": self.newest, "after": self.after}}

    def end(self) -> Cursor:
        """Where the next fetch begins: when this one did, but not later than the latest change that was seen.

        The clock in an answer's header may be another one than the one that dates changes.
        """
        if self.began is None or self.newest is None:
            return {"since": self.since} if self.since is not None else {}
        return {"since": min(self.began, self.newest) - int(self.overlap.total_seconds())}


def read_entity(entity: Entity, account: Account, cursor: Cursor) -> Iterator[Page]:
    """An entity's records: all of them after the cursor, or those that changed since, and what was deleted since."""
    reading = _Pass.of(account.overlap, cursor)
    for listed, after in _pages_of(entity, account, reading):
        reading.move_on(listed, entity.clock, after)
        yield Page(account.with_chosen_fields(entity, listed.rows), reading.cursor())
    listings = tuple(_deleted(entity, account, reading.since)) if reading.since is not None else ()
    yield Page((), reading.end(), listings)


def _pages_of(entity: Entity, account: Account, reading: _Pass) -> Iterator[tuple[Listed, int]]:
    if not entity.is_ordered:
        return _by_windows(entity, account, reading.after or EARLIEST)
    # A record is created once, so that none changes its place while all are read.
    clock = "created_at" if reading.since is None else entity.clock
    return _in_order(entity, account, clock, reading.after)


def _deleted(entity: Entity, account: Account, since: int) -> Iterator[Listing]:
    """What was deleted since: leads lie in the bin, other deletions are events."""
    if entity == LEADS:
        # Where the filter does not hold for the bin, all of it is read.
        params = {"limit": ROWS_A_PAGE, **DELETED, "filter[updated_at][from]": since}
        rows = _all_pages(account, entity.path, entity.wrapper, params, _are_deleted)
        yield from (_gone(row["id"]) for row in rows)
    elif entity.deletion:
        for listed, _ in _by_windows(_events("deletions", (entity.deletion,)), account, since):
            yield from (_gone(row["entity_id"]) for row in listed.rows)


def _are_deleted(rows: Sequence[Json]) -> bool:
    return all(row.get("is_deleted") for row in rows)


def _gone(record_id: int) -> Listing:
    return Listing((), low=int(record_id), high=int(record_id))


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


# ---------------------------------------------------------------------------------------------- short lists, read whole


def read_users(account: Account, _: Cursor) -> Iterator[Page]:
    """All users."""
    yield from _read_whole(account, "/api/v4/users", "users", {"limit": ROWS_A_PAGE})


def read_pipelines(account: Account, _: Cursor) -> Iterator[Page]:
    """All pipelines with their statuses."""
    yield from _read_whole(account, "/api/v4/leads/pipelines", "pipelines", {})


def _read_whole(
    account: Account, path: str, wrapper: str, params: Mapping[str, Any], id_field: str = "id"
) -> Iterator[Page]:
    rows = _all_pages(account, path, wrapper, params)
    yield Page(rows, {}, (Listing(tuple(str(row[id_field]) for row in rows)),))


def _all_pages(
    account: Account,
    path: str,
    wrapper: str,
    params: Mapping[str, Any],
    is_usable: Callable[[Sequence[Json]], bool] = lambda _: True,
) -> list[Json]:
    """All records of a list, read again where its last page is another one afterwards: then they moved between pages.

    Raises SourceUnreachable where that goes on and on.
    """
    page = partial(account.page, path, wrapper, params, is_usable=is_usable)
    for _ in range(ATTEMPTS_AT_A_LIST):
        pages = [page()]
        while pages[-1].has_next:
            pages.append(page(len(pages) + 1))
        if len(pages) == 1 or _ids(page(len(pages))) == _ids(pages[-1]):
            return [row for each in pages for row in each.rows]
    raise SourceUnreachable(
        f"{NAME}: {wrapper} kept changing while they were read; rerun when fewer people change them"
    )


def read_unsorted(account: Account, _: Cursor) -> Iterator[Page]:
    """All inquiries that were neither accepted nor declined yet."""
    params = {"limit": ROWS_A_PAGE, "order[created_at]": "asc"}
    yield from _read_whole(account, "/api/v4/leads/unsorted", "unsorted", params, "uid")


def read_groups(account: Account, _: Cursor) -> Iterator[Page]:
    """The groups of users."""
    itself, _at = account.itself()
    groups = itself.get("_embedded", {}).get("users_groups", [])
    yield Page(groups, {}, (Listing(tuple(str(group["id"]) for group in groups)),))


def read_account(account: Account, _: Cursor) -> Iterator[Page]:
    """The account itself, which has the currency of all leads."""
    itself, _at = account.itself()
    yield Page([itself], {})


def server_time(account: Account) -> datetime:
    """The server's clock."""
    _, at = account.itself()
    return at


# -------------------------------------------------------------------------------------------------------------- objects


def _events(name: str, types: tuple[str, ...]) -> Entity:
    return Entity(
        name,
        "/api/v4/events",
        "events",
        type_field="type",
        types=types,
        clock="created_at",
        is_ordered=False,
        limit=EVENTS_A_PAGE,
    )


LEADS = Entity("leads", "/api/v4/leads", "leads", with_="contacts,loss_reason")
COMPANIES = Entity("companies", "/api/v4/companies", "companies", deletion="company_deleted")
CONTACTS = Entity("contacts", "/api/v4/contacts", "contacts", deletion="contact_deleted")
TASKS = Entity("tasks", "/api/v4/tasks", "tasks", deletion="task_deleted", is_ordered=False)
EVENTS = _events("events", ("lead_status_changed", "entity_responsible_changed", "sale_field_changed"))
CALLS = _events("calls", ("incoming_call", "outgoing_call"))
NOTES = Entity(
    "notes",
    "/api/v4/leads/notes",
    "notes",
    type_field="note_type",
    types=("call_in", "call_out", "amomail_message"),
    is_ordered=False,
)

_EVENT = ("id", "type", "entity_id", "entity_type", "created_by", "created_at")
_WHOLE = (int,)


def _entity_object(
    entity: Entity, keep: tuple[str, ...], needed: Mapping[str, tuple[type, ...]], personal: tuple[str, ...] = ()
) -> ApiObject[Account]:
    return ApiObject(
        name=entity.name,
        read=partial(read_entity, entity),
        keep=keep,
        needed={"id": (int, str), entity.clock: _WHOLE, **needed},
        updated_at=epoch_moment(entity.clock),
        personal=personal,
        configured_at="custom_fields_values",
        right=f"an integration's token, of a user who may see all {entity.wrapper}",
    )


SOURCE = ApiSource(
    name=NAME,
    connect=connect,
    rates=lambda _: RATES,
    objects=(
        _entity_object(
            LEADS,
            (
                *("id", "name", "price", "responsible_user_id", "status_id", "pipeline_id", "loss_reason_id"),
                *("created_at", "updated_at", "closed_at"),
                *("_embedded.companies.id", "_embedded.contacts.id", "_embedded.contacts.is_main"),
                *("_embedded.loss_reason.id", "_embedded.loss_reason.name"),
            ),
            {
                "price": (int, float),
                "responsible_user_id": _WHOLE,
                "status_id": _WHOLE,
                "pipeline_id": _WHOLE,
                "created_at": _WHOLE,
            },
        ),
        _entity_object(
            EVENTS,
            (
                *_EVENT,
                *("value_after.lead_status", "value_after.responsible_user", "value_after.sale_field_value"),
                *("value_before.lead_status", "value_before.responsible_user", "value_before.sale_field_value"),
            ),
            {"type": (str,), "entity_id": _WHOLE, "value_after": (list,), "value_before": (list,)},
        ),
        _entity_object(
            CALLS, (*_EVENT, "value_after.note.id"), {"type": (str,), "entity_id": _WHOLE, "created_by": _WHOLE}
        ),
        _entity_object(
            NOTES,
            ("id", "entity_id", "note_type", "created_by", "responsible_user_id", "created_at", "updated_at"),
            {"note_type": (str,), "entity_id": _WHOLE, "created_at": _WHOLE},
        ),
        _entity_object(
            TASKS,
            (
                *("id", "responsible_user_id", "entity_id", "entity_type", "is_completed", "task_type_id"),
                *("created_at", "updated_at", "complete_till"),
            ),
            {"is_completed": (bool,), "task_type_id": _WHOLE, "responsible_user_id": _WHOLE},
        ),
        _entity_object(COMPANIES, ("id", "name", "responsible_user_id", "created_at", "updated_at"), {"name": (str,)}),
        _entity_object(
            CONTACTS,
            ("id", "responsible_user_id", "created_at", "updated_at", "_embedded.companies.id"),
            {},
            personal=("name",),
        ),
        ApiObject(
            "users",
            read_users,
            keep=("id", "name", "rights.group_id", "rights.is_active"),
            needed={"id": _WHOLE, "name": (str,), "rights": (dict,)},
            personal=("email",),
            right="a token of an administrator",
        ),
        ApiObject(
            "unsorted",
            read_unsorted,
            keep=("uid", "category", "pipeline_id", "source_name", "created_at", "_embedded.leads.id"),
            needed={"uid": (str,), "created_at": _WHOLE, "_embedded": (dict,)},
            id_of=id_at("uid"),
        ),
        ApiObject("groups", read_groups, keep=("id", "name"), needed={"id": _WHOLE, "name": (str,)}),
        ApiObject(
            "pipelines",
            read_pipelines,
            keep=(
                *("id", "name", "sort", "is_main", "is_archive"),
                *("_embedded.statuses.id", "_embedded.statuses.name", "_embedded.statuses.sort"),
                "_embedded.statuses.type",
            ),
            needed={"id": _WHOLE, "name": (str,), "_embedded": (dict,)},
        ),
        ApiObject("account", read_account, keep=("id", "currency"), needed={"id": _WHOLE, "currency": (str,)}),
    ),
    server_time=server_time,
    deals=Deals(LEADS.name, amount_in_raw("/price")),
)
