"""Where a build is made and what it may rest on. Whole runs, with dbt and the gates, are in tests/integration."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kpimart import pipeline
from kpimart.build import Build
from kpimart.building import live_transformation, place_of, prepare_scratch, transformation_of, write_live_project
from kpimart.errors import BuildFailed, GateRefused, SettingsError, WarehouseBusy
from kpimart.extract.landing import record_decisions
from kpimart.paths import DBT_PROJECT, SEEDS
from kpimart.publish.manifest import read_manifest
from kpimart.publish.release import current
from kpimart.quality.override import Override
from kpimart.settings import Settings
from kpimart.transform import Transformation
from kpimart.warehouse import RAW_COLUMNS, WAREHOUSE_FILE, open_database, open_warehouse, raw_table, writer_lock

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
TUESDAY, WEDNESDAY, THURSDAY = (MONDAY + timedelta(days=days) for days in (1, 2, 3))
TWO = timedelta(hours=2)


def change(home: Path, statement: str, parameters: object = None) -> None:
    with open_warehouse(home) as connection:
        connection.execute(statement, parameters)


def ask(home: Path, query: str) -> list[tuple[Any, ...]]:
    with open_warehouse(home) as connection:
        return connection.execute(query).fetchall()


def build_made(
    home: Path, build_id: str, as_of: datetime, *, place: str = WAREHOUSE_FILE, is_finished: bool = True
) -> None:
    """Put on record a build that was made two hours after the moment it speaks of."""
    started_at = as_of + TWO
    finished_at = started_at if is_finished else None
    values = [build_id, as_of, started_at, started_at, finished_at, place]
    change(home, "insert into ops.build values (?, ?, ?, ?, ?, ?)", values)


def batch_judged(home: Path, batch_id: str, at: datetime, *deals: str, verdict: str = "accepted") -> None:
    """Land a batch of deals, and judge it at once."""
    change(home, f"create table if not exists {raw_table('files', 'deals')} ({RAW_COLUMNS})")
    for deal in deals:
        values = [deal, at, at, batch_id]
        change(home, "insert into raw.files__deals values (?, null, false, '{}', '', ?, ?, ?)", values)
    change(home, "insert into ops.batch values (?, 'files', ?, ?)", [batch_id, at, at])
    change(home, "insert into ops.batch_verdict values (?, ?, ?, null)", [batch_id, verdict, at])


def seeds_decided(home: Path, folder: Path, at: datetime, **seeds: str) -> None:
    """Record seeds of these names and contents, and no others."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.csv"):
        old.unlink()
    for name, content in seeds.items():
        (folder / f"{name}.csv").write_text(content)
    with open_warehouse(home) as connection:
        record_decisions(connection, Settings(home=home), folder, lambda: at)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A home before its first extract."""
    home = tmp_path / "home"
    home.mkdir()
    with open_warehouse(home):
        return home


# Where a build is made


def place_for(home: Path, as_of: datetime, *, is_past: bool = False) -> str:
    with open_warehouse(home) as connection:
        build_id, place = place_of(connection, THURSDAY, as_of, is_apart=is_past)
    assert place in (WAREHOUSE_FILE, f"scratch/{build_id}.duckdb")
    return place.split("/")[0]


@pytest.mark.parametrize(
    ("as_of", "place"),
    [
        (TUESDAY - timedelta(microseconds=1), "scratch"),
        (TUESDAY, WAREHOUSE_FILE),
        (WEDNESDAY, WAREHOUSE_FILE),
    ],
    ids=["earlier", "equal", "later"],
)
def test_the_warehouse_never_moves_back(empty: Path, as_of: datetime, place: str) -> None:
    build_made(empty, "monday", MONDAY)
    build_made(empty, "tuesday", TUESDAY)
    assert place_for(empty, as_of) == place


def test_the_first_build_is_made_in_the_warehouse_whatever_moment_it_speaks_of(empty: Path) -> None:
    assert place_for(empty, datetime(2018, 1, 1, tzinfo=UTC)) == WAREHOUSE_FILE


def test_a_build_that_broke_off_or_was_made_elsewhere_moves_nothing(empty: Path) -> None:
    build_made(empty, "monday", MONDAY)
    build_made(empty, "broke off", WEDNESDAY, is_finished=False)
    build_made(empty, "elsewhere", WEDNESDAY, place="scratch/elsewhere.duckdb")
    assert place_for(empty, TUESDAY) == WAREHOUSE_FILE


def test_past_knowledge_is_never_built_over_the_present(empty: Path) -> None:
    build_made(empty, "monday", MONDAY)
    assert place_for(empty, TUESDAY, is_past=True) == "scratch"


def test_builds_of_one_second_have_names_of_their_own(empty: Path) -> None:
    names = []
    for number in range(4):
        started_at = MONDAY + timedelta(milliseconds=number)
        with open_warehouse(empty) as connection:
            build_id, _ = place_of(connection, started_at, MONDAY, is_apart=False)
        build_made(empty, build_id, MONDAY)
        names.append(build_id)
    assert names == ["20261123T000000Z", "20261123T000000Z-2", "20261123T000000Z-3", "20261123T000000Z-4"]


# What a build may rest on


def refusal(home: Path, known_at: datetime | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        pipeline.build(Settings(home=home), known_at=known_at)
    assert ask(home, "select count(*) from ops.build") == [(0,)]
    return str(refused.value)


@pytest.mark.parametrize("known_at", [None, MONDAY])
def test_there_is_no_build_before_the_first_extract(empty: Path, known_at: datetime | None) -> None:
    assert refusal(empty, known_at) == "nothing has been extracted yet; run kpimart extract first"


def test_there_is_no_build_while_all_batches_are_held(empty: Path) -> None:
    batch_judged(empty, "files-1", MONDAY, "D1", verdict="held")
    assert refusal(empty) == "nothing has been extracted yet; run kpimart extract first"


@pytest.mark.parametrize("early", ["data", "seeds"])
def test_a_moment_before_anything_was_known_is_refused_with_the_first_one(
    empty: Path, tmp_path: Path, early: str
) -> None:
    """Data alone are not enough: without seeds dbt would only say that it cannot find them."""
    batch_judged(empty, "files-1", MONDAY if early == "data" else TUESDAY, "D1")
    seeds_decided(empty, tmp_path / "seeds", MONDAY if early == "seeds" else TUESDAY, kpi_catalogue="kpi_code\n")
    assert refusal(empty, MONDAY + TWO) == (
        "nothing was known at 2026-11-23 02:00:00 UTC: the first data and seeds were there at "
        "2026-11-24 00:00:00 UTC; give a later --known-at"
    )


def test_past_knowledge_without_seeds_on_record_is_refused(empty: Path) -> None:
    batch_judged(empty, "files-1", MONDAY, "D1")
    assert refusal(empty, TUESDAY) == ("seeds are recorded by the first build without --known-at; run that one first")


def test_a_build_waits_for_nobody(empty: Path) -> None:
    with writer_lock(empty), pytest.raises(WarehouseBusy):
        pipeline.build(Settings(home=empty))


# A scratch database


@pytest.fixture(scope="module")
def warehouse_with_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three nights: a batch each, and one more that is held; the seeds changed on Wednesday."""
    home, seeds = tmp_path_factory.mktemp("history"), tmp_path_factory.mktemp("seeds")
    seeds_decided(home, seeds, MONDAY, kpi_catalogue="kpi_code\nold\n", gone="id\n1\n")
    batch_judged(home, "files-1", MONDAY, "D1")
    batch_judged(home, "files-held", MONDAY, "DX", verdict="held")
    batch_judged(home, "files-2", TUESDAY, "D1", "D2")
    batch_judged(home, "files-3", WEDNESDAY, "D3")
    seeds_decided(home, seeds, WEDNESDAY, kpi_catalogue="kpi_code\nnew\n", added="id\n2\n")
    build_made(home, "monday", MONDAY)
    build_made(home, "past", TUESDAY, place="scratch/past.duckdb")
    return home / WAREHOUSE_FILE


