"""Pipedrive: deals with their changelog, leads, organizations, persons, activities, stages, pipelines, users, teams.

Reads: the lists of API v2 by id, after the first load by `updated_since`; deals archived and deleted ones too; of API
v1 leads, users, teams, summaries of deals, and the changelog of each deal that changed, one request a deal.
Limits: 500 records a page; 20 requests in 2 s on the smallest plan; a budget of tokens a day, which a big first load of
changelogs may use up (429): what was read stays, and the next fetch goes on.
Cannot tell: a deal deleted for more than 30 days (it is noticed by its absence); when an organization, a person, an
activity or a lead was deleted (their lists are compared bit by bit); who was in which team before the first fetch;
counts and sums by month (it has them by owner).
Source: Pipedrive API reference v1 and v2; Core concepts: pagination, rate limiting.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from requests.auth import AuthBase

from kpimart.errors import AccessRefused, BadSourceData, SettingsError, SourceUnreachable
from kpimart.extract.auth import HeaderToken, RefreshingToken, required_secret
from kpimart.extract.http import Answer, Check, Http, NotThere, Rate
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
    undated,
)
from kpimart.settings import PipedriveSettings, Settings

PAGE = 500
# Two less than allowed: requests do not all take the same time on their way.
RATES = {"": (Rate(18, 2),)}

# Deleted deals are listed for 30 days; who stayed away longer has to compare ids.
KEPT_DELETED = timedelta(days=29)
# Where no deletion is told, a night lists this share of all pages again: at 500 records a page a round takes at most 50
# nights, and up to 500 records take one.
ROLLED_SHARE = 0.02
LEADS_LISTED_EVERY = timedelta(days=7)
RESTARTS = 5
LAST_ID = 2**53

CHANGED_FIELDS = frozenset(
    ("stage_id", "pipeline_id", "status", "user_id", "owner_id", "value", "currency", "expected_close_date")
)


@dataclass(frozen=True)
class Company:
    """A company's Pipedrive."""

    http: Http
    settings: PipedriveSettings

    def since(self, began: datetime) -> str:
        """Where the fetch after one that began then starts."""
        return _iso(min(began, self.http.session.earliest) - timedelta(minutes=self.settings.overlap_minutes))


@dataclass(frozen=True)
class List:
    """A list of API v2 and the parameters that it is always asked with."""

    path: str
    params: Json


@dataclass(frozen=True)
class Part:
    """A page of a list: its records, the marker of the next page, and the server's time."""

    records: list[Json]
    marker: str | None
    at: datetime


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ------------------------------------------------------------------------------------------------------ pages of lists


def _is_list(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("data"), list | None)


def _marker(answer: Json) -> str | None:
    return (answer.get("additional_data") or {}).get("next_cursor")


def _ids(records: Sequence[Any]) -> list[int]:
    return [record["id"] for record in records if isinstance(record, dict) and isinstance(record.get("id"), int)]


def _times(records: Sequence[Any]) -> list[datetime]:
    """The times of change, to the second; a record without a usable one is for the quarantine, not for the order."""
    times = []
    for record in records:
        with suppress(ValueError):
            moment = _changed_at(record) if isinstance(record, dict) else None
            times += [moment.replace(microsecond=0)] if moment else []
    return times


def _goes_on(marker: str | None, values: Callable[[Sequence[Any]], list[Any]], after: Any) -> Check:
    """Whether a page is sorted as asked, begins where the one before ended, and does not lead back to its marker."""

    def check(answer: Any) -> bool:
        if not _is_list(answer) or (marker is not None and _marker(answer) == marker):
            return False
        found = values(answer["data"] or ())
        return found == sorted(found) and (not found or found[0] >= after)

    return check


def _part(company: Company, listed: List, params: Json, check: Check) -> Part:
    asked = {**listed.params, **params, "sort_direction": "asc", "limit": PAGE}
    answer = company.http.get(listed.path, asked, check=check)
    return Part(answer.json["data"] or [], _marker(answer.json), answer.at)


def _part_by_id(company: Company, listed: List, marker: str | None, after: int) -> Part:
    params = {"sort_by": "id", **({"cursor": marker} if marker else {})}
    return _part(company, listed, params, _goes_on(marker, _ids, after + 1))


