"""HubSpot: deals with the history of their properties, owners, teams, pipelines, companies, contacts and activities.

Reads: /crm/v3/objects/<object> (first load, and what is archived), its /search (what changed since) and its /batch/read
    (the history of what changed), /crm/v4/associations/<from>/<to>/batch/read, /crm/v3/owners,
    /crm/v3/pipelines/deals, /settings/v3/users/teams.
Limits: 100 requests in 10 s, as the smallest plans have (from Professional on 190), 5 searches a second; 100 records a
    page, 50 with history, 200 a page of a search, 10,000 a search. Each page of a search asks anew for the ids after
    the last one, so the 10,000 are never met, however many records share one time of change.
Cannot tell: what was purged (a contact under GDPR, or 90 days after it was archived) before a night saw it archived;
    when an owner changed teams, or left; which team belongs to which; who shares a deal. A search shows a change some
    seconds late: the overlap of two nights covers that. Archived records are listed by id and not by time, so all of
    them are read every night; HubSpot keeps them for 90 days.
Source: HubSpot's developer documentation (CRM objects, search, associations v4, owners, pipelines, user provisioning,
    usage guidelines) and its OpenAPI files.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from itertools import pairwise
from threading import Lock
from typing import Any

from requests.auth import AuthBase

from kpimart.errors import BadSourceData
from kpimart.extract.auth import HeaderToken, RefreshingToken, required_secret
from kpimart.extract.http import Answer, Check, Http, Rate
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

LIST_ROWS = 100
ROWS_WITH_HISTORY = 50
SEARCH_ROWS = 200
OWNER_ROWS = 100
RATES = {"": (Rate(100, 10.0),), "search": (Rate(5, 1.0),)}

# A deal's company that is marked as its primary one, as lists and as version 4 of the associations name it.
_PRIMARY_TYPE = "deal_to_company"
_PRIMARY_TYPE_ID = 5


class ServerClock:
    """When a fetch began by HubSpot's clock: the earliest time that any of its answers bears. Bears threads.

    One answer that is dated ahead would otherwise hide from the next night what changes meanwhile.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._earliest: datetime | None = None

    def see(self, answer: Answer) -> Answer:
        """Take note of an answer's time."""
        with self._lock:
            self._earliest = min(self._earliest or answer.at, answer.at)
        return answer

    def earliest(self, known: str | None) -> datetime:
        """The earliest time seen, or known from before an interruption (ISO 8601)."""
        times = (self._earliest, known and datetime.fromisoformat(known))
        return min(one for one in times if isinstance(one, datetime))


@dataclass(frozen=True)
class Client:
    """A HubSpot account, with what the settings say about reading it."""

    http: Http
    overlap: timedelta
    properties: Mapping[str, tuple[str, ...]]
    clock: ServerClock = field(default_factory=ServerClock)

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, check: Check) -> Answer:
        """Ask for a path."""
        return self.clock.see(self.http.get(path, params, check=check))

    def post(self, path: str, body: Json, *, check: Check) -> Answer:
        """Post a search or a batch."""
        rate = "search" if path.endswith("/search") else ""
        return self.clock.see(self.http.post(path, body, rate=rate, check=check))


@dataclass(frozen=True)
class Kind:
    """An object of the CRM that can be searched.

    properties, personal: what is asked for, the latter only with the settings' leave. history: the properties whose
    past is asked for too. linked: the objects whose associated ids are. fields: which of the settings' fields it has.
    changed: the property that tells when a record changed last.
    """

    name: str
    right: str
    properties: tuple[str, ...]
    personal: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    changed: str = "hs_lastmodifieddate"

    @property
    def path(self) -> str:
        """Where it is."""
        return f"/crm/v3/objects/{self.name}"


DEALS = Kind(
    "deals",
    "crm.objects.deals.read",
    properties=(
        "dealname",
        "dealstage",
        "pipeline",
        "amount",
        "deal_currency_code",
        "closedate",
        "createdate",
        "hs_lastmodifieddate",
        "hubspot_owner_id",
        "hs_analytics_source",
        "closed_lost_reason",
        "hs_merged_object_ids",
    ),
    history=("dealstage", "pipeline", "hubspot_owner_id", "amount", "closedate"),
    linked=("companies", "contacts"),
    fields=("product", "source", "loss_reason"),
)

