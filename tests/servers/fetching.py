"""Fetches of one object of an API as a run makes them, and what came of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kpimart.errors import KpiMartError
from kpimart.extract.reading import ApiReading
from kpimart.extract.records import Batch, Known, ObjectRead, silent
from kpimart.extract.source import ApiSource, Cursor, Json
from kpimart.settings import Settings

Bounds = tuple[int | None, int | None]


@dataclass
class Fetched:
    """What a fetch brought: payloads by id in the order of reading, those marked as deleted, and where it ended.

    listed: bounds → the ids that there are between them. failure: why it was left off before its end.
    """

    cursor: Cursor
    payloads: dict[str, Json] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    quarantined: list[Json] = field(default_factory=list)
    listed: dict[Bounds, list[str]] = field(default_factory=dict)
    read: int = 0
    failure: KpiMartError | None = None

    @property
    def ids(self) -> list[str]:
        """The ids of the records, sorted."""
        return sorted(self.payloads)

    def take(self, item: Batch | ObjectRead) -> None:
        """Add what the reading handed over."""
        if isinstance(item, ObjectRead):
            self.cursor = json.loads(item.cursor or "{}")
            return
        self.quarantined += item.quarantined.to_pylist()
        for row in item.rows.to_pylist():
            self.payloads[row["id"]] = json.loads(row["payload"])
            (self.deleted.add if row["is_deleted"] else self.deleted.discard)(row["id"])
            self.read += 1
        for row in item.listed.to_pylist():
            ids = self.listed.setdefault((row["low_id"], row["high_id"]), [])
            ids += [row["id"]] if row["id"] is not None else []


def fetch_object(
    source: ApiSource[Any], settings: Settings, name: str, cursor: Mapping[str, Any] = {}, *, until_cursor: int = 0
) -> Fetched:
    """Read an object from a cursor on; with `until_cursor`, only to the so-manieth place to go on from."""
    (each,) = (each for each in source.objects if each.name == name)
    fetched, places = Fetched(dict(cursor)), 0

    def is_enough() -> bool:
        nonlocal places
        places += 1
        return places == until_cursor

    try:
        with source.connect(settings) as client:
            known = Known(json.dumps(dict(cursor)) if cursor else None, None)
            reading = ApiReading(source.name, each, client, getattr(settings, source.name), known, silent)
            for item in reading.take(datetime.now(UTC), is_enough):
                fetched.take(item)
            fetched.failure = reading.failure
    except KpiMartError as failure:
        fetched.failure = failure
    return fetched