def _all(company: Company, lists: Sequence[List], place: Cursor) -> Iterator[tuple[Part, Cursor]]:
    """All records of some lists by id, from a place on, each page with the place to go on from."""
    number, marker = int(place.get("list", 0)), place.get("cursor")
    after, pages = int(place.get("after", 0)), int(place.get("pages", 0))
    is_resumed = marker is not None
    while number < len(lists):
        try:
            part = _part_by_id(company, lists[number], marker, after)
        except BadSourceData:
            if not is_resumed:
                raise
            # The marker is of another night, and counts no longer.
            marker, after, is_resumed = None, 0, False
            continue
        is_resumed = False
        pages += 1
        marker, after = part.marker, max([after, *_ids(part.records)])
        if marker is None:
            number, after = number + 1, 0
        began = place.get("began") or _iso(part.at)
        place = {"began": began, "list": number, "cursor": marker, "after": after, "pages": pages}
        yield part, place


def _changed(company: Company, lists: Sequence[List], since: str) -> Iterator[Part]:
    """What changed since then, list after list.

    Each page is asked for by the last time seen and not by its marker, because records move while they change; the
    marker counts only within one second that fills a page.
    """
    for listed in lists:
        after, marker = datetime.fromisoformat(since), None
        while True:
            params = {"updated_since": _iso(after), "sort_by": "update_time", **({"cursor": marker} if marker else {})}
            part = _part(company, listed, params, _goes_on(marker, _times, after))
            yield part
            if part.marker is None:
                break
            last = max([after, *_times(part.records)])
            after, marker = (last, None) if last > after else (after, part.marker)


# ------------------------------------------------------------------------------------------------------ objects of v2


def _rolled(company: Company, listed: List, state: Cursor) -> Generator[Page, None, Cursor]:
    """Some more pages of a list by id, each with all the ids that there are between its bounds; returns the state."""
    marker, after, pages = state.get("cursor"), int(state.get("after", 0)), int(state.get("pages", 0))
    for _ in range(max(1, math.ceil(int(state.get("total", 1)) * ROLLED_SHARE))):
        try:
            part = _part_by_id(company, listed, marker, after)
        except BadSourceData:
            if marker is None:
                raise
            return {"total": state.get("total", 1)}
        ids = _ids(part.records)
        high = LAST_ID if part.marker is None else max([after, *ids])
        is_whole = len(ids) == len(part.records)
        listing = (Listing(tuple(map(str, ids)), after + 1, high),) if is_whole else ()
        yield Page(part.records, listings=listing)
        pages += 1
        if part.marker is None:
            return {"total": pages}
        marker, after = part.marker, high
    return {"total": state.get("total", 1), "cursor": marker, "after": after, "pages": pages}


HandOver = Callable[[Company, Sequence[Json]], Iterator[Page]]
Load = Callable[[Company, Cursor], Generator[Page, None, Cursor]]
Read = Callable[[Company, Cursor], Iterator[Page]]


def _as_they_are(_: Company, records: Sequence[Json]) -> Iterator[Page]:
    yield Page(records)


def _load(lists: Sequence[List], hand_over: HandOver = _as_they_are) -> Load:
    """The first load of some lists, or what is left of it; it returns where it ended."""

    def load(company: Company, start: Cursor) -> Generator[Page, None, Cursor]:
        place = start
        for part, place in _all(company, lists, start):
            yield from hand_over(company, part.records)
            yield Page(cursor={"first": place})
        since = company.since(datetime.fromisoformat(place["began"]))
        ended = {"since": since, "rolled": {"total": place["pages"]}}
        yield Page(cursor=ended)
        return ended

    return load


def _first_whole(load: Load, changes: Read) -> Read:
    """Read all, then what changed. After a load that was interrupted much may have changed, so that follows at once."""

    def read(company: Company, cursor: Cursor) -> Iterator[Page]:
        if "since" not in cursor:
            was_interrupted = "first" in cursor
            cursor = yield from load(company, cursor.get("first", {}))
            if not was_interrupted:
                return
        yield from changes(company, cursor)

    return read


def _changes_of(listed: List) -> Read:
    """What changed in a list, with a part of all its ids each time."""

    def read(company: Company, cursor: Cursor) -> Iterator[Page]:
        began = None
        for part in _changed(company, [listed], cursor["since"]):
            began = began or part.at
            yield Page(part.records)
        rolled = yield from _rolled(company, listed, cursor.get("rolled", {}))
        since = company.since(began) if began else cursor["since"]
        yield Page(cursor={"since": since, "rolled": rolled})

    return read