@pytest.fixture
def history(warehouse_with_history: Path, tmp_path: Path) -> Path:
    """A home of that history, in a folder whose name has what SQL would take for the end of a text."""
    home = tmp_path / "O'Brien's home"
    home.mkdir()
    shutil.copy(warehouse_with_history, home)
    return home


def prepared(home: Path, known_at: datetime) -> Transformation:
    settings, made = Settings(home=home), Build("past", TUESDAY, known_at, home / "scratch" / "past.duckdb")
    prepare_scratch(settings, made)
    return transformation_of(settings, made)


def seeds_of(transformation: Transformation) -> dict[str, str]:
    """File name → content, of the seeds that dbt finds."""
    return {path.name: path.read_text() for path in (transformation.project / "seeds").glob("*.csv")}


def scratch_rows(scratch: Transformation, query: str) -> list[tuple[Any, ...]]:
    """Ask as dbt does: the scratch database opened, the live one beside it."""
    assert scratch.raw_database is not None
    with open_database(scratch.database, read_only=False) as connection:
        path = str(scratch.raw_database).replace("'", "''")
        connection.execute(f"attach '{path}' as live (read_only)")
        return connection.execute(query).fetchall()


@pytest.mark.parametrize(
    ("known_at", "deals"),
    [
        (MONDAY, ["D1"]),
        (TUESDAY - timedelta(microseconds=1), ["D1"]),
        (TUESDAY, ["D1", "D1", "D2"]),
        (THURSDAY, ["D1", "D1", "D2", "D3"]),
    ],
)
def test_raw_is_what_was_accepted_by_then(history: Path, known_at: datetime, deals: list[str]) -> None:
    found = scratch_rows(prepared(history, known_at), "select id from raw.files__deals order by id")
    assert [deal for (deal,) in found] == deals


