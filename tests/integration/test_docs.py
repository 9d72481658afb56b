"""What the documentation says can be typed, can be typed, and prints what it shows."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from documented import REPOSITORY, Block, Outcome, Reader, blocks_of, clone_into, differences, shown_after
from postgres import POSTGRES_PROGRAMS, running_postgres

from kpimart.doctor import airflow
from kpimart.errors import KpiMartError
from kpimart.extract.files import open_files
from kpimart.extract.records import Batch
from kpimart.settings import Settings, load_settings

# The pages with examples, in the order in which they are read. The first one changes the catalogue before `make run`,
# so that one run shows the new KPIs and what all the others look at.
PAGES = (
    "docs/how-to/add-a-kpi.md",
    "README.md",
    "README.ru.md",
    "docs/how-to/read-the-figures.md",
    "docs/how-to/twenty-questions.md",
    "docs/how-to/use-bi-tools.md",
    "docs/explanation/the-ledger.md",
    "docs/explanation/credit.md",
    "docs/explanation/ratio-of-sums.md",
    "docs/explanation/as-of-and-known-at.md",
    "docs/explanation/other-than-the-crm.md",
    "docs/how-to/read-conversions.md",
    "docs/how-to/read-trends.md",
    "docs/how-to/forecast.md",
    "docs/how-to/find-weak-spots.md",
    "docs/how-to/find-regularities.md",
    "docs/how-to/follow-the-pipeline.md",
    "docs/how-to/check-crm-discipline.md",
    "docs/how-to/explain-a-change.md",
    "docs/how-to/know-your-customers.md",
    "docs/how-to/read-a-period-in-words.md",
    "docs/how-to/choose-a-calendar.md",
    "docs/how-to/motivate-by-kpis.md",
    "docs/how-to/plan-a-budget.md",
    "docs/how-to/run-every-night.md",
    "docs/runbook.md",
    "docs/tutorial.md",
    "docs/how-to/go-back-and-verify.md",
    "docs/how-to/close-a-month.md",
    "docs/how-to/export-to-files.md",
    "docs/how-to/back-up-and-restore.md",
    "docs/how-to/upgrade.md",
    "docs/how-to/serve-from-postgresql.md",
    "docs/how-to/trust-the-raw-data.md",
)
GOES_ON_WHERE_THE_LAST_ENDED = {
    "docs/how-to/go-back-and-verify.md",
    "docs/how-to/close-a-month.md",
    "docs/how-to/export-to-files.md",
    "docs/how-to/back-up-and-restore.md",
    "docs/how-to/upgrade.md",
    "docs/how-to/serve-from-postgresql.md",
}
DESCRIBE, TUTORIAL = "docs/how-to/describe-an-export.md", "docs/tutorial.md"

EVERY_PAGE = sorted(
    str(path.relative_to(REPOSITORY)) for path in (*REPOSITORY.glob("README*.md"), *(REPOSITORY / "docs").rglob("*.md"))
)
EVERY_BLOCK = [block for page in EVERY_PAGE for block in blocks_of(page)]
TYPED = [block for page in PAGES for block in blocks_of(page) if block.is_executed]
SHOWN = [pair for page in PAGES for pair in shown_after(blocks_of(page))]


@pytest.fixture(scope="session")
def database_server() -> Iterator[None]:
    """A PostgreSQL server that its own programs find, as a reader has one."""
    with running_postgres() as url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("PATH", f"{POSTGRES_PROGRAMS}{os.pathsep}{os.environ['PATH']}")
        environment.setenv("PGHOST", url.partition("?host=")[2])
        environment.setenv("PGUSER", "postgres")
        yield


@pytest.fixture(scope="session")
def read_pages(tmp_path_factory: pytest.TempPathFactory, database_server: None) -> dict[Block, Outcome]:
    """What became of each block, up to the first that did not do what its page says."""
    reader = Reader(clone_into(tmp_path_factory.mktemp("docs") / "kpimart"), tmp_path_factory.mktemp("state") / "shell")
    outcomes = {}
    for page in PAGES:
        if page not in GOES_ON_WHERE_THE_LAST_ENDED:
            reader.begin()
        for block in blocks_of(page):
            if block.is_executed:
                outcomes[block] = reader.run(block)
                if outcomes[block].exit_code != block.exit_code:
                    return outcomes
    return outcomes


def outcome_of(block: Block, read_pages: dict[Block, Outcome]) -> Outcome:
    if block not in read_pages:
        pytest.skip(f"not reached: {list(read_pages)[-1]} went wrong")
    return read_pages[block]


@pytest.mark.parametrize("block", TYPED, ids=str)
def test_a_command_does_what_its_page_says(block: Block, read_pages: dict[Block, Outcome]) -> None:
    outcome = outcome_of(block, read_pages)
    if outcome.exit_code != block.exit_code:
        pytest.fail(f"{block} ended with {outcome.exit_code}\n{block.text}\n{outcome.output}", pytrace=False)


@pytest.mark.parametrize(("block", "shown"), SHOWN, ids=str)
def test_a_command_prints_what_its_page_shows(block: Block, shown: Block, read_pages: dict[Block, Outcome]) -> None:
    outcome = outcome_of(block, read_pages)
    missing = differences(shown.text, outcome.output)
    if missing:
        lines = "\n".join(missing)
        pytest.fail(f"{shown} shows what was not printed:\n{lines}\n\nit printed:\n{outcome.output}", pytrace=False)


def test_few_commands_are_not_run_and_each_says_why() -> None:
    left_out = [block for block in EVERY_BLOCK if block.language in ("bash", "sql", "python") and not block.is_executed]
    assert len(left_out) <= 10
    assert [str(block) for block in left_out if len(block.comment.removeprefix("not run: ")) < 10] == []


def test_no_page_has_commands_that_nobody_runs() -> None:
    assert {block.page for block in EVERY_BLOCK if block.is_executed} <= set(PAGES)


# ------------------------------------------------------------------------------------------------------ what is quoted


@pytest.mark.parametrize("block", [block for block in EVERY_BLOCK if block.language == "toml"], ids=str)
def test_settings_that_are_shown_are_accepted(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    if "oidc" in block.text:
        # Secrets are never in the file.
        monkeypatch.setenv("KPIMART_DASHBOARD__OIDC_CLIENT_SECRET", "told by the issuer")
        monkeypatch.setenv("KPIMART_DASHBOARD__COOKIE_SECRET", "made for this dashboard")
    assert Settings(**tomllib.loads(block.text))


def airflow_commands() -> list[list[str]]:
    lines = [line for block in EVERY_BLOCK if block.language in ("bash", "sh") for line in block.text.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("airflow ")]


def test_airflow_knows_the_commands_of_pages_and_of_the_doctor(tmp_path: Path) -> None:
    parse = """
