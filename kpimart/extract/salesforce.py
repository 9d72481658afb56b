"""Salesforce: opportunities with their stages, history and splits, users, roles, accounts, leads, tasks, events.

Reads: REST queryAll by keyset (SystemModstamp, Id), deleted rows included, and what was deleted for good by getDeleted;
the first load of a big object by a query job of Bulk API 2.0. A record's payload is the same whichever way it came.
Limits: 2,000 records a page of REST; requests in 24 hours by licences, of which a twentieth is left to others; 15 days
in the recycle bin and in the log of deletions: who stayed away longer has to compare ids.
Cannot tell: when a user became inactive; stages of a sales process apart from all stages; changes of fields whose
history the org does not track, or that are older than it keeps them (18 to 24 months).
Source: REST API, Bulk API 2.0, SOQL and Object Reference of Salesforce; client: simple-salesforce.
"""

import csv
import io
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed, SalesforceError
from simple_salesforce.login import SalesforceLogin
from simple_salesforce.util import call_salesforce

from kpimart.errors import AccessRefused, BadSourceData, KpiMartError, SettingsError, SourceUnreachable
from kpimart.extract.auth import RefreshingToken, RenewableAuth, required_secret
from kpimart.extract.http import Rates, Session, server_clock
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
    undated,
)
from kpimart.settings import SalesforceSettings, Settings

ROOT = "/services/data/"

# Records a page: at most by REST, at least for a query that takes the server too long, by Bulk.
PAGE = 2_000
SMALLEST_PAGE = 200
BULK_PAGE = 10_000

# Only the requests of a day are counted, and each answer tells how many are left.
RATES: Rates = {}
# The share of a day's requests that is not touched.
LEFT_TO_OTHERS = 0.05
# The log of deletions is kept for 15 days.
KEPT_DELETED = timedelta(days=14)
# A job is waited for no longer; the next fetch goes on waiting.
JOB_SECONDS = 12 * 3600
LONGEST_POLL_SECONDS = 30.0

_TRACKED = "Field IN ('Owner', 'Amount', 'CloseDate', 'StageName')"
_LOG_CANNOT_TELL = {"EXCEEDED_ID_LIMIT", "INVALID_REPLICATION_DATE"}


@dataclass(frozen=True)
class Entity:
    """What is read of one kind of record.

    fields: those that every org has. optional: those that only some have, or show. changed: the field that dates a
    change; None for what is read whole. where: a condition in SOQL. is_everywhere: False if an org may be without it.
    has_deletions: hard deletions are looked for.
    """

    name: str
    sobject: str
    fields: tuple[str, ...]
    optional: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    changed: str | None = "SystemModstamp"
    where: str = ""
    is_everywhere: bool = True
    has_deletions: bool = False


@dataclass(frozen=True)
class Described:
    """An object as this user sees it: the fields that are read, with their types, and the server's time.

    names_persons: an account that is a person may be named.
    """

    entity: Entity
    types: dict[str, str]
    at: datetime
    names_persons: bool = False

    def query(self, *conditions: str, order: str = "", limit: int | None = None, fields: Sequence[str] = ()) -> str:
        """A query for the fields, or these, of the records that meet all conditions."""
        clauses = [f"SELECT {', '.join(fields or self.types)} FROM {self.entity.sobject}"]
        chosen = [f"({each})" for each in (self.entity.where, *conditions) if each]
        clauses += [f"WHERE {' AND '.join(chosen)}"] if chosen else []
        clauses += [f"ORDER BY {order}"] if order else []
        clauses += [f"LIMIT {limit}"] if limit else []
        return " ".join(clauses)

    def record(self, given: Json) -> Json:
        """A record in the one shape that REST and Bulk are brought to."""
        is_numeric = given.get("Field") == "Amount"
        record = {name: _value(kind, given.get(name), is_numeric) for name, kind in self.types.items()}
        if record.get("IsPersonAccount") and not self.names_persons:
            record["Name"] = None
        return record


