"""What stands on the screen at the end of a command."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import RenderableType

from kpimart import figures, render, report
from kpimart.build import Build
from kpimart.extract.forgetting import RecordName
from kpimart.extract.landing import LandedBatch, LandedObject
from kpimart.forget import Finding, Place
from kpimart.pipeline import Extraction, Run
from kpimart.publish.diff import Cell as ChangedCell
from kpimart.publish.diff import Difference, Entry, KpiChange
from kpimart.publish.manifest import Gate, GateCounts, read_manifest
from kpimart.publish.release import current, releases, rollback
from kpimart.publish.verify import TableDifference, Verification
from kpimart.quality.verdict import Outcome, Result, Verdict
from kpimart.reconcile import Cell, Explanation, ObjectTotal, Reconciliation, Sum
from kpimart.settings import Settings
from kpimart.simulation import Rescored, Simulation, Untargeted
from kpimart.status import ChangedField, LastBatch, LastBuild, Status, read_status

NIGHT = datetime(2027, 1, 8, 2, tzinfo=UTC)
SETTINGS = Settings(home=Path("var"), time_zone="Europe/Berlin")


Screen = pytest.CaptureFixture[str]


def shown(capsys: Screen, told: Iterable[RenderableType]) -> str:
    console = render.console()
    for part in told:
        console.print(part)
    return capsys.readouterr().out


def row_of(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if name in line]
    return [cell.strip() for cell in line.split("│")[1:-1]]


def result(outcome: Outcome, severity: str = "critical") -> Result:
    return Result("kpi_value", "won_amount of company", severity, outcome)  # type: ignore[arg-type]


def extraction(verdict: Verdict | None) -> Extraction:
    deals = LandedObject("deals", "full", 8800, 1200, 3, 1, 8000)
    return Extraction((LandedBatch("files-2", "files", NIGHT, NIGHT, (deals,)),), verdict)


@pytest.fixture
def done(published: Path) -> Run:
    release = current(published)
    assert release is not None
    return Run(
        extraction(Verdict("raw", (result("passed"), result("failed", "warning")))),
        Build("20270108T020000Z", NIGHT.replace(hour=0), NIGHT, published / "warehouse.duckdb"),
        Verdict("reporting", (result("passed"), result("passed"))),
        release,
        {"extract": 1.234, "build": 5.0},
    )


# A run


def test_a_run_says_what_was_read_built_and_judged(done: Run, capsys: Screen) -> None:
    text = shown(capsys, report.of_run(SETTINGS, done, ["won_amount", "lost_deals"]))
    assert "read files-2" in text
    assert row_of(text, "deals  ") == ["deals", "8,800", "1,200", "1", "3"]
    assert "20270108T020000Z, figures as of 2027-01-08 01:00 CET" in text
    assert "raw: 1 passed, 1 warned; reporting: 2 passed, 0 warned" in text
    assert "extract 1.2 s, build 5.0 s" in text


def test_a_run_shows_the_few_kpis_of_this_and_the_last_month_and_where_to_look(done: Run, capsys: Screen) -> None:
    text = shown(capsys, report.of_run(SETTINGS, done, ["won_amount", "lost_deals"]))
    assert "2027-01-01 … 2027-01-31, going on" in text
    assert row_of(text, "90,000.00") == ["Company", "90,000.00", "4"]
    assert row_of(text, "before 1,250,000.50") == ["", "before 1,250,000.50", "before 1,100"]
    assert "look at it:  kpimart kpi --by manager" in text


def test_a_run_tells_what_the_tests_of_its_build_warn_of(done: Run, capsys: Screen) -> None:
    warned = replace(done, build=replace(done.build, warnings=("shares are not one:\n  deal D1: 0.9",)))
    text = shown(capsys, report.of_run(SETTINGS, warned, ["won_amount"]))
    assert "warning: shares are not one:\n  deal D1: 0.9\n" in text
    assert "warning: " not in shown(capsys, report.of_run(SETTINGS, done, ["won_amount"]))


def test_a_run_tells_what_its_gates_warn_of(done: Run, capsys: Screen) -> None:
    text = shown(capsys, report.of_run(SETTINGS, done, ["won_amount"]))
    assert (
        "raw gate passed what it judged: of 2 expectations 1 warned\n  kpi_value  won_amount of company  [warning]"
        in text
    )
    assert "reporting gate" not in text


def test_a_run_that_landed_nothing_tells_of_no_raw_gate(done: Run) -> None:
    again = Run(Extraction((), None), done.build, done.verdict, done.release)
    assert report.gate_counts(again) == {"reporting": {"passed": 2, "failed": 0, "errored": 0}}


def test_every_outcome_of_a_gate_is_counted(done: Run) -> None:
    assert report.gate_counts(done)["raw"] == {"passed": 1, "failed": 1, "errored": 0}


# Releases


def test_the_command_that_opens_the_release_is_right(published: Path) -> None:
    release = current(published)
    assert release is not None
    text = report.of_release(release)
    served = published / "reporting" / "reporting.duckdb"
    assert served.is_file()
    assert f"release 20270108T020000Z is served: {served}" in text
    assert f'duckdb -readonly {served} "select * from reporting.kpi_company_month"' in text


def test_a_release_of_an_earlier_moment_says_how_to_serve_it(published: Path) -> None:
    earlier = releases(published)[-1]
    text = report.of_release(earlier)
    assert f"lies in {earlier.database}\n" in text
    assert text.endswith(":  kpimart rollback 20270107T020000Z")


def test_releases_are_listed_in_local_time_with_the_served_one_marked(home: Path, capsys: Screen) -> None:
    rollback(home)
    text = shown(capsys, report.of_releases(SETTINGS, releases(home)))
    moments = ["2027-01-07 01:00 CET", "2027-01-07 03:00 CET", "2027-01-07 03:02 CET"]
    assert row_of(text, "20270107T020000Z") == ["20270107T020000Z", *moments, "passed", "yes"]
    assert row_of(text, "20270108T020000Z")[4:] == ["passed", ""]


def test_where_nothing_is_published_the_next_step_is_told(capsys: Screen) -> None:
    assert shown(capsys, report.of_releases(SETTINGS, [])) == "var has no releases yet: kpimart run\n"


# Status


def test_status_says_whether_it_is_fresh_and_right(published: Path, capsys: Screen) -> None:
    text = shown(capsys, report.of_status(SETTINGS, read_status(published, lambda: NIGHT + timedelta(hours=5))))
    assert "20270108T020000Z" in text
    assert "figures as of  2027-01-08 01:00 CET, 7 h 0 min ago" in text
    assert "1 passed, 0 failed, 0 errored" in text
    assert row_of(text, "files-1") == ["files-1", "2027-01-07 02:00 CET", "8,885", "8,883", "2", "accepted"]


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (timedelta(minutes=5), "0 h 5 min"),
        (timedelta(hours=23, minutes=59), "23 h 59 min"),
        (timedelta(days=1, hours=3), "1 day"),
        (timedelta(days=3247), "3,247 days"),
    ],
)
def test_an_age_is_told_in_hours_then_in_days(published: Path, capsys: Screen, age: timedelta, told: str) -> None:
    status = read_status(published, lambda: NIGHT.replace(hour=0) + age)
    assert f", {told} ago" in shown(capsys, report.of_status(SETTINGS, status))


def test_figures_that_run_ahead_of_the_clock_are_not_called_old(published: Path, capsys: Screen) -> None:
    """`--as-of` the end of the month, in the middle of it."""
    status = read_status(published, lambda: NIGHT.replace(hour=0) - timedelta(hours=5))
    assert "2027-01-08 01:00 CET, in 5 h 0 min" in shown(capsys, report.of_status(SETTINGS, status))


def test_status_says_what_became_of_each_build_and_batch(capsys: Screen) -> None:
    builds = (
        LastBuild("broken", NIGHT, None, None),
        LastBuild("unjudged", NIGHT, NIGHT, None),
        LastBuild("refused", NIGHT, NIGHT, 2),
        LastBuild("good", NIGHT, NIGHT, 0),
    )
    batches = (LastBatch("files-9", NIGHT, 5, 0, 0, None), LastBatch("files-8", NIGHT, 5, 0, 0, "held"))
    text = shown(capsys, report.of_status(SETTINGS, Status(None, None, None, batches, builds, None)))
    ended = "2027-01-08 03:00 CET"
    assert row_of(text, "broken")[2:] == ["broke off", "not judged"]
    assert row_of(text, "unjudged")[2:] == [ended, "not judged"]
    assert row_of(text, "refused")[2:] == [ended, "2 not passed"]
    assert row_of(text, "good")[2:] == [ended, "passed"]
    assert row_of(text, "files-9")[-1] == "not judged"
    assert row_of(text, "files-8")[-1] == "held"


def test_an_empty_home_is_told_the_next_step(capsys: Screen) -> None:
    text = shown(capsys, report.of_status(SETTINGS, Status(None, None, None, (), (), None)))
    assert text == "var serves nothing yet: kpimart run\n"


def test_a_run_that_is_writing_is_told_of(published: Path, capsys: Screen) -> None:
    release = releases(published)[0]
    gate = Gate(raw=GateCounts(), reporting=GateCounts(passed=1))
    status = Status(release, timedelta(hours=1), gate, (), (), "another run (process 7) is writing var")
    assert "another run (process 7) is writing var" in shown(capsys, report.of_status(SETTINGS, status))


@pytest.mark.parametrize(
    ("change", "was", "is_now", "told"),
    [
        ("new", None, "text", "is new (text)"),
        ("vanished", "text", None, "has vanished (was text)"),
        ("retyped", "number", "text", "is text now, and was number"),
    ],
)
def test_a_field_that_changed_is_told_in_words(
    change: str, was: str | None, is_now: str | None, told: str, capsys: Screen
) -> None:
    changed = ChangedField("hubspot", "deals", "amount", change, was, is_now, NIGHT)
    text = shown(capsys, report.of_status(SETTINGS, Status(None, None, None, (), (), None, (changed,))))
    assert text.endswith(f"hubspot deals: field amount {told}, 2027-01-08 03:00 CET\n")


# Trust


def test_a_cell_that_differs_is_shown_with_its_reasons_the_unexplained_part_first(capsys: Screen) -> None:
    new = Explanation("new, since the last fetch", tuple("1234567"), Sum(7, Decimal("70.00")))
    ours, theirs = Sum(10, Decimal("1000.00")), Sum(18, Decimal("1150.50"))
    cell = Cell("deals", None, date(2026, 10, 1), ours, theirs, (new,), Sum(1, Decimal("80.50")))
    total = ObjectTotal("deals", ours, theirs, cells=1, differing=1, unexplained=1)
    text = shown(capsys, report.of_reconciliation(Reconciliation("hubspot", True, (total,), (cell,), 1)))
    assert row_of(text, "nobody")[1:7] == ["nobody", "2026-10", "10", "18", "1,000.00", "1,150.50"]
    assert row_of(text, "nobody")[7] == "UNEXPLAINED +1, +80.50"
    assert "new, since the last fetch: 7 (1, 2, 3, 4, 5, …)" in text


def test_a_source_without_totals_says_so(capsys: Screen) -> None:
    text = shown(capsys, report.of_reconciliation(Reconciliation("files", has_totals=False)))
    assert text == "files: its API has no aggregates to compare with\n"


def test_what_there_is_of_a_person_is_shown_place_by_place(capsys: Screen) -> None:
    record = RecordName("hubspot", "owners", "77")
    place = Place(Path("var"), "release", "20270108T020000Z", 3)
    finding = Finding(
        record, ("Ann Smith",), ("Cid",), (place,), (Path("var/notes.txt"),), (("s3://b", "B1"), ("s3://b", "B2")), True
    )
    text = shown(capsys, report.of_finding(finding))
    assert "hubspot:owners:77" in text
    assert row_of(text, "20270108T020000Z") == ["var", "release", "20270108T020000Z", "3"]
    assert "look yourself, it is not kpimart's file: var/notes.txt\n" in text
    assert text.endswith(
        "backups B1, B2 in s3://b hold what is erased here; replace them then:  kpimart backup s3://b --keep 1\n"
    )


# What changed, and what was verified


def test_a_changed_figure_stands_beside_what_caused_it(capsys: Screen, published: Path) -> None:
    after, before = releases(published)
    day = date(2026, 12, 9)
    entries = tuple(
        Entry("files:1", "Valves", "won", sign, day, NIGHT, "Ann", amount, "recorded")
        for sign, amount in ((1, Decimal("5200.00")), (-1, Decimal(4200)))
    )
    cell = ChangedCell(
        *("won_amount", "month", date(2026, 12, 1), "company", "company", "Company", "EUR"),
        *(Decimal(16700), Decimal(17700), Decimal(1000), 3, entries),
    )
    text = shown(capsys, report.of_difference(Difference(before, after, (KpiChange("won_amount", 9),), 3, (cell,))))
    assert text.startswith("9 figures changed, 3 entries of the ledger: won_amount 9\n")
    assert row_of(text, "16,700.00") == [
        *("won_amount month 2026-12-01", "Company", "16,700.00", "17,700.00", "▲ +6.0 %"),
        "won 5,200.00 2026-12-09 files:1 Valves (recorded)",
    ]
    assert "taken back: won 4,200.00 2026-12-09" in text
    assert "and 1 more" in text
    assert text.endswith("8 more:  --all, or choose by --kpi and --by\n")


def test_what_a_rebuild_did_not_give_is_named_row_by_row(capsys: Screen, published: Path) -> None:
    release = releases(published)[0]
    manifest = read_manifest(release.folder)
    different = TableDifference("deal", 2, 1, ({"deal_id": "files:1", "amount": None},), ({"deal_id": "files:2"},))
    found = Verification(release, manifest, 2, (different,), ("files-1",))
    assert not found.is_right
    text = shown(capsys, report.of_verification(found))
    assert "raw holds other versions than the release counted, in: files-1\n" in text
    assert "deal: 2 rows only as released, 1 only as rebuilt\n  - deal_id files:1\n  + deal_id files:2\n" in text
    same = shown(capsys, report.of_verification(Verification(release, manifest, 2, ())))
    assert same.endswith("built again from raw, every row of every table is the same\n")


# Simulations


def test_a_simulation_shows_everybody_before_and_after_and_what_is_missing(capsys: Screen) -> None:
    """On average of the one with both: 1.00, then 0.80."""
    period = figures.Period("quarter", date(2026, 7, 1), date(2026, 9, 30), is_complete=True, start_before=None)
    one, eight_tenths = Decimal("1.0"), Decimal("0.8")
    ann = Rescored("ann", "Ann", Decimal("0.96"), Decimal("0.9"), one, eight_tenths, one, Decimal("0.55"))
    bob = Rescored("bob", "Bob", Decimal("0.5"), None, Decimal(0), None, one, Decimal(0))
    untargeted = (Untargeted("win_rate", 2, 1, 0),)
    simulation = Simulation(period, "growth", "efficiency", (ann, bob), untargeted)
    text = shown(capsys, report.of_simulation(simulation, "manager"))
    assert row_of(text, "Ann") == ["Ann", "0.96", "0.90", "-0.06", "1.00", "0.80", "-0.20", "55%"]
    assert row_of(text, "Bob") == ["Bob", "0.50", "–", "", "0.00", "–", "", "0%"]
    assert "mean bonus coefficient of the 1 with both: 1.00, then 0.80\n" in text
    assert "win_rate: 1 of 2 have no target, 1 do not count it\nadd --like-last-year" in text


def test_a_simulation_like_last_year_tells_for_how_many(capsys: Screen) -> None:
    period = figures.Period("quarter", date(2026, 7, 1), date(2026, 9, 30), is_complete=False, start_before=None)
    simulation = Simulation(period, "growth", "efficiency", (), (Untargeted("win_rate", 29, 29, 25),))
    text = shown(capsys, report.of_simulation(simulation, "manager"))
    assert "2026-07-01 … 2026-09-30, going on: scored by growth" in text
    assert "win_rate: 29 of 29 have no target, 25 ask for last year's figure, 4 do not count it\n" in text
    assert "--like-last-year" not in text
