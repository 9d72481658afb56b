"""What comes back: how wins lie in a period, how long they take, and which early signs go with them."""

from kpimart.publish.contract.insight.entity import ENTITY
from kpimart.publish.contract.shape import (
    AMOUNT,
    BIGINT,
    BOOLEAN,
    DATE,
    DAYS,
    INTEGER,
    PRECISE,
    RATE,
    VARCHAR,
    Column,
    Table,
)

CLOSING_PATTERN = Table(
    name="closing_pattern",
    relation="insight.closing_pattern",
    description=(
        "One row per month or quarter that is over, entity with wins and stretch of the period's last working "
        "days: which part of the wins falls into it, and how even they are all along."
    ),
    key=("period_grain", "period_start", "entity_level", "entity_key", "stretch"),
    columns=(
        Column("period_grain", VARCHAR, "month or quarter."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of it, inclusive."),
        *ENTITY,
        Column(
            "stretch",
            VARCHAR,
            "last_day, last_3_days, last_5_days or last_tenth (10 % of the working days, rounded up).",
        ),
        Column("stretch_days", INTEGER, "Working days in it."),
        Column("working_days", INTEGER, "Working days of the period."),
        Column("stretch_won_deals", BIGINT, "Deals won in it."),
        Column("stretch_won_amount", AMOUNT, "What they brought."),
        Column(
            "won_deals",
            BIGINT,
            "Deals won in the period, and not taken back in it or since, unlike the KPI won_deals, which has each win "
            "in the period in which it is won or taken back; the same in each of its rows, as the next.",
        ),
        Column("won_amount", AMOUNT, "What they brought."),
        Column(
            "even_share",
            RATE,
            "The share that it would have, were all working days alike: stretch_days over working_days.",
        ),
        Column(
            "deals_share",
            PRECISE,
            "stretch_won_deals over won_deals; empty below the minimum count, as all that follows.",
            nullable=True,
        ),
        Column("deals_share_low", PRECISE, "Where its 95 % interval (Wilson) begins.", nullable=True),
        Column("deals_share_high", PRECISE, "Where it ends.", nullable=True),
        Column("amount_share", PRECISE, "stretch_won_amount over won_amount.", nullable=True),
        Column(
            "deals_linearity",
            PRECISE,
            "1: every working day brings as many wins as any other; 0: all are won on the last day, or on the "
            "first. The same in each row of the period, as the next.",
            nullable=True,
        ),
        Column("amount_linearity", PRECISE, "The same of amounts.", nullable=True),
        Column("status", VARCHAR, "enough or too_few (below the minimum count)."),
    ),
    totals="""
        select period_grain || ' ' || stretch || ' of the company', sum(stretch_won_amount) from closing_pattern
        where entity_level = 'company' group by period_grain, stretch
    """,
)

CYCLE_LENGTH = Table(
    name="cycle_length",
    relation="insight.cycle_length",
    description=(
        "One row per year of winning (and one of all years together), entity and segment of deals: how many days "
        "lie between a deal's creation and its winning."
    ),
    key=("period_grain", "period_start", "entity_level", "entity_key", "segment_by", "segment"),
    columns=(
        Column("period_grain", VARCHAR, "year or all."),
        Column("period_start", DATE, "First day of the year; of all, the first day that is known."),
        Column("period_end", DATE, "Last day of it, inclusive; of all, the build's last day."),
        Column("is_complete", BOOLEAN, "The year is over."),
        *ENTITY,
        Column("segment_by", VARCHAR, "all, pipeline, product, lead_source or amount_band."),
        Column("segment", VARCHAR, "That pipeline, product, source or band of amounts; (none) where a deal has none."),
        Column("won_deals", BIGINT, "Deals won and not taken back whose creation is dated."),
        Column("status", VARCHAR, "enough or too_few (below the minimum count)."),
        Column("mean_days", DAYS, "Mean; empty below the minimum count, as all that follows.", nullable=True),
        Column("p10_days", DAYS, "A tenth of the deals took no longer.", nullable=True),
        Column("p25_days", DAYS, "A quarter took no longer.", nullable=True),
        Column("median_days", DAYS, "Half took no longer.", nullable=True),
        Column("p75_days", DAYS, "Three quarters took no longer.", nullable=True),
        Column("p90_days", DAYS, "Nine of ten took no longer.", nullable=True),
    ),
    totals="""
        select 'wins of the company, by ' || segment_by, sum(won_deals) from cycle_length
        where entity_level = 'company' and period_grain = 'year' group by segment_by
    """,
)

EARLY_SIGN = Table(
    name="early_sign",
    relation="insight.early_sign",
    description=(
        "One row per year of creation (and one of all years together), the company or a department, pipeline and "
        "sign that a deal may show in its first 14 days: how often deals with the sign and without it are won "
        "within 180 days."
    ),
    key=("period_grain", "period_start", "entity_level", "entity_key", "pipeline_id", "sign", "stage_number"),
    columns=(
        Column("period_grain", VARCHAR, "year or all."),
        Column("period_start", DATE, "First day of the year; of all, the first day that is known."),
        Column("period_end", DATE, "Last day of it, inclusive; of all, the build's last day."),
        Column("is_complete", BOOLEAN, "180 days have passed since the year ended."),
        Column("entity_level", VARCHAR, "company or department."),
        Column("entity_key", VARCHAR, "'company' or the department."),
        Column("department_id", VARCHAR, "Empty for the company.", nullable=True),
        Column("manager_id", VARCHAR, "Always empty.", nullable=True),
        Column("entity_name", VARCHAR, "What people call it."),
        Column("pipeline_id", VARCHAR, "The pipeline, as crm:name."),
        Column(
            "sign",
            VARCHAR,
            "reached_stage, activities (as many as the median deal of the pipeline), meeting, or prompt_response "
            "(the lead answered within 24 hours).",
        ),
        Column(
            "stage_number",
            INTEGER,
            "The stage that was reached, among the open ones of the pipeline; 0 of other signs.",
        ),
        Column("stage_name", VARCHAR, "Its name; empty of other signs.", nullable=True),
        Column("fewest_activities", DAYS, "How many activities make the sign; empty of other signs.", nullable=True),
        Column("deals_with", BIGINT, "Deals with the sign that were still open after 14 days."),
        Column("won_with", BIGINT, "Of these, won within 180 days of creation."),
        Column("deals_without", BIGINT, "Deals without it that were still open."),
        Column("won_without", BIGINT, "Of these, won."),
        Column("status", VARCHAR, "enough or too_few (one of the two is below the minimum count)."),
        Column(
            "win_rate_with",
            PRECISE,
            "won_with over deals_with; empty below the minimum count, as all that follows.",
            nullable=True,
        ),
        Column("win_rate_without", PRECISE, "won_without over deals_without.", nullable=True),
        Column("difference", PRECISE, "The first minus the second, -1 to 1.", nullable=True),
        Column("difference_low", PRECISE, "Where its 95 % interval (Newcombe) begins.", nullable=True),
        Column("difference_high", PRECISE, "Where it ends.", nullable=True),
        Column("odds_ratio", PRECISE, "Odds of winning with the sign over those without.", nullable=True),
        Column("odds_ratio_low", PRECISE, "Where its 95 % interval (Woolf) begins.", nullable=True),
        Column("odds_ratio_high", PRECISE, "Where it ends.", nullable=True),
        Column(
            "goes_with",
            VARCHAR,
            "winning or losing, if the interval of the difference lies wholly on one side of 0; neither. No "
            "statement of causes.",
            nullable=True,
        ),
    ),
    totals="""
        select 'deals of the company with ' || sign, sum(deals_with) from early_sign
        where entity_level = 'company' and period_grain = 'year' group by sign
    """,
)
