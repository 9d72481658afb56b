"""A Salesforce org: login, describe, SOQL over REST with its pages, query jobs of Bulk API 2.0, the log of deletions.

After the REST API, Bulk API 2.0 and SOQL guides of developer.salesforce.com. Queries are run by SQLite, whose language
has what SOQL has; what it does not know, SOQL does not know either.
"""

import base64
import csv
import io
import re
import sqlite3
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CLIENT_ID, CLIENT_SECRET = "a-client", "a-client-secret"
REFRESH_TOKEN = "5Aep-a-refresh-token"
USERNAME, PASSWORD, SECURITY_TOKEN = "ann@example.org", "a-password", "a-security-token"
ROOT = "/services/data/v62.0"
BATCH = 2_000

Record = dict[str, Any]

_STANDARD = {"Id": "id", "SystemModstamp": "datetime", "CreatedDate": "datetime", "IsDeleted": "boolean"}
_ACTIVITY = {
    "OwnerId": "reference", "WhatId": "reference", "WhoId": "reference", "AccountId": "reference",
    "ActivityDate": "date", "Type": "picklist", "Subject": "combobox",
}  # fmt: skip
SCHEMA: dict[str, dict[str, str]] = {
    "Opportunity": {
        **_STANDARD, "Name": "string", "OwnerId": "reference", "StageName": "picklist", "IsClosed": "boolean",
        "IsWon": "boolean", "Amount": "currency", "CloseDate": "date", "AccountId": "reference",
        "LeadSource": "picklist", "Type": "picklist", "Description": "textarea",
    },
    "OpportunityHistory": {
        **_STANDARD, "OpportunityId": "reference", "StageName": "picklist", "Amount": "currency", "CloseDate": "date",
    },
    "OpportunityFieldHistory": {
        "Id": "id", "IsDeleted": "boolean", "CreatedDate": "datetime", "OpportunityId": "reference",
        "Field": "picklist", "OldValue": "anyType", "NewValue": "anyType",
    },
    "Account": {
        **_STANDARD, "Name": "string", "OwnerId": "reference", "ParentId": "reference", "Industry": "picklist",
        "BillingCountry": "string", "MasterRecordId": "reference", "IsPersonAccount": "boolean",
    },
    "OpportunityStage": {
        "Id": "id", "ApiName": "string", "MasterLabel": "string", "IsActive": "boolean", "IsClosed": "boolean",
        "IsWon": "boolean", "SortOrder": "int", "DefaultProbability": "percent",
    },
    "RecordType": {"Id": "id", "Name": "string", "IsActive": "boolean", "SobjectType": "picklist"},
    "Lead": {
        **_STANDARD, "OwnerId": "reference", "LeadSource": "picklist", "IsConverted": "boolean",
        "ConvertedDate": "date", "ConvertedOpportunityId": "reference", "ConvertedAccountId": "reference",
        "MasterRecordId": "reference", "Company": "string", "Email": "email",
    },
    "Task": {
        **_STANDARD, **_ACTIVITY, "IsClosed": "boolean", "Status": "picklist", "TaskSubtype": "picklist",
        "CompletedDateTime": "datetime",
    },
    "Event": {**_STANDARD, **_ACTIVITY, "StartDateTime": "datetime", "IsChild": "boolean", "IsRecurrence": "boolean"},
    "User": {
        "Id": "id", "SystemModstamp": "datetime", "Name": "string", "Email": "email", "IsActive": "boolean",
        "UserRoleId": "reference",
    },
    "UserRole": {"Id": "id", "Name": "string", "ParentRoleId": "reference"},
}  # fmt: skip
SPLITS: dict[str, dict[str, str]] = {
    "OpportunitySplit": {
        "Id": "id", "SystemModstamp": "datetime", "IsDeleted": "boolean", "OpportunityId": "reference",
        "SplitOwnerId": "reference", "SplitPercentage": "percent", "SplitTypeId": "reference",
    },
    "OpportunitySplitType": {
        "Id": "id", "DeveloperName": "string", "SplitField": "picklist", "IsTotalValidated": "boolean",
    },
}  # fmt: skip