def _by_change(listed: List) -> Read:
    return _first_whole(_load([listed]), _changes_of(listed))


def _deal_lists(status: str) -> tuple[List, List]:
    """Deals of these states: those at hand and those archived."""
    params = {"status": status, "include_fields": "source_lead_id"}
    return List("/api/v2/deals", params), List("/api/v2/deals/archived", params)


DEALS = _deal_lists("open,won,lost,deleted")
LIVE_DEALS = _deal_lists("open,won,lost")
DELETED_DEALS = _deal_lists("deleted")


def _changed_deals(company: Company, cursor: Cursor) -> Iterator[Page]:
    began = None
    for part in _changed(company, DEALS, cursor["since"]):
        began = began or part.at
        if began - datetime.fromisoformat(cursor["since"]) > KEPT_DELETED:
            yield from _every_deal_and_no_other(company)
            return
        yield Page(part.records)
    # Whether being deleted counts as a change is not promised, so they are all looked at.
    for part, _ in _all(company, DELETED_DEALS, {}):
        yield Page(part.records)
    yield Page(cursor={"since": company.since(began) if began else cursor["since"]})


def _every_deal_and_no_other(company: Company) -> Iterator[Page]:
    """All deals again, and the list of their ids: what is not in it is gone for good."""
    ids: list[int] = []
    began = None
    for part, _ in _all(company, DEALS, {}):
        began = began or part.at
        ids += _ids(part.records)
        yield Page(part.records)
    cursor = {"since": company.since(began)} if began else None
    yield Page(cursor=cursor, listings=(Listing(tuple(map(str, ids))),))


# ----------------------------------------------------------------------------------------------------- history of deals


def _changelogs_of_changed(company: Company, cursor: Cursor) -> Iterator[Page]:
    began = None
    for part in _changed(company, LIVE_DEALS, cursor["since"]):
        began = began or part.at
        yield from _changelogs(company, part.records)
    yield Page(cursor={"since": company.since(began) if began else cursor["since"]})


def _changelogs(company: Company, deals: Sequence[Json]) -> Iterator[Page]:
    for deal_id in dict.fromkeys(_ids(deals)):
        for records in _changelog(company, deal_id):
            yield Page(records)


def _changelog(company: Company, deal_id: int) -> Iterator[list[Json]]:
    """The changes of a deal that figures rest on; none if it has been deleted meanwhile."""
    marker = None
    while True:
        params = {"limit": PAGE, **({"cursor": marker} if marker else {})}
        try:
            answer = company.http.get(f"/api/v1/deals/{deal_id}/changelog", params, check=_is_list)
        except NotThere:
            return
        yield [_change(deal_id, entry) for entry in answer.json["data"] or () if _counts(entry)]
        if (following := _marker(answer.json)) in (None, marker):
            return
        marker = following


def _counts(entry: Any) -> bool:
    """Whether an entry is of a field that figures rest on; what is no entry goes to quarantine."""
    return not isinstance(entry, dict) or entry.get("field_key") in CHANGED_FIELDS


def _change(deal_id: int, entry: Any) -> Any:
    """An entry of a changelog as a record. It has no id, so all that it says is one."""
    if not isinstance(entry, dict):
        return entry
    said = {name: _as_text(entry.get(name)) for name in ("time", "field_key", "old_value", "new_value")}
    with suppress(ValueError):
        moment = utc_moment("time")(said)
        said["time"] = _iso(moment) if moment else None
    parts = (str(deal_id), *(value or "" for value in said.values()))
    return {"id": "|".join(parts), "deal_id": deal_id, **said}


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value)


def _read_deal_changes(company: Company, cursor: Cursor) -> Iterator[Page]:
    if company.settings.changelog:
        yield from _first_whole(_load(LIVE_DEALS, _changelogs), _changelogs_of_changed)(company, cursor)


# ------------------------------------------------------------------------------------------------------- objects of v1