def test_a_scratch_database_knows_of_no_other_build(history: Path) -> None:
    assert scratch_rows(prepared(history, MONDAY), "select build_id from ops.build") == [("past",)]


@pytest.mark.parametrize(
    ("known_at", "seeds"),
    [
        (TUESDAY, {"kpi_catalogue.csv": "kpi_code\nold\n", "gone.csv": "id\n1\n"}),
        (THURSDAY, {"kpi_catalogue.csv": "kpi_code\nnew\n", "added.csv": "id\n2\n"}),
    ],
    ids=["before_they_changed", "after"],
)
def test_seeds_are_those_of_then(history: Path, known_at: datetime, seeds: dict[str, str]) -> None:
    written = seeds_of(prepared(history, known_at))
    assert {name: text for name, text in written.items() if name in seeds} == seeds
    assert "added.csv" in seeds or "added.csv" not in written


def test_a_seed_that_was_not_there_then_has_no_rows(history: Path) -> None:
    """What is read of it today is still there to be read."""
    rates = seeds_of(prepared(history, TUESDAY))["exchange_rate.csv"]
    assert rates == "from_currency,to_currency,valid_on,rate"


def test_seeds_of_the_company_are_built_from_in_place_of_the_projects(empty: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "exchange_rate.csv").write_text("from_currency,to_currency,valid_on,rate\nEUR,USD,2026-01-01,1.1\n")
    settings = Settings(home=empty, seeds=own)
    write_live_project(settings)
    written = seeds_of(live_transformation(settings))
    assert written["exchange_rate.csv"] == (own / "exchange_rate.csv").read_text()
    assert written["kpi_profile.csv"] == (SEEDS / "kpi_profile.csv").read_text()


def test_the_models_are_those_of_now_but_for_the_sources_that_are_not_read(history: Path) -> None:
    project, now = prepared(history, TUESDAY).project, DBT_PROJECT
    for name in ("dbt_project.yml", "macros", "tests"):
        assert (project / name).exists()
        assert (project / name).resolve() == (now / name).resolve()
    models = {path.relative_to(project): path.resolve() for path in (project / "models").rglob("*.sql")}
    assert models == {path: (now / path).resolve() for path in models}
    names = {path.name for path in (now / "models").resolve().rglob("*.sql") if path.parent.parent.name != "staging"}
    assert names < {path.name for path in models}
    assert {path.parent.name for path in models if path.parent.parent.name == "staging"} == {"files", "kpimart"}


def test_a_scratch_database_is_prepared_anew_each_time(history: Path) -> None:
    prepared(history, TUESDAY)
    assert scratch_rows(prepared(history, MONDAY), "select id from raw.files__deals") == [("D1",)]


def test_preparing_changes_nothing_in_the_warehouse(history: Path) -> None:
    before = (history / WAREHOUSE_FILE).read_bytes()
    prepared(history, TUESDAY)
    assert (history / WAREHOUSE_FILE).read_bytes() == before


# What is judged and published is the build that was asked for

NEXT_NIGHT = datetime(2027, 1, 9, tzinfo=UTC)


def judged(home: Path, build_id: str, outcome: str = "passed") -> None:
    change(
        home,
        "insert into ops.quality_result values "
        "(?, 'reporting', 'kpi_value', 'x', 'critical', ?, null, null, null, now())",
        [build_id, outcome],
    )


