"""A wrong mapping is told at once, all of it, with a hint."""

import re
from typing import Any

import pytest

from kpimart.errors import SettingsError
from kpimart.extract.canonical import check_mappings


def problems(crm: Any) -> str:
    with pytest.raises(SettingsError) as refusal:
        check_mappings(crm.settings, "files")
    return str(refusal.value)


def test_a_right_mapping_passes(crm: Any) -> None:
    check_mappings(crm.settings, "files")


def test_an_unknown_column_is_told_with_its_nearest_neighbour(crm: Any) -> None:
    crm.map_deals(columns={"amuont": "amount"})
    assert "files.deals[1] (deals.csv): columns.amuont: no such column of deals; did you mean 'amount'?" in problems(
        crm
    )


def test_a_required_column_must_be_mapped(crm: Any) -> None:
    crm.map_deals(columns={"stage": None})
    assert "columns.stage: is required for deals" in problems(crm)


def test_all_problems_are_told_at_once(crm: Any) -> None:
    crm.map_deals(columns={"id": None, "stage": None, "nonsense": "x"})
    assert len(problems(crm).splitlines()) == 3


def test_deals_must_be_mapped(crm: Any) -> None:
    crm.files = {}
    assert "no file is mapped to deals" in problems(crm)


def test_stages_must_be_known(crm: Any) -> None:
    crm.files["stages"] = ()
    assert "files.stages: no stage is known" in problems(crm)


def test_a_file_without_a_telling_name_needs_a_format(crm: Any) -> None:
    crm.map_deals(file="deals.export")
    assert "say format = 'csv', 'ndjson' or 'parquet'" in problems(crm)


@pytest.mark.parametrize("pattern", ["%s", "%d.%m.%Y %Q", "dd.mm.yyyy", "%"])
def test_a_date_format_is_one_that_everything_downstream_reads(crm: Any, pattern: str) -> None:
    crm.map_deals(date_format=pattern)
    assert re.search("date_format: expected a strptime pattern", problems(crm))


def test_a_format_on_an_amount_is_a_mistake(crm: Any) -> None:
    crm.map_deals(columns={"amount": {"column": "amount", "format": "%d"}})
    assert "columns.amount: format: is for dates and times" in problems(crm)


def test_a_constant_must_fit_its_column(crm: Any) -> None:
    crm.map_deals(columns={"stage": {"constant": "Wno"}})
    assert "columns.stage: constant: expected a stage of the settings (Talking, Won, Lost), found 'Wno'" in problems(
        crm
    )


def test_an_id_cannot_be_constant(crm: Any) -> None:
    crm.map_deals(columns={"id": {"constant": "1"}})
    assert "columns.id: is the same constant for all records" in problems(crm)


def test_two_files_that_raw_could_not_tell_apart_must_be_read_alike(crm: Any) -> None:
    crm.map("deals", "old.csv", {**crm.files["deals"][0]["columns"]}, currency="EUR")
    assert "old.csv): has the same source columns as deals.csv but reads them in another way" in problems(crm)
