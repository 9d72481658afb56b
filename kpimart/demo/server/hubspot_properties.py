"""The properties that the demo's HubSpot account has, by object: HubSpot's own and the company's."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "number", "datetime", "enumeration", "bool"]
FIELD_TYPES: dict[Kind, str] = {
    "string": "text",
    "number": "number",
    "datetime": "date",
    "enumeration": "select",
    "bool": "booleancheckbox",
}


@dataclass(frozen=True)
class Property:
    """`is_custom`: made by the company, so that a connector does not know of it."""

    name: str
    label: str
    kind: Kind = "string"
    is_custom: bool = False


ID = Property("hs_object_id", "Record ID", "number")
OWNER = Property("hubspot_owner_id", "Owner", "enumeration")
CREATED = Property("createdate", "Create date", "datetime")
MODIFIED = Property("hs_lastmodifieddate", "Last modified date", "datetime")
ORIGINAL_SOURCE = Property("hs_analytics_source", "Original source", "enumeration")
RECORD_SOURCE = Property("hs_object_source", "Record source", "enumeration")
MERGED = Property("hs_merged_object_ids", "Merged record IDs", "enumeration")
LEAD_SOURCE = Property("lead_source", "Lead source", is_custom=True)
ACTIVITY = (
    ID,
    OWNER,
    MODIFIED,
    Property("hs_createdate", "Create date", "datetime"),
    Property("hs_timestamp", "Activity date", "datetime"),
)

PROPERTIES: dict[str, tuple[Property, ...]] = {
    "deals": (
        ID,
        OWNER,
        CREATED,
        MODIFIED,
        ORIGINAL_SOURCE,
        RECORD_SOURCE,
        MERGED,
        LEAD_SOURCE,
        Property("hs_createdate", "Object create date/time", "datetime"),
        Property("dealname", "Deal name"),
        Property("amount", "Amount", "number"),
        Property("deal_currency_code", "Currency", "enumeration"),
        Property("closedate", "Close date", "datetime"),
        Property("pipeline", "Pipeline", "enumeration"),
        Property("dealstage", "Deal stage", "enumeration"),
        Property("dealtype", "Deal type", "enumeration"),
        Property("hs_is_closed", "Is deal closed?", "bool"),
        Property("hs_is_closed_won", "Is closed won", "bool"),
        Property("hs_deal_stage_probability", "Deal probability", "number"),
        Property("closed_lost_reason", "Closed lost reason"),
        Property("num_associated_contacts", "Number of associated contacts", "number"),
        Property("product", "Product", is_custom=True),
    ),
    "companies": (
        ID,
        OWNER,
        CREATED,
        MODIFIED,
        MERGED,
        Property("name", "Company name"),
        Property("domain", "Company domain name"),
        Property("country", "Country/Region"),
        Property("industry", "Industry", "enumeration"),
        Property("hs_parent_company_id", "Parent company", "number"),
        Property("segment", "Segment", is_custom=True),
    ),
    "contacts": (
        ID,
        OWNER,
        CREATED,
        Property("lastmodifieddate", "Last modified date", "datetime"),
        ORIGINAL_SOURCE,
        RECORD_SOURCE,
        MERGED,
        LEAD_SOURCE,
        Property("firstname", "First name"),
        Property("lastname", "Last name"),
        Property("email", "Email"),
        Property("phone", "Phone number"),
        Property("lifecyclestage", "Lifecycle stage", "enumeration"),
        Property("hs_lifecyclestage_lead_date", "Became a lead date", "datetime"),
        Property("hs_lifecyclestage_opportunity_date", "Became an opportunity date", "datetime"),
        Property("first_deal_created_date", "First deal created date", "datetime"),
        Property("num_associated_deals", "Number of associated deals", "number"),
        Property("associatedcompanyid", "Primary associated company ID", "number"),
    ),
    "calls": (
        *ACTIVITY,
        Property("hs_call_title", "Call title"),
        Property("hs_call_body", "Call notes"),
        Property("hs_call_direction", "Call direction", "enumeration"),
        Property("hs_call_status", "Call status", "enumeration"),
        Property("hs_call_duration", "Call duration", "number"),
    ),
    "meetings": (
        *ACTIVITY,
        Property("hs_meeting_title", "Meeting name"),
        Property("hs_meeting_start_time", "Start time", "datetime"),
        Property("hs_meeting_end_time", "End time", "datetime"),
        Property("hs_meeting_outcome", "Meeting outcome", "enumeration"),
    ),
    "emails": (
        *ACTIVITY,
        Property("hs_email_subject", "Email subject"),
        Property("hs_email_direction", "Email direction", "enumeration"),
        Property("hs_email_status", "Email send status", "enumeration"),
    ),
    "tasks": (
        *ACTIVITY,
        Property("hs_task_subject", "Task title"),
        Property("hs_task_status", "Task status", "enumeration"),
        Property("hs_task_type", "Task type", "enumeration"),
    ),
}
# What is told even if nobody asked, and what is told besides to those who ask for nothing in particular.
ALWAYS = {
    "deals": ("createdate", "hs_lastmodifieddate", "hs_object_id"),
    "companies": ("createdate", "hs_lastmodifieddate", "hs_object_id"),
    "contacts": ("createdate", "hs_object_id", "lastmodifieddate"),
    **dict.fromkeys(("calls", "meetings", "emails", "tasks"), ("hs_createdate", "hs_lastmodifieddate", "hs_object_id")),
}
BY_DEFAULT = {
    "deals": ("amount", "closedate", "dealname", "dealstage", "pipeline"),
    "companies": ("domain", "name"),
    "contacts": ("email", "firstname", "lastname"),
}
