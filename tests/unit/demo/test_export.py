"""The files: the same every time, complete, and described by the example's configuration."""

import re
from datetime import date, datetime
from pathlib import Path

import pytest

from kpimart.demo import UNTIL, export
from kpimart.demo.world import BASE_CURRENCY, PIPELINES, TIME_ZONE
from kpimart.settings import FileMapping, FilesSettings, Settings, load_settings

from .exported import Export

EXAMPLE = Path(__file__).parents[3] / "examples" / "demo" / "kpimart.toml"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


@pytest.fixture(scope="module")
def example() -> Settings:
    return load_settings(EXAMPLE)


def mappings(files: FilesSettings) -> dict[str, FileMapping]:
    objects = set(FilesSettings.model_fields) - {"folder", "stages"}
    return {name: mapped[0] for name in objects if (mapped := getattr(files, name))}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_seed_and_end_give_the_same_bytes(demo: Export, tmp_path: Path) -> None:
    export(tmp_path)
    assert contents(tmp_path) == contents(demo.folder)


def test_another_seed_gives_another_company(demo: Export, tmp_path: Path) -> None:
    export(tmp_path, seed=99)
    ours, theirs = contents(demo.folder), contents(tmp_path)
    assert [name for name in ours if ours[name] == theirs[name]] == ["departments.ndjson"]


def test_it_spans_the_three_years_up_to_its_end(demo: Export) -> None:
    created = [deal["created_at"] for deal in demo["deals"] if deal["created_at"]]
    assert min(created) < "2023-10-18"
    assert max(created) > "2026-10-14"


def test_a_leap_day_can_be_the_end(tmp_path: Path) -> None:
    export(tmp_path, until=date(2024, 2, 29))
    assert Export(tmp_path)["deals"]


def test_the_example_ends_where_the_simulation_does(example: Settings) -> None:
    assert (example.as_of, example.time_zone, example.base_currency) == (UNTIL, str(TIME_ZONE), BASE_CURRENCY)


def test_the_example_maps_every_column_of_every_file(demo: Export, example: Settings) -> None:
    mapped = {
        mapping.file: {origin.column for origin in mapping.columns.values()}
        for mapping in mappings(example.files).values()
    }
    assert mapped == {f"{name}.ndjson": set(rows[0]) for name, rows in demo.rows.items()}


def test_the_example_knows_every_stage(example: Settings) -> None:
    described = [(stage.pipeline, stage.name, stage.outcome, stage.probability) for stage in example.files.stages]
    assert described == [
        (pipeline.id, stage.name, stage.outcome, stage.probability)
        for pipeline in PIPELINES.values()
        for stage in pipeline.stages
    ]


def test_every_row_has_every_column(demo: Export) -> None:
    for rows in demo.rows.values():
        assert {tuple(row) for row in rows} == {tuple(rows[0])}


def test_ids_are_unique(demo: Export) -> None:
    for name in demo.rows.keys() - {"targets"}:
        assert len(demo.by_id(name)) == len(demo[name]), name


def test_a_target_is_agreed_once_for_its_key(demo: Export) -> None:
    keys = [tuple(value for name, value in row.items() if name not in ("value", "set_at")) for row in demo["targets"]]
    assert len(set(keys)) == len(keys)


def test_moments_are_in_utc_and_lie_before_the_end(demo: Export, example: Settings) -> None:
    end = example.moment(UNTIL)
    for name, rows in demo.rows.items():
        moments = {(column, value) for row in rows for column, value in row.items() if column.endswith("_at") and value}
        assert all(MOMENT.fullmatch(moment) for _, moment in moments), name
        assert all(datetime.fromisoformat(moment) < end for column, moment in moments if column != "due_at"), name


def test_amounts_are_exact_text_and_every_closed_deal_has_one(demo: Export) -> None:
    amounts = [deal["amount"] for deal in demo["deals"] if deal["amount"] is not None]
    assert all(re.fullmatch(r"[1-9]\d*\.\d\d", amount) for amount in amounts)
    assert all(deal["amount"] for deal in [*demo.won, *demo.lost])


def test_names_try_what_reads_them(demo: Export) -> None:
    accounts = [account["name"] for account in demo["accounts"]]
    assert any('"' in name and "," in name for name in accounts)
    assert len(set(accounts)) == len(accounts)
    for names in (accounts, [manager["name"] for manager in demo["managers"]]):
        assert sum(not name.isascii() for name in names) > len(names) / 10
