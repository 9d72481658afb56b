"""The suites of a boundary, as they lie on disk: Great Expectations' own JSON, one file a table.

Read here without Great Expectations, so that a file that cannot be used is named before anything runs.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from kpimart.quality.verdict import Severity

SEVERITIES = frozenset(get_args(Severity))

Expectation = Mapping[str, Any]


class BadSuite(Exception):
    """A suite file is not what it should be; told as a result, not raised at a person."""


@dataclass(frozen=True)
class Suite:
    """One table's expectations. `table` is the name of the file, `name` the suite's own."""

    table: str
    name: str
    expectations: tuple[Expectation, ...]


def suite_files(folder: Path) -> dict[str, Path]:
    """The suite files of a boundary by the table they are about."""
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def read_suite(path: Path) -> Suite:
    """Read one suite. Raises BadSuite for a file that is not JSON, or not a suite, or has an unknown severity."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        suite = Suite(path.stem, content["name"], tuple(dict(expectation) for expectation in content["expectations"]))
    except (OSError, ValueError) as error:
        raise BadSuite(f"{path}: cannot be read: {error}") from error
    except (KeyError, TypeError) as error:
        raise BadSuite(f"{path}: is no suite: it needs a name and a list of expectations ({error!r})") from error
    for severity in {expectation.get("severity", "critical") for expectation in suite.expectations} - SEVERITIES:
        raise BadSuite(f"{path}: severity {severity!r} is none of {', '.join(sorted(SEVERITIES))}")
    return suite


def parameters_of(expectation: Expectation) -> set[str]:
    """The names of the parameters that an expectation leaves open."""
    return {value["$PARAMETER"] for value in expectation["kwargs"].values() if _is_open(value)}


def filled(expectation: Expectation, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The expectation's arguments with the parameters' values in their places."""
    return {
        name: parameters.get(value["$PARAMETER"]) if _is_open(value) else value
        for name, value in expectation["kwargs"].items()
    }


def _is_open(value: Any) -> bool:
    return isinstance(value, dict) and "$PARAMETER" in value