def test_by_default_the_last_build_is_published(home: Path) -> None:
    build_made(home, "20270109T020000Z", NEXT_NIGHT)
    judged(home, "20270109T020000Z")
    release = pipeline.publish(Settings(home=home))
    assert (release.release_id, release.is_current) == ("20270109T020000Z", True)


def test_a_build_that_was_not_judged_is_not_published(home: Path) -> None:
    build_made(home, "20270109T020000Z", NEXT_NIGHT)
    with pytest.raises(GateRefused):
        pipeline.publish(Settings(home=home))


@pytest.mark.parametrize("step", [pipeline.publish, pipeline.validate])
@pytest.mark.parametrize("is_finished", [True, False], ids=["made", "begun"])
def test_a_build_in_whose_place_another_was_made_is_refused(home: Path, step: Any, *, is_finished: bool) -> None:
    """Else figures that no gate has seen would be published under the name of those that it let pass."""
    build_made(home, "good", NEXT_NIGHT)
    judged(home, "good")
    build_made(home, "unseen", NEXT_NIGHT + TWO, is_finished=is_finished)
    served = current(home)
    with pytest.raises(BuildFailed, match="build good is not there any more: build unseen was made in its place"):
        step(Settings(home=home), "good")
    assert current(home) == served
    assert ask(home, "select outcome from ops.quality_result where subject_id = 'good'") == [("passed",)]


CFO = Override("M. Berg", "the CFO confirmed the deal")


def test_a_refused_build_is_published_by_name_and_reason_and_says_so_everywhere(home: Path) -> None:
    build_made(home, "20270109T020000Z", NEXT_NIGHT)
    judged(home, "20270109T020000Z", "failed")
    release = pipeline.publish(Settings(home=home), override=CFO)
    assert (release.is_current, release.overridden_by) == (True, "M. Berg")
    (override,) = read_manifest(release.folder).gate.overrides
    assert (override["table"], override["by"], override["reason"]) == ("kpi_value", CFO.by, CFO.reason)
    with open_database(release.database) as connection:
        results = "select outcome, overridden_by, override_reason from quality_result where boundary = 'reporting'"
        assert connection.execute(results).fetchall() == [("failed", CFO.by, CFO.reason)]
        listed = connection.execute("select overridden_by from release order by release_id").fetchall()
    assert listed == [(None,), (None,), ("M. Berg",)]
    decided = "select payload ->> '$.by', payload ->> '$.reason', payload ->> '$.subject_id' from raw.kpimart__override"
    assert ask(home, decided) == [(CFO.by, CFO.reason, "20270109T020000Z")]
    assert pipeline.publish(Settings(home=home), override=CFO) == release


def test_an_override_is_good_for_what_was_refused_then_and_for_nothing_else(home: Path) -> None:
    build_made(home, "20270109T020000Z", NEXT_NIGHT)
    judged(home, "20270109T020000Z", "failed")
    change(
        home,
        "insert into raw.kpimart__override values ('x', null, false, ?, '', now(), now(), 'b')",
        [
            '{"boundary": "reporting", "subject_id": "20270109T020000Z", "by": "M. Berg", "reason": "Because.", '
            '"refusals": [{"table": "kpi_value", "expectation": "x", "expected": null}]}'
        ],
    )
    change(
        home,
        "insert into ops.quality_result values "
        "('20270109T020000Z', 'reporting', 'deal', 'y', 'critical', 'failed', null, null, null, now())",
        [],
    )
    with pytest.raises(GateRefused, match="deal  y"):
        pipeline.publish(Settings(home=home))


@pytest.mark.parametrize(
    ("outcome", "error", "said"),
    [("passed", SettingsError, "there is nothing to override"), (None, GateRefused, "before it is judged")],
)
def test_there_is_nothing_to_override_in_what_passed_or_was_not_judged(
    home: Path, outcome: str | None, error: type[Exception], said: str
) -> None:
    build_made(home, "20270109T020000Z", NEXT_NIGHT)
    if outcome:
        judged(home, "20270109T020000Z", outcome)
    with pytest.raises(error, match=said):
        pipeline.publish(Settings(home=home), override=CFO)
    assert ask(home, "select count(*) from raw.kpimart__override") == [(0,)]


