"""Records of an API as rows of a load package: what is kept of them, what is wrong or new about them."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic

import orjson

from kpimart.errors import BadSourceData, KpiMartError
from kpimart.extract.records import (
    Batch,
    Known,
    ObjectRead,
    Progress,
    Quarantined,
    Row,
    SchemaChange,
    batch_of,
)
from kpimart.extract.source import ApiObject, C, Cursor, Json, Listing, Page
from kpimart.settings import ApiSettings

# A field that none of fewer records has may just be empty in all of them.
ENOUGH_RECORDS = 50

# So many records are handed over together; that many are held in memory for each object.
BATCH_RECORDS = 5_000

# So many sets of fields, of one object, are known again; records with custom fields may have any number of them.
REMEMBERED_SHAPES = 1_000

_TYPE_NAMES = {str: "text", int: "number", float: "number", bool: "boolean", list: "list", dict: "object"}


class ApiReading(Generic[C]):
    """The reading of one object of a CRM, page by page; a piece ends where the API gave a place to go on from.

    What goes wrong is kept in `failure`, so that what was read before it makes a complete package: anything that
    `read` raises, and BadSourceData where a field that staging needs is gone or retyped. After bad data the next fetch
    begins where this piece began.
    """

    def __init__(
        self, crm: str, each: ApiObject[C], client: C, settings: ApiSettings, known: Known, progress: Progress
    ) -> None:
        self.is_done = False
        self.failure: KpiMartError | None = None
        self._object = each
        self._progress = progress
        self._cursor: Cursor = orjson.loads(known.cursor) if known.cursor else {}
        self._fields = _Fields(crm, each, known.fields)
        self._kept = keeper((*each.keep, *_configured(each, settings)))
        self._expected: int | None = None
        self._pages = self._begin(client, dict(self._cursor))
        self._rows_read = 0

    def take(self, extracted_at: datetime, is_enough: Callable[[], bool]) -> Iterator[Batch | ObjectRead]:
        """The next pages, up to a place to go on from once it is enough, and the account of them."""
        gathered = _Gathered(self._object.name, extracted_at)
        began_at = self._cursor
        changes: tuple[SchemaChange, ...] = ()
        try:
            for page in self._pages:
                self._gather(page, gathered)
                if gathered.is_full:
                    yield gathered.batch()
                if page.cursor is not None:
                    self._cursor = page.cursor
                    if is_enough():
                        break
            else:
                self.is_done = True
            changes = self._fields.changes(is_last=self.is_done)
        except BadSourceData as failure:
            # Read again next time, so that the run stops until it is mended.
            self._cursor = began_at
            self.failure, self.is_done = failure, True
        except KpiMartError as failure:
            self.failure, self.is_done = failure, True
        yield gathered.batch()
        yield ObjectRead(
            self._object.name,
            extent="delta",
            rows_read=gathered.rows_read,
            rows_quarantined=gathered.rows_quarantined,
            can_tell_vanished=False,
            cursor=orjson.dumps(self._cursor, option=orjson.OPT_SORT_KEYS).decode(),
            fields=self._fields.as_json(),
            schema_changes=changes,
        )

    def _begin(self, client: C, cursor: Cursor) -> Iterator[Page]:
        if self._object.estimate:
            self._expected = self._object.estimate(client, cursor)
        yield from self._object.read(client, cursor)

    def _gather(self, page: Page, gathered: "_Gathered") -> None:
        # First, because of a page with a needed field of another type nothing is kept.
        self._fields.observe(page.records)
        for number, record in enumerate(page.records, start=self._rows_read + 1):
            try:
                gathered.records.append(self._record_of(record))
            except (KeyError, ValueError) as error:
                gathered.quarantined.append(self._refused(number, record, error))
        gathered.listed += [row for listing in page.listings for row in _rows_of(listing)]
        self._rows_read += len(page.records)
        self._progress(self._object.name, self._rows_read, self._expected)

    def _record_of(self, record: Json) -> Row:
        each = self._object
        if not isinstance(record, dict):
            raise ValueError(f"expected an object, found {type(record).__name__}")  # noqa: TRY004 - a bad value too
        payload = orjson.dumps(self._kept(record), option=orjson.OPT_SORT_KEYS).decode()
        return each.id_of(record), each.updated_at(record), each.is_deleted(record), payload

    def _refused(self, number: int, record: Any, error: Exception) -> Quarantined:
        """A record that cannot be used, with only what may be kept of it."""
        record_id = None
        if isinstance(record, dict):
            with contextlib.suppress(KeyError, ValueError):
                record_id = self._object.id_of(record)
            record = self._kept(record)
        reason = str(error) if isinstance(error, ValueError) else f"there is no {error}"
        return Quarantined(f"record {number}", record_id, reason, orjson.dumps(record).decode())


class _Gathered:
    """The rows of several pages, to be handed over together: a table a page would cost more than the page."""

    def __init__(self, object_name: str, extracted_at: datetime) -> None:
        self.records: list[Row] = []
        self.quarantined: list[Quarantined] = []
        self.listed: list[tuple[int | None, int | None, str | None]] = []
        self.rows_read = self.rows_quarantined = 0
        self._object_name, self._extracted_at = object_name, extracted_at

    @property
    def is_full(self) -> bool:
        return len(self.records) + len(self.listed) >= BATCH_RECORDS

    def batch(self) -> Batch:
        """What was gathered, which is forgotten here."""
        batch = batch_of(self._object_name, self.records, self.quarantined, self._extracted_at, self.listed)
        self.rows_read += len(self.records) + len(self.quarantined)
        self.rows_quarantined += len(self.quarantined)
        self.records, self.quarantined, self.listed = [], [], []
        return batch


class _Fields(Generic[C]):
    """The fields of an object's records and their types: those known from before, and those seen now.

    Looked at are a record's own fields, and those of the objects in it that the allow-list goes into.
    """

    def __init__(self, crm: str, each: ApiObject[C], known: str | None) -> None:
        self._name = f"{crm} {each.name}"
        self._object = each
        self._known: dict[str, list[str]] = orjson.loads(known) if known else {}
        self._parents = {path.split(".")[0] for path in (*each.keep, *each.needed) if "." in path}
        self._seen: dict[str, set[str]] = {}
        self._shapes: set[tuple[Any, ...]] = set()
        self._records = 0

    def observe(self, records: Any) -> None:
        """Look at the fields of some records; raises BadSourceData where a needed one has another type."""
        for record in records:
            if isinstance(record, dict):
                self._records += 1
                self._look_at(record, "")
                for parent in self._parents:
                    inner = record.get(parent)
                    if isinstance(inner, dict):
                        self._look_at(inner, f"{parent}.")

    def _look_at(self, found: Json, prefix: str) -> None:
        """Note the fields of an object; most have the same ones of the same types as one before."""
        shape = (prefix, *found, *map(type, found.values()))
        if shape not in self._shapes:
            if len(self._shapes) >= REMEMBERED_SHAPES:
                self._shapes.clear()
            self._shapes.add(shape)
            for name, value in found.items():
                self._note(f"{prefix}{name}", type(value))

    def _note(self, path: str, kind: type) -> None:
        types = self._seen.setdefault(path, set())
        if kind is type(None):
            return
        types.add(_TYPE_NAMES[kind])
        needed = self._object.needed.get(path)
        if needed and kind not in needed:
            expected = " or ".join(sorted({_TYPE_NAMES[one] for one in needed}))
            raise BadSourceData(
                f"{self._name}: field {path} is of type {_TYPE_NAMES[kind]} now, expected {expected}, which staging "
                "needs; nothing of this page was kept. Set the field right in the CRM, or adapt the models, then rerun"
            )

    def changes(self, *, is_last: bool) -> tuple[SchemaChange, ...]:
        """What is different from before, each told once; raises BadSourceData where a needed field has vanished."""
        if is_last and self._records:
            self._require_needed()
        changes = [*self._new_or_retyped(), *(self._vanished() if is_last else ())]
        for path, types in self._seen.items():
            self._known[path] = sorted({*self._known.get(path, ()), *types})
        return tuple(changes)

    def _require_needed(self) -> None:
        gone = [path for path in self._object.needed if path not in self._seen and path.count(".") < 2]
        if gone:
            raise BadSourceData(
                f"{self._name}: no record of {self._records:,} has {', '.join(gone)} any more, which staging needs. "
                "Was the field renamed, or hidden from this user? Set it right in the CRM, then rerun"
            )

    def _new_or_retyped(self) -> Iterator[SchemaChange]:
        was_empty = not self._known
        for path, types in sorted(self._seen.items()):
            before = self._known.get(path)
            if before is None and not was_empty:
                yield SchemaChange(self._object.name, path, "new", None, _joined(types))
            elif before and types - set(before):
                yield SchemaChange(self._object.name, path, "retyped", _joined(before), _joined(types))

    def _vanished(self) -> Iterator[SchemaChange]:
        if self._records >= ENOUGH_RECORDS:
            for path in sorted(self._known.keys() - self._seen.keys()):
                yield SchemaChange(self._object.name, path, "vanished", _joined(self._known.pop(path)), None)

    def as_json(self) -> str:
        """All fields that are known by now, with their types."""
        return orjson.dumps(self._known, option=orjson.OPT_SORT_KEYS).decode()


def _joined(types: Any) -> str | None:
    return ", ".join(sorted(types)) or None


def _configured(each: ApiObject[C], settings: ApiSettings) -> Iterator[str]:
    """The paths that the settings add to an object's allow-list."""
    if settings.personal_data:
        yield from each.personal
    names = (*settings.properties.get(each.name, ()), *settings.fields.values())
    yield from (each.configured_at.format(name) for name in names)