def _value(kind: str, value: Any, is_numeric: bool) -> Any:
    """A value by the type of its field: a CSV has text only, and nothing for null. What cannot be read stays."""
    if value is None or value == "":
        return None
    try:
        if kind == "boolean":
            return value if isinstance(value, bool) else {"true": True, "false": False}.get(value, value)
        if kind in ("double", "currency", "percent"):
            return float(value)
        if kind in ("int", "long"):
            return int(value)
        if kind == "datetime":
            return re.sub(r"\+0000$", "Z", value)
        if kind == "anyType":
            return _text_of(value, is_numeric)
    except (ValueError, TypeError):
        return value
    return value


def _text_of(value: Any, is_numeric: bool) -> str:
    """A value of any type as text, a number without needless digits."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) or is_numeric:
        try:
            return f"{Decimal(str(value)).normalize():f}"
        except ArithmeticError:
            return str(value)
    return str(value)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


# ------------------------------------------------------------------------------------------------------------- the org


def _log_in(settings: Settings) -> tuple[RenewableAuth, str]:
    """What authorises requests, and the address of the org that it is for."""
    own = settings.salesforce
    if own.refresh_token is None:
        login = Login(settings)
        return login, login.instance_url
    token_url = f"{own.url.rstrip('/')}/services/oauth2/token"
    # How long a session lasts is the org's to say, and it does not tell: 401 does.
    token = RefreshingToken("salesforce", settings, token_url=token_url, form={}, is_public=True)
    return token, token.told("instance_url").rstrip("/")


class Login(RenewableAuth):
    """A session of the org: by client credentials, or for a user; opened again when it has ended. Bears threads."""

    def __init__(self, settings: Settings) -> None:
        self._own = settings.salesforce
        self._seconds = settings.http.timeout_seconds
        self._url = self._own.url.rstrip("/")
        self._lock = threading.Lock()
        self._session_id, self.instance_url = self._open()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._session_id}"
        return request

    def renew(self) -> None:
        """Open a new session."""
        with self._lock:
            self._session_id, self.instance_url = self._open()

    def _open(self) -> tuple[str, str]:
        try:
            return self._by_user() if self._own.username else self._by_client()
        except SalesforceAuthenticationFailed as refusal:
            if isinstance(refusal.code, int) and refusal.code >= 500:
                raise SourceUnreachable(
                    f"salesforce: the login answered {refusal.code}; rerun when it is back"
                ) from None
            raise AccessRefused(
                f"salesforce: the login was refused ({refusal.code}); look after the client or the user, its password "
                "and security token, then rerun"
            ) from None
        except (requests.RequestException, OSError) as error:
            raise SourceUnreachable(
                f"salesforce: the login gives no answer ({type(error).__name__}); rerun when it is back"
            ) from None

    def _by_user(self) -> tuple[str, str]:
        """For a user with a password and a security token."""
        own = self._own
        password = required_secret("salesforce", "password", own.password).get_secret_value()
        token = own.security_token.get_secret_value() if own.security_token else ""
        with _Timed(self._seconds) as session:
            session_id, host = SalesforceLogin(
                username=own.username,
                password=password,
                security_token=token,
                sf_version=own.api_version,
                session=session,
                scratch_url=self._url,
            )
        return session_id, f"{urlsplit(self._url).scheme}://{host}"

    def _by_client(self) -> tuple[str, str]:
        """For a connected app by itself; it has to be asked at the org's own address."""
        own = self._own
        if not own.client_id:
            raise SettingsError("salesforce.client_id: is missing; give it, or salesforce.username for a user's login")
        form = {
            "grant_type": "client_credentials",
            "client_id": own.client_id,
            "client_secret": required_secret("salesforce", "client_secret", own.client_secret).get_secret_value(),
        }
        response = requests.post(f"{self._url}/services/oauth2/token", data=form, timeout=self._seconds)
        if response.status_code >= 500:
            raise SalesforceAuthenticationFailed(response.status_code, None)
        answer = response.json()
        if "access_token" not in answer:
            raise SalesforceAuthenticationFailed(answer.get("error"), None)
        return answer["access_token"], answer["instance_url"].rstrip("/")