class Salesforce:
    """The org. Its clock stands still until it is moved.

    refusals: what befalls the next requests, one each; where it gives None, nothing does. rotates: a refresh token is
    for one use, and who comes with a used one ends all sessions. needs_secret: an app has to give its secret too.
    """

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 1, tzinfo=UTC)
        self.records: dict[str, dict[str, Record]] = {name: {} for name in SCHEMA}
        self.schema = {name: dict(fields) for name, fields in SCHEMA.items()}
        self.purged: list[tuple[str, str, datetime]] = []
        self.batch = BATCH
        self.used, self.allowed = 0, 100_000
        self.requests: list[str] = []
        self.refusals: deque[Callable[[], Response | None]] = deque()
        self.before_answer: Callable[[str], None] = lambda _: None
        self.rotates = False
        self.needs_secret = True
        self.refresh_token: str | None = REFRESH_TOKEN
        self._sessions = 0
        self._open: set[str] = set()
        self._cursors: dict[str, list[Record]] = {}
        self.jobs: dict[str, Record] = {}

    def enable_splits(self) -> None:
        """Credit for a deal can be split from now on."""
        self.schema |= SPLITS
        self.records |= {name: {} for name in SPLITS}

    @property
    def time(self) -> str:
        """Now, as REST writes it."""
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.000+0000")

    def pass_time(self, **duration: float) -> None:
        """Move the clock."""
        self.now += timedelta(**duration)

    def add(self, sobject: str, record_id: str, **values: Any) -> Record:
        """A record created now; fields that are not given are null, flags false."""
        blank = {name: False if kind == "boolean" else None for name, kind in self.schema[sobject].items()}
        dated = {name: self.time for name in ("CreatedDate", "SystemModstamp") if name in blank}
        record = {**blank, **dated, "Id": record_id, **values}
        self.records[sobject][record_id] = record
        return record

    def change(self, sobject: str, record_id: str, **values: Any) -> None:
        """Change a record now."""
        self.records[sobject][record_id].update(values, SystemModstamp=self.time)

    def delete(self, sobject: str, record_id: str) -> None:
        """Move a record to the recycle bin."""
        self.change(sobject, record_id, IsDeleted=True)

    def purge(self, sobject: str, record_id: str) -> None:
        """Delete a record for good; only the log of deletions tells."""
        del self.records[sobject][record_id]
        self.purged.append((sobject, record_id, self.now))

    def end_sessions(self) -> None:
        """Who is logged in has to log in again."""
        self._open.clear()

    # -------------------------------------------------------------------------------------------------- the protocol

    def application(self) -> Starlette:
        """The API as an application."""
        routes = [
            Route("/services/oauth2/token", self._token, methods=["POST"]),
            Route("/services/Soap/u/62.0", self._soap, methods=["POST"]),
            Route("/services/data/", self._versions),
            Route(f"{ROOT}/sobjects/{{name}}/describe", self._describe),
            Route(f"{ROOT}/sobjects/{{name}}/deleted/", self._deleted),
            Route(f"{ROOT}/query/{{locator}}", self._more),
            Route(f"{ROOT}/query/", self._query),
            Route(f"{ROOT}/queryAll/", self._query),
            Route(f"{ROOT}/query", self._query),
            Route(f"{ROOT}/queryAll", self._query),
            Route(f"{ROOT}/jobs/query", self._create_job, methods=["POST"]),
            Route(f"{ROOT}/jobs/query/{{job}}", self._job),
            Route(f"{ROOT}/jobs/query/{{job}}/results", self._results),
        ]
        return Starlette(routes=routes)

    def _session(self, request: Request) -> tuple[str, str]:
        self._sessions += 1
        session_id = f"00D!session{self._sessions}"
        self._open.add(session_id)
        return session_id, str(request.base_url).rstrip("/")

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        grant = form.get("grant_type")
        secret = CLIENT_SECRET if self.needs_secret or grant == "client_credentials" else form.get("client_secret")
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, secret):
            return JSONResponse({"error": "invalid_client", "error_description": "invalid client credentials"}, 400)
        rotated = {}
        if grant == "refresh_token":
            if form.get("refresh_token") != self.refresh_token:
                self._revoke()
                refusal = {"error": "invalid_grant", "error_description": "expired access/refresh token"}
                return JSONResponse(refusal, 400)
            rotated = self._rotated()
        elif grant != "client_credentials":
            refusal = {"error": "unsupported_grant_type", "error_description": "grant type not supported"}
            return JSONResponse(refusal, 400)
        session_id, url = self._session(request)
        issued_at = str(round(self.now.timestamp() * 1000))
        about = {"instance_url": url, "token_type": "Bearer", "issued_at": issued_at, "scope": "refresh_token api"}
        return JSONResponse({"access_token": session_id, **about, **rotated})

    def _rotated(self) -> dict[str, str]:
        if not self.rotates:
            return {}
        self.refresh_token = f"{REFRESH_TOKEN}-{self._sessions + 1}"
        return {"refresh_token": self.refresh_token}

    def _revoke(self) -> None:
        if self.rotates:
            self.refresh_token = None
            self.end_sessions()

    async def _soap(self, request: Request) -> Response:
        body = (await request.body()).decode()
        if f"<n1:password>{PASSWORD}{SECURITY_TOKEN}</n1:password>" not in body or USERNAME not in body:
            fault = (
                '<e xmlns:sf="urn:fault.partner.soap.sforce.com"><sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode>'
                "<sf:exceptionMessage>Invalid username, password, security token; or user locked out."
                "</sf:exceptionMessage></e>"
            )
            return Response(fault, 500, media_type="text/xml")
        session_id, url = self._session(request)
        answer = f"<r><sessionId>{session_id}</sessionId><serverUrl>{url}/services/Soap/u/62.0</serverUrl></r>"
        return Response(answer, media_type="text/xml")

    async def _said(self, request: Request, answer: Callable[[], Response]) -> Response:
        self.requests.append(
            f"{request.method} {request.url.path.removeprefix(ROOT)} {request.query_params.get('q', '')}"
        )
        self.before_answer(request.url.path)
        self.used += 1
        response = self._refusal(request) or answer()
        response.headers["Date"] = format_datetime(self.now, usegmt=True)
        response.headers["Sforce-Limit-Info"] = f"api-usage={self.used}/{self.allowed}"
        return response

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self._open:
            return error("INVALID_SESSION_ID", "Session expired or invalid", 401)
        if self.used > self.allowed:
            return error("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", 403)
        return self.refusals.popleft()() if self.refusals else None

    async def _versions(self, request: Request) -> Response:
        return await self._said(request, lambda: JSONResponse([{"label": "Winter '25", "version": "62.0"}]))

    async def _describe(self, request: Request) -> Response:
        def answer() -> Response:
            name = request.path_params["name"]
            if name not in self.schema:
                return error("NOT_FOUND", "The requested resource does not exist", 404)
            fields = [{"name": field, "type": kind} for field, kind in self.schema[name].items()]
            return JSONResponse({"name": name, "queryable": True, "fields": fields})

        return await self._said(request, answer)

    async def _deleted(self, request: Request) -> Response:
        def answer() -> Response:
            name = request.path_params["name"]
            start, end = (datetime.fromisoformat(request.query_params[each]) for each in ("start", "end"))
            if self.now - start > timedelta(days=30) or end - start < timedelta(minutes=1) or end > self.now:
                return error("INVALID_REPLICATION_DATE", "startDate cannot be more than 30 days ago", 400)
            gone = [(record_id, at) for sobject, record_id, at in self.purged if sobject == name]
            gone += [
                (record["Id"], datetime.fromisoformat(record["SystemModstamp"]))
                for record in self.records[name].values()
                if record["IsDeleted"]
            ]
            records = [
                {"id": record_id, "deletedDate": at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")}
                for record_id, at in gone
                if start <= at <= end
            ]
            return JSONResponse({"deletedRecords": records, "latestDateCovered": self.time})

        return await self._said(request, answer)

    async def _query(self, request: Request) -> Response:
        def answer() -> Response:
            try:
                rows = self._run(request.query_params["q"], "queryAll" in request.url.path)
            except _Refused as refusal:
                return refusal.response
            if isinstance(rows, int):
                return JSONResponse({"totalSize": rows, "done": True, "records": []})
            locator = f"01g{len(self._cursors)}-0"
            self._cursors[locator] = rows
            return self._batch_of(locator, len(rows))

        return await self._said(request, answer)

    async def _more(self, request: Request) -> Response:
        locator = request.path_params["locator"]
        return await self._said(request, lambda: self._batch_of(locator, 0))

    def _batch_of(self, locator: str, total: int) -> Response:
        if locator not in self._cursors:
            return error("INVALID_QUERY_LOCATOR", "invalid query locator", 400)
        rows = self._cursors.pop(locator)
        answer: Record = {"totalSize": total, "done": len(rows) <= self.batch, "records": rows[: self.batch]}
        if not answer["done"]:
            following = f"{locator.split('-')[0]}-{int(locator.split('-')[1]) + self.batch}"
            self._cursors[following] = rows[self.batch :]
            answer["nextRecordsUrl"] = f"{ROOT}/query/{following}"
        return JSONResponse(answer)

    async def _create_job(self, request: Request) -> Response:
        body = await request.json()

        def answer() -> Response:
            try:
                rows = self._run(body["query"], body["operation"] == "queryAll")
            except _Refused as refusal:
                return refusal.response
            job = {"id": f"750{len(self.jobs):015}", "state": "UploadComplete", "operation": body["operation"]}
            self.jobs[job["id"]] = {**job, "rows": rows}
            return JSONResponse(job)

        return await self._said(request, answer)

    async def _job(self, request: Request) -> Response:
        def answer() -> Response:
            job = self.jobs.get(request.path_params["job"])
            if job is None:
                return error("NOT_FOUND", "The requested resource does not exist", 404)
            following = {"UploadComplete": "InProgress", "InProgress": "JobComplete"}
            job["state"] = following.get(job["state"], job["state"])
            return JSONResponse({name: value for name, value in job.items() if name != "rows"})

        return await self._said(request, answer)

    async def _results(self, request: Request) -> Response:
        def answer() -> Response:
            rows = self.jobs[request.path_params["job"]]["rows"]
            locator = request.query_params.get("locator")
            start = int(base64.b64decode(locator)) if locator else 0
            end = start + int(request.query_params.get("maxRecords", 50_000))
            following = base64.b64encode(str(end).encode()).decode() if end < len(rows) else "null"
            page = rows[start:end]
            headers = {"Sforce-NumberOfRecords": str(len(page)), "Sforce-Locator": following}
            return Response(_csv(page), media_type="text/csv", headers=headers)

        return await self._said(request, answer)

    # ------------------------------------------------------------------------------------------------------- queries

    def _run(self, soql: str, includes_deleted: bool) -> Any:
        """The rows of a query with their attributes; their number for COUNT()."""
        found = re.fullmatch(r"SELECT (.+?) FROM (\w+)(.*)", soql)
        if not found:
            raise _Refused(error("MALFORMED_QUERY", f"unexpected token: {soql}", 400))
        columns, name, rest = found.groups()
        if name not in self.schema:
            raise _Refused(error("INVALID_TYPE", f"sObject type '{name}' is not supported.", 400))
        if stray := _ungrouped(columns, rest):
            raise _Refused(error("MALFORMED_QUERY", f"Field must be grouped or aggregated: {stray}", 400))
        kinds = self.schema[name]
        source = (
            f'(SELECT * FROM "{name}"{"" if includes_deleted or "IsDeleted" not in kinds else " WHERE NOT IsDeleted"})'
        )
        literal = re.sub(r"(?<!')(\d{4}-\d\d-\d\dT[\d:.]+Z)", r"'\1'", rest)
        counted = columns.replace("COUNT()", "COUNT(*)")
        with self._database(name) as database:
            try:
                answer = database.execute(f"SELECT {counted} FROM {source}{literal}")
            except sqlite3.OperationalError as problem:
                code = "INVALID_FIELD" if "no such column" in str(problem) else "MALFORMED_QUERY"
                raise _Refused(error(code, f"{problem}: {soql}", 400)) from None
            names = [column[0] for column in answer.description]
            rows = [dict(zip(names, row, strict=True)) for row in answer]
        if columns == "COUNT()":
            return rows[0]["COUNT(*)"]
        if "GROUP BY" in rest and len(rows) > BATCH:
            raise _Refused(error("EXCEEDED_ID_LIMIT", "Aggregate query does not support queryMore()", 400))
        kept = self.records[name]
        attributes = {"type": name, "url": f"{ROOT}/sobjects/{name}"}
        if "GROUP BY" in rest:
            return [{"attributes": attributes, **row} for row in rows]
        return [{"attributes": attributes, **{each: kept[row["Id"]][each] for each in names}} for row in rows]

    def _database(self, name: str) -> sqlite3.Connection:
        database = sqlite3.connect(":memory:")
        database.create_function("CALENDAR_YEAR", 1, lambda moment: int(moment[:4]))
        database.create_function("CALENDAR_MONTH", 1, lambda moment: int(moment[5:7]))
        fields = list(self.schema[name])
        database.execute(f'CREATE TABLE "{name}" ({", ".join(fields)})')
        rows = [[_comparable(record[field]) for field in fields] for record in self.records[name].values()]
        database.executemany(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(fields))})', rows)
        return database


