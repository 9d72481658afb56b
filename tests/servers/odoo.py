"""A company's Odoo, 16 to 19: its JSON-RPC with records, domains, archived ones, rights and errors as Odoo gives them.

After the documentation of the external API and the answers of real servers of these versions.
"""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import groupby
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

DATABASE, USER, TOKEN = "company", "reader@company.example", "an-odoo-api-key"
ADMINISTRATORS = {16: "Administration/Settings", 17: "Administration/Settings", 18: "Administration/Settings"}
FIELD_IDS = {"stage_id": 3150, "user_id": 3151, "expected_revenue": 3154, "active": 3147, "team_id": 3152}

Record = dict[str, Any]

_OWN = {"create_date": "datetime", "write_date": "datetime", "create_uid": "res.users"}
# Model → field → its type; a related record's field has the name of its model instead.
MODELS: dict[str, dict[str, str]] = {
    "crm.lead": {
        "name": "char", "type": "selection", "active": "boolean", "probability": "float", "stage_id": "crm.stage",
        "user_id": "res.users", "team_id": "crm.team", "partner_id": "res.partner", "source_id": "utm.source",
        "lost_reason_id": "crm.lost.reason", "expected_revenue": "monetary", "company_currency": "res.currency",
        "date_conversion": "datetime", "date_closed": "datetime", "date_deadline": "date", "phone": "char",
        "x_product_id": "product.product",
    },
    "crm.stage": {"name": "char", "sequence": "integer", "is_won": "boolean"},
    "crm.team": {"name": "char", "active": "boolean", "user_id": "res.users"},
    "crm.team.member": {"user_id": "res.users", "crm_team_id": "crm.team", "active": "boolean"},
    "res.users": {"name": "char", "active": "boolean", "share": "boolean", "sale_team_id": "crm.team"},
    "res.partner": {
        "name": "char", "active": "boolean", "is_company": "boolean", "commercial_partner_id": "res.partner",
        "parent_id": "res.partner", "country_id": "res.country", "industry_id": "res.partner.industry",
    },
    "crm.lost.reason": {"name": "char", "active": "boolean"},
    "res.currency": {"name": "char", "active": "boolean"},
    "res.country": {"name": "char"},
    "utm.source": {"name": "char"},
    "product.product": {"name": "char"},
    "mail.tracking.value": {
        "field_id": "ir.model.fields", "mail_message_id": "mail.message",
        "old_value_integer": "integer", "new_value_integer": "integer",
        "old_value_float": "float", "new_value_float": "float",
    },
    "mail.message": {
        "model": "char", "res_id": "integer", "date": "datetime", "mail_activity_type_id": "mail.activity.type",
    },
    "mail.activity.type": {"name": "char", "category": "selection", "icon": "char"},
    "mail.activity": {
        "res_model": "char", "res_id": "integer", "user_id": "res.users", "active": "boolean",
        "activity_type_id": "mail.activity.type", "date_deadline": "date",
    },
    "ir.model.fields": {"name": "char", "model": "char"},
}  # fmt: skip