def utc_moment(path: str) -> Callable[[Json], datetime | None]:
    """The UTC moment at a path; API v1 writes it without an offset."""
    value_at = at(path)

    def moment_of(record: Json) -> datetime | None:
        text = value_at(record)
        if text is None or text == "":
            return None
        if not isinstance(text, str):
            raise ValueError(f"expected a time at {path!r}, found {text!r}")  # noqa: TRY004 - a bad value too
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)

    return moment_of


def _read_users(company: Company, _: Cursor) -> Iterator[Page]:
    """The users, each with the teams it is in: so that a change of team is a new version of the user."""
    users = company.http.get("/api/v1/users", check=_is_list).json["data"] or []
    teams, _unused = _teams(company)
    yield Page(
        [{**user, "team_ids": _teams_of(user, teams)} if isinstance(user, dict) else user for user in users],
        cursor={},
        listings=(Listing(tuple(map(str, _ids(users)))),),
    )


def _teams_of(user: Json, teams: Sequence[Json]) -> list[int]:
    return sorted(team["id"] for team in teams if user.get("id") in (team.get("users") or ()))


def _read_teams(company: Company, _: Cursor) -> Iterator[Page]:
    teams, reason = _teams(company)
    if reason:
        yield Page(cursor={"not_available": reason})
        return
    yield Page(teams, cursor={}, listings=(Listing(tuple(map(str, _ids(teams)))),))


def _teams(company: Company) -> tuple[list[Json], str]:
    """The teams; none, and why, where the plan has no teams or the user may not see them."""
    try:
        answer = company.http.get("/api/v1/legacyTeams", check=_is_list)
    except (AccessRefused, BadSourceData) as refusal:
        return [], str(refusal)
    return answer.json["data"] or [], ""


def _read_whole(listed: List) -> Read:
    """A small list, read whole each time."""

    def read(company: Company, _: Cursor) -> Iterator[Page]:
        ids: list[int] = []
        for part, _place in _all(company, [listed], {}):
            ids += _ids(part.records)
            yield Page(part.records)
        yield Page(cursor={}, listings=(Listing(tuple(map(str, ids))),))

    return read


LEAD_PATHS = ("/api/v1/leads", "/api/v1/leads/archived")


def _read_leads(company: Company, cursor: Cursor) -> Iterator[Page]:
    """What changed among the leads; once a week all of them, because nothing tells that one was deleted."""
    now = server_time(company)
    listed = cursor.get("listed")
    if listed is not None and now - datetime.fromisoformat(listed) < LEADS_LISTED_EVERY:
        for path in LEAD_PATHS:
            for records in _changed_leads(company, path, cursor["since"]):
                yield Page(records)
        yield Page(cursor={"since": company.since(now), "listed": listed})
        return
    ids: dict[str, None] = {}
    for path in LEAD_PATHS:
        for records in _every_lead(company, path):
            ids.update(dict.fromkeys(str(lead["id"]) for lead in records if isinstance(lead, dict) and "id" in lead))
            yield Page(records)
    yield Page(cursor={"since": company.since(now), "listed": _iso(now)}, listings=(Listing(tuple(ids)),))


def _changed_leads(company: Company, path: str, since: str) -> Iterator[list[Json]]:
    """As `_changed`, of a list that has offsets for markers."""
    after, start = datetime.fromisoformat(since), 0
    while True:
        params = {"updated_since": _iso(after), "sort": "update_time ASC", "limit": PAGE, "start": start}
        answer = company.http.get(path, params, check=_goes_on(None, _times, after))
        records = answer.json["data"] or []
        yield records
        if not records or not _has_more(answer):
            return
        last = max([after, *_times(records)])
        after, start = (last, 0) if last > after else (after, start + len(records))


def _every_lead(company: Company, path: str) -> Iterator[list[Json]]:
    """All leads by their creation. Pages overlap by one lead, so that one that slid by unseen is noticed."""
    start, last, restarts = 0, None, 0
    while True:
        params = {"sort": "add_time ASC", "limit": PAGE, "start": start}
        answer = company.http.get(path, params, check=_is_list)
        records = answer.json["data"] or []
        if last is not None and (not records or records[0].get("id") != last):
            restarts += 1
            if restarts > RESTARTS:
                raise SourceUnreachable(
                    f"pipedrive: leads change faster than {path} can be read; rerun when it is calm"
                )
            start, last = 0, None
            continue
        yield records
        if not _has_more(answer):
            return
        start, last = start + len(records) - 1, records[-1].get("id")