@pytest.mark.parametrize(("by", "reason"), [("", "Because."), ("M. Berg", " ")])
def test_an_override_needs_a_name_and_a_reason(by: str, reason: str) -> None:
    with pytest.raises(SettingsError, match="needs the name of who takes it upon themselves and the reason"):
        Override(by, reason)


def test_a_held_batch_is_accepted_by_name_and_reason_as_of_now(home: Path) -> None:
    change(
        home,
        "insert into ops.batch values ('files-2', 'files', '2027-01-08 01:00:00+00', '2027-01-08 01:00:00+00')",
        [],
    )
    change(home, "insert into ops.batch_verdict values ('files-2', 'held', '2027-01-08 01:01:00+00', 'too few')", [])
    change(
        home,
        "insert into ops.quality_result values ('files-2', 'raw', 'batch_object', 'z', 'critical', 'failed', "
        "null, null, null, '2027-01-08 01:01:00+00')",
        [],
    )
    assert pipeline.accept(Settings(home=home), CFO, clock=lambda: NEXT_NIGHT) == ["files-2"]
    assert ask(
        home, "select verdict, judged_at >= '2027-01-09', reason from ops.batch_verdict where batch_id = 'files-2'"
    ) == [("accepted", True, "accepted by M. Berg: the CFO confirmed the deal")]
    decided = "select id, payload ->> '$.by', payload ->> '$.refusals[0].expectation' from raw.kpimart__override"
    assert ask(home, decided) == [("raw:files-2", "M. Berg", "z")]
    with pytest.raises(SettingsError, match="the raw gate holds no batch"):
        pipeline.accept(Settings(home=home), CFO)


def test_of_batches_that_were_held_together_only_what_was_refused_is_overridden(home: Path) -> None:
    for batch_id, outcome in (("crm-deals", "failed"), ("crm-users", "passed")):
        batch_judged(home, batch_id, NEXT_NIGHT, verdict="held")
        values = [batch_id, outcome, NEXT_NIGHT]
        change(home, "insert into ops.quality_result values (?, 'raw', 't', 'z', 'critical', ?, '', '', '', ?)", values)
    assert pipeline.accept(Settings(home=home), CFO) == ["crm-deals", "crm-users"]
    assert ask(home, "select id from raw.kpimart__override") == [("raw:crm-deals",)]


def test_what_a_release_rests_on_by_override_is_in_its_manifest(home: Path) -> None:
    test_a_held_batch_is_accepted_by_name_and_reason_as_of_now(home)
    build_made(home, "20270110T020000Z", NEXT_NIGHT + TWO)
    judged(home, "20270110T020000Z")
    release = pipeline.publish(Settings(home=home))
    assert release.overridden_by is None
    assert [each["subject_id"] for each in read_manifest(release.folder).gate.overrides] == ["files-2"]


def test_a_build_elsewhere_takes_nobodys_place(home: Path) -> None:
    build_made(home, "good", NEXT_NIGHT)
    judged(home, "good")
    build_made(home, "elsewhere", NEXT_NIGHT + TWO, place="scratch/elsewhere.duckdb")
    assert pipeline.publish(Settings(home=home), "good").is_current


def test_what_is_published_can_be_published_again_after_later_builds(home: Path) -> None:
    """A task that is cleared runs again, however many nights later."""
    release = pipeline.publish(Settings(home=home), "20270107T020000Z")
    assert (release.release_id, release.is_current) == ("20270107T020000Z", False)


@pytest.mark.parametrize("step", [pipeline.publish, pipeline.validate])
def test_a_scratch_build_whose_file_is_gone_is_refused(home: Path, step: Any) -> None:
    build_made(home, "past", MONDAY, place="scratch/past.duckdb")
    with pytest.raises(BuildFailed, match=r"build past is not there any more: .*past.duckdb was removed"):
        step(Settings(home=home), "past")
    assert not (home / "scratch").exists()


def test_a_build_that_broke_off_is_neither_judged_nor_published(home: Path) -> None:
    build_made(home, "broken", NEXT_NIGHT, is_finished=False)
    for step in (pipeline.validate, pipeline.publish):
        with pytest.raises(BuildFailed, match="build broken did not finish; run kpimart build again"):
            step(Settings(home=home))


def test_an_unknown_build_is_told(home: Path) -> None:
    with pytest.raises(SettingsError, match="there is no build 20300101T000000Z"):
        pipeline.publish(Settings(home=home), "20300101T000000Z")
