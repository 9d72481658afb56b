"""What is to be said of a period, in sentences."""

from kpimart.publish.contract.insight.entity import ENTITY
from kpimart.publish.contract.shape import DATE, INTEGER, VARCHAR, Column, Table

KPI_SUMMARY = Table(
    name="kpi_summary",
    relation="insight.kpi_summary",
    description=(
        "One row per sentence about the company, a department or a manager in the last complete month, quarter or "
        "year: what moved, why, where it leaks, what is unusual. Templates, filled in from the other tables."
    ),
    key=("period_grain", "period_start", "entity_level", "entity_key", "sentence_number"),
    columns=(
        Column("period_grain", VARCHAR, "month, quarter or year."),
        Column("period_start", DATE, "First day of the period."),
        Column("period_end", DATE, "Last day of the period, inclusive."),
        *ENTITY,
        Column("sentence_number", INTEGER, "Its place in the summary, from 1."),
        Column(
            "topic",
            VARCHAR,
            "moved (up to two KPIs of the scorecard), why (what drove the won amount), leak (the weak spot with the "
            "largest likely leak), unusual (up to two KPIs against their own history).",
        ),
        Column("kpi_code", VARCHAR, "The KPI it is about; empty where it is about none.", nullable=True),
        Column("text_en", VARCHAR, "The sentence in English."),
        Column("text_ru", VARCHAR, "The sentence in Russian."),
        Column("proof", VARCHAR, "A query over these tables that returns the figures of the sentence, in one row."),
        Column("figures", VARCHAR, "The figures of the sentence by name, as JSON; decimals as text, with all digits."),
    ),
)
