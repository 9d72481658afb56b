"""What a build is: the one thing that transform makes, the gate judges and publish copies."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Build:
    """A finished build: its name, the two moments (aware, UTC) it speaks of, and the DuckDB file it lies in.

    `database` is the warehouse itself, or a scratch file when the build speaks of an earlier moment. `warnings`: what
    its tests found that does not keep it from being published.
    """

    build_id: str
    as_of: datetime
    known_at: datetime
    database: Path
    warnings: tuple[str, ...] = ()
