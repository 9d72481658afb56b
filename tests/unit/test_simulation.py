"""A period's scorecards under another profile, over a release of three managers whose figures are few."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from kpimart.errors import SettingsError
from kpimart.publish.contract import BUILT
from kpimart.simulation import Rescored, Simulation, Untargeted, simulate

PROFILES = """\
profile,kpi_code,weight,threshold,cap
growth,won_amount,1,0.5,1.5
efficiency,win_rate,0.6,0.8,1.2
efficiency,lost_deals,0.4,0.5,2
efficiency,coverage,0.5,0,1
"""
STEPS = """\
score_from,coefficient
0,0
0.9,1
1.1,1.2
"""
NOW, BEFORE = "'quarter', date '2026-07-01'", "'quarter', date '2025-07-01'"
# KPI, period, manager, value.
FIGURES = f"""
    ('won_amount', {NOW}, 'ann', 80), ('win_rate', {NOW}, 'ann', 0.6), ('lost_deals', {NOW}, 'ann', 0),
    ('won_amount', {NOW}, 'bob', 150), ('win_rate', {NOW}, 'bob', 0.3), ('lost_deals', {NOW}, 'bob', 4),
    ('won_amount', {NOW}, 'cid', 70), ('coverage', {NOW}, 'cid', 3), ('win_rate', {NOW}, 'stranger', 1),
    ('win_rate', {BEFORE}, 'bob', 0.25), ('lost_deals', {BEFORE}, 'bob', 2), ('win_rate', {BEFORE}, 'ann', 0.9)
"""
# KPI, manager, value, target, attainment.
TARGETS = """
    ('won_amount', 'ann', 80, 100, 0.8), ('win_rate', 'ann', 0.6, 0.5, 1.2), ('lost_deals', 'ann', 0, 3, null),
    ('won_amount', 'bob', 150, 100, 1.5), ('won_amount', 'cid', 70, 100, 0.7)
"""
# KPI, manager, assigned, weight, threshold, cap, total, coefficient.
SCORECARDS = """
    ('won_amount', 'ann', false, 1, 0.5, 1.5, 0.8, 0), ('won_amount', 'bob', false, 1, 0.5, 1.5, 1.5, 1.2),
    ('won_amount', 'cid', true, 1, 0, 0.6, 0.6, 0)
