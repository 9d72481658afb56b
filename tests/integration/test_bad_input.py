"""Exports as they come on a bad night: what ends the run, what is set aside, and what no figure may lose by it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from small_company import (
    CONFIG,
    DEALS,
    EXPORT,
    KPIMART,
    NEXT_DEALS,
    RELEASED,
    WITHOUT_ROOTS_RIGHTS,
    Company,
    Ended,
    company_in,
    differing,
    undisturbed_tables,
)

HEADER = DEALS.splitlines()[0]
ROWS_OF_AN_EXPORT = sum(len(content.splitlines()) - 1 for content in EXPORT.values())

WON_IN_QUARTER = """
    select value from kpi_value
    where kpi_code = 'won_amount' and period_grain = 'quarter' and entity_level = 'company'
"""
BATCHES = "select count(*) from ops.batch where source <> 'kpimart'"


@contextmanager
def nothing_reaches_readers(company: Company) -> Iterator[None]:
    """What is published before the block is published after it, to the byte, and is still what people are served."""
    before = company.published()
    yield
    assert company.published() == before
    assert company.ask_served(WON_IN_QUARTER) == [(Decimal("4500.50"),)]


# ---- what ends the run before anything is taken

Arrange = Callable[[Company], object]


@pytest.mark.parametrize(
    ("arrange", "code", "said"),
    [
        pytest.param(
            lambda company: (company.export / "agents.csv").unlink(),
            4,
            ["managers: export/agents.csv: No such file or directory", "check the folder, the name and the rights"],
            id="a missing file",
        ),
        pytest.param(
            lambda company: company.write("deals.csv", DEALS.replace("amount", "amuont", 1)),
            1,
            [
                "deals: export/deals.csv: no column 'amount', which is mapped to amount; did you mean 'amuont'?",
                "the file has: deal, agent, account, stage, created, closed, amuont, currency, changed",
                "correct the mapping or the export, then rerun",
            ],
            id="a missing column",
        ),
        pytest.param(
            lambda company: company.write("deals.csv", ""),
            1,
            ["deals: export/deals.csv: is empty (0 bytes), expected records; export it again, then rerun"],
            id="an empty file",
        ),
        pytest.param(
            lambda company: company.write("deals.csv", f"{HEADER}\n"),
            1,
            ["deals: export/deals.csv: holds no record, expected a full export; export it again"],
            id="a header alone",
        ),
        pytest.param(
            lambda company: company.write("deals.csv", b"deal,\xc0gent\nD01,Ann\n"),
            1,
            ["deals: export/deals.csv: its header is not utf-8", "correct 'encoding' in its mapping, then rerun"],
            id="a header that is not UTF-8",
        ),
        pytest.param(
            lambda company: company.configure(CONFIG.replace("max_vanished_share", "max_vanishd_share")),
            2,
            ["kpimart.toml: thresholds.max_vanishd_share: unknown key; did you mean 'max_vanished_share'?"],
            id="a wrong key",
        ),
        pytest.param(
            lambda company: company.configure(CONFIG.replace("base_currency", "base_curency")),
            2,
            ["kpimart.toml: base_curency: unknown key; did you mean 'base_currency'?"],
            id="a wrong key on top",
        ),
        pytest.param(
            lambda company: company.configure(CONFIG.replace("created_at =", "craeted_at =")),
            2,
            ["files.deals", "craeted_at", "did you mean 'created_at'?"],
            id="a wrong canonical name",
        ),
        pytest.param(
            lambda company: company.configure(CONFIG.replace("0.3", "30")),
            2,
            ["kpimart.toml: thresholds.max_quarantined_share:", "less than or equal to 1; found 30"],
            id="a share of 30",
        ),
        pytest.param(
            lambda company: company.configure(CONFIG.replace('folder = "export"', 'folder = "exprot"')),
            4,
            ["files: there is no folder exprot; name the folder of the export with --files FOLDER"],
            id="a missing folder",
        ),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_taken(
    company: Company, arrange: Arrange, code: int, said: list[str]
) -> None:
    arrange(company)
    batches = company.ask(BATCHES)
    with nothing_reaches_readers(company):
        ended = company.kpimart("extract", "--json")
    assert (ended.code, ended.out) == (code, "")
    assert [fragment for fragment in said if fragment not in ended.said] == []
    assert company.ask(BATCHES) == batches


@pytest.mark.parametrize(
    ("locked", "mode", "code", "said"),
    [
        ("export", 0, 4, "deals: export/deals.csv: Permission denied; check the folder, the name and the rights"),
        ("export/deals.csv", 0, 4, "deals: export/deals.csv: Permission denied; check the folder"),
        ("var", 0o555, 1, "working in var: Permission denied (var/writer.pid); make room or grant the right"),
        ("var/landing/files/deals", 0o555, 1, "var/landing: Permission denied ("),
        ("var/warehouse.duckdb", 0o444, 1, "working on var/warehouse.duckdb: IO Error: Cannot open file"),
    ],
)
def test_a_folder_or_file_without_permission_is_named(
    company: Company, without_roots_rights: tuple[str, ...], locked: str, mode: int, code: int, said: str
) -> None:
    path = company.root / locked
    usual = path.stat().st_mode
    path.chmod(mode)
    try:
        with nothing_reaches_readers(company):
            ended = company.kpimart("extract", command=(*without_roots_rights, *KPIMART))
    finally:
        path.chmod(usual)
    assert ended.code == code
    assert said in ended.said
    assert len(ended.err.splitlines()) == 1


@pytest.fixture(scope="session")
def without_roots_rights(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """What to put before a command, so that root is refused what others are refused."""
    locked = tmp_path_factory.mktemp("rights") / "locked"
    locked.touch(mode=0)
    for prefix in ((), WITHOUT_ROOTS_RIGHTS):
        if not shutil.which((*prefix, "cat")[0]):
            continue
        if subprocess.run([*prefix, "cat", locked], capture_output=True, check=False).returncode == 1:
            return prefix
    pytest.skip("whoever runs this may read everything, and cannot give that up")


HOLD_THE_WAREHOUSE = """
import sys
from pathlib import Path
from kpimart.warehouse import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("holding", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_names_the_first_and_touches_nothing(company: Company) -> None:
    holder = [sys.executable, "-c", HOLD_THE_WAREHOUSE, company.home]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=company.environment()) as first:
        assert first.stdout
        first.stdout.readline()
        with nothing_reaches_readers(company):
            refused = {command: company.kpimart(command) for command in ("run", "publish", "rollback")}
            figures = company.kpimart("kpi", "--json")
        first.kill()
    message = f"kpimart: another run (process {first.pid}) is writing var; wait for it to end, or stop it, then rerun\n"
    assert set(refused.values()) == {Ended(1, "", message)}
    assert figures.code == 0
    # The place of a process that was killed is free.
    assert company.kpimart("publish").code == 0
    assert company.leftovers() == []


