"""What dbt did, in words a person can use; on small projects of the tests' own, built for real.

Each run of dbt takes seconds, so a project fails in all ways at once, and each test looks at one of them.
"""

import os
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from kpimart.errors import BuildFailed
from kpimart.transform import NodeRun, Transformation, parse_dbt, run_dbt

PROJECT = """
name: small
config-version: 2
profile: kpimart
model-paths: [models]
seed-paths: [seeds]
test-paths: [tests]
models: {small: {+materialized: table}}
flags: {send_anonymous_usage_stats: false}
"""
SOUND = {
    "dbt_project.yml": PROJECT,
    "seeds/deal.csv": "id,amount\n1,5\n2,-7\n3,-9\n",
    "models/won.sql": "select id, amount from {{ ref('deal') }}",
}
FAILING = SOUND | {
    "models/lost.sql": "select id, amuont from {{ ref('deal') }}",
    "models/after.sql": "select * from {{ ref('lost') }}",
    "tests/no_deal_is_won_at_a_loss.sql": "select id, amount from {{ ref('won') }} where amount < 0 order by id",
    "tests/nothing_is_there.sql": "select i from range(1000) as rows (i)",
    "tests/riddle.sql": "select nothing from {{ ref('won') }}",
    "tests/no_rate.sql": "select 'EUR: deal ' || i as problem from range(7) as rows (i) order by i",
    "tests/tests.yml": """
data_tests:
  - name: no_deal_is_won_at_a_loss
    description: Bookings are positive.
  - name: no_rate
    description: Add rates.
""",
}
ODD = {"tests/odd.sql": "{{ config(severity='warn') }} select 'deal 2 is odd' as problem from {{ ref('won') }} limit 1"}
UNREADABLE = SOUND | {"models/won.sql": "select * from {{ ref('nobody') }}"}


def found_project(root: Path, files: dict[str, str]) -> Transformation:
    """A project of these files, and the home that it is built in."""
    for name, content in files.items():
        path = root / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (root / "home").mkdir()
    return Transformation(
        root / "home" / "warehouse.duckdb", root / "home" / "dbt", ("files",), project=root / "project"
    )


def ask(database: Path, query: str) -> list[tuple[object, ...]]:
    # Not read-only: after dbt has had a file open for writing, the same process cannot have it otherwise.
    with duckdb.connect(str(database)) as connection:
        return connection.execute(query).fetchall()


def nobody(_: NodeRun) -> None:
    """Is told of every model, and does not listen."""


@pytest.fixture(scope="module")
def failure(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What is said of a build in which a model and three tests fail."""
    with pytest.raises(BuildFailed) as failed:
        run_dbt(found_project(tmp_path_factory.mktemp("failing"), FAILING), nobody)
    return str(failed.value).splitlines()


def test_a_build_makes_seeds_and_models_and_tells_of_each_and_returns_what_tests_warn_of(tmp_path: Path) -> None:
    small = found_project(tmp_path, SOUND | ODD)
    files = sorted(small.project.rglob("*"))
    told: list[NodeRun] = []
    assert run_dbt(small, told.append, parse_dbt(small)) == ("odd\n  deal 2 is odd",)
    assert [(run.name, run.kind, run.status) for run in told] == [
        ("deal", "seed", "success"),
        ("won", "model", "success"),
        ("odd", "test", "warn"),
    ]
    assert all(0 <= run.seconds < 60 for run in told)
    assert ask(small.database, "select sum(amount) from won") == [(-11,)]
    # What it leaves lies in the home.
    assert sorted(small.project.rglob("*")) == files
    assert (small.work_folder / "dbt.log").exists()


def test_a_model_that_fails_is_told_with_the_words_of_the_database(failure: list[str]) -> None:
    place = next(place for place, line in enumerate(failure) if line.startswith("model lost could not be built: "))
    assert 'Referenced column "amuont" not found' in " ".join(failure[place : place + 3])


def test_what_was_only_passed_over_is_not_told(failure: list[str]) -> None:
    assert "after" not in " ".join(failure)


def test_a_test_that_fails_is_told_with_what_it_is_about_and_the_rows_it_found(failure: list[str]) -> None:
    place = failure.index("test no_deal_is_won_at_a_loss found 2 rows that must not be: Bookings are positive.")
    assert failure[place + 1 : place + 3] == ["  id=2, amount=-7", "  id=3, amount=-9"]


def test_of_many_rows_a_few_are_shown_and_all_are_counted(failure: list[str]) -> None:
    assert "test nothing_is_there found 1000 rows that must not be" in failure
    assert len([line for line in failure if line.startswith("  i=")]) == 5


def test_a_test_that_names_the_problem_is_told_in_its_own_words(failure: list[str]) -> None:
    place = failure.index("Add rates.")
    assert failure[place + 1 : place + 7] == [*(f"  EUR: deal {i}" for i in range(5)), "  … and 2 more"]


def test_a_test_that_cannot_be_run_is_told_as_one(failure: list[str]) -> None:
    assert [line for line in failure if line.startswith("test riddle could not be built: ")]


def test_a_project_that_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    small = found_project(tmp_path, UNREADABLE)
    before = dict(os.environ)
    with pytest.raises(BuildFailed, match=r"(?s)dbt cannot read .* a node named 'nobody' which was not found"):
        parse_dbt(small)
    assert dict(os.environ) == before


def test_a_scratch_build_reads_raw_from_the_live_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = found_project(tmp_path, SOUND | {"models/won.sql": "select amount from live.main.received"})
    live = tmp_path / "it's live.duckdb"
    ask(live, "create table received as select 42 as amount")
    monkeypatch.setenv("DBT_KPIMART_DATABASE", "somebody's own")
    before, folder = dict(os.environ), Path.cwd()
    scratch = replace(small, database=tmp_path / "scratch.duckdb", raw_database=live)
    run_dbt(scratch, nobody)
    assert ask(scratch.database, "select amount from won") == [(42,)]
    # What dbt was told through the environment is not told to anybody else.
    assert dict(os.environ) == before
    assert Path.cwd() == folder
