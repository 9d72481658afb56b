"""The demo's own export, read back as anybody would read it: rows of text from NDJSON files."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")

Row = dict[str, Any]


def berlin_day(moment: str) -> date:
    """The company's date at a moment of the export."""
    return datetime.fromisoformat(moment).astimezone(BERLIN).date()


@dataclass
class Export:
    """An exported folder: the rows of each object, and the deals' histories put together."""

    folder: Path
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in sorted(self.folder.glob("*.ndjson")):
            lines = path.read_text(encoding="utf-8").splitlines()
            self.rows[path.stem] = [json.loads(line) for line in lines]

    def __getitem__(self, name: str) -> list[Row]:
        return self.rows[name]

    def by_id(self, name: str) -> dict[str, Row]:
        return {row["id"]: row for row in self.rows[name]}

    @cached_property
    def stages(self) -> dict[str, list[Row]]:
        """Deal → its stage changes in their order."""
        return self._by_deal("stage_changes")

    @cached_property
    def owners(self) -> dict[str, list[Row]]:
        """Deal → its owner changes in their order."""
        return self._by_deal("owner_changes")

    @cached_property
    def done(self) -> list[Row]:
        """The activities that took place."""
        return [activity for activity in self["activities"] if activity["occurred_at"]]

    @cached_property
    def won(self) -> list[Row]:
        return [deal for deal in self["deals"] if deal["closed_at"] and not deal["loss_reason"]]

    @cached_property
    def lost(self) -> list[Row]:
        return [deal for deal in self["deals"] if deal["loss_reason"]]

    @cached_property
    def open(self) -> list[Row]:
        return [deal for deal in self["deals"] if not deal["closed_at"] and not deal["is_deleted"]]

    def purchases(self) -> Iterator[list[date]]:
        """The days on which an account bought, for each account that did."""
        days = defaultdict(list)
        for deal in self.won:
            days[deal["account"]].append(berlin_day(deal["closed_at"]))
        return (sorted(dates) for dates in days.values())

    def _by_deal(self, name: str) -> dict[str, list[Row]]:
        changes = defaultdict(list)
        for change in self[name]:
            changes[change["deal"]].append(change)
        return changes
