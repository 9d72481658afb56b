"""A department moves under another one, a manager moves to another department, and both are heard of late.

In the first night North is in Europe, with Ann and Bob, and Cid in South, in Europe too. In the second one the company
hears that North went to the World on 1 March, and Ann to South on 10 March. By a list that it keeps by hand, Cid always
sat in North.
"""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from small_company import CONFIG, Company

from kpimart import pipeline
from kpimart.build import Build
from kpimart.clock import utc_now
from kpimart.extract.landing import judge, land, pending_batches
from kpimart.extract.packages import fetch
from kpimart.settings import Settings, load_settings
from kpimart.warehouse import open_database, open_warehouse

DATED = """
updated_at = "since"

[[files.manager_assignments]]
file = "stays.csv"
[files.manager_assignments.columns]
manager = "agent"
department = "team"
valid_from = "since"
valid_to = "until"
"""
TEAMS = """\
team,region,head,since
North,Europe,Nora,2026-01-01
South,Europe,Sven,2026-01-01
Europe,,Eve,2026-01-01
World,,Wu,2026-01-01
"""
STAYS = """\
agent,team,since,until
Ann,North,2025-01-01,
Bob,North,2025-01-01,
Cid,South,2025-01-01,
"""
MOVED_TEAMS = TEAMS.replace("North,Europe,Nora,2026-01-01", "North,World,Nora,2026-03-01")
MOVED_STAYS = STAYS.replace("Ann,North,2025-01-01,", "Ann,North,2025-01-01,2026-03-10\nAnn,South,2026-03-10,")
BY_HAND = "manager_id,department_id,valid_from,valid_to\nfiles:Cid,files:North,,\n"

# Won: in February Ann 1,250.00; in March Bob 2,500.50 on the 3rd, Cid 400.00 on the 20th, Ann 350.00 on the 28th.
# Open on 28 February, all in North: Bob's D03, D04 and D08, Cid's D05 and D06; on 31 March D04, D06, D11 and D12.

Cells = dict[tuple[str, str], Decimal]
"""(department, month or quarter) → value, where there is any."""


@dataclass(frozen=True)
class Figures:
    """What a build says of the departments."""

    won_amount: Cells
    open_deals: Cells


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Figures:
    """What is said once both nights are known."""
    company = Company(tmp_path_factory.mktemp("organisation"))
    company.configure(CONFIG + DATED)
    seeds = company.root / "seeds"
    seeds.mkdir()
    (seeds / "manager_department.csv").write_text(BY_HAND)
    settings = load_settings(company.root / "kpimart.toml", home=company.home).model_copy(update={"seeds": seeds})
    for teams, stays in ((TEAMS, STAYS), (MOVED_TEAMS, MOVED_STAYS)):
        company.write("teams.csv", teams)
        company.write("stays.csv", stays)
        take_in(company, settings)
    return figures_of(pipeline.build(settings))


def take_in(company: Company, settings: Settings) -> None:
    """What an extraction does, without the gate, which is others' matter."""
    fetch(settings, "files", folder=company.export, clock=utc_now)
    with open_warehouse(company.home) as connection:
        land(connection, settings, clock=utc_now)
        judge(connection, pending_batches(connection), "accepted", None, utc_now)


def figures_of(build: Build) -> Figures:
    with open_database(build.database) as connection:
        rows = connection.execute(
            """
            select
                kpi_code,
                split_part(department_id, ':', 2),
                if(period_grain = 'month', monthname(period_start), 'quarter'),
                value
            from kpi.kpi_value
            where entity_level = 'department' and value <> 0 and period_start >= date '2026-01-01'
                and period_grain in ('month', 'quarter') and kpi_code in ('won_amount', 'open_deals')
            """
        ).fetchall()
    cells = {code: {row[1:3]: row[3] for row in rows if row[0] == code} for code in ("won_amount", "open_deals")}
    return Figures(**cells)


def test_what_was_won_before_a_department_moved_stays_where_it_was(figures: Figures) -> None:
    won = figures.won_amount
    assert won["North", "February"] == won["Europe", "February"] == 1250
    assert ("World", "February") not in won


def test_what_is_won_after_it_moved_counts_in_the_new_place(figures: Figures) -> None:
    won = figures.won_amount
    # Bob's and, by the list kept by hand, Cid's
    assert won["North", "March"] == won["World", "March"] == Decimal("2900.50")
    # Ann's, who sits in South since the 10th
    assert won["South", "March"] == won["Europe", "March"] == 350


def test_a_period_in_which_a_department_moved_has_a_part_in_each_place(figures: Figures) -> None:
    won = figures.won_amount
    assert won["Europe", "quarter"] == 1250 + 350
    assert won["World", "quarter"] == Decimal("2900.50")
    assert won["North", "quarter"] == Decimal("4150.50")


def test_open_deals_move_with_their_department(figures: Figures) -> None:
    still_open = figures.open_deals
    assert still_open["North", "February"] == still_open["Europe", "February"] == 5
    assert ("World", "February") not in still_open
    assert still_open["North", "March"] == still_open["World", "March"] == still_open["World", "quarter"] == 4
    assert ("Europe", "March") not in still_open
