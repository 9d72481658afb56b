"""The examples of the documentation, run as a reader would run them.

A page is Markdown; its examples are fenced blocks. ```bash, ```sql, ```python and ```diff blocks are executed in their
order, each in a process of its own that takes over the folder and the variables the one before it left. A ```text block
after one of them is what it prints, with `…` for what may be anything; a line of only `…` is any number of lines. What
differs from run to run (release and batch ids, seconds, moments, the width of a table) is not compared.

A comment above a block says what is special about it: `<!-- exit code 3 -->`, or `<!-- not run: why -->`.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
EXECUTED = ("bash", "sql", "python", "diff")
BLOCK_SECONDS = 900
MAIN_JOB = "make run\n"

# What a reader has cloned, as far as the examples touch it.
CLONED = (
    *("Makefile", "pyproject.toml", "uv.lock", "README.md", "CHANGELOG.md", ".ci", ".env.example"),
    *("kpimart", "dbt_project", "models", "seeds", "expectations", "tests/dbt", "examples", "dags"),
)
MADE = shutil.ignore_patterns("target", "logs")

_BLOCK = re.compile(
    r"(?:^<!-- (?P<comment>[^\n]*) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)

_SHELL = """
set -euo pipefail -o allexport
if [ -e {state}/variables ]; then source {state}/variables; cd "$(cat {state}/folder)"; fi
trap 'declare -px > {state}/variables; pwd > {state}/folder' EXIT
source {state}/block
"""

# DuckDB draws an answer as its command line does.
_SQL = """
import sys
import duckdb
with duckdb.connect("var/reporting/reporting.duckdb", read_only=True) as reporting:
    reporting.execute("set TimeZone = 'UTC'")
    print(reporting.sql(sys.argv[1]))
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `line` is that of its fence."""

    page: str
    line: int
    language: str
    text: str
    comment: str

    @property
    def is_executed(self) -> bool:
        return self.language in EXECUTED and not self.comment.startswith("not run: ")

    @property
    def exit_code(self) -> int:
        found = re.fullmatch(r"exit code (\d+)", self.comment)
        return int(found[1]) if found else 0

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Outcome:
    """What became of a block: the exit code of its process, and what it printed to either stream."""

    exit_code: int
    output: str


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page, by its path in the repository."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, found.start("language")) + 1,
            found["language"],
            found["text"],
            found["comment"] or "",
        )
        for found in _BLOCK.finditer(text)
    ]


def shown_after(blocks: list[Block]) -> Iterator[tuple[Block, Block]]:
    """Each executed block that is followed by what it prints, with that."""
    for block, following in pairwise(blocks):
        if block.is_executed and following.language == "text":
            yield block, following


@dataclass
class Reader:
    """Somebody who has cloned the repository into `clone` and types what a page says.

    `state` keeps what one block leaves to the next. The main job is not run again for a page that begins with it too:
    it shows what it did the first time.
    """

    clone: Path
    state: Path
    main_job: Outcome | None = None

    def begin(self) -> None:
        """Open a new shell in the folder of the clone."""
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir()

    def run(self, block: Block) -> Outcome:
        if block.text != MAIN_JOB:
            return self._typed(block)
        if self.main_job is None:
            self.main_job = self._typed(block)
        return self.main_job

    def _typed(self, block: Block) -> Outcome:
        (self.state / "block").write_text(block.text, encoding="utf-8")
        if block.language == "bash":
            return self._process("bash", "-c", _SHELL.format(state=self.state), folder=self.clone)
        if block.language == "python":
            return self._process(PROGRAMS / "python", self.state / "block", folder=self._folder())
        if block.language == "sql":
            return self._process(PROGRAMS / "python", "-c", _SQL, block.text, folder=self._folder())
        return self._process("patch", "--strip=1", "--input", self.state / "block", folder=self._folder())

    def _folder(self) -> Path:
        remembered = self.state / "folder"
        return Path(remembered.read_text().strip()) if remembered.exists() else self.clone

    def _process(self, *command: object, folder: Path) -> Outcome:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=self._variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BLOCK_SECONDS,
        )
        return Outcome(done.returncode, done.stdout)

    def _variables(self) -> dict[str, str]:
        """The shell's own, without what would change the meaning of a page; and the clone's code, not the installed."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("KPIMART_", "AIRFLOW", "MAKE"))
        }
        kept.pop("PYTHON", None)
        return {**kept, "PYTHONPATH": str(self.clone), "PYTHONUTF8": "1", "COLUMNS": "200"}


def clone_into(folder: Path) -> Path:
    """The repository as a reader has it after `make setup`: with a .venv, whose programs are those of this one."""
    for name in CLONED:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=MADE)
        else:
            shutil.copy(source, target)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for program in PROGRAMS.iterdir():
        (programs / program.name).symlink_to(program)
    # Newer than what it is made from, so make has nothing to install.
    (folder / ".venv" / ".installed").touch()
    return folder


# ------------------------------------------------------------------------------------------------------- what is shown

_CHANGING = (
    (re.compile(r"\d{8}T\d{6}Z(?:-\d+)?"), "RELEASE"),
    (re.compile(r"\bfiles-\d+\.\d+"), "BATCH"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d [A-Z]+"), "MOMENT"),
    (re.compile(r"\d[\d,]* days ago|\d+ h \d+ min ago"), "AGE"),
    (re.compile(r"\b\d+\.\d s\b"), "SECONDS"),
    (re.compile(r"[━─┃│┏┓┗┛┡┩┠┨┝┥╇╋┷┯┳┻┌┐└┘├┤┬┴┼═]+"), "│"),
    (re.compile(r"[ \t]+"), " "),
)


def differences(shown: str, printed: str) -> list[str]:
    """The lines that a page shows and that were not printed; none if all were, in this order."""
    lines = [_steady(line) for line in printed.splitlines()]
    wanted = [_steady(line) for line in shown.splitlines()]
    whole = "".join(r"(?:.*\n)*?" if line == "…" else f"{_pattern(line)}\n" for line in wanted)
    if re.match(whole, "".join(f"{line}\n" for line in lines)):
        return []
    missing = [line for line in wanted if line != "…" and not any(re.fullmatch(_pattern(line), each) for each in lines)]
    return missing or ["each of these lines, but not in this order"]


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("…"))


def _steady(line: str) -> str:
    for pattern, replacement in _CHANGING:
        line = pattern.sub(replacement, line)
    return line.strip().strip("│").strip()