COMPANIES = Kind(
    "companies",
    "crm.objects.companies.read",
    properties=(
        "name",
        "industry",
        "country",
        "hs_parent_company_id",
        "createdate",
        "hs_lastmodifieddate",
        "hs_merged_object_ids",
    ),
)

CONTACTS = Kind(
    "contacts",
    "crm.objects.contacts.read",
    properties=(
        "hubspot_owner_id",
        "associatedcompanyid",
        "hs_analytics_source",
        "lifecyclestage",
        "first_deal_created_date",
        "hs_lifecyclestage_opportunity_date",
        "createdate",
        "lastmodifieddate",
        "hs_merged_object_ids",
    ),
    personal=("firstname", "lastname", "email", "phone"),
    fields=("source",),
    changed="lastmodifieddate",
)

_OF_AN_ACTIVITY = ("hs_timestamp", "hubspot_owner_id", "hs_createdate", "hs_lastmodifieddate")
_LINKED_TO_AN_ACTIVITY = ("deals", "contacts", "companies")

ACTIVITIES = (
    Kind("calls", "crm.objects.contacts.read", _OF_AN_ACTIVITY, linked=_LINKED_TO_AN_ACTIVITY),
    Kind("meetings", "crm.objects.contacts.read", _OF_AN_ACTIVITY, linked=_LINKED_TO_AN_ACTIVITY),
    Kind("emails", "sales-email-read", _OF_AN_ACTIVITY, linked=_LINKED_TO_AN_ACTIVITY),
    Kind("tasks", "crm.objects.contacts.read", (*_OF_AN_ACTIVITY, "hs_task_status"), linked=_LINKED_TO_AN_ACTIVITY),
)

KINDS = (DEALS, COMPANIES, CONTACTS, *ACTIVITIES)


@contextmanager
def connect(settings: Settings) -> Iterator[Client]:
    """A client for the account that the settings name; raises SettingsError where a secret is missing."""
    own = settings.hubspot
    configured = {
        kind.name: (
            *kind.properties,
            *(kind.personal if own.personal_data else ()),
            *own.properties.get(kind.name, ()),
            *(name for field, name in own.fields.items() if field in kind.fields),
        )
        for kind in KINDS
    }
    with Http("hubspot", own.url, settings, rates=RATES, auth=_auth(settings)) as http:
        yield Client(http, timedelta(minutes=own.overlap_minutes), configured)


def _auth(settings: Settings) -> AuthBase:
    own = settings.hubspot
    if own.refresh_token and not own.token:
        return RefreshingToken("hubspot", settings, token_url=f"{own.url}/oauth/v1/token", form={})
    return HeaderToken(required_secret("hubspot", "token", own.token))


# ------------------------------------------------------------------------------------------------ records in versions


def _read(kind: Kind, client: Client, cursor: Cursor) -> Iterator[Page]:
    """All records in the order of their ids at first, then those that changed; each time what is archived by now.

    The cursor is {"first": {"began", "after"}} within the first load, {"since"} after it, and within a later pass
    {"since", "began", "after"}. A pass that was interrupted is ended first; what changed meanwhile is read then.
    A search that finds nothing moves nothing: an answer that was empty by mistake would hide for good what changed.
    """
    began = cursor.get("first", cursor).get("began")
    if began:
        yield from _records(kind, client, cursor)
        cursor = _since(client, began)
        yield Page(cursor=cursor)
    is_moved = "since" not in cursor
    for page in _records(kind, client, cursor):
        is_moved = True
        yield page
    yield from _archived(kind, client)
    yield Page(cursor=_since(client, None) if is_moved else cursor)


def _since(client: Client, began: str | None) -> Cursor:
    """Where the night after a pass goes on: when that began, less the overlap."""
    return {"since": _iso(client.clock.earliest(began) - client.overlap)}


def _records(kind: Kind, client: Client, cursor: Cursor) -> Iterator[Page]:
    return _changed(kind, client, cursor) if "since" in cursor else _all(kind, client, cursor.get("first", {}))