def _ungrouped(columns: str, rest: str) -> str | None:
    """What a query with groups asks for, or sorts by, that is neither a group nor an aggregate. Aliases are none."""
    groups = re.search(r"GROUP BY (.+?)(?= ORDER BY | LIMIT |$)", rest)
    if not groups:
        return None
    order = re.search(r"ORDER BY (.+?)(?= LIMIT |$)", rest)
    asked = [*columns.split(", "), *(order[1].split(", ") if order else ())]
    expressions = (each.split(" ")[0] for each in asked)
    allowed = groups[1].split(", ")
    return next((each for each in expressions if each not in allowed and not each.startswith(("COUNT(", "SUM("))), None)


class _Refused(Exception):
    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def _comparable(value: Any) -> Any:
    return value.replace("+0000", "Z") if isinstance(value, str) else value


def _csv(rows: list[Record]) -> str:
    """As Bulk writes values: moments with Z, flags as words, null as nothing."""
    if not rows:
        return ""
    names = [name for name in rows[0] if name != "attributes"]
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = (row[name] for name in names)
        writer.writerow(
            "" if value is None else str(value).lower() if isinstance(value, bool) else _comparable(value)
            for value in values
        )
    return text.getvalue()


def error(code: str, message: str, status: int) -> Response:
    """A refusal as Salesforce words it."""
    return JSONResponse([{"message": message, "errorCode": code}], status)
