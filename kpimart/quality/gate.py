"""The gate as a run sees it: a process that judges, started when the run starts, asked at each boundary.

Great Expectations takes longer to import than a small company's figures to compute, so it is imported in a process of
its own, while the run does something else. The run must have closed the database before it asks: DuckDB lets one
process have a file. When an answer is there, the file is free again.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from kpimart.paths import EXPECTATIONS
from kpimart.quality.protocol import Compared, Parameters, Request, read_answer
from kpimart.quality.verdict import Boundary, Result, Verdict
from kpimart.warehouse import WAREHOUSE_FILE

# Without the current folder among its modules, and without what libraries deprecate among themselves in its last words.
WORKER = (sys.executable, "-P", "-W", "ignore", "-m", "kpimart.quality.worker")
LAST_WORDS = 2000


class Judge:
    """Judges boundaries, in a process that lives as long as the `with` block.

    suites: the folder that holds a folder of suites for each boundary; worker: the command of the process.
    """

    def __init__(self, suites: Path = EXPECTATIONS, worker: tuple[str, ...] = WORKER) -> None:
        self._suites = suites
        self._command = worker

    def __enter__(self) -> Self:
        # A file, not a pipe: nobody reads it while all is well, and a full pipe would stop the process.
        self._said: IO[bytes] = tempfile.TemporaryFile()
        self._worker = subprocess.Popen(  # noqa: S603 - the command is this package's own
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True, encoding="utf-8"
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # It holds nothing that wants tidying up, and may still be importing.
        self._worker.kill()
        with contextlib.suppress(BrokenPipeError):
            self._worker.communicate()
        self._worker.wait()
        self._said.close()

    @property
    def is_over(self) -> bool:
        """Whether the process has ended."""
        return self._worker.poll() is not None

    def judge_raw(self, home: Path, parameters: Parameters) -> Verdict:
        """Judge what lies in schema `pending` of the warehouse: the batches that no gate has seen."""
        return self.judge(home / WAREHOUSE_FILE, boundary="raw", parameters=parameters)

    def judge_reporting(
        self,
        database: Path,
        tables: Mapping[str, str],
        parameters: Parameters,
        compared: Compared | None = None,
        documents: Path | None = None,
    ) -> Verdict:
        """Judge a build: `tables` maps each published name to the relation of `database` that it is taken from.

        compared: what it is compared with, too. documents: the folder for the Data Docs of the judgement.
        """
        return self.judge(
            database,
            boundary="reporting",
            parameters=parameters,
            tables=tables,
            compared=compared,
            documents=documents,
        )

    def judge(
        self,
        database: Path,
        *,
        boundary: Boundary,
        parameters: Parameters,
        tables: Mapping[str, str] | None = None,
        compared: Compared | None = None,
        documents: Path | None = None,
    ) -> Verdict:
        """Run the suites of a boundary. That no judgement could be had is a verdict too, and a closed one."""
        request = Request(
            database=database.absolute(),
            boundary=boundary,
            suites=(self._suites / boundary).absolute(),
            parameters=dict(parameters),
            tables=None if tables is None else dict(tables),
            compared=compared,
            documents=documents and documents.absolute(),
        )
        try:
            return Verdict(boundary, read_answer(self._ask(request.to_line())))
        except (OSError, ValueError) as error:
            return Verdict(boundary, (self._not_judged(error),))

    def _ask(self, line: str) -> str:
        if self._worker.stdin is None or self._worker.stdout is None:
            raise OSError("the process that judges has no pipes")
        # One that is gone says so when it is asked or when it should answer, whichever comes first.
        with contextlib.suppress(BrokenPipeError):
            self._worker.stdin.write(f"{line}\n")
            self._worker.stdin.flush()
        said = self._worker.stdout.readline()
        if not said:
            raise OSError(f"the process that judges ended with code {self._worker.wait()} and gave no answer")
        return said

    def _not_judged(self, error: Exception) -> Result:
        self._said.seek(0)
        last_words = self._said.read().decode("utf-8", errors="replace")[-LAST_WORDS:].strip()
        observed = f"{error}; it last said: {last_words}" if last_words else str(error)
        return Result("(all)", "the gate could judge", "critical", "errored", observed, "an answer")
