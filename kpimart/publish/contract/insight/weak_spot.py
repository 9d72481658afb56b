"""Where somebody is worse than peers with the same mix of deals, and what that costs."""

from kpimart.publish.contract.shape import (
    AMOUNT,
    BIGINT,
    BOOLEAN,
    DATE,
    INTEGER,
    PRECISE,
    VARCHAR,
    Column,
    Table,
)

WEAK_SPOT = Table(
    name="weak_spot",
    relation="insight.weak_spot",
    description=(
        "One row per cohort of deals (by the quarter or year of their creation), department or manager, and spot "
        "where they may be worse than peers: the conversion of a stage, the time in it, the win rate of a "
        "pipeline, a reason for losing."
    ),
    key=(
        "period_grain",
        "period_start",
        "entity_level",
        "entity_key",
        "kind",
        "pipeline_id",
        "stage_id",
        "loss_reason",
    ),
    columns=(
        Column("period_grain", VARCHAR, "The cohort's grain: quarter or year."),
        Column("period_start", DATE, "First day of the period in which the deals were created."),
        Column("period_end", DATE, "Last day of it, inclusive."),
        Column(
            "is_complete",
            BOOLEAN,
            "The period is over and no deal of the company that counts here is open, so no time passing changes it.",
        ),
        Column("entity_level", VARCHAR, "department or manager."),
        Column("entity_key", VARCHAR, "The department or the manager."),
        Column("department_id", VARCHAR, "Empty for managers.", nullable=True),
        Column("manager_id", VARCHAR, "Empty for departments.", nullable=True),
        Column("entity_name", VARCHAR, "What people call it."),
        Column("kind", VARCHAR, "stage_conversion, stage_time, win_rate or loss_reason."),
        Column("pipeline_id", VARCHAR, "The pipeline, as crm:name."),
        Column("stage_id", VARCHAR, "The stage; (none) of a win rate and of a loss reason."),
        Column("stage_name", VARCHAR, "Name as the CRM writes it; empty as above.", nullable=True),
        Column("loss_reason", VARCHAR, "The reason as the CRM writes it; (none) of the other kinds."),
        Column(
            "value",
            PRECISE,
            "The share that went on, was won, or was lost for the reason; of a stage's time, typical days "
            "(geometric mean). Empty below the minimum count, as all that follows.",
            nullable=True,
        ),
        Column(
            "peer_value",
            PRECISE,
            "What all others of the company have with the same mix of products and lead sources; empty where they "
            "are too few.",
            nullable=True,
        ),
        Column(
            "peer_median",
            PRECISE,
            "What the median of those on the same level has, given this mix; empty where nobody else is.",
            nullable=True,
        ),
        Column(
            "value_low",
            PRECISE,
            "Where the 95 % interval of the value begins: Wilson's with correction for continuity; Student's on "
            "logarithms of days.",
            nullable=True,
        ),
        Column("value_high", PRECISE, "Where it ends.", nullable=True),
        Column(
            "shrunk_value",
            PRECISE,
            "The value drawn towards peer_value, the more the fewer deals there are (empirical Bayes); empty "
            "without peers.",
            nullable=True,
        ),
        Column("sample_size", BIGINT, "Deals, or stays, that it rests on."),
        Column("status", VARCHAR, "enough, too_few (below the minimum count: nothing is said) or no_peers."),
        Column("is_weak", BOOLEAN, "The interval lies wholly on the bad side of peer_value."),
        Column(
            "gap",
            PRECISE,
            "How much worse it is than peer_median, above 0 is worse; a share, or days.",
            nullable=True,
        ),
        Column(
            "deal_worth",
            AMOUNT,
            "What one deal more that goes on, or is won, brings peers with this mix on average; empty of a stage's "
            "time.",
            nullable=True,
        ),
        Column(
            "leak_amount",
            AMOUNT,
            "What reaching the peer median would bring: sample_size × gap × deal_worth; empty where there is no gap.",
            nullable=True,
        ),
        Column("leak_low", AMOUNT, "The same, were the value at the better end of its interval.", nullable=True),
        Column("leak_high", AMOUNT, "The same, were it at the worse end.", nullable=True),
        Column(
            "shrunk_leak_amount",
            AMOUNT,
            "The likely leak, what of leak_amount is probably more than luck: the same with shrunk_value in place of "
            "the value, 0 where that is no worse than peer_median, and no more than leak_amount; empty where that is.",
            nullable=True,
        ),
        Column(
            "leak_rank",
            INTEGER,
            "1 is the largest shrunk_leak_amount of the period, level and kind; ties share one, and the next is left "
            "out.",
            nullable=True,
        ),
    ),
    totals="""
        select period_grain || ' leaks, ' || kind, sum(leak_amount) from weak_spot group by period_grain, kind
    """,
)
