"""Tables of KPIs: their values, their targets and scores, and what conversions are made of."""

from kpimart.publish.contract.shape import (
    ATTAINMENT,
    BIGINT,
    BOOLEAN,
    BOUND,
    DATE,
    DAYS,
    INTEGER,
    MOMENT,
    PART,
    RATE,
    SAMPLE,
    SCORE,
    SHARE,
    VALUE,
    VARCHAR,
    WEIGHT,
    Column,
    Table,
)

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
            "count, ratio (1: 100 %), days, hours, the code of the base currency (EUR), or that per day (EUR_per_day).",
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
        "kpi_value, converted otherwise, told apart by a property of the deal, or of a closed month as it was closed. "
        "Rows of two cuts must not be summed."
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
            "cut_by",
            VARCHAR,
            "What deals are told apart by: all (nothing), pipeline, product, lead_source, currency; as_closed: not as "
            "known now, but as the month was closed.",
        ),
        Column(
            "cut_value",
            VARCHAR,
            "That pipeline, product, source or currency; (none) where a deal has none; as closed: the release.",
        ),
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
