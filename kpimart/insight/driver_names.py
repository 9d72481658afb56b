"""What drivers are called, in tables and in sentences; the Russian names are those of `kpimart.language`."""

STAGE = "stage_conversion"
"""A driver's code before the colon and the name of its stage."""

DRIVER_NAMES = {
    "calendar": "working days",
    "headcount": "heads per working day",
    "created_deals": "deals created per head and day",
    "cycle_time": "deals decided per deal created",
    "closed_deals": "deals decided per head and day",
    "mix": "mix of products and pipelines",
    "win_rate": "win rate",
    "avg_won_amount": "average amount at constant rates",
    "currency": "exchange rates",
    "transfer": "managers who moved between departments",
    "unattributed": "not attributed",
    "planned_change": "what the plan asks for beyond the period compared with",
    "numerator": "numerator",
    "denominator": "denominator",
}