def _has_more(answer: Answer) -> bool:
    pagination = (answer.json.get("additional_data") or {}).get("pagination") or {}
    return bool(pagination.get("more_items_in_collection"))


# --------------------------------------------------------------------------------------------------------- the source


@contextmanager
def connect(settings: Settings) -> Iterator[Company]:
    """The company that the settings name; raises SettingsError where its address or any token is missing."""
    auth, url = _by_oauth(settings) if settings.pipedrive.refresh_token else _by_token(settings.pipedrive)
    with Http("pipedrive", url, settings, rates=RATES, auth=auth) as http:
        yield Company(http, settings.pipedrive)


def _by_token(own: PipedriveSettings) -> tuple[AuthBase, str]:
    """The token of a user, and the company's address."""
    if not own.url:
        raise SettingsError("pipedrive.url: is missing; give the company's own, as https://company.pipedrive.com")
    return HeaderToken(required_secret("pipedrive", "token", own.token), header="x-api-token", scheme=""), own.url


def _by_oauth(settings: Settings) -> tuple[AuthBase, str]:
    """The token of an app, and the address of the company that let it in."""
    token = RefreshingToken("pipedrive", settings, token_url=settings.pipedrive.token_url, form={}, by_header=True)
    return token, token.told("api_domain")


def server_time(company: Company) -> datetime:
    """What Pipedrive's clock says."""
    return company.http.get("/api/v1/users/me").at


def _probe(path: str) -> Callable[[Company], None]:
    def probe(company: Company) -> None:
        company.http.get(path, {"limit": 1}, check=_is_list)

    return probe


def _live_deals(company: Company, cursor: Cursor) -> int | None:
    """How many deals a first load has to read, without the archived and deleted ones."""
    if cursor:
        return None
    count = at("data.total_count")(company.http.get(SUMMARIES[0]).json)
    return count if isinstance(count, int) else None


SUMMARIES = ("/api/v1/deals/summary", "/api/v1/deals/summary/archived")


def totals(company: Company, _: Settings) -> Iterator[Total]:
    """Deals by owner, archived ones too, and the sum of their values as they stand, whatever their currency.

    Not by month: a summary knows none, and the timeline, which does, leaves lost deals out.
    """
    count, amount = _summary(company, {})
    for user in _ids(company.http.get("/api/v1/users", check=_is_list).json["data"] or []):
        of_user, value = _summary(company, {"user_id": user})
        count, amount = count - of_user, amount - value
        if of_user:
            yield Total("deals", str(user), None, of_user, value)
    if count > 0:
        yield Total("deals", None, None, count, amount)


def _summary(company: Company, params: Json) -> tuple[int, Decimal]:
    """How many deals there are, and the sum of their values."""
    summaries = [company.http.get(path, params, check=_is_summary).json["data"] for path in SUMMARIES]
    values = [one["value"] for summary in summaries for one in dict(summary.get("values_total") or {}).values()]
    # It sums floating-point numbers.
    amount = sum((Decimal(str(value)) for value in values), Decimal())
    return sum(summary["total_count"] for summary in summaries), round(amount, 2)


