"""What is left of a record whose person was forgotten: what figures rest on, and nothing that tells who it was.

Names become `forgotten`; e-mail addresses, phone numbers, and all that is kept only because the settings ask for it go.
Owners, departments, times and amounts stay, so that a rebuild from raw gives the figures that were published.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import duckdb
import orjson
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from kpimart.errors import SettingsError
from kpimart.extract.landing_area import LandingArea
from kpimart.extract.packages import API_SOURCES, QUARANTINE_TABLE, SOURCES, Package, api_source, object_names
from kpimart.extract.reading import keeper
from kpimart.extract.source import Json
from kpimart.mentions import FORGOTTEN, Mentions
from kpimart.settings import Settings
from kpimart.sql import literal
from kpimart.warehouse import open_memory

# Keys under which CRMs keep what a record is called, in small letters and digits only.
_WHOLE_NAMES = frozenset({"name", "fullname", "displayname", "completename", "dealname", "title", "username", "login"})
_FIRST_NAMES = frozenset({"firstname", "givenname"})
_FURTHER_NAMES = frozenset({"lastname", "familyname", "surname", "secondname", "middlename", "patronymic"})
_CONTACTS = ("mail", "phone", "mobile", "fax")

_SHORTEST_TEXT = 3

NOTHING_LEFT = '{"forgotten":true}'
"""The payload of a forgotten record that no figure rests on: one in quarantine."""

_JSON_TEXT = r'"((?:[^"\\]|\\.)*)"'

# The columns of a package's tables that may hold anything.
_TEXTS = ("payload", "reason")


class RecordName(NamedTuple):
    """A record as people name it: `hubspot:contacts:501`."""

    source: str
    object: str
    id: str

    def __str__(self) -> str:
        return ":".join(self)


@dataclass(frozen=True)
class Erasure:
    """How the records of one object are forgotten.

    payload: what stays of a record. texts: what in it tells who it is.
    """

    payload: Callable[[Json], Json]
    texts: Callable[[Json], Iterator[str]]


def parse_record(text: str) -> RecordName:
    """`<crm>:<object>:<id>`; raises SettingsError that says what was expected."""
    source, _, rest = text.partition(":")
    object_name, _, record_id = rest.partition(":")
    if not (source and object_name and record_id):
        raise SettingsError(f"{text!r}: name a record as <crm>:<object>:<id>, such as hubspot:contacts:501")
    if source not in SOURCES:
        raise SettingsError(f"{text!r}: there is no source {source!r}; known are {', '.join(SOURCES)}")
    if object_name not in object_names(source):
        raise SettingsError(
            f"{text!r}: {source} has no object {object_name!r}; known are {', '.join(object_names(source))}"
        )
    return RecordName(source, object_name, record_id)


def erasure_of(settings: Settings, source: str, object_name: str) -> Erasure:
    """How the records of an object are forgotten: by the allow-list of its CRM, or by its mapping."""
    if source in API_SOURCES:
        (each,) = [each for each in api_source(source).objects if each.name == object_name]
        kept = keeper(each.keep)
        return Erasure(lambda record: {**_nameless(kept(record)), "forgotten": True}, _texts_of)
    columns = _name_columns(settings, source, object_name)
    # A row is told by its columns which mapping it belongs to, so none may be added or taken away.
    return Erasure(
        lambda record: {key: FORGOTTEN if key in columns and value else value for key, value in record.items()},
        lambda record: (str(record[column]) for column in columns if record.get(column)),
    )


def _name_columns(settings: Settings, source: str, object_name: str) -> set[str]:
    """The source's columns that hold a name and nothing else; one that is an id too cannot go."""
    columns = set()
    for mapping in getattr(getattr(settings, source), object_name):
        others = {column.column for name, column in mapping.columns.items() if name != "name"}
        named = mapping.columns.get("name")
        if named and named.column and named.column not in others:
            columns.add(named.column)
    return columns