def _all(kind: Kind, client: Client, first: Cursor) -> Iterator[Page]:
    rows = ROWS_WITH_HISTORY if kind.history else LIST_ROWS
    params = {
        "limit": rows,
        "properties": ",".join(client.properties[kind.name]),
        **({"propertiesWithHistory": ",".join(kind.history)} if kind.history else {}),
        **({"associations": ",".join(kind.linked)} if kind.linked else {}),
    }
    for answer in _pages(client, kind.path, params, after=first.get("after"), archived=False):
        after = _next(answer.json)
        records = _with_links(kind, client, answer.json["results"])
        began = _iso(client.clock.earliest(first.get("began")))
        yield Page(records, {"first": {"began": began, "after": after}} if after else None, _merged(records))


def _changed(kind: Kind, client: Client, cursor: Cursor) -> Iterator[Page]:
    """What changed since, by ascending id: a record that changes meanwhile may be missed, and is the next night's."""
    after = cursor.get("after", "0")
    has_more = True
    while has_more:
        answer = _search_after(kind, client, cursor["since"], after)
        found = answer.json["results"]
        has_more = _next(answer.json) is not None
        if found:
            after = found[-1]["id"]
            records = _described(kind, client, found)
            began = _iso(client.clock.earliest(cursor.get("began")))
            yield Page(records, {"since": cursor["since"], "began": began, "after": after}, _merged(records))


def _archived(kind: Kind, client: Client) -> Iterator[Page]:
    """Everything that is archived; what is known already is not stored again."""
    params = {"limit": LIST_ROWS, "archived": "true", "properties": ",".join(client.properties[kind.name])}
    for answer in _pages(client, kind.path, params, after=None, archived=True):
        yield Page(answer.json["results"])


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def _search_after(kind: Kind, client: Client, since: str, after: str) -> Answer:
    filters = [_filter(kind.changed, "GTE", _epoch(since)), _filter("hs_object_id", "GT", after)]
    asked = (kind.changed,) if kind.history else client.properties[kind.name]
    body = {
        "filterGroups": [{"filters": filters}],
        "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
        "properties": list(asked),
        "limit": SEARCH_ROWS,
    }
    check = partial(_is_found, kind, datetime.fromisoformat(since), int(after))
    return client.post(f"{kind.path}/search", body, check=check)


def _filter(name: str, operator: str, value: str) -> Json:
    return {"propertyName": name, "operator": operator, "value": value}


def _without(name: str) -> Json:
    return {"propertyName": name, "operator": "NOT_HAS_PROPERTY"}


def _epoch(moment: str) -> str:
    """Milliseconds since 1970, as searches take times."""
    return str(int(datetime.fromisoformat(moment).timestamp() * 1000))


def _described(kind: Kind, client: Client, found: Sequence[Json]) -> list[Json]:
    """What a search found, with what it cannot tell: history and associations."""
    records = list(found)
    if kind.history:
        records = [
            record
            for first in range(0, len(found), ROWS_WITH_HISTORY)
            for record in _with_history(kind, client, [one["id"] for one in found[first : first + ROWS_WITH_HISTORY]])
        ]
    return _linked(kind, client, records)


def _with_history(kind: Kind, client: Client, ids: Sequence[str]) -> list[Json]:
    body = {
        "inputs": [{"id": one} for one in ids],
        "properties": list(client.properties[kind.name]),
        "propertiesWithHistory": list(kind.history),
    }
    answer = client.post(f"{kind.path}/batch/read", body, check=partial(_is_batch, set(ids)))
    return _require_history(kind, answer.json["results"])


def _require_history(kind: Kind, records: list[Json]) -> list[Json]:
    """Raises BadSourceData for a record without the history that was asked for: staging would lose its steps."""
    for record in records:
        if kind.history and not isinstance(record.get("propertiesWithHistory"), dict):
            raise BadSourceData(
                f"hubspot {kind.name}: record {record.get('id')} has no history of {', '.join(kind.history)}, which "
                "was asked for and staging needs; give the token the right to see it, then rerun"
            )
    return records


_merged_into = at("properties.hs_merged_object_ids")


def _merged(records: Iterable[Json]) -> tuple[Listing, ...]:
    """The records that others were merged into tell those that are gone since."""
    gone = {
        one.strip()
        for record in records
        if (told := _merged_into(record))
        for one in str(told).split(";")
        if one.strip().isdigit() and one.strip() != record.get("id")
    }
    return tuple(Listing(ids=(), low=int(one), high=int(one)) for one in sorted(gone, key=int))


# -------------------------------------------------------------------------------------------------------- associations

