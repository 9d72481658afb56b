"""A company's Pipedrive: lists of API v2 and v1 with their paging, filters, limits and refusals.

After the API references v1 and v2 of developers.pipedrive.com; in its core concepts: rate limiting, pagination.
"""

import base64
import json
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN = "a-pipedrive-api-token"
CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "a-pipedrive-app", "an-app-secret", "1234:a-refresh-token"
MOST = 500
BURST, WINDOW_SECONDS = 20, 2.0
KEPT_DELETED = timedelta(days=30)
SORTED_BY = {"activities": ("id", "update_time", "add_time", "due_date"), "stages": ("id", "update_time", "order_nr")}

Record = dict[str, Any]

ACTIVITY = {
    "subject": "", "type": "task", "owner_id": 1, "deal_id": None, "lead_id": None, "person_id": None, "org_id": None,
    "due_date": "2026-11-02", "due_time": None, "done": False, "marked_as_done_time": None, "note": None,
}  # fmt: skip
USER = {"name": "", "email": None, "active_flag": True, "modified": None, "is_deleted": False}
TEAM = {"name": "", "description": "", "manager_id": 1, "users": [], "active_flag": 1, "deleted_flag": 0}


class Pipedrive:
    """The company. Its clock stands still until it is moved.

    refusals: what befalls the next requests, one each; where it gives None, nothing does.
    """

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 1, tzinfo=UTC)
        self.deals: dict[int, Record] = {}
        self.lists: dict[str, dict[int, Record]] = {
            "organizations": {}, "persons": {}, "activities": {}, "stages": {}, "pipelines": {}
        }  # fmt: skip
        self.leads: dict[str, Record] = {}
        self.users: list[Record] = []
        self.teams: list[Record] | None = []
        self.changelogs: dict[int, list[Record]] = {}
        self.requests: list[str] = []
        self.refusals: deque[Callable[[], Response | None]] = deque()
        self.before_answer: Callable[[str], None] = lambda _: None
        self.enforces_burst = False
        self.access_tokens: list[str] = []
        self.refresh_token = REFRESH_TOKEN
        self._recent: deque[float] = deque()

    @property
    def time(self) -> str:
        """Now, as v2 writes it."""
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def pass_time(self, **duration: float) -> None:
        """Move the clock."""
        self.now += timedelta(**duration)

    def add_deal(self, number: int, **values: Any) -> Record:
        """A deal created now."""
        deal = {
            "id": number, "title": f"Deal {number}", "owner_id": 1, "person_id": None, "org_id": None,
            "pipeline_id": 1, "stage_id": 11, "value": 100.5, "currency": "EUR", "add_time": self.time,
            "update_time": self.time, "stage_change_time": None, "status": "open", "is_deleted": False,
            "is_archived": False, "lost_reason": None, "won_time": None, "lost_time": None, "close_time": None,
            "expected_close_date": None, "origin": "ManuallyCreated", "custom_fields": {"c0ffee": "secret"},
            **values,
        }  # fmt: skip
        self.deals[number] = deal
        return deal

    def change_deal(self, number: int, **values: Any) -> None:
        """Change a deal now, with its changelog."""
        deal = self.deals[number]
        for name, value in values.items():
            if name in deal and deal[name] != value:
                entry = {
                    "field_key": "user_id" if name == "owner_id" else name, "old_value": _text(deal[name]),
                    "new_value": _text(value), "actor_user_id": 1, "time": self.now.strftime("%Y-%m-%d %H:%M:%S"),
                    "change_source": "app", "change_source_user_agent": "Mozilla", "is_bulk_update_flag": None,
                }  # fmt: skip
                self.changelogs.setdefault(number, []).append(entry)
        deal.update(values, update_time=self.time)

    def delete_deal(self, number: int) -> None:
        """Delete a deal now; it can be listed for 30 days."""
        self.deals[number].update(status="deleted", is_deleted=True, deleted_at=self.now, update_time=self.time)

    def add(self, kind: str, number: int, **values: Any) -> Record:
        """A record of another list, created now."""
        blank = ACTIVITY if kind == "activities" else {"name": "", "owner_id": 1}
        dated = {"add_time": self.time, "update_time": self.time, "is_deleted": False}
        record = {"id": number, **blank, **dated, **values}
        self.lists[kind][number] = record
        return record

    def add_lead(self, lead_id: str, **values: Any) -> Record:
        """A lead created now."""
        stamp = self.now.strftime("%Y-%m-%dT%H:%M:%S.") + "123Z"
        lead = {
            "id": lead_id, "title": "Ann's lead", "owner_id": 1, "person_id": None, "organization_id": None,
            "source_name": "API", "origin": "API", "channel": None, "is_archived": False, "add_time": stamp,
            "update_time": stamp, **values,
        }  # fmt: skip
        self.leads[lead_id] = lead
        return lead

    def end_tokens(self) -> None:
        """Every access token has ended."""
        self.access_tokens.append("")

    # -------------------------------------------------------------------------------------------------- the protocol

    def application(self) -> Starlette:
        """The API as an application."""
        v2 = "/api/v2"
        routes = [
            Route("/oauth/token", self._token, methods=["POST"]),
            Route(f"{v2}/deals", self._live_deals),
            Route(f"{v2}/deals/archived", self._archived_deals),
            Route(v2 + "/{kind}", self._list),
            Route("/api/v1/deals/summary", self._live_summary),
            Route("/api/v1/deals/summary/archived", self._archived_summary),
            Route("/api/v1/deals/{number:int}/changelog", self._changelog),
            Route("/api/v1/users", self._users),
            Route("/api/v1/users/me", self._me),
            Route("/api/v1/legacyTeams", self._teams),
            Route("/api/v1/leads", self._live_leads),
            Route("/api/v1/leads/archived", self._archived_leads),
        ]
        return Starlette(routes=routes)

    async def _said(self, request: Request, answer: Callable[[], Response]) -> Response:
        self.requests.append(f"{request.url.path}?{request.url.query}")
        self.before_answer(request.url.path)
        response = self._refusal(request) or answer()
        response.headers["Date"] = format_datetime(self.now, usegmt=True)
        return response

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        app = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {app}":
            return JSONResponse({"success": False, "error": "invalid_client"}, 401)
        if (form.get("grant_type"), form.get("refresh_token")) != ("refresh_token", self.refresh_token):
            return JSONResponse({"success": False, "error": "invalid_grant"}, 400)
        self.access_tokens.append(f"v1u:access-{len(self.access_tokens)}")
        self.refresh_token = f"{REFRESH_TOKEN}-{len(self.access_tokens)}"
        tokens = {"access_token": self.access_tokens[-1], "refresh_token": self.refresh_token, "token_type": "Bearer"}
        url = str(request.base_url).rstrip("/")
        return JSONResponse({**tokens, "scope": "deals:read", "expires_in": 3599, "api_domain": url})

    def _is_let_in(self, request: Request) -> bool:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        has_token = bearer != "" and self.access_tokens[-1:] == [bearer]
        return has_token or request.headers.get("x-api-token") == TOKEN

    def _refusal(self, request: Request) -> Response | None:
        if not self._is_let_in(request):
            return JSONResponse({"success": False, "error": "unauthorized access", "errorCode": 401}, 401)
        if self.refusals and (refusal := self.refusals.popleft()()):
            return refusal
        if self.enforces_burst:
            now = time.monotonic()
            while self._recent and now - self._recent[0] >= WINDOW_SECONDS:
                self._recent.popleft()
            if len(self._recent) >= BURST:
                return too_many()
            self._recent.append(now)
        return None

    async def _live_deals(self, request: Request) -> Response:
        return await self._said(request, lambda: self._deals(request, is_archived=False))

    async def _archived_deals(self, request: Request) -> Response:
        return await self._said(request, lambda: self._deals(request, is_archived=True))

    def _deals(self, request: Request, *, is_archived: bool) -> Response:
        wanted = request.query_params.get("status", "open,won,lost").split(",")
        if not set(wanted) <= {"open", "won", "lost", "deleted"}:
            return _bad("status")
        extra = request.query_params.get("include_fields", "").split(",")
        found = [
            {name: value for name, value in deal.items() if name not in ("deleted_at", "source_lead_id")}
            | ({"source_lead_id": deal.get("source_lead_id")} if "source_lead_id" in extra else {})
            for deal in self.deals.values()
            if deal["is_archived"] is is_archived
            and deal["status"] in wanted
            and ("deleted_at" not in deal or self.now - deal["deleted_at"] <= KEPT_DELETED)
        ]
        return self._paged(request, found, ("id", "update_time", "add_time"))

    async def _list(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in self.lists:
            return JSONResponse({"success": False, "error": "Not found"}, 404)
        sorts = SORTED_BY.get(kind, ("id", "update_time", "add_time"))
        return await self._said(request, lambda: self._paged(request, list(self.lists[kind].values()), sorts))

    def _paged(self, request: Request, records: list[Record], sorts: tuple[str, ...]) -> Response:
        asked = request.query_params
        limit, sort = int(asked.get("limit", 100)), asked.get("sort_by", "id")
        if not 1 <= limit <= MOST:
            return _bad("limit")
        if sort not in sorts:
            return _bad("sort_by")
        if since := asked.get("updated_since"):
            records = [record for record in records if record["update_time"] >= since]
        records.sort(key=lambda record: (record[sort], record["id"]), reverse=asked.get("sort_direction") == "desc")
        if "cursor" in asked:
            try:
                value, number = json.loads(base64.b64decode(asked["cursor"]))
            except ValueError:
                return _bad("cursor")
            records = [record for record in records if (record[sort], record["id"]) >= (value, number)]
        page, rest = records[:limit], records[limit:]
        marker = base64.b64encode(json.dumps([rest[0][sort], rest[0]["id"]]).encode()).decode() if rest else None
        return JSONResponse({"success": True, "data": page, "additional_data": {"next_cursor": marker}})

    async def _changelog(self, request: Request) -> Response:
        def answer() -> Response:
            number = request.path_params["number"]
            if number not in self.deals or self.deals[number]["is_deleted"]:
                return JSONResponse({"success": False, "error": "Deal not found", "errorCode": 404}, 404)
            entries = self.changelogs.get(number, [])[::-1]
            start, limit = int(request.query_params.get("cursor", 0)), int(request.query_params.get("limit", 100))
            following = start + limit if start + limit < len(entries) else None
            marker = None if following is None else str(following)
            return JSONResponse(
                {"success": True, "data": entries[start:following], "additional_data": {"next_cursor": marker}}
            )

        return await self._said(request, answer)

    async def _live_summary(self, request: Request) -> Response:
        return await self._said(request, lambda: self._summary(request, is_archived=False))

    async def _archived_summary(self, request: Request) -> Response:
        return await self._said(request, lambda: self._summary(request, is_archived=True))

    def _summary(self, request: Request, *, is_archived: bool) -> Response:
        asked = request.query_params
        if unknown := asked.keys() - {"status", "filter_id", "user_id", "pipeline_id", "stage_id"}:
            return _bad(min(unknown))
        found = [
            deal
            for deal in self.deals.values()
            if not deal["is_deleted"]
            and deal["is_archived"] is is_archived
            and asked.get("user_id", str(deal["owner_id"])) == str(deal["owner_id"])
            and asked.get("status", deal["status"]) == deal["status"]
        ]
        values: dict[str, Record] = {}
        for deal in found:
            of_currency = values.setdefault(deal["currency"], {"value": 0.0, "count": 0})
            of_currency["value"] += deal["value"] or 0
            of_currency["count"] += 1
        return _data({"values_total": values, "total_count": len(found)})

    async def _teams(self, request: Request) -> Response:
        def answer() -> Response:
            if self.teams is None:
                return JSONResponse({"success": False, "error": "Payment required", "errorCode": 402}, 402)
            return _data(self.teams)

        return await self._said(request, answer)

    async def _users(self, request: Request) -> Response:
        return await self._said(request, lambda: _data(self.users))

    async def _me(self, request: Request) -> Response:
        return await self._said(request, lambda: _data({"id": 1}))

    async def _live_leads(self, request: Request) -> Response:
        return await self._offset(request, is_archived=False)

    async def _archived_leads(self, request: Request) -> Response:
        return await self._offset(request, is_archived=True)

    async def _offset(self, request: Request, *, is_archived: bool) -> Response:
        def answer() -> Response:
            asked = request.query_params
            start, limit = int(asked.get("start", 0)), int(asked.get("limit", 100))
            field = asked.get("sort", "add_time ASC").split()[0]
            since = asked.get("updated_since", "")
            # A time of milliseconds is after the second that it is in.
            found = [
                lead
                for lead in self.leads.values()
                if lead["is_archived"] is is_archived and lead["update_time"][:19] >= since[:19]
            ]
            found.sort(key=lambda lead: (lead[field], lead["id"]))
            more = start + limit < len(found)
            pagination = {"start": start, "limit": limit, "more_items_in_collection": more}
            additional = {"pagination": pagination}
            return JSONResponse(
                {"success": True, "data": found[start : start + limit] or None, "additional_data": additional}
            )

        return await self._said(request, answer)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _data(data: Any) -> Response:
    return JSONResponse({"success": True, "data": data})


def _bad(field: str) -> Response:
    return JSONResponse({"success": False, "error": f"Parameter {field} is not valid", "code": "ERR_SCHEMA"}, 400)


def too_many() -> Response:
    """What a client hears that asks too often."""
    headers = {"x-ratelimit-limit": str(BURST), "x-ratelimit-remaining": "0", "x-ratelimit-reset": "2"}
    body = {"success": False, "error": "request over limit", "errorCode": 429}
    return JSONResponse(body, 429, headers=headers)