# ---- what is set aside while the run goes on

# Padded, with a byte-order mark and CRLF; two deals of managers nobody knows; and five records that cannot be used.
DIRTY_DEALS = (
    b"\xef\xbb\xbf"
    + (
        DEALS.replace("D04,Bob,", "D04, Bob\u00a0 ,").replace("D05,Cid,Crest", "D05,Cid , Crest")
        + "D13,Zoe,Acme,Won,2026-03-02,2026-03-30,500.00,USD,2026-03-30\n"
        + "D14,,Acme,Won,2026-03-02,2026-03-30,30.00,USD,2026-03-30\n"
        + "D15,Ann,Acme,Verhandlung,2026-03-02,,10.00,USD,2026-03-30\n"
        + "D16,Ann,Acme,Talking,2026-02-30,,10.00,USD,2026-03-30\n"
        + "D17,Ann,Acme,Talking,2026-03-02,,ten,USD,2026-03-30\n"
        + "D01,Bob,Acme,Lost,2026-01-05,2026-02-10,1000.00,USD,2026-02-10\n"
    )
    .replace("\n", "\r\n")
    .encode()
    + b"D18,J\xfcrgen,Acme,Won,2026-03-02,2026-03-30,77.00,USD,2026-03-30\r\n"
)
SET_ASIDE = {
    ("deals.csv, row 16", "D15"): "stage: expected a stage of the settings (Talking, Won, Lost), found 'Verhandlung'",
    ("deals.csv, row 17", "D16"): "created: expected a time as YYYY-MM-DDTHH:MM:SS±HH:MM or a date as YYYY-MM-DD, "
    "found '2026-02-30' (day is out of range for month)",
    ("deals.csv, row 18", "D17"): "amount: expected an amount such as 1234.56, found 'ten'",
    ("deals.csv, row 19", "D01"): "expected one record with id 'D01', found another: deals.csv, row 2 is first",
    ("deals.csv, row 20", "D18"): "agent: expected text in utf-8, found other bytes: 'J\ufffdrgen'",
}