_Links = list[tuple[str, bool]]
"""Associated ids, and whether each is the primary one."""


def _with_links(kind: Kind, client: Client, records: list[Json]) -> list[Json]:
    """Listed records, with their associations as ids; the associations of one that has many are asked for apart."""
    _require_history(kind, records)
    listed = [one.get("associations") or {} for one in records]
    crowded = [one for one, links in zip(records, listed, strict=True) if any(map(_next, links.values()))]
    told_apart = {one["id"]: one for one in _linked(kind, client, crowded)}
    return [
        told_apart.get(one.get("id", "")) or {**one, "associations": _listed_ids(kind, links)}
        for one, links in zip(records, listed, strict=True)
    ]


def _listed_ids(kind: Kind, listed: Mapping[str, Json]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {name: [] for name in kind.linked}
    for name in ids.keys() & listed.keys():
        ids[name] = _ids([(str(one["id"]), one["type"] == _PRIMARY_TYPE) for one in listed[name].get("results", ())])
    return ids


def _linked(kind: Kind, client: Client, records: list[Json]) -> list[Json]:
    """Records that a search or a batch told, with their associations as ids."""
    links = _links(kind, client, [one["id"] for one in records])
    return [
        {**record, "associations": {name: _ids(links[name].get(record["id"], [])) for name in kind.linked}}
        for record in records
    ]


def _links(kind: Kind, client: Client, ids: Sequence[str]) -> dict[str, dict[str, _Links]]:
    """The associations of some records: object → id → associated ids."""
    links: dict[str, dict[str, _Links]] = {name: {one: [] for one in ids} for name in kind.linked}
    for name in kind.linked:
        asked: list[Json] = [{"id": one} for one in ids]
        while asked:
            path = f"/crm/v4/associations/{kind.name}/{name}/batch/read"
            answer = client.post(path, {"inputs": asked}, check=partial(_is_of, set(ids)))
            asked = []
            for result in answer.json["results"]:
                start = str(result["from"]["id"])
                links[name][start] += [(str(one["toObjectId"]), _is_primary(one)) for one in result["to"]]
                if after := _next(result):
                    asked.append({"id": start, "after": after})
    return links


def _is_primary(link: Json) -> bool:
    return any(
        one.get("typeId") == _PRIMARY_TYPE_ID and one.get("category") == "HUBSPOT_DEFINED"
        for one in link["associationTypes"]
    )


def _ids(links: _Links) -> list[str]:
    """Each id once, the primary one first, then as numbers: HubSpot promises no order."""
    if len(links) < 2:
        return [one for one, _ in links]
    primary = {one for one, is_primary in links if is_primary}
    return sorted({one for one, _ in links}, key=lambda one: (one not in primary, len(one), one))


# ---------------------------------------------------------------------------------------------- what is read as a whole


def _owners(client: Client, _: Cursor) -> Iterator[Page]:
    ids: list[str] = []
    for archived in (False, True):
        params = {"limit": OWNER_ROWS, "archived": str(archived).lower()}
        for answer in _pages(client, "/crm/v3/owners", params, after=None, archived=archived):
            ids += [str(one["id"]) for one in answer.json["results"] if one.get("id")]
            yield Page(answer.json["results"])
    yield Page(cursor={}, listings=(Listing(tuple(ids)),))


def _whole(path: str, client: Client, _: Cursor) -> Iterator[Page]:
    """A list that is never paged."""
    results = client.get(path, check=_is_list).json["results"]
    yield Page(results, {}, (Listing(tuple(str(one["id"]) for one in results if one.get("id"))),))


# ------------------------------------------------------------------------------------------------- pages, and checks


def _pages(
    client: Client, path: str, params: Mapping[str, Any], *, after: str | None, archived: bool
) -> Iterator[Answer]:
    """The pages of a list, from the one that `after` names on."""
    while True:
        place = {"after": after} if after else {}
        answer = client.get(path, {**params, **place}, check=partial(_is_page, path, after, archived=archived))
        yield answer
        after = _next(answer.json)
        if after is None:
            return


_after = at("paging.next.after")


def _next(content: Json) -> str | None:
    """What names the next page, if there is one."""
    after = _after(content) if "paging" in content else None
    return None if after is None else str(after)


def _is_list(content: Any) -> bool:
    """Whether it has records at all."""
    results = content.get("results") if isinstance(content, dict) else None
    return isinstance(results, list) and all(isinstance(one, dict) for one in results)


def _is_page(path: str, after: str | None, content: Any, *, archived: bool) -> bool:
    """Whether it can be the page asked for: not the one before again, not one of the other list of that path."""
    if not _is_list(content) or (after is not None and _next(content) == after):
        return False
    if path == "/crm/v3/owners" and not archived and not content["results"]:
        return False  # an account without a single user has nobody who could have made the token
    return all(one.get("archived", archived) is archived for one in content["results"])


def _is_found(kind: Kind, since: datetime, after: int, content: Any) -> bool:
    """Whether it can be the answer of this search: ids beyond the last one, ascending, and changed since."""
    if not _is_list(content):
        return False
    ids = [str(one.get("id")) for one in content["results"]]
    if not all(one.isdigit() for one in ids):
        return False
    is_ascending = all(one < other for one, other in pairwise([after, *map(int, ids)]))
    return is_ascending and not any(_is_before(since, kind, one) for one in content["results"])


def _is_before(since: datetime, kind: Kind, record: Json) -> bool:
    """Whether it was changed earlier than that, if it tells at all."""
    with suppress(ValueError):
        changed = iso_moment(f"properties.{kind.changed}")(record)
        return changed is not None and changed < since
    return False


def _is_batch(asked: set[str], content: Any) -> bool:
    """Whether it tells of every id asked for: the record, the one it was merged into, or that it is gone."""
    if not _is_list(content):
        return False
    told = {str(one.get("id")) for one in content["results"]}
    merged = {str(listing.low) for listing in _merged(content["results"])}
    return asked <= told | merged or (told <= asked and bool(content.get("errors")))


def _is_of(asked: set[str], content: Any) -> bool:
    """Whether it tells of no other ids than those asked for; one without an association is not among the results."""
    id_of = at("from.id")
    return _is_list(content) and all(str(id_of(one)) in asked for one in content["results"])


# ------------------------------------------------------------------------------------------------ totals, for reconcile


def _totals(client: Client, _: Settings) -> Iterator[Total]:
    """Deals by owner and month of creation, as searches count them; HubSpot's API sums nothing.

    An owner's months are halved until each has one count, and what is not in one half must be in the other, so there
    is about one search a count told.
    """
    first, last = (_created_at(client, direction) for direction in ("ASCENDING", "DESCENDING"))
    if first is None or last is None:
        return
    months = list(_months(first.date().replace(day=1), last.date()))
    owners = [str(one["id"]) for page in _owners(client, {}) for one in page.records]
    has_undated = _search_total(client, DEALS, (_without("createdate"),)) > 0
    for owner in (*owners, None):
        of = _filter("hubspot_owner_id", "EQ", owner) if owner else _without("hubspot_owner_id")
        count = partial(_count, client, of)
        yield from (Total("deals", owner, month, found, None) for month, found in _split(count, months, count(months)))
        if has_undated and (undated := _search_total(client, DEALS, (of, _without("createdate")))):
            yield Total("deals", owner, None, undated, None)


def _months(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first = _month_after(first)


def _month_after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _split(count: Callable[[Sequence[date]], int], months: Sequence[date], total: int) -> Iterator[tuple[date, int]]:
    """The counts of single months, of a stretch with a known total; those without any are left out."""
    if total <= 0:
        return
    if len(months) == 1:
        yield months[0], total
        return
    half = len(months) // 2
    early = count(months[:half])
    yield from _split(count, months[:half], early)
    yield from _split(count, months[half:], total - early)


def _count(client: Client, of: Json, months: Sequence[date]) -> int:
    """How many deals that a filter lets through were created in these months."""
    first = _filter("createdate", "GTE", _epoch(f"{months[0]}T00:00Z"))
    end = _filter("createdate", "LT", _epoch(f"{_month_after(months[-1])}T00:00Z"))
    return _search_total(client, DEALS, (of, first, end))


def _search_total(client: Client, kind: Kind, filters: Sequence[Json]) -> int:
    body = {"filterGroups": [{"filters": list(filters)}] if filters else [], "properties": [], "limit": 1}
    return int(client.post(f"{kind.path}/search", body, check=_is_list).json["total"])


def _created_at(client: Client, direction: str) -> datetime | None:
    """When the first (ASCENDING) or the last (DESCENDING) deal was created."""
    body = {
        "filterGroups": [{"filters": [{"propertyName": "createdate", "operator": "HAS_PROPERTY"}]}],
        "sorts": [{"propertyName": "createdate", "direction": direction}],
        "properties": ["createdate"],
        "limit": 1,
    }
    found = client.post(f"{DEALS.path}/search", body, check=_is_list).json["results"]
    return iso_moment("properties.createdate")(found[0]) if found else None


# -------------------------------------------------------------------------------------------------------------- objects


def _server_time(client: Client) -> datetime:
    return client.get("/crm/v3/owners", {"limit": 1}, check=_is_list).at


def _estimate(kind: Kind, client: Client, cursor: Cursor) -> int | None:
    """All there are, before a first load; how many changed is not worth a search."""
    return None if cursor else _search_total(client, kind, ())


_changed_at, _archived_at = iso_moment("updatedAt"), iso_moment("archivedAt")


def _updated_at(record: Json) -> datetime | None:
    """When it changed last, or was archived."""
    changed_at, archived_at = _changed_at(record), _archived_at(record)
    return max(changed_at, archived_at) if changed_at and archived_at else changed_at or archived_at


def _is_archived(record: Json) -> bool:
    return record.get("archived") is True


def _versioned(kind: Kind, needed: Sequence[str]) -> ApiObject[Client]:
    # Much that nobody looks at here moves the time of the last change: kept, it would make a version of each touch.
    told = tuple(name for name in kind.properties if name != kind.changed)
    past = tuple(f"propertiesWithHistory.{name}.{part}" for name in kind.history for part in ("value", "timestamp"))
    links = tuple(f"associations.{name}" for name in kind.linked)
    return ApiObject(
        name=kind.name,
        read=partial(_read, kind),
        keep=("id", "createdAt", "archived", "archivedAt", *_paths(told), *past, *links),
        needed={"id": (str,), "updatedAt": (str,), **dict.fromkeys(_paths(needed), (str,))},
        updated_at=_updated_at,
        is_deleted=_is_archived,
        personal=_paths(kind.personal),
        configured_at="properties.{}",
        right=f"scope {kind.right}",
        estimate=partial(_estimate, kind),
    )


def _paths(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"properties.{name}" for name in names)


_NEEDED = {
    "deals": ("dealstage", "pipeline", "amount", "closedate", "createdate", "hubspot_owner_id"),
    "companies": ("name",),
    "contacts": ("createdate", "hubspot_owner_id"),
    "calls": ("hs_timestamp", "hubspot_owner_id"),
    "meetings": ("hs_timestamp", "hubspot_owner_id"),
    "emails": ("hs_timestamp", "hubspot_owner_id"),
    "tasks": ("hs_timestamp", "hubspot_owner_id"),
}

OBJECTS = (
    *(_versioned(kind, _NEEDED[kind.name]) for kind in KINDS),
    ApiObject(
        name="owners",
        read=_owners,
        keep=("id", "type", "firstName", "lastName", "userId", "archived", "createdAt", "updatedAt", "teams"),
        needed={"id": (str,), "archived": (bool,)},
        # A change of teams leaves updatedAt as it is, so versions are dated by when they were first seen.
        personal=("email",),
        right="scope crm.objects.owners.read",
    ),
    ApiObject(
        name="teams",
        read=partial(_whole, "/settings/v3/users/teams"),
        keep=("id", "name"),
        needed={"id": (str,), "name": (str,)},
        right="scope settings.users.teams.read",
    ),
    ApiObject(
        name="pipelines",
        read=partial(_whole, "/crm/v3/pipelines/deals"),
        keep=(
            "id",
            "label",
            "displayOrder",
            "archived",
            *(f"stages.{name}" for name in ("id", "label", "displayOrder", "archived", "metadata")),
        ),
        needed={"id": (str,), "label": (str,), "stages": (list,)},
        right="scope crm.objects.deals.read",
    ),
)

COUNTED = {"deals": Counted(at("properties.hubspot_owner_id"), iso_moment("properties.createdate"))}

SOURCE = ApiSource(
    *("hubspot", connect, lambda _: RATES, OBJECTS, _server_time, _totals, COUNTED),
    deals=Deals("deals", amount_in_raw("/properties/amount")),
)
