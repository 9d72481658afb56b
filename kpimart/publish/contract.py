"""The published contract: every table of `reporting`, its columns, and where it is taken from.

A relation of the build may hold more columns than are listed here; they are not published. A change to a listed
column breaks readers: it is a new major `CONTRACT_VERSION` and is announced in the CHANGELOG. An added one is a minor.
"""

from dataclasses import dataclass

CONTRACT_VERSION = "1.3"

GRAINS = ("day", "week", "month", "quarter", "year")
ENTITY_LEVELS = ("company", "department", "manager", "manager_in_department")

VARCHAR = "varchar"
BOOLEAN = "boolean"
BIGINT = "bigint"
INTEGER = "integer"
DATE = "date"
MOMENT = "timestamp with time zone"
AMOUNT = "decimal(18,2)"
PART = "decimal(38,6)"
VALUE = "decimal(28,8)"
SHARE = "decimal(9,6)"
ATTAINMENT = "decimal(28,6)"
WEIGHT = "decimal(5,4)"
BOUND = "decimal(6,4)"
SCORE = "decimal(9,4)"
SAMPLE = "decimal(18,6)"
RATE = "decimal(9,8)"
DAYS = "decimal(18,2)"


@dataclass(frozen=True)
class Column:
    """A published column; `type` is DuckDB's own name for it, in lower case."""

    name: str
    type: str
    description: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A published table. Rows lie in the order of `key`; `totals` is a query of (name, total) over the table.

    `relation` is the table's source: of the build, or of `ops`; None where publish itself writes the rows. `only` says
    which of its rows are published.
    """

    name: str
    relation: str | None
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    totals: str | None = None
    only: str = "true"


KPI_VALUE = Table(
    name="kpi_value",
    relation="kpi.kpi_value",
    description="One row per KPI, period and entity, credited to whoever owned the deal when it happened.",
    key=("kpi_code", "period_grain", "period_start", "entity_level", "entity_key"),
    columns=(
        Column("kpi_code", VARCHAR, "The KPI, as in kpi_catalogue."),
        Column("period_grain", VARCHAR, "day, week, month, quarter or year, of the company's calendar."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "Nothing can change it by time passing; a cohort matures after its period."),
        Column("entity_level", VARCHAR, "company, department, manager or manager_in_department."),
        Column("entity_key", VARCHAR, "'company', the department, the manager, or manager|department."),
        Column("department_id", VARCHAR, "Empty for the company, and for a manager wherever they sat.", nullable=True),
        Column("manager_id", VARCHAR, "Empty for the company and for departments.", nullable=True),
        Column("entity_name", VARCHAR, "Name of the company, the department or the manager."),
        Column("numerator", PART, "Above the line, where the formula is a quotient.", nullable=True),
        Column("denominator", PART, "Below the line, where the formula is a quotient.", nullable=True),
        Column("value", VALUE, "The figure; empty where it is undefined, which is not zero.", nullable=True),
        Column(
            "unit",
            VARCHAR,
            "count, ratio (0 to 1), days, hours, the code of the base currency (EUR), or that per day (EUR_per_day).",
        ),
        Column("sample_size", BIGINT, "How many deals, leads or customers the figure rests on."),
    ),
    totals="""
        select kpi_code, sum(value) from kpi_value
        where entity_level = 'company' and period_grain = 'year' group by kpi_code
    """,
)

KPI_VALUE_BY_CUT = Table(
    name="kpi_value_by_cut",
    relation="kpi.kpi_value_by_cut",
    description=(
        "One row per KPI, period (month and coarser), entity and cut in which something is: credited otherwise than in "
        "kpi_value, converted otherwise, or told apart by a property of the deal. Rows of two cuts must not be summed."
    ),
    key=(
        *("kpi_code", "period_grain", "period_start", "credit_lens", "amount_basis", "cut_by", "cut_value"),
        *("entity_level", "entity_key"),
    ),
    columns=(
        Column("kpi_code", VARCHAR, "The KPI, as in kpi_catalogue."),
        Column("period_grain", VARCHAR, "month, quarter or year."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "Nothing can change it by time passing; a cohort matures after its period."),
        Column(
            "credit_lens",
            VARCHAR,
            "Who is credited: at_event (the owner then), current_owner (now), split (by shares), overlay (on top).",
        ),
        Column(
            "amount_basis",
            VARCHAR,
            "The rate of amounts: booking (of its day), constant (one for all days), native (not converted).",
        ),
        Column(
            "cut_by", VARCHAR, "What deals are told apart by: all (nothing), pipeline, product, lead_source, currency."
        ),
        Column("cut_value", VARCHAR, "That pipeline, product, source or currency; (none) where a deal has none."),
        Column("entity_level", VARCHAR, "company, department, manager or manager_in_department."),
        Column("entity_key", VARCHAR, "'company', the department, the manager, or manager|department."),
        Column("department_id", VARCHAR, "Empty for the company, and for a manager wherever they sat.", nullable=True),
        Column("manager_id", VARCHAR, "Empty for the company and for departments.", nullable=True),
        Column("entity_name", VARCHAR, "Name of the company, the department or the manager."),
        Column("numerator", PART, "Above the line, where the formula is a quotient.", nullable=True),
        Column("denominator", PART, "Below the line, where the formula is a quotient.", nullable=True),
        Column("value", VALUE, "The figure; empty where it is undefined, which is not zero.", nullable=True),
        Column("unit", VARCHAR, "As in kpi_value; the cut's own currency where amounts are native."),
        Column(
            "sample_size", SAMPLE, "How many deals, leads or customers it rests on; fractions where deals are shared."
        ),
    ),
    totals="""
        select kpi_code || ' ' || credit_lens || ' ' || amount_basis || ' ' || cut_by, sum(value)
        from kpi_value_by_cut
        where entity_level = 'company' and period_grain = 'year'
        group by kpi_code, credit_lens, amount_basis, cut_by
    """,
)

KPI_CATALOGUE = Table(
    name="kpi_catalogue",
    relation="seeds.kpi_catalogue",
    description="One row per KPI: what it is called, how it is computed, who answers for it.",
    key=("kpi_code",),
    columns=(
        Column("kpi_code", VARCHAR, "The KPI's code."),
        Column("name_en", VARCHAR, "Name in English."),
        Column("name_ru", VARCHAR, "Name in Russian."),
        Column("description_en", VARCHAR, "What it tells, in English.", nullable=True),
        Column("description_ru", VARCHAR, "What it tells, in Russian.", nullable=True),
        Column("formula", VARCHAR, "Arithmetic over measures."),
        Column("unit", VARCHAR, "Unit of its values."),
        Column("better", VARCHAR, "higher or lower."),
        Column("level", VARCHAR, "Whom it judges: personal, department or both."),
        Column("finest_grain", VARCHAR, "The finest grain it is published at."),
        Column("owner", VARCHAR, "Who answers for its definition.", nullable=True),
        Column("group", VARCHAR, "The part of selling it belongs to.", nullable=True),
        Column("format", VARCHAR, "How it is shown.", nullable=True),
    ),
)

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
        Column("period_name", VARCHAR, "2026-W41, 2026-10, 2026-Q3, 2026; FY2026-Q3, FY2026 of a fiscal year."),
        Column("working_days", INTEGER, "How many of its days are worked."),
        Column("working_days_elapsed", INTEGER, "How many of them had come by the last day of the release."),
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

TARGET_ATTAINMENT = Table(
    name="target_attainment",
    relation="kpi.target_attainment",
    description=(
        "One row per KPI, period and entity that has a target, or that should have one because the KPI is in its "
        "scorecard: how far it was reached, and how fast it goes while the period goes on."
    ),
    key=("kpi_code", "period_grain", "period_start", "entity_level", "entity_key"),
    columns=(
        Column("kpi_code", VARCHAR, "The KPI, as in kpi_catalogue; as a target calls it, if that is not there."),
        Column("period_grain", VARCHAR, "day, week, month, quarter or year."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day; empty where a target is for no period of the calendar.", nullable=True),
        Column("is_complete", BOOLEAN, "Nothing can change the value by time passing."),
        Column("entity_level", VARCHAR, "company, department, manager or manager_in_department."),
        Column("entity_key", VARCHAR, "'company', the department, the manager, or manager|department."),
        Column("department_id", VARCHAR, "Empty for the company, and for a manager wherever they sat.", nullable=True),
        Column("manager_id", VARCHAR, "Empty for the company and for departments.", nullable=True),
        Column("entity_name", VARCHAR, "Its name; empty where a target is for nobody who is there.", nullable=True),
        Column("value", VALUE, "The figure; empty where it is undefined.", nullable=True),
        Column("unit", VARCHAR, "Unit of value and target, as in kpi_value; empty for an unknown KPI.", nullable=True),
        Column("sample_size", BIGINT, "How many deals, leads or customers the figure rests on."),
        Column("set_value", VALUE, "What was set, for the whole period; empty where parts were summed.", nullable=True),
        Column("set_at", MOMENT, "When it was set; empty: always, or never.", nullable=True),
        Column("is_summed", BOOLEAN, "It is the sum of the period's parts; empty without a target.", nullable=True),
        Column(
            "employed_share",
            SHARE,
            "Part of the working days on which the entity is there, 0 to 1; empty for days, and for what is not known.",
            nullable=True,
        ),
        Column(
            "target_value",
            VALUE,
            "What is to be reached, of an additive KPI for the days on which the entity is there; empty: none is set.",
            nullable=True,
        ),
        Column(
            "attainment",
            ATTAINMENT,
            "1 is exactly: value / target, or target / value where lower is better; a target of 0 is met (1) or not "
            "(0). Empty where lower is better and nothing was counted.",
            nullable=True,
        ),
        Column(
            "working_day_share",
            SHARE,
            "Part of these working days that is over; only of additive KPIs and while the period goes on, as all that "
            "follows.",
            nullable=True,
        ),
        Column(
            "shape_share",
            SHARE,
            "What part the company usually has by this working day, from up to three years before; by working days "
            "where nothing is known, or where the entity is there for a part of the period.",
            nullable=True,
        ),
        Column("expected_by_working_days", VALUE, "Target × working_day_share.", nullable=True),
        Column("expected_by_shape", VALUE, "Target × shape_share.", nullable=True),
        Column("pace", ATTAINMENT, "Attainment of expected_by_shape; 1 is as fast as is needed.", nullable=True),
        Column("projected_by_working_days", VALUE, "Where it leads: value / working_day_share.", nullable=True),
        Column("projected_by_shape", VALUE, "Where it leads: value / shape_share.", nullable=True),
    ),
    totals="""
        select kpi_code || ' of the company, years', sum(target_value) from target_attainment
        where entity_level = 'company' and period_grain = 'year' group by kpi_code
    """,
)

SCORECARD = Table(
    name="scorecard",
    relation="kpi.scorecard",
    description=(
        "One row per KPI in the scorecard of a manager, a department or the company, and period (month, quarter, year)."
    ),
    key=("kpi_code", "period_grain", "period_start", "entity_level", "entity_key"),
    columns=(
        Column("profile", VARCHAR, "The strategy profile whose KPIs and weights these are."),
        Column("kpi_code", VARCHAR, "The KPI, as in kpi_catalogue."),
        Column("period_grain", VARCHAR, "month, quarter or year."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "Nothing can change the value by time passing."),
        Column("entity_level", VARCHAR, "company, department or manager."),
        Column("entity_key", VARCHAR, "'company', the department or the manager."),
        Column("department_id", VARCHAR, "Empty for the company and for managers.", nullable=True),
        Column("manager_id", VARCHAR, "Empty for the company and for departments.", nullable=True),
        Column("entity_name", VARCHAR, "Name of the company, the department or the manager."),
        Column("value", VALUE, "The figure; empty where it is undefined.", nullable=True),
        Column("unit", VARCHAR, "Unit of value and target, as in kpi_value."),
        Column("target_value", VALUE, "What is to be reached; empty where no target is set.", nullable=True),
        Column("attainment", ATTAINMENT, "As in target_attainment.", nullable=True),
        Column("weight", WEIGHT, "Its weight in the total; 0 is shown but not scored."),
        Column("threshold", BOUND, "The attainment below which it scores nothing."),
        Column("cap", BOUND, "The attainment above which it scores no more."),
        Column("is_assigned", BOOLEAN, "Weight, threshold and cap are an assignment's, not the profile's."),
        Column("score", SHARE, "Attainment between threshold and cap; empty without target or value.", nullable=True),
        Column("scored_weight", WEIGHT, "Part of the scorecard's weight with a score; the same in each row."),
        Column(
            "total_score",
            SCORE,
            "Sum of weight × score over the sum of these weights; empty where nothing is scored. The same in each row "
            "of a scorecard: never sum it.",
            nullable=True,
        ),
        Column("bonus_coefficient", BOUND, "What the total earns; the same in each row.", nullable=True),
    ),
    totals="""
        select period_grain || ' weighted scores', sum(weight * score) from scorecard group by period_grain
    """,
)

LEADERBOARD = Table(
    name="leaderboard",
    relation="kpi.leaderboard",
    description="One row per KPI of the profile, period (month, quarter, year) and manager: their place among all.",
    key=("kpi_code", "period_grain", "period_start", "manager_id"),
    columns=(
        Column("kpi_code", VARCHAR, "The KPI, as in kpi_catalogue."),
        Column("period_grain", VARCHAR, "month, quarter or year."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "Nothing can change the value by time passing."),
        Column("manager_id", VARCHAR, "The manager, as crm:id."),
        Column("manager_name", VARCHAR, "Name as the CRM has it."),
        Column("department_id", VARCHAR, "Where they sit on the last day of the period."),
        Column("department_name", VARCHAR, "What that department is called."),
        Column("value", VALUE, "The figure; empty where it is undefined or hidden.", nullable=True),
        Column("unit", VARCHAR, "Unit of the value, as in kpi_value."),
        Column("rank", INTEGER, "1 is the best; ties share one, and the next is left out.", nullable=True),
        Column("is_tied", BOOLEAN, "Somebody else has the same place."),
        Column("is_hidden", BOOLEAN, "It rests on fewer deals, leads or customers than the settings ask for."),
    ),
)

WIN_RATE_CURVE = Table(
    name="win_rate_curve",
    relation="kpi.win_rate_curve",
    description=(
        "One row per cohort of deals (by the month, quarter or year of their creation), entity and number of days "
        "after creation: what had become of them by then, and the share won with open deals censored."
    ),
    key=("period_grain", "period_start", "entity_level", "entity_key", "within_days"),
    columns=(
        Column("period_grain", VARCHAR, "The cohort's grain: month, quarter or year."),
        Column("period_start", DATE, "First day of the period in which the deals were created."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("entity_level", VARCHAR, "company, department or manager: who had the deals when they were created."),
        Column("entity_key", VARCHAR, "'company', the department or the manager."),
        Column("department_id", VARCHAR, "Empty for the company and for managers.", nullable=True),
        Column("manager_id", VARCHAR, "Empty for the company and for departments.", nullable=True),
        Column("entity_name", VARCHAR, "Name of the company, the department or the manager."),
        Column("within_days", INTEGER, "Days after each deal's creation: 7, 14, 30, 60, 90, 120, 180, 270 or 365."),
        Column("is_mature", BOOLEAN, "The period has been over for so many days, so nothing is left to be seen."),
        Column("created_deals", BIGINT, "Deals of the cohort: won, lost, open and censored ones add up to them."),
        Column("won_deals", BIGINT, "Won within so many days."),
        Column("lost_deals", BIGINT, "Lost within so many days."),
        Column("open_deals", BIGINT, "Known for so many days, and open after them."),
        Column("censored_deals", BIGINT, "Open, and not yet known for so many days."),
        Column(
            "cumulative_win_rate",
            RATE,
            "Share won within so many days, open deals censored; empty where none was known for so long.",
            nullable=True,
        ),
        Column("mature_win_rate", RATE, "won_deals / created_deals where mature; otherwise empty.", nullable=True),
    ),
    totals="""
        select period_grain || ' ' || within_days || ' days', sum(won_deals) from win_rate_curve
        where entity_level = 'company' group by period_grain, within_days
    """,
)

FUNNEL_STAGE = Table(
    name="funnel_stage",
    relation="kpi.funnel_stage",
    description=(
        "One row per cohort of deals (by the month, quarter or year of their creation), entity and open stage of the "
        "pipeline that the deals are in now: how many got that far, what became of them, how long they stayed."
    ),
    key=("period_grain", "period_start", "entity_level", "entity_key", "pipeline_id", "stage_number"),
    columns=(
        Column("period_grain", VARCHAR, "The cohort's grain: month, quarter or year."),
        Column("period_start", DATE, "First day of the period in which the deals were created."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "The period is over, and none of its deals in the pipeline is open."),
        Column("entity_level", VARCHAR, "company, department or manager: who had the deals when they were created."),
        Column("entity_key", VARCHAR, "'company', the department or the manager."),
        Column("department_id", VARCHAR, "Empty for the company and for managers.", nullable=True),
        Column("manager_id", VARCHAR, "Empty for the company and for departments.", nullable=True),
        Column("entity_name", VARCHAR, "Name of the company, the department or the manager."),
        Column("pipeline_id", VARCHAR, "The pipeline, as crm:name."),
        Column("pipeline_name", VARCHAR, "Name of the pipeline."),
        Column("stage_id", VARCHAR, "The stage within its pipeline."),
        Column("stage_name", VARCHAR, "Name of the stage."),
        Column("stage_number", INTEGER, "Place among the open stages of the pipeline, from 1."),
        Column("reached_deals", BIGINT, "Were in it or in a later stage, or are won; all of them reached the first."),
        Column("entered_deals", BIGINT, "Were in it, as far as the CRM tells."),
        Column("converted_deals", BIGINT, "Reached the next stage; of the last one: are won."),
        Column("won_deals", BIGINT, "Reached it and are won."),
        Column("lost_deals", BIGINT, "Got no further and are lost."),
        Column("open_deals", BIGINT, "Got no further so far and are open."),
        Column("next_stage_rate", RATE, "converted_deals / reached_deals; empty where none reached it.", nullable=True),
        Column("won_rate", RATE, "won_deals / reached_deals; empty where none reached it.", nullable=True),
        Column("finished_stays", BIGINT, "Stays in it that are over; a deal that comes back has several."),
        Column("mean_stay_days", DAYS, "Mean of their calendar days; empty where there are none.", nullable=True),
        Column("median_stay_days", DAYS, "Median of their calendar days; empty where there are none.", nullable=True),
        Column("open_stays", BIGINT, "Stays in it that go on."),
        Column("median_open_days", DAYS, "Median of their age; empty where there are none.", nullable=True),
    ),
    totals="""
        select period_grain, sum(reached_deals) from funnel_stage where entity_level = 'company' group by period_grain
    """,
)

QUALITY_RESULT = Table(
    name="quality_result",
    relation="ops.quality_result",
    description="One row per expectation that judged this release or a batch it rests on.",
    key=("subject_id", "boundary", "table_name", "expectation", "expected", "observed"),
    columns=(
        Column("subject_id", VARCHAR, "The batch or the build that was judged."),
        Column("boundary", VARCHAR, "raw: a batch coming in; reporting: figures going out."),
        Column("table_name", VARCHAR, "The table that was judged."),
        Column("expectation", VARCHAR, "What was expected of it."),
        Column("severity", VARCHAR, "critical, warning or info."),
        Column("outcome", VARCHAR, "passed, failed or errored."),
        Column("observed", VARCHAR, "What was found.", nullable=True),
        Column("expected", VARCHAR, "What was expected.", nullable=True),
        Column("samples", VARCHAR, "Some rows that did not fit.", nullable=True),
        Column("judged_at", MOMENT, "When it was judged."),
        Column("overridden_by", VARCHAR, "Who let it through although this closed the gate.", nullable=True),
        Column("override_reason", VARCHAR, "Why they did.", nullable=True),
    ),
)

PERIOD_CLOSE = Table(
    name="period_close",
    relation="core.fct_period_close",
    description=(
        "One row per closing of a month, and per reopening: who decided it, why, and on which release's figures. "
        "A month is closed where one of its rows is_in_force."
    ),
    key=("period_grain", "period_start", "decision_number"),
    columns=(
        Column("period_grain", VARCHAR, "month, of the company's calendar."),
        Column("period_start", DATE, "First day of the month."),
        Column("period_end", DATE, "Last day of the month, inclusive."),
        Column("period_name", VARCHAR, "2026-10; FY2026-P10 in a year of weeks."),
        Column("decision_number", INTEGER, "1 for its first closing, 2 for the reopening of that, and so on."),
        Column("action", VARCHAR, "closed or reopened."),
        Column("is_in_force", BOOLEAN, "By this closing the month is closed: it was not reopened since."),
        Column("release_id", VARCHAR, "The release whose figures are frozen; of a reopening, were until then."),
        Column("as_of", MOMENT, "The moment that release speaks of."),
        Column("known_at", MOMENT, "The knowledge that release rests on."),
        Column("decided_by", VARCHAR, "Who closed or reopened it."),
        Column("note", VARCHAR, "Why."),
        Column("decided_at", MOMENT, "When they did."),
    ),
)

RELEASE = Table(
    name="release",
    relation=None,
    description="One row per release known when this one was published, this one included.",
    key=("release_id",),
    columns=(
        Column("release_id", VARCHAR, "The release."),
        Column("as_of", MOMENT, "The moment its figures speak of: only what happened before it counts."),
        Column("known_at", MOMENT, "The knowledge they rest on: only batches accepted by then were read."),
        Column("published_at", MOMENT, "When it was published."),
        Column("previous_release_id", VARCHAR, "The release published before it.", nullable=True),
        Column("code_version", VARCHAR, "Version of the program that made it."),
        Column("is_this_release", BOOLEAN, "True in one row: the release that holds this table."),
        Column("overridden_by", VARCHAR, "Who published it although the gate refused it.", nullable=True),
    ),
)

BUILT = (
    KPI_VALUE,
    KPI_VALUE_BY_CUT,
    KPI_CATALOGUE,
    DIM_MANAGER,
    DIM_DEPARTMENT,
    DIM_PERIOD,
    TARGET_ATTAINMENT,
    SCORECARD,
    LEADERBOARD,
    WIN_RATE_CURVE,
    FUNNEL_STAGE,
    DEAL,
    DEAL_EVENT,
    DEAL_OPEN_INTERVAL,
    DEAL_NEXT_STEP,
    CUSTOMER_PURCHASE,
    LEAD,
    ACTIVITY,
    DIM_DEPARTMENT_CLOSURE,
    PERIOD_CLOSE,
)
PUBLISHED = (*BUILT, QUALITY_RESULT, RELEASE)


def wide_view(entity_level: str, grain: str) -> str:
    """The name of the view with one column a KPI, such as `kpi_manager_month`."""
    return f"kpi_{entity_level}_{grain}"