class _Timed(requests.Session):
    """A session whose requests end."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        return super().send(request, **{**kwargs, "timeout": self._seconds})


class Org:
    """A Salesforce org, asked by simple-salesforce on a session that obeys limits and asks again. Bears threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings: SalesforceSettings = settings.salesforce
        self._http = settings.http
        login, instance_url = _log_in(settings)
        self.session = Session("salesforce", settings, rates=RATES, base_url=instance_url, retry_if=_is_passing)
        self.session.auth = login
        self.session.hooks["response"].append(self._note)
        self._last = threading.local()
        self._used = (0, 0)
        self._version = f"v{self.settings.api_version}/"
        self._api: Any = Salesforce(
            session_id="that of the session's own login",
            instance_url=instance_url,
            session=self.session,
            version=self.settings.api_version,
            object_pairs_hook=None,
        )
        # It takes every address for one of https, but a proxy on the way, or a test, may not be.
        self._api.base_url = f"{instance_url}{ROOT}{self._version}"

    @property
    def at(self) -> datetime:
        """The server's clock at the last answer that this thread had."""
        moment: datetime = self._last.at
        return moment

    def ask(self, path: str, needs: str, params: Json | None = None, **kwargs: Any) -> Json:
        """The JSON at a path below the version's, asked for again as long as it lacks the key `needs`.

        Raises SalesforceError for a refusal that has a meaning, SourceUnreachable for answers without one.
        """
        for _ in self.attempts():
            self._spare_the_rest()
            answer = self._api.restful(path, params=params, **kwargs)
            if isinstance(answer, dict) and needs in answer:
                return answer
        raise SourceUnreachable(f"salesforce: {path}: answers without {needs!r}; rerun later")

    def rows(self, path: str, params: Json) -> tuple[list[Json], str | None]:
        """The rows of a CSV at a path, and the locator of the next ones."""
        headers = {"Accept": "text/csv", "Content-Type": "application/json"}
        url = f"{self._api.base_url}{path}"
        for _ in self.attempts():
            self._spare_the_rest()
            response = call_salesforce(url, "GET", self.session, headers, params=params)
            text = response.content.decode("utf-8").replace("\x00", "")
            rows: list[Json] = list(csv.DictReader(io.StringIO(text, newline="")))
            if len(rows) == int(response.headers.get("Sforce-NumberOfRecords", len(rows))):
                locator = response.headers.get("Sforce-Locator")
                return rows, locator if locator not in (None, "", "null") else None
        raise SourceUnreachable(f"salesforce: {path}: its rows are fewer than announced; rerun later")

    def page(self, query: str) -> Iterator[Json]:
        """The records of a query, deleted ones too, however the server cuts them."""
        answer = self.ask("queryAll", "records", {"q": query})
        while True:
            yield from answer["records"]
            if "nextRecordsUrl" not in answer:
                return
            answer = self.ask(answer["nextRecordsUrl"].removeprefix(f"{ROOT}{self._version}"), "records")

    def attempts(self) -> Iterator[int]:
        """As often as a page that cannot be right is asked for again, with a pause between."""
        for attempt in range(self._http.attempts):
            if attempt:
                self.wait(attempt)
            yield attempt

    def wait(self, turn: int) -> None:
        """Wait a little, longer with each turn."""
        longest = min(LONGEST_POLL_SECONDS, self._http.longest_wait_seconds)
        time.sleep(min(self._http.backoff_seconds * 2 ** min(turn, 10), longest))

    def clock(self) -> datetime:
        """What the server's clock says, asked for now."""
        return server_clock(self.session.get(str(self._api.base_url).removesuffix(self._version)))

    def _note(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Keep the server's time and how many requests of the day are used."""
        self._last.at = server_clock(response)
        used = re.search(r"api-usage=(\d+)/(\d+)", response.headers.get("Sforce-Limit-Info", ""))
        if used:
            self._used = (int(used[1]), int(used[2]))

    def _spare_the_rest(self) -> None:
        used, allowed = self._used
        if allowed and used >= allowed * (1 - LEFT_TO_OTHERS):
            raise SourceUnreachable(
                f"salesforce: {used:,} of {allowed:,} requests of the last 24 hours are used, and the rest is left to "
                "others; what was read is kept, rerun when some are free again"
            )


def _codes(content: Any) -> set[str]:
    return (
        {str(each.get("errorCode")) for each in content if isinstance(each, dict)}
        if isinstance(content, list)
        else set()
    )


def _is_passing(status: int, parsed: Any) -> bool:
    """Whether a refusal will pass: too many requests at once, as opposed to too many a day."""
    return status < 500 and "REQUEST_LIMIT_EXCEEDED" in _codes(parsed) and "oncurrent" in str(parsed)


def _named(error: SalesforceError, what: str) -> KpiMartError:
    """A refusal of the org as one of our errors."""
    codes, about = _codes(error.content), f"salesforce: {what}: answered {error.status} {_words(error.content)}"
    if "REQUEST_LIMIT_EXCEEDED" in codes:
        return SourceUnreachable(f"{about}; the requests of the last 24 hours are used up, rerun later")
    if "QUERY_TIMEOUT" in codes:
        return SourceUnreachable(f"{about}; rerun when the org has less to do")
    if error.status in (requests.codes.unauthorized, requests.codes.forbidden):
        return AccessRefused(f"{about}; look after the user's rights with kpimart doctor, then rerun")
    return BadSourceData(f"{about}; this is not what its documentation promises, a retry changes nothing")


def _words(content: Any) -> str:
    if isinstance(content, list):
        return "; ".join(f"{each.get('errorCode')}: {str(each.get('message'))[:200]}" for each in content)
    return str(content)[:200]


@contextmanager
def _errors_named(what: str) -> Iterator[None]:
    try:
        yield
    except SalesforceError as error:
        raise _named(error, what) from None


# -------------------------------------------------------------------------------------------------- reading an object


def _reader(entity: Entity) -> Callable[[Org, Cursor], Iterator[Page]]:
    def read(org: Org, cursor: Cursor) -> Iterator[Page]:
        with _errors_named(entity.sobject):
            described = _describe(org, entity)
            if described is None:
                yield Page(cursor={"not_available": f"this org, or this user, has no {entity.sobject}"})
            elif entity.changed is None:
                yield from _whole(org, described)
            else:
                yield from _first_whole(org, described, cursor)

    return read


def _describe(org: Org, entity: Entity) -> Described | None:
    """The object as this user sees it; None if it may be missing, and is. Raises AccessRefused if it may not."""
    try:
        answer = org.ask(f"sobjects/{entity.sobject}/describe", "fields")
    except SalesforceError as error:
        if error.status != requests.codes.not_found and "INVALID_TYPE" not in _codes(error.content):
            raise
        if entity.is_everywhere:
            raise AccessRefused(
                f"salesforce: this user does not see {entity.sobject}; give it the right to read it and to view all, "
                "then rerun"
            ) from None
        return None
    seen = {field["name"]: field["type"] for field in answer["fields"]}
    own = org.settings
    wanted = (*entity.fields, *entity.optional, *own.properties.get(entity.name, ()))
    wanted += entity.personal if own.personal_data else ()
    wanted += tuple(own.fields.values()) if entity.name == "opportunities" else ()
    wanted += ("IsDeleted", *((entity.changed,) if entity.changed else ()))
    types = {name: seen[name] for name in dict.fromkeys(wanted) if name in seen}
    return Described(entity, types, org.at, own.personal_data)


def _since(org: Org, began: datetime) -> str:
    return _iso(min(began, org.session.earliest) - timedelta(minutes=org.settings.overlap_minutes))


def _first_whole(org: Org, described: Described, cursor: Cursor) -> Iterator[Page]:
    """Read all, then what changed. After a load that was interrupted much may have changed, so that follows at once."""
    if "since" not in cursor:
        was_interrupted = "first" in cursor
        cursor = yield from _load(org, described, cursor.get("first", {}))
        if not was_interrupted:
            return
    yield from _changes(org, described, cursor)


def _load(org: Org, described: Described, first: Cursor) -> Generator[Page, None, Cursor]:
    """All records: by keyset of ids, or by a query job if there are many. Either goes on where it was interrupted.

    Returns where it ended.
    """
    began: str = first.get("began") or _iso(described.at)
    if "job" in first or ("after" not in first and _is_big(org, described)):
        yield from _by_bulk(org, described, first, began)
    else:
        for records in _by_keyset(org, described, first.get("after", "")):
            after = records[-1]["Id"] if records else first.get("after", "")
            yield Page(records, cursor={"first": {"began": began, "after": after}})
    ended = {"since": _since(org, datetime.fromisoformat(began))}
    yield Page(cursor=ended)
    return ended


def _by_keyset(org: Org, described: Described, after: str) -> Iterator[list[Json]]:
    """Records by ascending id, page by page."""
    while True:
        condition = f"Id > '{after}'" if after else ""
        records, is_last = _sorted_page(org, described, condition, ("Id",), (after,))
        yield records
        if is_last:
            return
        after = records[-1]["Id"]


def _sorted_page(
    org: Org, described: Described, condition: str, key: tuple[str, ...], after: tuple[str, ...]
) -> tuple[list[Json], bool]:
    """A page of records sorted by `key`, all beyond `after`, and whether it is the last.

    One that is not what was asked for is asked for again; one that takes the server too long is made smaller.
    """
    limit = PAGE
    for _ in org.attempts():
        try:
            given = list(org.page(described.query(condition, order=", ".join(key), limit=limit)))
        except SalesforceError as error:
            if "QUERY_TIMEOUT" not in _codes(error.content) or limit <= SMALLEST_PAGE:
                raise
            limit = max(SMALLEST_PAGE, limit // 2)
            continue
        records = [described.record(each) for each in given]
        keys = [tuple(str(record[name] or "") for name in key) for record in records]
        if keys == sorted(set(keys)) and (not keys or keys[0] > after):
            return records, len(records) < limit
    raise SourceUnreachable(f"salesforce: {described.entity.sobject}: pages come in no order; rerun later")


def _changes(org: Org, described: Described, cursor: Cursor) -> Iterator[Page]:
    """What changed since the cursor, by keyset of time and id, then what was deleted for good."""
    changed = str(described.entity.changed)
    since: str = cursor["since"]
    gone_since: str = cursor.get("gone_since", since)
    condition, after = f"{changed} >= {since}", ("", "")
    is_last = False
    while not is_last:
        records, is_last = _sorted_page(org, described, condition, (changed, "Id"), after)
        if records:
            after = (records[-1][changed], records[-1]["Id"])
            condition = f"{changed} > {after[0]} OR ({changed} = {after[0]} AND Id > '{after[1]}')"
        place = None if is_last else {"since": _since(org, datetime.fromisoformat(after[0])), "gone_since": gone_since}
        yield Page(records, cursor=place)
    if described.entity.has_deletions:
        yield from _gone(org, described, datetime.fromisoformat(gone_since))
    yield Page(cursor={"since": _since(org, described.at)})


def _gone(org: Org, described: Described, since: datetime) -> Iterator[Page]:
    """Records that were deleted for good: from the log of deletions, else by comparing all ids."""
    start, end = since.replace(second=0, microsecond=0), described.at.replace(second=0, microsecond=0)
    if end - start > KEPT_DELETED:
        yield _every_id(org, described)
        return
    if end - start < timedelta(minutes=1):
        return
    try:
        params = {"start": start.isoformat(), "end": end.isoformat()}
        answer = org.ask(f"sobjects/{described.entity.sobject}/deleted/", "deletedRecords", params)
    except SalesforceError as error:
        if not _LOG_CANNOT_TELL & _codes(error.content):
            raise
        yield _every_id(org, described)
        return
    moments = {each["id"]: _value("datetime", each["deletedDate"], False) for each in answer["deletedRecords"]}
    gone = {each: moment for each, moment in moments.items() if moment >= _iso(since)}
    yield Page(_tombstones(org, described, since, gone) if gone else ())


def _tombstones(org: Org, described: Described, since: datetime, gone: Mapping[str, str]) -> list[Json]:
    """What is left of records that are not in the recycle bin either: their ids, and when they were deleted."""
    changed = str(described.entity.changed)
    query = described.query("IsDeleted = TRUE", f"{changed} >= {_iso(since)}", fields=("Id",))
    in_bin = {record["Id"] for record in org.page(query)}
    empty = dict.fromkeys(described.types)
    return [
        {**empty, "Id": each, "IsDeleted": True, changed: moment} for each, moment in gone.items() if each not in in_bin
    ]


def _every_id(org: Org, described: Described) -> Page:
    """All ids that there are, those in the recycle bin included."""
    ids: list[str] = []
    only_ids = Described(described.entity, {"Id": "id"}, described.at)
    for records in _by_keyset(org, only_ids, ""):
        ids += [record["Id"] for record in records]
    return Page(listings=(Listing(tuple(ids)),))


def _whole(org: Org, described: Described) -> Iterator[Page]:
    ids: list[str] = []
    for records in _by_keyset(org, described, ""):
        ids += [record["Id"] for record in records]
        yield Page(records)
    yield Page(cursor={}, listings=(Listing(tuple(ids)),))


# ------------------------------------------------------------------------------------------------------------ Bulk API


def _is_big(org: Org, described: Described) -> bool:
    count = _count(org, described)
    return count is None or count >= org.settings.bulk_from


def _count(org: Org, described: Described) -> int | None:
    """How many records there are; None if that takes the server too long, so: many."""
    try:
        answer = org.ask("queryAll", "totalSize", {"q": described.query(fields=("COUNT()",))})
    except SalesforceError as error:
        if "QUERY_TIMEOUT" not in _codes(error.content):
            raise
        return None
    return int(answer["totalSize"])


def _by_bulk(org: Org, described: Described, first: Cursor, began: str) -> Iterator[Page]:
    """All records by a query job. Its results stay for days, so an interrupted load goes on with the same job."""
    job, locator = first.get("job"), first.get("locator")
    if not job or not _is_done(org, job, is_resumed=True):
        body = {"operation": "queryAll", "query": described.query()}
        job, locator = org.ask("jobs/query", "id", method="POST", json=body)["id"], None
        yield Page(cursor={"first": {"began": began, "job": job}})
        _is_done(org, job)
    while True:
        params = {"maxRecords": BULK_PAGE, **({"locator": locator} if locator else {})}
        rows, following = org.rows(f"jobs/query/{job}/results", params)
        place = {"began": began, "job": job, "locator": following}
        yield Page([described.record(row) for row in rows], cursor={"first": place} if following else None)
        if following is None:
            return
        locator = following


def _is_done(org: Org, job: str, *, is_resumed: bool = False) -> bool:
    """Wait until a job is done; False if it is one of another night and is there no more."""
    ends_at = time.monotonic() + JOB_SECONDS
    turn = 0
    while time.monotonic() < ends_at:
        try:
            answer = org.ask(f"jobs/query/{job}", "state")
        except SalesforceError as error:
            if is_resumed and error.status == requests.codes.not_found:
                return False
            raise
        if answer["state"] == "JobComplete":
            return True
        if answer["state"] in ("Failed", "Aborted"):
            if is_resumed:
                return False
            why = answer.get("errorMessage") or answer["state"]
            raise SourceUnreachable(f"salesforce: query job {job} ended without a result: {why}; rerun later")
        turn += 1
        org.wait(turn)
    raise SourceUnreachable(
        f"salesforce: query job {job} is not done after 12 hours; rerun, and it is waited for again"
    )


# ---------------------------------------------------------------------------------------------------------- the source


@contextmanager
def connect(settings: Settings) -> Iterator[Org]:
    """The org that the settings name. Raises SettingsError, AccessRefused, SourceUnreachable."""
    org = Org(settings)
    try:
        yield org
    finally:
        org.session.close()


def server_time(org: Org) -> datetime:
    """What the org's clock says."""
    return org.clock()


def totals(org: Org, _: Settings) -> Iterator[Total]:
    """Counts, and sums of opportunities, by owner and month of creation. SOQL's date functions are in UTC.

    An org with several currencies sums in its own unless it is asked for each, so the sum is that of the amounts as
    they stand, whatever their currency.
    """
    yield from _totals(org, OPPORTUNITIES, amount="Amount")
    yield from _totals(org, ACCOUNTS)
    yield from _totals(org, LEADS)


def _totals(org: Org, entity: Entity, amount: str | None = None) -> Iterator[Total]:
    with _errors_named(f"totals of {entity.sobject}"):
        described = _describe(org, entity)
        if described is None:
            return
        months = groupby(_aggregates(org, described, amount), key=lambda row: (row["OwnerId"], row["y"], row["m"]))
        for (owner, year, month), rows in months:
            counts, sums = zip(*((int(row["n"]), Decimal(str(row.get("s") or 0))) for row in rows), strict=True)
            # The org sums floating-point numbers.
            total = round(sum(sums, Decimal()), 2) if amount else None
            yield Total(entity.name, owner, date(int(year), int(month), 1), sum(counts), total)


def _aggregates(org: Org, described: Described, amount: str | None) -> Iterator[Json]:
    """Rows by owner, year, month and currency. They have no next page, so they are asked for from owner to owner."""
    currency = ("CurrencyIsoCode",) if amount and "CurrencyIsoCode" in described.types else ()
    groups = ", ".join(("OwnerId", "CALENDAR_YEAR(CreatedDate)", "CALENDAR_MONTH(CreatedDate)", *currency))
    columns = "OwnerId, CALENDAR_YEAR(CreatedDate) y, CALENDAR_MONTH(CreatedDate) m, COUNT(Id) n"
    summed = f", SUM({amount}) s" if amount else ""
    after, is_last = "", False
    while not is_last:
        beyond = f" WHERE OwnerId > '{after}'" if after else ""
        query = f"SELECT {columns}{summed} FROM {described.entity.sobject}{beyond} GROUP BY {groups} ORDER BY {groups}"
        rows = org.ask("query", "records", {"q": f"{query} LIMIT {PAGE}"})["records"]
        is_last = len(rows) < PAGE
        if not is_last:
            # The last owner may have more.
            last = rows[-1]["OwnerId"]
            rows = [row for row in rows if row["OwnerId"] != last] or rows
        yield from rows
        after = rows[-1]["OwnerId"] if rows else ""


def _probe(entity: Entity) -> Callable[[Org], None]:
    def probe(org: Org) -> None:
        with _errors_named(entity.sobject):
            described = _describe(org, entity)
            if described is not None:
                org.ask("queryAll", "records", {"q": described.query(fields=("Id",), limit=1)})

    return probe


def _estimate(entity: Entity) -> Callable[[Org, Cursor], int | None]:
    def estimate(org: Org, cursor: Cursor) -> int | None:
        if cursor:
            return None
        with _errors_named(entity.sobject):
            described = _describe(org, entity)
            return None if described is None else _count(org, described)

    return estimate


def _is_deleted(record: Json) -> bool:
    return record.get("IsDeleted") is True


OPPORTUNITIES = Entity(
    "opportunities",
    "Opportunity",
    (
        *("Id", "Name", "OwnerId", "StageName", "IsClosed", "IsWon", "Amount", "CloseDate", "CreatedDate"),
        *("AccountId", "LeadSource", "Type"),
    ),
    optional=("CurrencyIsoCode", "RecordTypeId"),
    has_deletions=True,
)
ACCOUNTS = Entity(
    "accounts",
    "Account",
    ("Id", "Name", "OwnerId", "ParentId", "Industry", "BillingCountry", "CreatedDate", "MasterRecordId"),
    optional=("IsPersonAccount",),
    has_deletions=True,
)
LEADS = Entity(
    "leads",
    "Lead",
    (
        *("Id", "OwnerId", "LeadSource", "CreatedDate", "IsConverted", "ConvertedDate"),
        *("ConvertedOpportunityId", "ConvertedAccountId", "MasterRecordId"),
    ),
    personal=("Company",),
    is_everywhere=False,
    has_deletions=True,
)
_ACTIVITY = ("Id", "OwnerId", "WhatId", "WhoId", "AccountId", "ActivityDate", "CreatedDate", "Type")
TASKS = Entity(
    "tasks",
    "Task",
    (*_ACTIVITY, "IsClosed", "Status"),
    optional=("TaskSubtype", "CompletedDateTime"),
    personal=("Subject",),
    has_deletions=True,
)
EVENTS = Entity(
    "events",
    "Event",
    (*_ACTIVITY, "StartDateTime", "IsChild"),
    optional=("IsRecurrence",),
    personal=("Subject",),
    has_deletions=True,
)
OPPORTUNITY_HISTORY = Entity(
    "opportunity_history",
    "OpportunityHistory",
    ("Id", "OpportunityId", "StageName", "Amount", "CloseDate", "CreatedDate"),
)
FIELD_HISTORY = Entity(
    "field_history",
    "OpportunityFieldHistory",
    ("Id", "OpportunityId", "Field", "OldValue", "NewValue", "CreatedDate"),
    changed="CreatedDate",
    where=_TRACKED,
)
SPLITS = Entity(
    "splits",
    "OpportunitySplit",
    ("Id", "OpportunityId", "SplitOwnerId", "SplitPercentage", "SplitTypeId"),
    is_everywhere=False,
    has_deletions=True,
)
SPLIT_TYPES = Entity(
    "split_types",
    "OpportunitySplitType",
    ("Id", "DeveloperName", "SplitField", "IsTotalValidated"),
    changed=None,
    is_everywhere=False,
)
STAGES = Entity(
    "stages",
    "OpportunityStage",
    ("Id", "ApiName", "MasterLabel", "IsActive", "IsClosed", "IsWon", "SortOrder", "DefaultProbability"),
    changed=None,
)
RECORD_TYPES = Entity(
    "record_types",
    "RecordType",
    ("Id", "Name", "IsActive"),
    changed=None,
    where="SobjectType = 'Opportunity'",
)
USERS = Entity("users", "User", ("Id", "Name", "IsActive", "UserRoleId"), personal=("Email",))
ROLES = Entity("roles", "UserRole", ("Id", "Name", "ParentRoleId"), changed=None)


def _object(entity: Entity, needed: Mapping[str, tuple[type, ...]], right: str = "") -> ApiObject[Org]:
    dated_by = entity.changed
    return ApiObject(
        entity.name,
        _reader(entity),
        keep=(*entity.fields[1:], *entity.optional),
        personal=entity.personal,
        needed=needed,
        updated_at=iso_moment(dated_by) if dated_by else undated,
        id_of=id_at("Id"),
        is_deleted=_is_deleted,
        right=right or f"API Enabled; Read and View All on {entity.sobject}",
        probe=_probe(entity),
        estimate=_estimate(entity) if dated_by else None,
    )


_TEXT, _NUMBER, _FLAG = (str,), (int, float), (bool,)

OBJECTS: tuple[ApiObject[Org], ...] = (
    _object(
        OPPORTUNITIES,
        {
            **dict.fromkeys(("OwnerId", "StageName", "CloseDate", "CreatedDate", "AccountId"), _TEXT),
            **dict.fromkeys(("IsClosed", "IsWon"), _FLAG),
            "Amount": _NUMBER,
        },
    ),
    _object(OPPORTUNITY_HISTORY, dict.fromkeys(("OpportunityId", "StageName", "CreatedDate"), _TEXT)),
    _object(FIELD_HISTORY, dict.fromkeys(("OpportunityId", "Field", "OldValue", "NewValue", "CreatedDate"), _TEXT)),
    _object(SPLITS, {"OpportunityId": _TEXT, "SplitOwnerId": _TEXT, "SplitPercentage": _NUMBER, "SplitTypeId": _TEXT}),
    _object(SPLIT_TYPES, {"SplitField": _TEXT, "IsTotalValidated": _FLAG}),
    _object(STAGES, {"ApiName": _TEXT, "IsClosed": _FLAG, "IsWon": _FLAG, "SortOrder": _NUMBER}),
    _object(RECORD_TYPES, {"Name": _TEXT}),
    _object(ACCOUNTS, {"Name": _TEXT}),
    _object(LEADS, dict.fromkeys(("OwnerId", "CreatedDate", "ConvertedDate", "ConvertedOpportunityId"), _TEXT)),
    _object(TASKS, {"OwnerId": _TEXT, "WhatId": _TEXT, "ActivityDate": _TEXT, "IsClosed": _FLAG}),
    _object(EVENTS, {"OwnerId": _TEXT, "WhatId": _TEXT, "StartDateTime": _TEXT, "IsChild": _FLAG}),
    _object(USERS, {"Name": _TEXT, "IsActive": _FLAG, "UserRoleId": _TEXT}),
    _object(ROLES, {"Name": _TEXT, "ParentRoleId": _TEXT}, right="API Enabled; View Roles and Role Hierarchy"),
)

SOURCE = ApiSource(
    name="salesforce",
    connect=connect,
    rates=lambda _: RATES,
    objects=OBJECTS,
    server_time=server_time,
    totals=totals,
    counted={
        OPPORTUNITIES.name: Counted(at("OwnerId"), iso_moment("CreatedDate"), at("Amount")),
        **{entity.name: Counted(at("OwnerId"), iso_moment("CreatedDate")) for entity in (ACCOUNTS, LEADS)},
    },
    deals=Deals(OPPORTUNITIES.name, amount_in_raw("/Amount")),
)
