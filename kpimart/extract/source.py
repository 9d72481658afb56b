"""The one shape of a CRM that is read over an API: its objects, and how each is read page by page.

A CRM's module says what it has in an `ApiSource`; how records become rows of a load package is `reading`'s business.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kpimart.settings import Settings
from kpimart.sql import literal

if TYPE_CHECKING:
    from kpimart.extract.http import Rates

Json = dict[str, Any]
Cursor = dict[str, Any]
"""Where the reading of an object goes on, as JSON; empty on the very first fetch."""

C = TypeVar("C")


@dataclass(frozen=True)
class Listing:
    """All the ids that there are between two whole numbers, both inclusive, or of the whole object without bounds.

    A known record in these bounds that is not listed has vanished. One that the source says is gone is
    `Listing(ids=(), low=n, high=n)`.
    """

    ids: tuple[str, ...]
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Page:
    """Some records as the source gave them. A later fetch may go on from `cursor`; None is no place to go on from."""

    records: Sequence[Json] = ()
    cursor: Cursor | None = None
    listings: tuple[Listing, ...] = ()


def at(path: str) -> Callable[[Json], Any]:
    """The value at a dotted path; None where a part of the path is not there."""
    first, *further = path.split(".")
    if not further:
        return lambda record: record.get(path)

    def value_at(record: Json) -> Any:
        value = record.get(first)
        for part in further:
            if not isinstance(value, dict):
                return None
            value = value.get(part)
        return value

    return value_at


def id_at(path: str) -> Callable[[Json], str]:
    """The id at a dotted path, as text; raises ValueError where there is none."""
    value_at = at(path)

    def id_of(record: Json) -> str:
        value = value_at(record)
        if value is None or value == "" or isinstance(value, bool | dict | list):
            raise ValueError(f"expected an id at {path!r}, found {value!r}")
        return str(value)

    return id_of


def iso_moment(path: str) -> Callable[[Json], datetime | None]:
    """The UTC moment at a dotted path, written in ISO 8601 with its offset; raises ValueError for any other text."""
    value_at = at(path)

    def moment_of(record: Json) -> datetime | None:
        value = value_at(record)
        if value is None or value == "":
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None or moment.tzinfo is None:
            raise ValueError(f"expected a time with its offset at {path!r}, found {value!r}")
        # The way to another zone, even to the same one, takes thrice as long as reading the text.
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)

    return moment_of


def epoch_moment(path: str) -> Callable[[Json], datetime | None]:
    """The UTC moment at a dotted path, written in seconds since 1970; raises ValueError for anything else."""
    value_at = at(path)

    def moment_of(record: Json) -> datetime | None:
        value = value_at(record)
        if value is None:
            return None
        try:
            return datetime.fromtimestamp(value, UTC)
        except (TypeError, OverflowError, OSError) as error:
            raise ValueError(f"expected seconds since 1970 at {path!r}, found {value!r}") from error

    return moment_of


ID = id_at("id")
"""The id where most APIs have it."""


def undated(_: Json) -> None:
    """The source does not tell when such a record changed."""


def never(_: Json) -> bool:
    """No such record is ever given as deleted."""
    return False


@dataclass(frozen=True)
class ApiObject(Generic[C]):
    """One object of a CRM, and how it is read.

    read: a generator of pages from a cursor on; the cursor of its last page is where the next fetch starts.
    keep: the allow-list, as dotted paths; a list is looked through, and what lies under a path is kept whole.
    personal: paths that are kept only where the settings allow personal data.
    configured_at: where a property that the settings name stands in a record ("properties.{}").
    needed: paths that staging cannot do without, with the types that their values may have besides null.
    updated_at, id_of: raise ValueError for a record that cannot be used; it goes to quarantine.
    right: what a token needs to read it, in the CRM's own words. probe: one cheap request that needs it.
    estimate: how many records are to be read from a cursor on, where the API tells it cheaply.
    """

    name: str
    read: Callable[[C, Cursor], Iterator[Page]]
    keep: tuple[str, ...]
    needed: Mapping[str, tuple[type, ...]] = field(default_factory=dict)
    updated_at: Callable[[Json], datetime | None] = undated
    id_of: Callable[[Json], str] = ID
    is_deleted: Callable[[Json], bool] = never
    personal: tuple[str, ...] = ()
    configured_at: str = "{}"
    right: str = ""
    probe: Callable[[C], None] | None = None
    estimate: Callable[[C, Cursor], int | None] | None = None


@dataclass(frozen=True)
class Total:
    """A CRM's own count, and sum if it gives one, of an object's live records of one owner created in one month (UTC).

    manager_id: the CRM's id; None for records without an owner. month: its first day; None for records without a date.
    """

    object: str
    manager_id: str | None
    month: date | None
    count: int
    amount: Decimal | None


@dataclass(frozen=True)
class Counted:
    """How a stored record is counted among the totals: whose it is, when it was created, and for how much.

    Each may raise ValueError for a value that cannot be read, and is None where there is none.
    """

    manager_id: Callable[[Json], Any]
    created_at: Callable[[Json], datetime | None]
    amount: Callable[[Json], Any] = undated


@dataclass(frozen=True)
class Deals:
    """Which records of raw are deals, and for how much: what is counted without staging, to hold against it.

    object: their name in raw. amount (in the deal's own currency), is_deal: SQL over `payload`; is_deal is not true
    where the record alone cannot tell, and staging is believed.
    """

    object: str
    amount: str
    is_deal: str = "true"


def amount_in_raw(pointer: str) -> str:
    """SQL of the amount at a JSON pointer of `payload`; what is no number is null."""
    return f"try_cast(payload ->> {literal(pointer)} as decimal(18, 2))"


@dataclass(frozen=True)
class ApiSource(Generic[C]):
    """A CRM. Its objects are read at the same time, with one client, which therefore must bear threads.

    rates: the limits that its client obeys, unless `requests_per_second` is set; where there is none, its objects may
    be read by several processes. server_time: what its own clock says. totals: its own aggregates; None where its API
    has none. counted: how the records of an object that has totals are counted, by its name. deals: what of raw is one.
    """

    name: str
    connect: Callable[[Settings], AbstractContextManager[C]]
    rates: "Callable[[Settings], Rates]"
    objects: tuple[ApiObject[C], ...]
    server_time: Callable[[C], datetime]
    totals: Callable[[C, Settings], Iterator[Total]] | None = None
    counted: Mapping[str, Counted] = field(default_factory=dict)
    deals: Deals = field(kw_only=True)
