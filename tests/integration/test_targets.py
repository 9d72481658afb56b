"""A small company sets targets, is scored by them, and tries another profile: figures by hand, from files to release.

The figures begin on Monday, 5 January 2026; from then on January has 20 working days, February 20 and March 22.
"""

import json
from decimal import Decimal
from typing import Any

import pytest
from small_company import CONFIG, Company, Rows

# Cid joined on 16 February: 32 of the 62 working days of the quarter.
AGENTS = """\
agent,team,hired
Ann,North,
Bob,North,
Cid,South,2026-02-16
"""
# Zoe is nobody's agent. March is in a version that was set after the figures end.
TARGETS = """\
kpi,level,who,grain,from,goal,set
won_amount,manager,Ann,month,2026-01-01,500,2025-12-20
won_amount,manager,Ann,month,2026-02-01,1000,2025-12-20
won_amount,manager,Ann,month,2026-03-01,500,2025-12-20
won_amount,manager,Bob,quarter,2026-01-01,2400,2025-12-20
won_amount,manager,Cid,quarter,2026-01-01,1240,2025-12-20
win_rate,manager,Ann,quarter,2026-01-01,0.5,2025-12-20
won_amount,manager,Zoe,quarter,2026-01-01,1000,2025-12-20
won_amount,department,North,quarter,2026-01-01,4000,2025-12-20
"""
# Set by hand: after as_of, and so not yet in force.
BY_HAND = """\
kpi_code,entity_level,entity_key,period_grain,period_start,target_value,set_at
won_amount,manager,files:Bob,quarter,2026-01-01,9999,2026-04-01 09:00
"""
ASSIGNED = """\
kpi_code,assigned_level,assigned_to,valid_from,valid_to,weight,threshold,cap
won_amount,department,files:South,2026-03-31,,0.5,0,0.6
"""
MAPPED = """
seeds = "{seeds}"

[[files.targets]]
file = "targets.csv"
[files.targets.columns]
kpi_code = "kpi"
entity_level = "level"
entity = "who"
period_grain = "grain"
period_start = "from"
value = "goal"
set_at = "set"
"""


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    company = Company(tmp_path_factory.mktemp("targets"))
    seeds = company.root / "seeds"
    seeds.mkdir()
    (seeds / "kpi_target.csv").write_text(BY_HAND)
    (seeds / "kpi_assignment.csv").write_text(ASSIGNED)
    company.write("agents.csv", AGENTS)
    company.write("targets.csv", TARGETS)
    mapped = CONFIG.replace('department = "team"', 'department = "team"\nhired_on = "hired"')
    own, tables = MAPPED.format(seeds=seeds).split("\n\n", 1)
    company.configure(f"{own}\n{mapped}\n{tables}")
    company.run_here()
    return company


def asked(company: Company, columns: str, table: str, condition: str = "true") -> Rows:
    return company.ask_served(f"select {columns} from {table} where {condition} order by all")


QUARTER = "period_grain = 'quarter' and period_start = '2026-01-01'"
OF_MANAGERS = f"{QUARTER} and entity_level = 'manager'"


def test_targets_are_prorated_summed_and_taken_as_they_were_set(company: Company) -> None:
    """Cid's 1,240 for 32 of 62 days is 640; Ann's quarter is the sum of her months; Bob's of April is not in force."""
    columns = "entity_name, set_value, is_summed, target_value, value, attainment"
    assert asked(company, columns, "target_attainment", f"{OF_MANAGERS} and kpi_code = 'won_amount'") == [
        ("Ann", None, True, 2000, 1600, Decimal("0.8")),
        ("Bob", 2400, False, 2400, Decimal("2500.5"), Decimal("1.041875")),
        ("Cid", 1240, False, 640, 400, Decimal("0.625")),
        (None, 1000, False, 1000, None, None),
    ]


def test_a_kpi_of_the_profile_without_a_target_is_shown_as_missing(company: Company) -> None:
    columns = "entity_name, target_value, round(value, 2), attainment"
    assert asked(company, columns, "target_attainment", f"{OF_MANAGERS} and kpi_code = 'win_rate'") == [
        ("Ann", Decimal("0.5"), Decimal("0.75"), Decimal("1.5")),
        ("Bob", None, Decimal("0.5"), None),
        ("Cid", None, Decimal("0.5"), None),
    ]


def test_a_scorecard_weighs_what_has_a_target(company: Company) -> None:
    """Ann: (0.35 × 0.8 + 0.1 × 1.3) / 0.45 = 0.9111. Cid's amount is capped by his department's assignment."""
    columns = "entity_name, total_score, bonus_coefficient, scored_weight, profile"
    scored = asked(company, f"distinct {columns}", "scorecard", f"{OF_MANAGERS} and score is not null")
    assert scored == [
        ("Ann", Decimal("0.9111"), Decimal("0.8"), Decimal("0.45"), "growth"),
        ("Bob", Decimal("1.0419"), Decimal(1), Decimal("0.35"), "growth"),
        ("Cid", Decimal("0.6"), Decimal(0), Decimal("0.4348"), "growth"),
    ]


def test_a_department_is_scored_by_what_its_people_sold(company: Company) -> None:
    """Ann and Bob: 4,100.50 of 4,000."""
    columns = "entity_name, value, score, total_score"
    condition = f"{QUARTER} and entity_level = 'department' and score is not null"
    assert asked(company, columns, "scorecard", condition) == [
        ("North", Decimal("4100.5"), Decimal("1.025125"), Decimal("1.0251"))
    ]


def test_a_leaderboard_hides_who_won_too_few(company: Company) -> None:
    """Only Ann won three deals; by what was closed Ann is before the other two, who tie."""
    columns = "rank, manager_name, department_name, value, is_tied, is_hidden"
    assert asked(company, columns, "leaderboard", f"{QUARTER} and kpi_code = 'won_deals'") == [
        (1, "Ann", "North", 3, False, False),
        (None, "Bob", "North", None, False, True),
        (None, "Cid", "South", None, False, True),
    ]


def test_a_target_that_nobody_can_reach_is_warned_of(company: Company) -> None:
    warned = "outcome = 'failed' and table_name = 'target_attainment'"
    assert asked(company, "severity, samples", "quality_result", warned) != []


def simulated(company: Company, *options: str) -> dict[str, dict[str, Any]]:
    ended = company.kpimart("kpi", "simulate", "--period", "2026Q1", "--json", *options)
    assert (ended.code, ended.err) == (0, "")
    return {each["entity_name"]: each for each in json.loads(ended.out)["scorecards"]}


def test_a_simulation_of_the_same_profile_is_what_was_published(company: Company) -> None:
    """Whatever the rules, they are the same ones."""
    for level in ("manager", "department", "company"):
        for each in simulated(company, "--profile", "growth", "--by", level).values():
            before = [each[f"{name}_before"] for name in ("score", "coefficient", "scored_weight")]
            assert [each[f"{name}_after"] for name in ("score", "coefficient", "scored_weight")] == before


def test_a_simulation_scores_by_another_profile(company: Company) -> None:
    """Ann's win rate is capped at 1.3, and nothing else of efficiency has a target; Cid keeps what is assigned."""
    found = simulated(company, "--profile", "efficiency")
    after = {name: (each["score_after"], each["coefficient_after"]) for name, each in found.items()}
    assert after == {"Ann": ("1.3000", "1.5000"), "Bob": (None, None), "Cid": ("0.6000", "0.0000")}