class DirtyNight:
    """What a first run on the dirty export left, asked at once, as the home is used again."""

    def __init__(self, company: Company) -> None:
        self.clean_figures = company.ask_served(FIGURES_OF_KNOWN_MANAGERS)
        company.start_anew()
        company.write("deals.csv", DIRTY_DEALS)
        self.ended = company.kpimart("run")
        self.account = company.ask(
            "select object, rows_read, versions_stored, rows_quarantined from ops.batch_object where source = 'files'"
        )
        self.quarantine = company.ask("select place, record_id, reason, payload from ops.quarantine order by place")
        self.figures = company.ask_served(FIGURES_OF_KNOWN_MANAGERS)
        self.managers = company.ask_served(
            "select manager_id, manager_name, department_id from dim_manager where is_inferred order by all"
        )
        self.departments = company.ask_served("select department_id from dim_department where is_inferred")
        self.won = dict(company.ask_served(WON_BY_ENTITY))


FIGURES_OF_KNOWN_MANAGERS = """
    select * from kpi_value where manager_id in ('files:Ann', 'files:Bob', 'files:Cid') order by all
"""
WON_BY_ENTITY = """
    select entity_key, value from kpi_value where kpi_code = 'won_amount' and period_grain = 'quarter'
"""


@pytest.fixture(scope="module")
def dirty_night(tmp_path_factory: pytest.TempPathFactory) -> DirtyNight:
    return DirtyNight(company_in(tmp_path_factory))


def test_few_bad_records_do_not_end_the_run(dirty_night: DirtyNight) -> None:
    assert dirty_night.ended.code == 0
    assert dirty_night.ended.err == ""


def test_each_record_set_aside_is_told_with_its_row_its_column_and_what_was_expected(dirty_night: DirtyNight) -> None:
    told = [f"deals, {place}: {reason}" for (place, _), reason in SET_ASIDE.items()]
    assert [line for line in told if line not in dirty_night.ended.out] == []
    assert "in no figure until corrected in the source" in dirty_night.ended.out


def test_every_row_is_stored_or_in_quarantine_with_its_reason_and_what_it_says(dirty_night: DirtyNight) -> None:
    deals_read = len(DIRTY_DEALS.splitlines()) - 1
    assert dirty_night.account == [
        ("deals", deals_read, deals_read - len(SET_ASIDE), len(SET_ASIDE)),
        ("managers", 3, 3, 0),
        ("departments", 3, 3, 0),
    ]
    assert {(place, record): reason for place, record, reason, _ in dirty_night.quarantine} == SET_ASIDE
    amounts = [json.loads(payload)["amount"] for *_, payload in dirty_night.quarantine]
    assert amounts == ["10.00", "10.00", "ten", "1000.00", "77.00"]


