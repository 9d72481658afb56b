"""Tables of the organisation, its calendar, and what it did: deals, leads, activities, purchases."""

from kpimart.publish.contract.shape import AMOUNT, BOOLEAN, DATE, INTEGER, MOMENT, VARCHAR, Column, Table

DIM_MANAGER = Table(
    name="dim_manager",
    relation="core.dim_manager",
    description="One row per manager: a person who owns deals, or the inferred owner of deals whose own is unknown.",
    key=("manager_id",),
    columns=(
        Column("manager_id", VARCHAR, "The manager, as crm:id."),
        Column("manager_name", VARCHAR, "Name as the CRM has it."),
        Column("department_id", VARCHAR, "Department at the moment the release speaks of."),
        Column("is_inferred", BOOLEAN, "Known only from deals, not from the CRM's list of people."),
        Column("hired_on", DATE, "First day of employment.", nullable=True),
        Column("left_on", DATE, "Day of leaving.", nullable=True),
    ),
)

DIM_DEPARTMENT = Table(
    name="dim_department",
    relation="core.dim_department",
    description="One row per department, a node of the sales organisation.",
    key=("department_id",),
    columns=(
        Column("department_id", VARCHAR, "The department, as crm:id."),
        Column("department_name", VARCHAR, "Name as the CRM has it."),
        Column("parent_department_id", VARCHAR, "The department above; empty at the top.", nullable=True),
        Column("head_name", VARCHAR, "Its head.", nullable=True),
        Column("is_inferred", BOOLEAN, "Not in the CRM: holds those whose department is unknown."),
    ),
)

DIM_PERIOD = Table(
    name="dim_period",
    relation="core.dim_period",
    description="One row per period of each grain, from the first event, lead or activity to the release's last day.",
    key=("period_grain", "period_start"),
    columns=(
        Column("period_grain", VARCHAR, "day, week, month, quarter or year, of the company's calendar."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "Its last day is over."),
        Column("is_covered", BOOLEAN, "Figures begin no later than it does; of a period before, only a part is known."),
        Column("period_name", VARCHAR, "2026-W41, 2026-10, 2026-Q3, 2026; FY2026-Q3, FY2026 of a fiscal year."),
        Column("working_days", INTEGER, "How many of its days are worked."),
        Column("working_days_elapsed", INTEGER, "How many of them had come by the last day of the release."),
    ),
)

DIM_DEPARTMENT_CLOSURE = Table(
    name="dim_department_closure",
    relation="core.dim_department_closure",
    description=(
        "One row per department, department above it (itself included) and stretch of days on which it lay there: a "
        "department's figures include those of the departments below it, as the tree was on the day."
    ),
    key=("ancestor_department_id", "department_id", "valid_from"),
    columns=(
        Column("department_id", VARCHAR, "The department."),
        Column("ancestor_department_id", VARCHAR, "The one above, or itself."),
        Column("depth", INTEGER, "Steps up the tree; 0 is itself."),
        Column("valid_from", DATE, "First day of the stretch; 0001-01-01: from the beginning."),
        Column("valid_to", DATE, "The day after its last; 9999-12-31: it goes on."),
    ),
)

DEAL = Table(
    name="deal",
    relation="core.fct_deal",
    description="One row per deal as it stands.",
    key=("deal_id",),
    columns=(
        Column("deal_id", VARCHAR, "The deal, as crm:id."),
        Column("deal_name", VARCHAR, "Name as the CRM has it.", nullable=True),
        Column("account_id", VARCHAR, "The customer.", nullable=True),
        Column("manager_id", VARCHAR, "Owner."),
        Column("department_id", VARCHAR, "The owner's department."),
        Column("pipeline_id", VARCHAR, "Pipeline it runs through.", nullable=True),
        Column("stage_id", VARCHAR, "Stage it is in.", nullable=True),
        Column("outcome", VARCHAR, "open, won or lost."),
        Column("product", VARCHAR, "What is sold.", nullable=True),
        Column("lead_source", VARCHAR, "Where the lead came from.", nullable=True),
        Column("amount", AMOUNT, "Amount in the base currency.", nullable=True),
        Column("constant_amount", AMOUNT, "Amount in the base currency, at one rate for all days.", nullable=True),
        Column("currency_code", VARCHAR, "The deal's own currency.", nullable=True),
        Column("native_amount", AMOUNT, "Amount in the deal's own currency.", nullable=True),
        Column("created_at", MOMENT, "When it was created; empty where the CRM does not say.", nullable=True),
        Column("closed_at", MOMENT, "When it was won or lost.", nullable=True),
        Column("expected_close_on", DATE, "When it is expected to close.", nullable=True),
    ),
    totals="select 'amount', sum(amount) from deal",
)

