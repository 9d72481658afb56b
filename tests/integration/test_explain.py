"""Every figure of a small company is explained by rows that add up to it; a new KPI is one row, wherever it shows."""

from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from small_company import CONFIG, NEXT_DEALS, Company, company_in

from kpimart import catalogue, figures, reference
from kpimart.explain import explain
from kpimart.paths import SEEDS

PERIODS = {"quarter": "2026-Q1", "week": "2026-W13", "day": "2026-03-28"}
WHOSE: tuple[dict[str, str], ...] = (
    {},
    {"manager": "Ann"},
    {"department": "Europe"},
    {"manager": "Bob", "department": "North"},
)
NEW_KPI = (
    "lost_per_won,Lost per won,Проигрышей на победу,Lost deals per won deal.,Проигранные сделки на одну выигранную.,"
    "lost_deals / won_deals,count,lower,both,day,head of sales,conversion,0.0"
)
TARGETS = """\
kpi_code,entity_level,entity_key,period_grain,period_start,target_value,set_at
won_amount,company,company,quarter,2026-01-01,5000,2025-12-15
won_amount,department,files:Europe,quarter,2026-01-01,5000,2025-12-15
won_amount,manager,files:Ann,quarter,2026-01-01,2000,2025-12-15
"""


@pytest.fixture(scope="module")
def night_after(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The night after the first, in which a deal was won late and an amount corrected, with a KPI more."""
    company = company_in(tmp_path_factory)
    company.write("deals.csv", NEXT_DEALS)
    company.configure(f'seeds = "seeds"\n{CONFIG}')
    own = company.root / "seeds"
    own.mkdir()
    shipped = (SEEDS / "kpi_catalogue.csv").read_text(encoding="utf-8")
    (own / "kpi_catalogue.csv").write_text(f"{shipped}{NEW_KPI}\n", encoding="utf-8")
    (own / "kpi_target.csv").write_text(TARGETS)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(company.root)
        company.run_here()
    return company


def database(company: Company) -> Path:
    return company.home / "reporting" / "reporting.duckdb"


@pytest.mark.parametrize("code", [row["kpi_code"] for row in catalogue.read_catalogue()])
def test_every_figure_is_the_sum_of_what_contributes_to_it(night_after: Company, code: str) -> None:
    ((finest,),) = night_after.ask_served(f"select finest_grain from kpi_catalogue where kpi_code = '{code}'")
    periods = [name for grain, name in PERIODS.items() if grain in figures.GRAINS[figures.GRAINS.index(finest) :]]
    explained = [
        explain(database(night_after), code, period=period, shown_rows=None, **whose)  # type: ignore[arg-type]
        for period, whose in product(periods, WHOSE)
    ]
    assert [difference for each in explained for difference in each.differences] == []
    left = [rest for each in explained for section in each.sections for rest in section.rest.values()]
    assert set(left) <= {0}, "what is listed is all there is"
    assert any(each.published for each in explained)


def test_a_new_kpi_is_in_every_published_table_and_in_the_docs(
    night_after: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Won 6 and lost 3 in the quarter: 3 / 6, of the company; Ann won 3 and lost 1."""
    of_quarter = "kpi_code = 'lost_per_won' and period_grain = 'quarter' and entity_key in ('company', 'files:Ann')"
    assert night_after.ask_served(
        f"select entity_key, numerator, denominator, value, unit from kpi_value where {of_quarter} order by 1"
    ) == [("company", 3, 6, Decimal("0.5"), "count"), ("files:Ann", 1, 3, Decimal("0.33333333"), "count")]
    views = night_after.ask_served("select table_name from duckdb_columns() where column_name = 'lost_per_won'")
    assert {
        f"kpi_{level}_{grain}"
        for level in ("company", "department", "manager", "manager_in_department")
        for grain in figures.GRAINS
    } <= {name for (name,) in views}
    assert night_after.ask_served("select lost_per_won from kpi_company_quarter") == [(Decimal("0.5"),)]
    assert night_after.ask_served("select name_ru from kpi_catalogue where kpi_code = 'lost_per_won'") == [
        ("Проигрышей на победу",)
    ]
    of_cuts = "select count(*) > 0 from kpi_value_by_cut where kpi_code = 'lost_per_won'"
    assert night_after.ask_served(of_cuts) == [(True,)]

    own = night_after.root / "seeds"
    monkeypatch.setattr(reference, "read_catalogue", lambda: catalogue.read_catalogue(own))
    assert "**Lost per won.** Lost deals per won deal." in reference.kpis_page("en")
    assert "`lost_per_won`" in reference.measures_page()
