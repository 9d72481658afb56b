"""Reads the scorecard of somebody from a release, and the same KPIs by another cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from kpimart.figures import Period
from kpimart.language import Language
from kpimart.warehouse import open_database


@dataclass(frozen=True)
class Line:
    """A KPI of a scorecard; attainment and score are parts of the target, None is undefined or not set."""

    kpi_code: str
    kpi_name: str
    unit: str
    value: Decimal | None
    target: Decimal | None
    attainment: Decimal | None
    weight: Decimal
    score: Decimal | None


@dataclass(frozen=True)
class Scorecard:
    """The KPIs of an entity, the heaviest first; total and bonus coefficient are None where nothing is scored."""

    lines: tuple[Line, ...]
    total: Decimal | None
    bonus_coefficient: Decimal | None


def read_scorecard(
    database: Path, *, level: str, entity_key: str, period: Period, language: Language = "en"
) -> Scorecard:
    """The scorecard of an entity in a period; without lines where it has none."""
    with open_database(database) as connection:
        rows = connection.execute(
            f"""
            select
                kpi_code, catalogue.name_{language}, card.unit, value, target_value, attainment, weight, score,
                total_score, bonus_coefficient
            from scorecard as card
            inner join kpi_catalogue as catalogue using (kpi_code)
            where entity_level = ? and entity_key = ? and period_grain = ? and period_start = ?
            order by weight desc, kpi_code
            """,
            [level, entity_key, period.grain, period.start],
        ).fetchall()
    total, bonus = rows[0][-2:] if rows else (None, None)
    return Scorecard(tuple(Line(*row[:-2]) for row in rows), total, bonus)


def read_cut(
    database: Path, *, level: str, entity_key: str, period: Period, kpi_codes: Sequence[str], lens: str, cut_by: str
) -> dict[str, Decimal | None]:
    """KPI → its value by a credit lens, and by `all` or `as_closed`; those that the cut does not have are left out."""
    with open_database(database) as connection:
        rows = connection.execute(
            """
            select kpi_code, value
            from kpi_value_by_cut
            where
                list_contains(?, kpi_code) and entity_level = ? and entity_key = ? and period_grain = ?
                and period_start = ? and credit_lens = ? and cut_by = ? and amount_basis = 'booking'
            """,
            [list(kpi_codes), level, entity_key, period.grain, period.start, lens, cut_by],
        ).fetchall()
    return dict(rows)
