"""What moved the pipeline, and how the CRM that tells of it is kept."""

from kpimart.publish.contract.insight.entity import ENTITY
from kpimart.publish.contract.shape import BIGINT, BOOLEAN, DATE, INTEGER, SHARE, VALUE, VARCHAR, Column, Table

PIPELINE_AMOUNT = "decimal(28,2)"

PIPELINE_WATERFALL = Table(
    name="pipeline_waterfall",
    relation="insight.pipeline_waterfall",
    description=(
        "One row per scope (all open deals, or those due), period and entity in whose pipeline a deal is or moved: the "
        "company by day; the company, departments and managers by week, month, quarter and year."
    ),
    key=("scope", "period_grain", "period_start", "entity_level", "entity_key"),
    columns=(
        Column("scope", VARCHAR, "open: all open deals; due: those expected to close on or before due_by."),
        Column("period_grain", VARCHAR, "day (of the company only), week, month, quarter or year."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "The period is over."),
        *ENTITY,
        Column(
            "due_by",
            DATE,
            "Of the scope due: the end of the quarter (of a year: of the year) that the period lies in.",
            nullable=True,
        ),
        Column("opening_deals", BIGINT, "Deals on the evening before the period."),
        Column(
            "opening_amount",
            PIPELINE_AMOUNT,
            "Their known amounts in the base currency; empty where none is known.",
            nullable=True,
        ),
        Column("created_deals", BIGINT, "Deals that came by being created in it."),
        Column("created_amount", PIPELINE_AMOUNT, "Their amounts at the closing.", nullable=True),
        Column("transferred_in_deals", BIGINT, "Deals that were open on both evenings, and came from somebody else."),
        Column("transferred_in_amount", PIPELINE_AMOUNT, "Their amounts at the opening.", nullable=True),
        Column(
            "pulled_in_deals",
            BIGINT,
            "Deals that are open on both evenings, and due only on the second; of the scope due alone.",
        ),
        Column("pulled_in_amount", PIPELINE_AMOUNT, "Their amounts at the closing.", nullable=True),
        Column("increased_deals", BIGINT, "Deals that stayed with a larger amount; they move no deal."),
        Column("increased_amount", PIPELINE_AMOUNT, "What their amounts grew by."),
        Column("reopened_deals", BIGINT, "Deals that came by being opened again."),
        Column("reopened_amount", PIPELINE_AMOUNT, "Their amounts at the closing.", nullable=True),
        Column("won_deals", BIGINT, "Deals that left by being won, taken from whoever had them at the opening."),
        Column("won_amount", PIPELINE_AMOUNT, "Their amounts at the opening.", nullable=True),
        Column("lost_deals", BIGINT, "Deals that left by being lost."),
        Column("lost_amount", PIPELINE_AMOUNT, "Their amounts at the opening.", nullable=True),
        Column(
            "pushed_out_deals",
            BIGINT,
            "Deals that are open on both evenings, and due only on the first; of the scope due alone.",
        ),
        Column("pushed_out_amount", PIPELINE_AMOUNT, "Their amounts at the opening.", nullable=True),
        Column("decreased_deals", BIGINT, "Deals that stayed with a smaller amount; they move no deal."),
        Column("decreased_amount", PIPELINE_AMOUNT, "What their amounts shrank by."),
        Column("transferred_out_deals", BIGINT, "Deals that were open on both evenings, and went to somebody else."),
        Column("transferred_out_amount", PIPELINE_AMOUNT, "Their amounts at the opening.", nullable=True),
        Column("deleted_deals", BIGINT, "Deals that left without being closed."),
        Column("deleted_amount", PIPELINE_AMOUNT, "Their amounts at the opening.", nullable=True),
        Column(
            "closing_deals",
            BIGINT,
            "Deals on the evening of the period's last day, or of the last that is covered.",
        ),
        Column(
            "closing_amount",
            PIPELINE_AMOUNT,
            "Their known amounts in the base currency; empty where none is known.",
            nullable=True,
        ),
        Column(
            "won_within_deals",
            BIGINT,
            "Deals in neither pipeline that were won in the period, as were those created in it; in no other column. "
            "Of the company it comes, with won_deals, to the KPI won_deals plus the wins of earlier periods that were "
            "taken back in this one.",
        ),
        Column("won_within_amount", PIPELINE_AMOUNT, "Their amounts as they were won.", nullable=True),
        Column(
            "lost_within_deals",
            BIGINT,
            "Deals in neither pipeline that were lost in the period, as were those created in it; in no other column.",
        ),
        Column("lost_within_amount", PIPELINE_AMOUNT, "Their amounts as they were lost.", nullable=True),
        Column(
            "closing_undated_deals",
            BIGINT,
            "Open deals at the closing without an expected close date, which nobody can tell when they are due.",
        ),
    ),
    totals="""
        select scope || ' closing of quarters', sum(closing_amount) from pipeline_waterfall
        where entity_level = 'company' and period_grain = 'quarter' group by scope
    """,
)

CRM_DISCIPLINE = Table(
    name="crm_discipline",
    relation="insight.crm_discipline",
    description=(
        "One row per rule of keeping a CRM, period (month, quarter, year) and entity: how many deals break it, and the "
        "KPI that this flatters, as it is and as it would be if they were treated strictly."
    ),
    key=("rule", "period_grain", "period_start", "entity_level", "entity_key"),
    columns=(
        Column(
            "rule",
            VARCHAR,
            "pushed_close_date, stale_deal, loser_never_closed, missing_next_step, overdue_close_date or "
            "backdated_win.",
        ),
        Column(
            "after_days",
            INTEGER,
            "Days that the rule allows: of stale_deal in a stage, of loser_never_closed without an event or an "
            "activity; empty for all others.",
            nullable=True,
        ),
        Column("period_grain", VARCHAR, "month, quarter or year."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "Nothing can change the KPI by time passing."),
        *ENTITY,
        Column(
            "deals",
            BIGINT,
            "Deals that the rule is about: open on the evening of the last day; of backdated_win, won in the period "
            "and not taken back in it, which is the KPI won_deals plus the wins of earlier periods that were taken "
            "back in this one.",
        ),
        Column("deals_looked_at", BIGINT, "Those of them of which the source tells what the rule asks."),
        Column(
            "deals_concerned",
            BIGINT,
            "Those that break it; empty where there are deals and none can be looked at.",
            nullable=True,
        ),
        Column(
            "concerned_share",
            SHARE,
            "deals_concerned over deals_looked_at; empty where none is looked at.",
            nullable=True,
        ),
        Column(
            "amount_concerned",
            PIPELINE_AMOUNT,
            "Their known amounts in the base currency; empty where none is known.",
            nullable=True,
        ),
        Column("kpi_code", VARCHAR, "The KPI that they flatter: win_rate, open_amount or won_amount."),
        Column("unit", VARCHAR, "Its unit, as in kpi_value."),
        Column("kpi_value", VALUE, "The KPI as published; empty where it is undefined.", nullable=True),
        Column(
            "strict_deals",
            BIGINT,
            "How many of deals_concerned the strict figure treats otherwise: of loser_never_closed those whose "
            "days ran out in the period, of all others all of them.",
            nullable=True,
        ),
        Column(
            "strict_kpi_value",
            VALUE,
            "The KPI if these deals were lost (win_rate) or were left out (amounts); empty where it is not known.",
            nullable=True,
        ),
    ),
)