def _key(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _is_contact(key: str) -> bool:
    return any(part in key for part in _CONTACTS)


def _nameless(record: Json) -> Json:
    """The record without contacts, and with `forgotten` for its name; what lies in lists is other records'."""
    keys = {_key(name) for name, value in record.items() if isinstance(value, str) and value}
    has_name = bool(keys & (_WHOLE_NAMES | _FIRST_NAMES))
    return {
        name: _nameless_value(_key(name), value, has_name=has_name)
        for name, value in record.items()
        if not _is_contact(_key(name))
    }


def _nameless_value(key: str, value: Any, *, has_name: bool) -> Any:
    if isinstance(value, dict):
        return _nameless(value)
    if not isinstance(value, str) or not value:
        return value
    if key in _WHOLE_NAMES or key in _FIRST_NAMES:
        return FORGOTTEN
    if key in _FURTHER_NAMES:
        return None if has_name else FORGOTTEN
    return value


def _texts_of(record: Json) -> Iterator[str]:
    """Its whole names, in both orders, and its contacts. A first name alone is many people's."""
    by_key = {_key(name): value for name, value in record.items()}
    words = {key: value for key, value in by_key.items() if isinstance(value, str) and value.strip()}
    further = [words[key].strip() for key in _FURTHER_NAMES & words.keys()]
    # Some CRMs call the first name `name`, beside a last name.
    first = [words[key].strip() for key in (_FIRST_NAMES | ({"name"} if further else set())) & words.keys()]
    for one in first:
        for other in further:
            yield from (f"{one} {other}", f"{other} {one}", f"{other}, {one}")
    for key in _WHOLE_NAMES & words.keys():
        if not further or " " in words[key].strip():
            yield words[key].strip()
    for key, value in by_key.items():
        if _is_contact(key):
            yield from _all_texts(value)
        elif isinstance(value, dict):
            yield from _texts_of(value)


def _all_texts(value: Any) -> Iterator[str]:
    """The texts below a contact that may be an address or a number, and no word such as WORK."""
    if isinstance(value, str) and ("@" in value or sum(character.isdigit() for character in value) >= 5):
        yield value.strip()
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _all_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _all_texts(inner)


def mentions_of(record: RecordName, texts: set[str], also: tuple[str, ...]) -> Mentions:
    """What is searched for elsewhere: the record's own texts, single words apart, and those that somebody named.

    Raises SettingsError for a text too short to be anybody's.
    """
    for text in also:
        if len(text.strip()) < _SHORTEST_TEXT:
            raise SettingsError(f"--also {text!r}: is too short to tell a person by; give a whole name or an address")
    own = {text for text in texts if len(text) >= _SHORTEST_TEXT and text not in (record.id, FORGOTTEN)}
    words = {text for text in own if text.isalpha()}
    return Mentions(frozenset(own - words | {text.strip() for text in also}), frozenset(words))


# ----------------------------------------------------------------------------------------------- payloads, and packages

Forgotten = Mapping[str, tuple[Collection[str], Erasure]]
"""The forgotten records of a source: object → ids, and how they are erased."""


@dataclass(frozen=True)
class Change:
    """A file of a package, its rows, the text columns as they are to be, and how many rows that changes."""

    file: str
    table: Any
    columns: Mapping[str, list[str]]
    rows: int


def forgotten_records(connection: duckdb.DuckDBPyConnection, settings: Settings, source: str) -> Forgotten:
    """The records of a source that were forgotten."""
    rows = connection.execute(
        "select object, list(distinct record_id) from ops.forgotten where source = ? group by object", [source]
    ).fetchall()
    return {name: (ids, erasure_of(settings, source, name)) for name, ids in rows}


def erased_payload(payload: str, erasure: Erasure) -> str:
    """A payload as text without the person; one that is no record keeps nothing."""
    record = _parsed(payload)
    return (
        NOTHING_LEFT if record is None else orjson.dumps(erasure.payload(record), option=orjson.OPT_SORT_KEYS).decode()
    )


def texts_in(payload: str, erasure: Erasure) -> set[str]:
    """What in a payload tells who it is."""
    record = _parsed(payload)
    return set() if record is None else set(erasure.texts(record))


def _parsed(payload: str) -> Json | None:
    try:
        record = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def hash_of(text: str) -> str:
    """What is kept of a text that tells who somebody was, to know it again."""
    return hashlib.sha256(text.strip().lower().encode()).hexdigest()


def forgotten_texts(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The hashes of all texts that told who somebody was."""
    rows = connection.execute("select distinct unnest(text_hashes) from ops.forgotten").fetchall()
    return frozenset(text_hash for (text_hash,) in rows)


def erase_from_package(
    package: Package, forgotten: Forgotten, mentions: Mentions, hashes: Collection[str] = frozenset()
) -> None:
    """Rewrite the files of a package that tell of forgotten records or mention somebody, each in one step.

    hashes: those of texts that are erased where one is a whole value of a record.
    """
    for change in changes_of_package(package, forgotten, mentions, hashes):
        _rewrite(change, package.area)


def changes_of_package(
    package: Package, forgotten: Forgotten, mentions: Mentions, hashes: Collection[str] = frozenset()
) -> Iterator[Change]:
    """What is to be changed in the files of a package; raises StorageFailed for one that cannot be read."""
    for table in package.tables():
        for file in _files_to_change(package, table, forgotten, mentions, hashes):
            change = _change_of(file, package.area, table, forgotten, mentions, hashes)
            if change.rows:
                yield change


def _files_to_change(
    package: Package, table: str, forgotten: Forgotten, mentions: Mentions, hashes: Collection[str]
) -> list[str]:
    """The files that may have to change: most have not, and are not to be read into memory."""
    files = package.files(table)
    if not files:
        return []
    with open_memory() as connection:
        package.area.make_known_to(connection)
        described = connection.execute("describe select * from read_parquet($files)", {"files": files}).fetchall()
        columns = [column for column, *_ in described if column in _TEXTS]
        tests = [mentions.found_in(column, with_names=False) for column in columns]
        tests += [_has_hashed(column, hashes) for column in columns if hashes]
        if table == QUARANTINE_TABLE:
            tests += [_is_one_of("record_id", ids) for ids, _ in forgotten.values()]
        elif table in forgotten:
            tests.append(_is_one_of("id", forgotten[table][0]))
        if not columns or not tests:
            return []
        rows = connection.execute(
            f"select distinct filename from read_parquet($files, filename = true) where {' or '.join(tests)}",
            {"files": files},
        ).fetchall()
    return sorted(name for (name,) in rows)


def _is_one_of(column: str, ids: Collection[str]) -> str:
    return f"{column} in ({', '.join(literal(one) for one in sorted(ids))})"


def _has_hashed(column: str, hashes: Collection[str]) -> str:
    texts = f"regexp_extract_all({column}, {literal(_JSON_TEXT)}, 1)"
    known = f"[{', '.join(map(literal, sorted(hashes)))}]"
    return f"list_has_any(list_transform({texts}, lambda text: sha256(lower(text))), {known})"


def _without_hashed(payload: str, hashes: Collection[str]) -> str:
    def replaced(found: re.Match[str]) -> str:
        return f'"{FORGOTTEN}"' if hash_of(found[1]) in hashes else found[0]

    return re.sub(_JSON_TEXT, replaced, payload) if hashes else payload


def _change_of(
    file: str,
    area: LandingArea,
    table_name: str,
    forgotten: Forgotten,
    mentions: Mentions,
    hashes: Collection[str],
) -> Change:
    with area.reading(file) as stream:
        table = pq.read_table(stream)
    before = {name: table[name].to_pylist() for name in _TEXTS if name in table.column_names}
    after = {
        name: [_without_hashed(mentions.erased(text), hashes) for text in values] for name, values in before.items()
    }
    if table_name == QUARANTINE_TABLE:
        for row in _quarantined(table, forgotten):
            after["payload"][row], after["reason"][row] = NOTHING_LEFT, FORGOTTEN
    elif table_name in forgotten:
        ids, erasure = forgotten[table_name]
        for row in _rows_of(table, ids):
            after["payload"][row] = erased_payload(after["payload"][row], erasure)
    changed = zip(zip(*before.values(), strict=True), zip(*after.values(), strict=True), strict=True)
    return Change(file, table, after, sum(one != other for one, other in changed))


def _rows_of(table: Any, ids: Collection[str]) -> list[int]:
    wanted = set(ids)
    return [row for row, record_id in enumerate(table["id"].to_pylist()) if record_id in wanted]


def _quarantined(table: Any, forgotten: Forgotten) -> Iterator[int]:
    """The rows of quarantined records that were forgotten."""
    names, ids = table["object"].to_pylist(), table["record_id"].to_pylist()
    for row, (name, record_id) in enumerate(zip(names, ids, strict=True)):
        if name in forgotten and record_id in forgotten[name][0]:
            yield row


def _rewrite(change: Change, area: LandingArea) -> None:
    table = change.table
    for name, values in change.columns.items():
        column = table.schema.field(name)
        table = table.set_column(table.column_names.index(name), column, pa.array(values, column.type))
    with area.rewriting(change.file) as stream:
        pq.write_table(table, stream)