import json, sys
from airflow.cli.cli_parser import get_parser
for command in json.loads(sys.argv[1]):
    get_parser().parse_args(command[1:])
"""
    of_the_doctor = (airflow.POOLS, airflow.SCHEDULER, airflow.DAGS, airflow.BROKEN, airflow.NOTICES)
    asked = [("airflow", *command) for command in of_the_doctor]
    assert airflow_commands()
    subprocess.run(
        [sys.executable, "-c", parse, json.dumps([*airflow_commands(), *asked])],
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path)},
        check=True,
        timeout=120,
    )


# ------------------------------------------------------------------------------------------------- the errors of a file

Change = Callable[[str], str]


def replacing(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


# What is wrong with the tutorial's export, in the order of the page: with the settings, with deals.csv.
MISTAKES: tuple[tuple[Change | None, Change | None], ...] = (
    (replacing('"deals.csv"', '"deal.csv"'), None),
    (replacing('"Owner"', '"Ownr"'), None),
    (replacing('delimiter = ";"\ndecimal', "decimal"), None),
    (None, lambda text: text.splitlines()[0]),
    (replacing("delimiter", "delimeter"), None),
    (replacing("amount =", "amout ="), None),
    (replacing("%d.%m.%Y", "dd.mm.yyyy"), None),
    (None, replacing("Negotiation", "Negotiating")),
    (None, replacing("30.03.2026", "31.02.2026")),
    (None, replacing("7.000,00", "7000.00.0")),
    (None, replacing("D-2", "D-1")),
    (None, replacing("Service contract", "Service; contract")),
    (None, replacing("Pilot installation", "Pilot instal\udce9ation")),
)


def explained_errors() -> list[str]:
    _, _, section = (REPOSITORY / DESCRIBE).read_text().partition("## Common errors")
    return re.findall(r"^```text\n(.*?)\n```$", section, re.MULTILINE | re.DOTALL)


def tutorials_files() -> dict[str, str]:
    """The files that the tutorial writes: name → text, without its deliberate mistake."""
    text = "".join(block.text for block in blocks_of(TUTORIAL) if block.language == "bash")
    written = re.findall(r"^cat > (\S+) <<'EOF'\n(.*?)^EOF$", text, re.MULTILINE | re.DOTALL)
    return {name: content.replace("6.4OO,00", "6.400,00") for name, content in written}


@pytest.mark.parametrize("place", range(len(MISTAKES)))
def test_a_mistake_gives_the_message_that_is_explained(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_settings, change_deals = MISTAKES[place]
    monkeypatch.chdir(tmp_path)
    for name, text in tutorials_files().items():
        change = {"kpimart.toml": change_settings, "export/deals.csv": change_deals}.get(name)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(change(text) if change else text, encoding="utf-8", errors="surrogateescape")

    (shown,) = explained_errors()[place : place + 1]

    assert differences(shown, what_is_said()) == [], what_is_said()


def what_is_said() -> str:
    """The message of a run in this folder that does not begin, else the reasons of what would be quarantined."""
    try:
        read = [
            part
            for part in open_files(load_settings(), None, extracted_at=datetime.now(UTC))
            if isinstance(part, Batch)
        ]
    except KpiMartError as error:
        return str(error)
    return "\n".join(f"{row['place']}: {row['reason']}" for part in read for row in part.quarantined.to_pylist())


def test_every_message_that_is_explained_is_made() -> None:
    assert len(explained_errors()) == len(MISTAKES)
