"""What the run and the process that judges say to each other: one JSON object a line.

A request asks for one boundary of one database; the answer is all results, or an error that kept it from judging.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kpimart.extract.source import Deals
from kpimart.quality.verdict import Boundary, Result

Parameters = Mapping[str, float | str]


@dataclass(frozen=True)
class Compared:
    """What a build is compared with: raw, as far as it was accepted by `known_at`, and an earlier release.

    deals: source → what of its raw is a deal. raw: the warehouse's file. Of what happened after `as_of` the build says
    nothing; both moments are aware. earlier: the DuckDB file of the release, or None if there is none whose `as_of` is
    before that of the build.
    """

    deals: Mapping[str, Deals]
    raw: Path
    as_of: datetime
    known_at: datetime
    earlier: Path | None


@dataclass(frozen=True)
class Request:
    """What to judge. `tables` maps the name a suite knows a table by to the relation that holds it (schema.table).

    Without `tables`, the relations of schema `pending` are judged. `suites` is the folder of the boundary's suites;
    `parameters` are the values of what suites leave open as {"$PARAMETER": name}. `documents`: the folder into which
    the Data Docs of the judgement are written, if they are wanted.
    """

    database: Path
    boundary: Boundary
    suites: Path
    parameters: Parameters
    tables: Mapping[str, str] | None = None
    compared: Compared | None = None
    documents: Path | None = None

    def to_line(self) -> str:
        return json.dumps(asdict(self), default=str, allow_nan=False)

    @staticmethod
    def from_line(line: str) -> "Request":
        fields = json.loads(line)
        paths = {name: Path(fields[name]) for name in ("database", "suites", "documents") if fields[name]}
        if compared := fields["compared"]:
            fields["compared"] = Compared(
                deals={source: Deals(**deals) for source, deals in compared["deals"].items()},
                raw=Path(compared["raw"]),
                as_of=datetime.fromisoformat(compared["as_of"]),
                known_at=datetime.fromisoformat(compared["known_at"]),
                earlier=Path(compared["earlier"]) if compared["earlier"] else None,
            )
        return Request(**{**fields, **paths})


def answer(results: tuple[Result, ...]) -> str:
    return json.dumps({"results": [asdict(result) for result in results]})


def failure(message: str) -> str:
    return json.dumps({"error": message})


def read_answer(line: str) -> tuple[Result, ...]:
    """The results of an answer. Raises ValueError, with what is wrong, for a failure and for anything else."""
    try:
        said: Any = json.loads(line)
        if "error" not in said:
            return tuple(Result(**result) for result in said["results"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"it answered what is no answer: {line[:200]!r}") from error
    raise ValueError(str(said["error"]))
