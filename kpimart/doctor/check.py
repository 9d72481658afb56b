"""What a check is: something that is looked at, and what was found."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from kpimart.settings import Settings

Outcome = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Check:
    """Something looked at; `found` says what was there, and what to do if that is not right."""

    name: str
    outcome: Outcome
    found: str


@dataclass(frozen=True)
class Asked:
    """What is looked into: a company's settings, the folder of the export if one was handed over, and when."""

    settings: Settings
    files: Path | None
    now: datetime

    @property
    def home(self) -> Path:
        """The folder of the warehouse and of the releases."""
        return self.settings.home


Look = Callable[[Asked], Iterable[Check] | Check | str]
"""Looks at something; a text is what was found there, and all is well. May raise what is wrong."""
