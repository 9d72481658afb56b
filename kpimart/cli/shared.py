"""What all commands share: their options, and how they print."""

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import RenderableType

from kpimart import render
from kpimart.language import Language
from kpimart.quality.wording import readable

Config = Annotated[
    Path | None, typer.Option("--config", help="The kpimart.toml to use.", show_default="./kpimart.toml")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Level = Literal["manager", "department", "company"]
Period = Annotated[
    str, typer.Option("--period", help="A grain, for its last complete period, or 2017, 2017-Q2, 2017-04, 2017-W14.")
]
Lang = Annotated[Language, typer.Option("--lang", help="Language of names and headings.")]
ReleaseId = Annotated[str | None, typer.Option("--release", help="A release.", show_default="the current one")]


def show(*told: RenderableType) -> None:
    """Print what a person reads."""
    console = render.console()
    for part in told:
        # A command that is to be copied stays on its line.
        console.print(readable(part) if isinstance(part, str) else part, soft_wrap=isinstance(part, str))


def show_json(content: Any) -> None:
    """Print what a machine reads; decimals, moments and paths as texts."""
    print(json.dumps(content, default=_as_json, indent=2, ensure_ascii=False))


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | Path):
        return str(value)
    if hasattr(value, "total_seconds"):
        return value.total_seconds()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