def test_padding_line_ends_and_a_byte_order_mark_change_no_figure(dirty_night: DirtyNight) -> None:
    assert len(dirty_night.figures) > 1000
    assert dirty_night.figures == dirty_night.clean_figures


def test_a_deal_of_an_unknown_manager_counts_under_a_visible_inferred_member(dirty_night: DirtyNight) -> None:
    assert dirty_night.managers == [
        ("files:(unassigned)", "Unknown manager (unassigned)", "files:(unassigned)"),
        ("files:Zoe", "Unknown manager Zoe", "files:(unassigned)"),
    ]
    assert dirty_night.departments == [("files:(unassigned)",)]
    won = dirty_night.won
    assert won["files:Zoe"] == won["files:Zoe|files:(unassigned)"] == Decimal(500)
    # The manager and the department of what nobody owns have one id; their rows differ in level.
    assert won["files:(unassigned)|files:(unassigned)"] == Decimal(30)
    assert won["files:Europe"] == Decimal("4500.50")
    assert won["company"] == Decimal("4500.50") + 500 + 30


def test_line_ends_and_a_byte_order_mark_are_no_new_version(company: Company) -> None:
    company.write("deals.csv", b"\xef\xbb\xbf" + DEALS.replace("\n", "\r\n").encode())
    with nothing_reaches_readers(company):
        ended = company.kpimart("extract", "--json")
    assert ended.code == 0
    (batch,) = json.loads(ended.out)
    assert [(one["rows_read"], one["versions_stored"]) for one in batch["objects"]] == [(12, 0), (3, 0), (3, 0)]


# ---- what holds the batch

RENAMED_STAGE = DEALS.replace(",Won,", ",Gewonnen,")
CUT_SHORT = "".join(NEXT_DEALS.splitlines(keepends=True)[:8])


def test_too_many_bad_records_hold_the_batch(company: Company) -> None:
    company.write("deals.csv", RENAMED_STAGE)
    with nothing_reaches_readers(company):
        ended = company.kpimart("extract", "--json")
    assert (ended.code, ended.out) == (3, "")
    for said in (
        "kpimart: raw gate refused files-",
        "The batch is held and no figure has changed.",
        "batch_object no more of an object's records set aside than thresholds.max_quarantined_share [failed]",
        "expected 0 … 0.3",
        '"object": "deals"',
        '"rows_read": 12',
        '"rows_quarantined": 5',
        "what now correct the export and run again",
        "deals, deals.csv, row 2: stage: expected a stage of the settings (Talking, Won, Lost), found 'Gewonnen'",
    ):
        assert said in ended.said
    set_aside = json.loads(company.kpimart("quarantine", "--json").out)
    assert [record["record_id"] for record in set_aside] == ["D01", "D03", "D05", "D07", "D10"]
    assert json.loads(set_aside[0]["payload"])["amount"] == "1000.00"
    assert json.loads(company.kpimart("status", "--json").out)["batches"][0]["verdict"] == "held"


def test_a_mended_export_after_a_held_batch_is_accepted_and_every_value_arrives(company: Company) -> None:
    expected = undisturbed_tables(company)
    company.rewind(RELEASED)
    company.write("deals.csv", CUT_SHORT)
    with nothing_reaches_readers(company):
        ended = company.kpimart("extract")
    assert ended.code == 3
    for said in (
        "batch_object no more of an object's records gone than thresholds.max_vanished_share [failed]",
        "expected 0 … 0.2",
        '"rows_vanished": 5, "rows_known_before": 12',
    ):
        assert said in ended.said
    company.write("deals.csv", NEXT_DEALS)
    company.run_here()
    assert differing(company.tables(), expected) == []
    assert company.ask(
        "select verdict from ops.batch_verdict join ops.batch using (batch_id) where source = 'files' "
        "order by landed_at"
    ) == [("accepted",), ("held",), ("accepted",)]