DEAL_EVENT = Table(
    name="deal_event",
    relation="kpi.kpi_counted_event",
    description="One row per event of a deal, or per reversal of one; the ledger that figures are summed from.",
    key=("deal_event_id",),
    columns=(
        Column("deal_event_id", VARCHAR, "The event."),
        Column("deal_id", VARCHAR, "The deal."),
        Column("event_type", VARCHAR, "created, stage_entered, won, lost, reopened, amount_changed, and so on."),
        Column("sign", INTEGER, "1, or -1 for a reversal."),
        Column("occurred_at", MOMENT, "When it happened.", nullable=True),
        Column("occurred_on", DATE, "The business day it happened on.", nullable=True),
        Column("recorded_at", MOMENT, "When the warehouse first knew of it."),
        Column("manager_id", VARCHAR, "Owner at that moment."),
        Column("department_id", VARCHAR, "The owner's department at that moment."),
        Column("account_id", VARCHAR, "The customer.", nullable=True),
        Column("amount", AMOUNT, "Amount in the base currency, at the rate of credited_on.", nullable=True),
        Column("constant_amount", AMOUNT, "Amount in the base currency, at one rate for all days.", nullable=True),
        Column("native_amount", AMOUNT, "Amount in the deal's own currency.", nullable=True),
        Column("currency_code", VARCHAR, "The deal's own currency."),
        Column("merged_into_deal_id", VARCHAR, "Of a merged: the deal that it became a part of.", nullable=True),
        Column("credited_on", DATE, "The day whose owner and departments have the credit.", nullable=True),
        Column("purchase_number", INTEGER, "1 where the deal is the customer's first purchase.", nullable=True),
        Column("days_to_win", INTEGER, "Days from the deal's creation to its win, if it stands.", nullable=True),
        Column("cycle_days", INTEGER, "Days from the deal's creation to this event.", nullable=True),
        Column("has_slipped", BOOLEAN, "The expected close date went to a later month.", nullable=True),
    ),
    totals="""
        select event_type, sum(sign)::varchar from deal_event group by event_type
        union all
        select 'amount', sum(sign * amount)::varchar from deal_event
    """,
)

DEAL_OPEN_INTERVAL = Table(
    name="deal_open_interval",
    relation="kpi.kpi_open_interval",
    description=(
        "One row per stretch of an open deal with one owner, stage and amount, in one shape of the organisation: the "
        "deals open on the evening of a day are those with started_on on or before it, and no ended_on or a later one."
    ),
    key=("deal_id", "started_on"),
    columns=(
        Column("deal_id", VARCHAR, "The deal."),
        Column("manager_id", VARCHAR, "Owner in that time."),
        Column("department_id", VARCHAR, "The owner's department in that time."),
        Column("account_id", VARCHAR, "The customer.", nullable=True),
        Column("started_on", DATE, "The first day on whose evening it is open."),
        Column("ended_on", DATE, "The first on whose evening it no longer is; empty where it goes on.", nullable=True),
        Column("stale_on", DATE, "The day from which on it has been in its stage for too long.", nullable=True),
        Column("amount", AMOUNT, "Amount in the base currency.", nullable=True),
        Column("weighted_amount", AMOUNT, "Amount, weighted with the probability of the stage.", nullable=True),
        Column("fields_filled", INTEGER, "How many of account, amount and expected close date are filled in."),
        Column("tells_next_steps", BOOLEAN, "Whether a step was ever planned in its CRM."),
    ),
    # One that ends on the day it began is open on no evening.
    only="ended_on is null or ended_on > started_on",
)

DEAL_NEXT_STEP = Table(
    name="deal_next_step",
    relation="kpi.kpi_next_step",
    description=(
        "One row per stretch in which a deal has a next step planned: on a day's evening those count with started_on "
        "on or before it, and no ended_on or a later one."
    ),
    key=("deal_id", "started_on"),
    columns=(
        Column("deal_id", VARCHAR, "The deal."),
        Column("started_on", DATE, "The first day on whose evening a next step is planned."),
        Column("ended_on", DATE, "The first on whose evening none is; empty where one still is.", nullable=True),
    ),
)

CUSTOMER_PURCHASE = Table(
    name="customer_purchase",
    relation="kpi.kpi_counted_purchase",
    description="One row per deal that was won from a customer, numbered within the customer over the whole company.",
    key=("deal_id",),
    columns=(
        Column("deal_id", VARCHAR, "The deal."),
        Column("account_id", VARCHAR, "The customer."),
        Column("manager_id", VARCHAR, "Who won it."),
        Column("department_id", VARCHAR, "Their department on that day."),
        Column("won_on", DATE, "The business day it was won on first."),
        Column("purchase_number", INTEGER, "1 for the customer's first purchase, from whomever."),
        Column("is_regular", BOOLEAN, "With it the customer has bought often enough to be a regular one."),
        Column("lapsed_on", DATE, "The day on which the customer had not bought for too long.", nullable=True),
    ),
)

LEAD = Table(
    name="lead",
    relation="kpi.kpi_counted_lead",
    description="One row per lead, with what has become of it.",
    key=("lead_id",),
    columns=(
        Column("lead_id", VARCHAR, "The lead, as crm:id."),
        Column("manager_id", VARCHAR, "Who had it when it was created."),
        Column("department_id", VARCHAR, "Their department on that day."),
        Column("deal_id", VARCHAR, "The deal that it became.", nullable=True),
        Column("lead_source", VARCHAR, "Where it came from.", nullable=True),
        Column("created_on", DATE, "The business day it was created on."),
        Column("is_converted", BOOLEAN, "It has become a deal."),
        Column("first_response_hours", "decimal(10,2)", "Working hours until somebody did something.", nullable=True),
    ),
)

ACTIVITY = Table(
    name="activity",
    relation="kpi.kpi_counted_activity",
    description="One row per activity, credited to who did it.",
    key=("activity_id",),
    columns=(
        Column("activity_id", VARCHAR, "The activity, as crm:id."),
        Column("activity_type", VARCHAR, "call, meeting, email, task or other."),
        Column("manager_id", VARCHAR, "Who did it."),
        Column("department_id", VARCHAR, "Their department on that day."),
        Column("deal_id", VARCHAR, "The deal that it was about.", nullable=True),
        Column("lead_id", VARCHAR, "The lead that it was about.", nullable=True),
        Column("account_id", VARCHAR, "The customer that it was about.", nullable=True),
        Column("occurred_on", DATE, "The business day it happened on."),
    ),
)
