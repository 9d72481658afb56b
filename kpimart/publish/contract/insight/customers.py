"""Tables of customers: who came and went, who comes back, what each account is worth, how often it buys."""

from kpimart.publish.contract.insight.entity import ENTITY_KEYS
from kpimart.publish.contract.shape import (
    BIGINT,
    BOOLEAN,
    DATE,
    DAYS,
    INTEGER,
    RATE,
    VARCHAR,
    Column,
    Table,
)

TOTAL = "decimal(38,2)"

CUSTOMER_BASE = Table(
    name="customer_base",
    relation="insight.customer_base",
    description=(
        "One row per period (month, quarter, year) and entity: how many customers it had, who came, who went, what "
        "they bought, and how much of that the largest bought."
    ),
    key=(
        "period_grain",
        "period_start",
        "entity_level",
        "entity_key",
    ),
    columns=(
        Column("period_grain", VARCHAR, "month, quarter or year."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        Column("is_complete", BOOLEAN, "The period is over."),
        Column("entity_level", VARCHAR, "company, department or manager: who is credited with the purchases."),
        *ENTITY_KEYS,
        Column(
            "opening_customers",
            BIGINT,
            "Customers when the period began: bought within the last lost_after_days, the last time from the entity.",
        ),
        Column(
            "first_time_customers",
            BIGINT,
            "Accounts whose first purchase of all was made from the entity in the period.",
        ),
        Column(
            "returned_customers",
            BIGINT,
            "Accounts that had been lost and bought again, from the entity; a loss that lost_customers does not "
            "count again is taken off.",
        ),
        Column(
            "taken_over_customers",
            BIGINT,
            "Customers of others whose last purchase is the entity's by the period's end.",
        ),
        Column(
            "handed_over_customers",
            BIGINT,
            "Customers of the entity whose last purchase is another's by the period's end.",
        ),
        Column("lost_customers", BIGINT, "Accounts of the entity that had not bought for lost_after_days: the KPI."),
        Column(
            "closing_customers",
            BIGINT,
            "Customers at the end: opening + first_time + returned + taken_over - handed_over - lost.",
        ),
        Column(
            "lapsed_customers",
            BIGINT,
            "Accounts of the entity that are lost at the period's end, whenever that happened.",
        ),
        Column("new_customers", BIGINT, "First purchases of the period, less those that were reopened in it: the KPI."),
        Column("active_customers", BIGINT, "Accounts that bought in the period: the KPI."),
        Column("repeat_customers", BIGINT, "Of them, those that had bought before, from whomever: the KPI."),
        Column(
            "regular_customers",
            BIGINT,
            "Of them, those that bought often enough within the configured window: the KPI.",
        ),
        Column(
            "potential_customers",
            BIGINT,
            "Accounts with an open deal at the period's end that have never bought: the KPI.",
        ),
        Column(
            "won_amount",
            TOTAL,
            "What was won, less what was taken back; empty where wins have no known amount.",
            nullable=True,
        ),
        Column("new_customer_amount", TOTAL, "Of it, first purchases.", nullable=True),
        Column(
            "returning_amount",
            TOTAL,
            "Of it, later purchases; what is left are deals without an account.",
            nullable=True,
        ),
        Column(
            "customers_with_amount",
            BIGINT,
            "Accounts whose won amounts of the period come to more than 0: the shares are of these.",
        ),
        Column(
            "top_1_share",
            RATE,
            "Share of the largest account in their amount of the period; empty where there is none.",
            nullable=True,
        ),
        Column("top_5_share", RATE, "Share of the five largest.", nullable=True),
        Column("top_10_share", RATE, "Share of the ten largest.", nullable=True),
        Column(
            "herfindahl_index",
            RATE,
            "Sum of the squared shares: 1 is one account, 1/n are n equal ones.",
            nullable=True,
        ),
    ),
    totals="""
        select period_grain, sum(closing_customers) from customer_base
        where entity_level = 'company' group by period_grain
    """,
)

COHORT_RETENTION = Table(
    name="cohort_retention",
    relation="insight.cohort_retention",
    description=(
        "One row per cohort of customers (by the month, quarter or year of their first purchase), entity and "
        "period since: how many of them bought in it, and for how much."
    ),
    key=(
        "period_grain",
        "cohort_start",
        "entity_level",
        "entity_key",
        "periods_since",
    ),
    columns=(
        Column("period_grain", VARCHAR, "Grain of the cohort and of the periods since: month, quarter or year."),
        Column("cohort_start", DATE, "First day of the period of the first purchase."),
        Column("cohort_end", DATE, "Last day of it, inclusive."),
        Column("entity_level", VARCHAR, "company, department or manager: who is credited with the first purchase."),
        *ENTITY_KEYS,
        Column("periods_since", INTEGER, "Periods from that of the first purchase on, which is 0."),
        Column("period_start", DATE, "First day of the period that is told of."),
        Column("period_end", DATE, "Last day of it, inclusive."),
        Column("is_complete", BOOLEAN, "That period is over."),
        Column("cohort_customers", BIGINT, "Accounts of the cohort."),
        Column("retained_customers", BIGINT, "Those of them that bought in the period, from whomever."),
        Column("retention_rate", RATE, "retained_customers / cohort_customers."),
        Column(
            "won_amount",
            TOTAL,
            "What they bought in the period, less what was taken back; empty where no amount is known.",
            nullable=True,
        ),
        Column(
            "cumulative_won_amount",
            TOTAL,
            "The same from the first purchase to the end of the period.",
            nullable=True,
        ),
    ),
    totals="""
        select period_grain, sum(won_amount) from cohort_retention where entity_level = 'company' group by period_grain
    """,
)

CUSTOMER_SEGMENT = Table(
    name="customer_segment",
    relation="insight.customer_segment",
    description=(
        "One row per account that has bought: its recency, frequency and amount on the release's last day, their "
        "scores, its segment and state."
    ),
    key=("account_id",),
    columns=(
        Column("account_id", VARCHAR, "The account, as crm:id."),
        Column("account_name", VARCHAR, "Name as the CRM has it; the id where it has none."),
        Column("manager_id", VARCHAR, "Who is credited with its last purchase."),
        Column("manager_name", VARCHAR, "Their name."),
        Column("department_id", VARCHAR, "The department that they were in then."),
        Column("department_name", VARCHAR, "What that department is called."),
        Column("first_purchase_on", DATE, "Day of its first purchase."),
        Column("last_purchase_on", DATE, "Day of its last purchase."),
        Column("purchases", BIGINT, "Its purchases of all time."),
        Column(
            "won_amount",
            TOTAL,
            "What they came to, less what was taken back; empty where no amount is known.",
            nullable=True,
        ),
        Column(
            "customer_state",
            VARCHAR,
            "lost (no purchase for lost_after_days), new (one purchase), regular (enough in the configured "
            "window), repeat.",
        ),
        Column("recency_days", INTEGER, "Days since its last purchase."),
        Column("frequency", BIGINT, "Purchases of the last lost_after_days."),
        Column(
            "monetary_amount",
            TOTAL,
            "What was won from it in these days, less what was taken back; empty where no amount is known.",
            nullable=True,
        ),
        Column("scored_customers", BIGINT, "Customers that it is scored among; 0 where it is lost."),
        Column(
            "recency_score",
            INTEGER,
            "1 to 5, 5 bought last; empty where it is lost, or fewer than 25 customers are scored.",
            nullable=True,
        ),
        Column("frequency_score", INTEGER, "1 to 5, 5 bought most often.", nullable=True),
        Column("monetary_score", INTEGER, "1 to 5, 5 bought for most.", nullable=True),
        Column(
            "segment",
            VARCHAR,
            "champions, cannot_lose, loyal, at_risk, promising, needs_attention, hibernating or lost; empty "
            "without scores.",
            nullable=True,
        ),
    ),
    totals="""
        select customer_state, count(*) from customer_segment group by customer_state
    """,
)

BUYING_INTERVAL = Table(
    name="buying_interval",
    relation="insight.buying_interval",
    description=(
        "One row per entity or account with purchases: how many days lie between two days on which an account "
        "buys, and whose next purchase is overdue."
    ),
    key=(
        "entity_level",
        "entity_key",
    ),
    columns=(
        Column("entity_level", VARCHAR, "company, department, manager or account."),
        Column("entity_key", VARCHAR, "'company', the department, the manager or the account."),
        Column(
            "department_id",
            VARCHAR,
            "Empty for the company and for managers; of an account, where its last purchase was made.",
            nullable=True,
        ),
        Column(
            "manager_id",
            VARCHAR,
            "Empty for the company and for departments; of an account, who is credited with its last purchase.",
            nullable=True,
        ),
        Column("entity_name", VARCHAR, "Name of the company, the department, the manager or the account."),
        Column("intervals", BIGINT, "Intervals that ended with a purchase credited to the entity; an account's own."),
        Column("q1_days", DAYS, "A quarter of them are no longer; empty where there are none.", nullable=True),
        Column("median_days", DAYS, "Half of them are no longer.", nullable=True),
        Column("q3_days", DAYS, "Three quarters of them are no longer.", nullable=True),
        Column(
            "customers",
            BIGINT,
            "Accounts that bought within the last lost_after_days, the last time from the entity; 1 or 0 for an "
            "account.",
        ),
        Column("overdue_customers", BIGINT, "Those of them whose next purchase is overdue."),
        Column(
            "last_purchase_on",
            DATE,
            "Of an account: when it bought last. This and what follows is empty for entities.",
            nullable=True,
        ),
        Column("days_since", INTEGER, "Of an account: days since then, on the release's last day.", nullable=True),
        Column(
            "has_own_rhythm",
            BOOLEAN,
            "It has at least 3 intervals; otherwise the company's quartiles stand for its own.",
            nullable=True,
        ),
        Column(
            "expected_next_on",
            DATE,
            "Its last purchase and the median; empty where it is lost, or no interval is known.",
            nullable=True,
        ),
        Column(
            "overdue_after_days",
            DAYS,
            "1.5 times the third quartile; empty where no interval is known.",
            nullable=True,
        ),
        Column(
            "is_overdue",
            BOOLEAN,
            "It bought longer ago than that; empty where it is lost, or no interval is known.",
            nullable=True,
        ),
    ),
    totals="""
        select entity_level, sum(intervals) from buying_interval group by entity_level
    """,
)

CUSTOMERS = (CUSTOMER_BASE, COHORT_RETENTION, CUSTOMER_SEGMENT, BUYING_INTERVAL)