"""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    (folder / "kpi_profile.csv").write_text(PROFILES)
    (folder / "bonus_coefficient.csv").write_text(STEPS)
    return folder


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("release") / "reporting.duckdb"
    quarters = [f"('quarter', date '{year}-{month}-01')" for year in (2025, 2026) for month in ("01", "04", "07", "10")]
    with duckdb.connect(str(path)) as connection:
        for table in BUILT:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            connection.execute(f"create table {table.name} ({columns})")
        connection.execute(f"""
            insert into dim_period by name
            select *, period_start + 91 as period_end, month(period_start) < 10 as is_complete,
                year(period_start) || if(period_grain = 'week', '-W28', '-Q' || quarter(period_start)) as period_name
            from (values {", ".join(quarters)}, ('week', date '2026-07-06')) as rows (period_grain, period_start)
        """)
        connection.execute("""
            insert into kpi_catalogue by name
            select * from (values ('won_amount', 'higher', 'both'), ('win_rate', 'higher', 'personal'),
                ('lost_deals', 'lower', 'both'), ('coverage', 'higher', 'department')) as rows (kpi_code, better, level)
        """)
        connection.execute(f"""
            insert into kpi_value by name
            select *, 'manager' as entity_level, upper(entity_key) as entity_name
            from (values {FIGURES}) as rows (kpi_code, period_grain, period_start, entity_key, value)
        """)
        about = "'quarter' as period_grain, date '2026-07-01' as period_start, 'manager' as entity_level"
        connection.execute(f"""
            insert into target_attainment by name
            select *, {about}, upper(entity_key) as entity_name, 1 as employed_share
            from (values {TARGETS}) as rows (kpi_code, entity_key, value, target_value, attainment)
        """)
        connection.execute(f"""
            insert into scorecard by name
            select *, {about}, 'growth' as profile, upper(entity_key) as entity_name, 1 as scored_weight
            from (values {SCORECARDS}) as rows
                (kpi_code, entity_key, is_assigned, weight, threshold, cap, total_score, bonus_coefficient)
        """)
    return path


def under(
    database: Path, seeds: Path, profile: str, period: str = "2026Q3", *, like_last_year: bool = False
) -> Simulation:
    return simulate(
        database, profile=profile, period=period, level="manager", seeds=seeds, like_last_year=like_last_year
    )


def scores(simulation: Simulation) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    """Who → score and coefficient after, in their order."""
    return {each.entity_key: (each.score_after, each.coefficient_after) for each in simulation.scorecards}


def test_a_scorecard_is_shown_before_and_after(database: Path, seeds: Path) -> None:
    """0.6 × 1.2 and, none lost being the best there is, 0.4 × 2: 1.52."""
    simulation = under(database, seeds, "efficiency")
    ann = Rescored("ann", "ANN", Decimal("0.8"), Decimal("1.52"), Decimal(0), Decimal("1.2"), Decimal(1), Decimal(1))
    assert (simulation.profile_before, simulation.profile_after) == ("growth", "efficiency")
    assert simulation.scorecards[0] == ann
    assert (ann.score_change, ann.coefficient_change) == (Decimal("0.72"), Decimal("1.2"))
    assert replace(ann, score_after=None).score_change is None


def test_an_assignment_stays_whatever_the_profile(database: Path, seeds: Path) -> None:
    """Cid's amount is capped at 0.6 by assignment; a department's KPI does not judge him."""
    assert scores(under(database, seeds, "efficiency"))["cid"] == (Decimal("0.6"), Decimal(0))


def test_who_has_no_targets_for_the_other_profile_comes_last_and_is_told(database: Path, seeds: Path) -> None:
    simulation = under(database, seeds, "efficiency")
    assert list(scores(simulation)) == ["ann", "cid", "bob"]
    assert scores(simulation)["bob"] == (None, None)
    assert simulation.untargeted == (Untargeted("lost_deals", 2, 1, 0), Untargeted("win_rate", 2, 1, 0))


def test_the_figure_of_the_year_before_may_stand_in_for_a_target(database: Path, seeds: Path) -> None:
    """Bob: 0.3 of 0.25 is 1.2, and 2 of 4 lost is 0.5: 0.6 × 1.2 + 0.4 × 0.5 = 0.92. Ann has targets, which stay."""
    simulation = under(database, seeds, "efficiency", like_last_year=True)
    assert scores(simulation)["bob"] == (Decimal("0.92"), Decimal(1))
    assert scores(simulation)["ann"] == (Decimal("1.52"), Decimal("1.2"))
    assert simulation.untargeted == (Untargeted("lost_deals", 2, 1, 1), Untargeted("win_rate", 2, 1, 1))


def test_where_nothing_is_changed_nothing_changes(database: Path, seeds: Path) -> None:
    simulation = under(database, seeds, "growth")
    assert [(each.score_change, each.coefficient_change) for each in simulation.scorecards] == [(0, 0)] * 3


@pytest.mark.parametrize("period", ["2026-Q3", "2026Q3", "quarter"])
def test_a_period_is_named_with_a_hyphen_or_without(database: Path, seeds: Path, period: str) -> None:
    assert f"{under(database, seeds, 'growth', period).period.start}" == "2026-07-01"


@pytest.mark.parametrize(
    ("profile", "period", "said"),
    [
        ("speed", "2026Q3", "--profile 'speed': is not in kpi_profile.csv; it has efficiency, growth"),
        ("growth", "week", "--period week: scorecards are of month, quarter, year; give one of these"),
        ("growth", "2024Q3", "period 2024Q3: the release has no such quarter"),
    ],
)
def test_what_is_not_there_is_told(database: Path, seeds: Path, profile: str, period: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said.replace(".", r"\.")):
        under(database, seeds, profile, period)


def test_a_weight_that_is_no_number_is_told(database: Path, tmp_path: Path) -> None:
    (tmp_path / "kpi_profile.csv").write_text("profile,kpi_code,weight,threshold,cap\ngrowth,won_amount,much,0,1\n")
    with pytest.raises(SettingsError, match=r"kpi_profile\.csv: weight: 'much' is not a number"):
        under(database, tmp_path, "growth")


def test_a_release_from_before_there_were_scorecards_is_told(seeds: Path, tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "old.duckdb")).close()
    with pytest.raises(SettingsError, match="made before there were scorecards"):
        under(tmp_path / "old.duckdb", seeds, "growth")