class OdooError(Exception):
    """What a method raises, by the name of its class."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name, self.message = name, message


class Odoo:
    """The company. Its clock stands still until it is moved.

    answers: what the next requests are answered with instead, one each; None is the right answer. hidden: the messages
    that the user may not see. calls: model and method of each call.
    """

    def __init__(self, version: int = 17) -> None:
        self.version = version
        self.now = datetime(2026, 11, 1, 1, 0, 0, 250_000, tzinfo=UTC)
        self.is_administrator = True
        self.hidden: set[int] = set()
        self.calls: list[tuple[str, str]] = []
        self.answers: deque[Callable[[Any], Any] | None] = deque()
        self.before_answer: Callable[[str, str], None] = lambda _, __: None
        self.models = {name: dict(fields) for name, fields in MODELS.items()}
        if version == 16:
            tracking = self.models["mail.tracking.value"]
            tracking["field"] = tracking.pop("field_id")
            tracking |= {"old_value_monetary": "float", "new_value_monetary": "float"}
        if version >= 19:
            self.models["crm.lead"]["won_status"] = "selection"
        self.records: dict[str, dict[int, Record]] = {name: {} for name in self.models}
        for name, number in FIELD_IDS.items():
            self.add("ir.model.fields", number, name=name, model="crm.lead")
        self.add("res.users", 2, name="Ann Smith")
        self.add("crm.stage", 1, name="New", sequence=1)
        self.add("crm.stage", 4, name="Won", sequence=70, is_won=True)
        self.add("res.currency", 1, name="EUR")

    def pass_time(self, **duration: float) -> None:
        """Move the clock."""
        self.now += timedelta(**duration)

    def add(self, model: str, number: int, /, **values: Any) -> Record:
        """A record created now."""
        fields = {**self.models[model], **_OWN}
        unknown = values.keys() - fields.keys()
        if unknown:
            raise ValueError(f"{model} has no {unknown}")
        empty = {"boolean": False, "integer": 0, "float": 0.0, "monetary": 0.0}
        record = {"id": number, **{name: empty.get(kind) for name, kind in fields.items()}}
        given = {"active": True} if "active" in fields else {}
        moments = {"create_date": self.now, "write_date": self.now, "create_uid": 2}
        self.records[model][number] = {**record, **given, **moments, **values}
        return self.records[model][number]

    def add_lead(self, number: int, **values: Any) -> Record:
        """An opportunity created now."""
        standard = {"type": "opportunity", "user_id": 2, "stage_id": 1, "company_currency": 1, "probability": 10.0}
        return self.add("crm.lead", number, **{"name": f"Deal {number}", **standard, **values})

    def change(self, number: int, **values: Any) -> None:
        """Write a lead, and track what of it changed."""
        lead = self.records["crm.lead"][number]
        message = 1 + max(self.records["mail.message"], default=0)
        self.add("mail.message", message, model="crm.lead", res_id=number, date=self.now)
        for name, value in values.items():
            if name in FIELD_IDS:
                self._track(message, name, lead[name], value)
        lead |= {**values, "write_date": self.now}

    def _track(self, message: int, name: str, old: Any, new: Any) -> None:
        kind = {"expected_revenue": "monetary" if self.version == 16 else "float"}.get(name, "integer")
        link = "field" if self.version == 16 else "field_id"
        values = {link: FIELD_IDS[name], f"old_value_{kind}": old or 0, f"new_value_{kind}": new or 0}
        number = 1 + max(self.records["mail.tracking.value"], default=0)
        self.add("mail.tracking.value", number, mail_message_id=message, **values)

    def application(self) -> Starlette:
        """What answers."""
        return Starlette(routes=[Route("/jsonrpc", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        asked = await request.json()
        call = asked["params"]
        instead = self.answers.popleft() if self.answers else None
        try:
            said = {"result": getattr(self, f"_{call['service']}_{call['method']}")(*call["args"])}
        except OdooError as error:
            said = {"error": self._told(error.name, error.message)}
        answer = {"jsonrpc": "2.0", "id": asked["id"], **said}
        headers = {"Date": format_datetime(self.now.replace(microsecond=0), usegmt=True)}
        return JSONResponse(instead(answer) if instead else answer, headers=headers)

    def _told(self, name: str, message: str) -> Record:
        data = {"name": name, "message": message, "arguments": [message], "context": {}, "debug": "Traceback …"}
        return {"code": 200 if self.version < 19 else 0, "message": "Odoo Server Error", "data": data}

    def _common_version(self) -> Record:
        series = f"{self.version}.0"
        info = [self.version, 0, 0, "final", 0, ""]
        return {"server_version": series, "server_version_info": info, "server_serie": series, "protocol_version": 1}

    def _common_authenticate(self, database: str, user: str, token: str, _: Record) -> int | bool:
        self._require_database(database)
        return 7 if (user, token) == (USER, TOKEN) else False

    def _require_database(self, database: str) -> None:
        if database != DATABASE:
            raise OdooError("psycopg2.OperationalError", f'FATAL:  database "{database}" does not exist\n')

    def _object_execute_kw(
        self, database: str, uid: int, token: str, model: str, method: str, args: list[Any], kwargs: Record
    ) -> Any:
        self._require_database(database)
        if (uid, token) != (7, TOKEN):
            raise OdooError("odoo.exceptions.AccessDenied", "Access Denied")
        if model not in self.models:
            raise OdooError("odoo.exceptions.UserError", f"Object {model} doesn't exist")
        if model == "mail.tracking.value" and not self.is_administrator:
            group = ADMINISTRATORS.get(self.version, "Role / Administrator")
            raise OdooError(
                "odoo.exceptions.AccessError",
                f"You are not allowed to access 'Mail Tracking Value' ({model}) records.\n\n"
                f"This operation is allowed for the following groups:\n\t- {group}",
            )
        self.calls.append((model, method))
        self.before_answer(model, method)
        return getattr(self, f"_{method}")(model, *args, **kwargs)

    # ------------------------------------------------------------------------------------------ methods of models

    def _fields_get(self, model: str, allfields: list[str], attributes: list[str]) -> Record:
        fields = {**self.models[model], **_OWN}
        return {
            name: {part: kind if part == "type" else None for part in attributes}
            for name, kind in fields.items()
            if name in allfields
        }

    def _search(
        self, model: str, domain: list[Any], order: str = "id", limit: int | None = None, context: Record | None = None
    ) -> list[int]:
        assert order == "id"
        found = self._found(model, domain, context or {})[:limit]
        return [record["id"] for record in found if model != "mail.message" or record["id"] not in self.hidden]

    def _search_count(self, model: str, domain: list[Any], context: Record | None = None) -> int:
        return len(self._search(model, domain, context=context))

    def _search_read(
        self,
        model: str,
        domain: list[Any],
        fields: list[str],
        order: str = "id",
        limit: int | None = None,
        context: Record | None = None,
    ) -> list[Record]:
        for name in fields:
            self._require_field(model, name)
        numbers = self._search(model, domain, order, limit, context)
        return [self._shown(model, self.records[model][number], fields) for number in numbers]

    def _read_group(
        self, model: str, domain: list[Any], fields: list[str], groupby: list[str], lazy: bool, context: Record
    ) -> list[Record]:
        assert (fields, lazy) == (["expected_revenue:sum"], False)
        return [
            {
                "user_id": self._named("res.users", owner),
                "create_date:month": begins.strftime("%B %Y"),
                "__count": len(records),
                "expected_revenue": sum(record["expected_revenue"] for record in records),
                "__range": {"create_date:month": {"from": f"{begins:%Y-%m-%d} 00:00:00", "to": "…"}},
            }
            for (owner, begins), records in self._grouped(model, domain, groupby, context)
        ]

    def _formatted_read_group(
        self, model: str, domain: list[Any], groupby: list[str], aggregates: list[str], context: Record
    ) -> list[Record]:
        if self.version < 19:
            raise OdooError("builtins.AttributeError", f"The method 'formatted_read_group' does not exist on '{model}'")
        assert aggregates == ["__count", "expected_revenue:sum"]
        return [
            {
                "user_id": self._named("res.users", owner),
                "create_date:month": [f"{begins:%Y-%m-%d} 00:00:00", begins.strftime("%B %Y")],
                "__count": len(records),
                "expected_revenue:sum": sum(record["expected_revenue"] for record in records),
            }
            for (owner, begins), records in self._grouped(model, domain, groupby, context)
        ]

    def _grouped(
        self, model: str, domain: list[Any], groups: list[str], context: Record
    ) -> Iterable[tuple[Any, list[Record]]]:
        assert groups == ["user_id", "create_date:month"]

        def key(record: Record) -> Any:
            return record["user_id"] or 0, record["create_date"].replace(day=1, hour=0, minute=0, second=0)

        return [
            (each, list(of_it)) for each, of_it in groupby(sorted(self._found(model, domain, context), key=key), key)
        ]

    # --------------------------------------------------------------------------------------------------- domains

    def _found(self, model: str, domain: list[Any], context: Record) -> list[Record]:
        terms = [tuple(term) for term in domain]
        if "active" in self.models[model] and context.get("active_test", True):
            terms.append(("active", "=", True))
        for name, _, _ in terms:
            self._require_field(model, name)
        return sorted(
            (each for each in self.records[model].values() if all(self._fits(each, *term) for term in terms)),
            key=lambda record: record["id"],
        )

    def _fits(self, record: Record, name: str, operator: str, value: Any) -> bool:
        found = record[name]
        if isinstance(found, datetime):
            value = datetime.fromisoformat(value).replace(tzinfo=UTC)
        found = False if found is None else found
        compared: dict[str, Callable[[], bool]] = {
            "=": lambda: found == value,
            "!=": lambda: found != value,
            ">": lambda: found > value,
            ">=": lambda: found >= value,
            "in": lambda: found in value,
        }
        return compared[operator]()

    def _require_field(self, model: str, name: str) -> None:
        if name != "id" and name not in self.models[model] and name not in _OWN:
            where = f"model '{model}'" if self.version < 19 else f"'{model}'"
            raise OdooError("builtins.ValueError", f"Invalid field '{name}' on {where}")

    def _shown(self, model: str, record: Record, fields: list[str]) -> Record:
        """A record as Odoo shows it: times to the second, false for what is empty, related records with their names."""
        kinds = {**self.models[model], **_OWN}
        return {"id": record["id"], **{name: self._value(kinds[name], record[name]) for name in fields if name != "id"}}

    def _value(self, kind: str, value: Any) -> Any:
        if value is None:
            return False
        if kind == "datetime":
            return value.strftime("%Y-%m-%d %H:%M:%S")
        return self._named(kind, value) if "." in kind else value

    def _named(self, model: str, number: int) -> Any:
        return [number, self.records.get(model, {}).get(number, {}).get("name") or ""] if number else False
