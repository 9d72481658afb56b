"""After a newer program was installed: what has to follow it, and the one command that does it.

Settings: what was renamed or removed is refused by `load_settings`, by name, with what stands in its place. Warehouse:
the steps of `kpimart.schema` that it has not taken. Contract: what the next release publishes beyond the one that is
served, which its readers may have to follow.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kpimart import schema
from kpimart.backup import BackedUp, put_on_record, save
from kpimart.clock import Clock
from kpimart.errors import SettingsError
from kpimart.forget import homes_of
from kpimart.paths import CHANGELOG
from kpimart.publish.contract import CONTRACT_VERSION
from kpimart.publish.manifest import read_manifest
from kpimart.publish.release import current
from kpimart.settings import Settings
from kpimart.warehouse import WAREHOUSE_FILE, open_of_any_age, storage_errors, take_steps, transaction, writer_lock

Tell = Callable[[str], None]


@dataclass(frozen=True)
class OlderHome:
    """A home whose warehouse has an older schema, and the steps that it lacks: version → what it brings."""

    home: Path
    found: int
    steps: dict[int, str]


@dataclass(frozen=True)
class ContractChange:
    """A line of the CHANGELOG's table."""

    contract: str
    change: str
    tables: str


@dataclass(frozen=True)
class Contract:
    """What is served, what the next release publishes, and what is between; `is_broken`: readers must change."""

    served: str
    next: str
    changes: tuple[ContractChange, ...]
    is_broken: bool


@dataclass(frozen=True)
class Upgrade:
    """What there is to do, or was done, to reach `schema_version`. `contract`: None where nothing is served yet."""

    schema_version: int
    older: tuple[OlderHome, ...]
    contract: Contract | None
    backup: BackedUp | None = None


def look(settings: Settings) -> Upgrade:
    """What an upgrade would do, and what it means for readers; raises ProgramTooOld and WarehouseBusy."""
    with writer_lock(settings.home):
        return _look(settings)


def upgrade(settings: Settings, place: str | None, *, clock: Clock, tell: Tell) -> Upgrade:
    """Do it: step after step, each in a transaction; killed anywhere, it is called again.

    place: where to back up to before, if anything is to be done; None: nowhere. Homes that `kpimart restore` put aside
    are upgraded too, for `kpimart forget` looks into them. Raises what `backup.save` raises, and ProgramTooOld.
    """
    with writer_lock(settings.home), storage_errors(f"upgrading {settings.home}"):
        found = _look(settings)
        saved = save(settings, place, keep=None, clock=clock, tell=tell) if place and found.older else None
        for older in found.older:
            for step in schema.steps_after(older.found):
                tell(f"schema {step.version} of {older.home}")
                with open_of_any_age(older.home) as connection, transaction(connection):
                    take_steps(connection, [step])
        if saved:
            put_on_record(settings.home, saved)
        return Upgrade(found.schema_version, found.older, found.contract, saved)


def _look(settings: Settings) -> Upgrade:
    found = {home: _version_of(home) for home in homes_of(settings.home) if (home / WAREHOUSE_FILE).exists()}
    older = [
        OlderHome(home, version, {step.version: step.brings for step in schema.steps_after(version)})
        for home, version in found.items()
        if 0 < version < schema.version()
    ]
    return Upgrade(schema.version(), tuple(older), _contract(settings.home))


def _version_of(home: Path) -> int:
    with open_of_any_age(home) as connection:
        return schema.version_of(connection)


def _contract(home: Path) -> Contract | None:
    release = current(home)
    if release is None:
        return None
    served = read_manifest(release.folder).contract_version
    changes = [change for change in contract_changes() if _number(served) < _number(change.contract)]
    return Contract(served, CONTRACT_VERSION, tuple(changes), _number(served)[0] != _number(CONTRACT_VERSION)[0])


def contract_changes() -> list[ContractChange]:
    """All changes of the contract, as the CHANGELOG announces them, oldest first."""
    try:
        text = CHANGELOG.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{CHANGELOG}: is missing; check the project out again") from None
    rows = re.findall(r"^\| (\d+\.\d+) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    return sorted((ContractChange(*row) for row in rows), key=lambda change: _number(change.contract))


def _number(contract: str) -> tuple[int, ...]:
    return tuple(map(int, contract.split(".")))