def keeper(paths: tuple[str, ...]) -> Callable[[Any], Any]:
    """What an allow-list of dotted paths lets through of a record; lists are looked through."""
    tree: dict[str, Any] = {}
    for path in paths:
        node: dict[str, Any] | None = tree
        *parents, last = path.split(".")
        for parent in parents:
            node = node.setdefault(parent, {}) if node is not None else None
        if node is not None:
            node[last] = None
    return _keeper_of(tree)


def _keeper_of(tree: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Made once for each level of the allow-list, because it is asked for every record."""
    below = {name: _keeper_of(branch) for name, branch in tree.items() if branch is not None}

    @lru_cache(maxsize=REMEMBERED_SHAPES)
    def plan(names: tuple[str, ...]) -> tuple[list[str], list[tuple[str, Callable[[Any], Any]]]]:
        return [name for name in names if name not in tree], [(name, below[name]) for name in names if name in below]

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            unwanted, parts = plan(tuple(value))
            if not unwanted and not parts:
                return value
            # To copy all and leave out some takes a third of the time of picking the others.
            found = value.copy()
            for name in unwanted:
                del found[name]
            for name, keep in parts:
                found[name] = keep(found[name])
            return found
        return [kept(one) for one in value] if isinstance(value, list) else value

    return kept


def _rows_of(listing: Listing) -> Iterator[tuple[int | None, int | None, str | None]]:
    """A listing as rows of its bounds and an id, with one row without an id."""
    yield listing.low, listing.high, None
    for record_id in listing.ids:
        yield listing.low, listing.high, record_id
