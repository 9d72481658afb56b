"""The seeds of the project, and a company's own in their place."""

from pathlib import Path

import pytest

from kpimart.errors import SettingsError
from kpimart.paths import SEEDS
from kpimart.seeds import LATER_COLUMNS, own_seeds, seed_file, seed_texts, with_later_columns

RATES = "from_currency,to_currency,valid_on,rate\nEUR,USD,2026-01-01,1.1\n"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A company's folder, with rates of its own, saved by a spreadsheet, and a note beside them."""
    (tmp_path / "exchange_rate.csv").write_text(RATES, encoding="utf-8-sig")
    (tmp_path / "note.txt").write_text("from the bank")
    return tmp_path


def test_a_seed_of_the_company_stands_in_for_the_projects(own: Path) -> None:
    assert seed_file("exchange_rate.csv", own) == own / "exchange_rate.csv"
    assert seed_file("kpi_profile.csv", own) == SEEDS / "kpi_profile.csv"


def test_all_seeds_are_there_with_the_companys_own_among_them(own: Path) -> None:
    texts = seed_texts(own)
    assert texts.keys() == {path.name for path in SEEDS.glob("*.csv")}
    assert texts["exchange_rate.csv"] == RATES
    assert texts["kpi_profile.csv"] == (SEEDS / "kpi_profile.csv").read_text()


def test_without_a_folder_all_seeds_are_the_projects() -> None:
    assert own_seeds(None) == {}
    assert seed_file("exchange_rate.csv", None) == SEEDS / "exchange_rate.csv"


def test_a_file_that_stands_in_for_no_seed_is_refused(own: Path) -> None:
    (own / "exchange_rates.csv").write_text(RATES)
    with pytest.raises(SettingsError, match=r"exchange_rates.csv: stands in for no seed; there are .*holiday.csv"):
        seed_texts(own)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gone: there is no such folder; it holds the company's own seeds"):
        own_seeds(tmp_path / "gone")


def test_a_seed_from_before_a_column_was_there_is_read_with_what_held_then() -> None:
    before = "profile,kpi_code,weight\ngrowth,won_amount,1\n"
    now = "profile,kpi_code,weight,threshold,cap\ngrowth,won_amount,1,0.5,1.5\n"
    assert with_later_columns("kpi_profile.csv", before) == now
    assert with_later_columns("kpi_profile.csv", now) == now
    assert with_later_columns("holiday.csv", before) == before


def test_columns_that_came_later_are_there_now() -> None:
    for name, columns in LATER_COLUMNS.items():
        assert columns.keys() <= set((SEEDS / name).read_text().partition("\n")[0].split(","))
