"""A CRM of a small demo company, and how its connector reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kpimart.demo.server import Served, World
from kpimart.demo.server.faults import Fault, Kind
from kpimart.extract.source import ApiSource, Cursor, Page
from kpimart.settings import Settings

IN_A_HURRY = {"backoff_seconds": 0, "attempts": 3}


@dataclass(frozen=True)
class DemoCrm:
    """The served company, by one of its APIs. `source`: the connector; `access`: its settings of address and token."""

    source: ClassVar[ApiSource[Any]]

    served: Served
    url: str

    def access(self) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def world(self) -> World:
        return self.served.world

    @property
    def requests(self) -> int:
        return self.served.faults.requests[self.source.name]

    def settings(self, home: Path | None = None, **own: Any) -> Settings:
        chosen = {self.source.name: {**self.access(), "requests_per_second": 10_000, **own}}
        return Settings(**({"home": home} if home else {}), http=IN_A_HURRY, **chosen)  # type: ignore[arg-type]

    @contextmanager
    def client(self, **how: Any) -> Iterator[Any]:
        with self.source.connect(self.settings(**how)) as client:
            yield client

    def pages(self, name: str, cursor: Cursor, **how: Any) -> list[Page]:
        (each,) = (each for each in self.source.objects if each.name == name)
        with self.client(**how) as client:
            return list(each.read(client, cursor))

    def go_wrong(self, kind: Kind, at: int, **how: Any) -> None:
        self.served.faults.order(self.source.name, [Fault(at=at, kind=kind, **how)])