def _is_summary(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(at("data.total_count")(answer), int)


ORGANIZATIONS = List("/api/v2/organizations", {})
PERSONS = List("/api/v2/persons", {})
ACTIVITIES = List("/api/v2/activities", {})
STAGES = List("/api/v2/stages", {})
PIPELINES = List("/api/v2/pipelines", {})

_changed_at = iso_moment("update_time")


def _is_deleted(record: Json) -> bool:
    return record.get("is_deleted") is True or record.get("status") == "deleted"


OBJECTS: tuple[ApiObject[Company], ...] = (
    ApiObject(
        "deals",
        _first_whole(_load(DEALS), _changed_deals),
        keep=(
            *("id", "title", "owner_id", "person_id", "org_id", "pipeline_id", "stage_id", "status", "lost_reason"),
            *("value", "currency", "add_time", "won_time", "lost_time", "close_time", "expected_close_date"),
            *("origin", "source_lead_id"),
        ),
        needed={
            **dict.fromkeys(("owner_id", "pipeline_id", "stage_id"), (int,)),
            **dict.fromkeys(("status", "currency", "add_time", "won_time", "lost_time"), (str,)),
            "value": (int, float),
        },
        updated_at=_changed_at,
        is_deleted=_is_deleted,
        configured_at="custom_fields.{}",
        right="global visibility of deals (scope deals:read)",
        probe=_probe("/api/v2/deals"),
        estimate=_live_deals,
    ),
    ApiObject(
        "deal_changes",
        _read_deal_changes,
        keep=("deal_id", "time", "field_key", "old_value", "new_value"),
        needed=dict.fromkeys(("time", "field_key", "old_value", "new_value"), (str,)),
        updated_at=utc_moment("time"),
        right="global visibility of deals (scope deals:read)",
        probe=_probe("/api/v2/deals"),
    ),
    ApiObject(
        "leads",
        _read_leads,
        keep=(
            *("id", "owner_id", "person_id", "organization_id", "source_name", "origin", "channel"),
            *("is_archived", "add_time"),
        ),
        personal=("title",),
        needed={"owner_id": (int,), "add_time": (str,)},
        updated_at=_changed_at,
        is_deleted=_is_deleted,
        right="leads (scope leads:read)",
        probe=_probe("/api/v1/leads"),
    ),
    ApiObject(
        "organizations",
        _by_change(ORGANIZATIONS),
        keep=("id", "name", "owner_id", "add_time", "address.country", "label_ids"),
        personal=("address",),
        needed={"name": (str,)},
        updated_at=_changed_at,
        is_deleted=_is_deleted,
        configured_at="custom_fields.{}",
        right="global visibility of organizations (scope contacts:read)",
        probe=_probe(ORGANIZATIONS.path),
    ),
    ApiObject(
        "persons",
        _by_change(PERSONS),
        keep=("id", "owner_id", "org_id", "add_time"),
        personal=("name",),
        needed={"org_id": (int,)},
        updated_at=_changed_at,
        is_deleted=_is_deleted,
        right="global visibility of people (scope contacts:read)",
        probe=_probe(PERSONS.path),
    ),
    ApiObject(
        "activities",
        _by_change(ACTIVITIES),
        keep=(
            *("id", "type", "owner_id", "deal_id", "lead_id", "person_id", "org_id"),
            *("due_date", "due_time", "done", "marked_as_done_time", "add_time"),
        ),
        personal=("subject", "note"),
        needed={"type": (str,), "owner_id": (int,), "done": (bool,), "due_date": (str,), "marked_as_done_time": (str,)},
        updated_at=_changed_at,
        is_deleted=_is_deleted,
        right="global visibility of activities (scope activities:read)",
        probe=_probe(ACTIVITIES.path),
    ),
    ApiObject(
        "stages",
        _read_whole(STAGES),
        keep=("id", "name", "pipeline_id", "order_nr", "deal_probability"),
        needed={"name": (str,), "pipeline_id": (int,), "order_nr": (int,), "deal_probability": (int, float)},
        updated_at=_changed_at,
        is_deleted=_is_deleted,
        right="deals (scope deals:read)",
    ),
    ApiObject(
        "pipelines",
        _read_whole(PIPELINES),
        keep=("id", "name", "order_nr"),
        needed={"name": (str,)},
        updated_at=_changed_at,
        is_deleted=_is_deleted,
        right="deals (scope deals:read)",
    ),
    ApiObject(
        "users",
        _read_users,
        keep=("id", "name", "active_flag", "modified", "role_id", "team_ids"),
        personal=("email", "phone"),
        needed={"name": (str,), "active_flag": (bool,), "team_ids": (list,)},
        is_deleted=_is_deleted,
        right="users (scope users:read)",
    ),
    ApiObject(
        "teams",
        _read_teams,
        keep=("id", "name", "manager_id", "active_flag"),
        needed={"name": (str,), "manager_id": (int,)},
        is_deleted=lambda team: team.get("deleted_flag") in (True, 1),
        right="teams, which not every plan has (scope admin)",
    ),
)

SOURCE = ApiSource(
    name="pipedrive",
    connect=connect,
    rates=lambda _: RATES,
    objects=OBJECTS,
    server_time=server_time,
    totals=totals,
    counted={"deals": Counted(at("owner_id"), undated, at("value"))},
    deals=Deals("deals", amount_in_raw("/value")),
)
