"""Files that are anything at all: read, set aside, or refused by an error that names them; never a crash.

`make fuzz` (FUZZ_SECONDS=300) goes on with new examples for so long, shared among these tests.
"""

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from kpimart.backup import _manifests
from kpimart.errors import BackupDamaged, KpiMartError, ReleaseDamaged
from kpimart.extract.files import open_files
from kpimart.extract.landing_area import LandingArea
from kpimart.extract.packages import API_SOURCES, api_source
from kpimart.extract.reading import ApiReading
from kpimart.extract.records import Batch, Known, ObjectRead, silent
from kpimart.extract.source import ApiObject, Page
from kpimart.publish.manifest import (
    FileRecord,
    Gate,
    GateCounts,
    Manifest,
    TableRecord,
    read_manifest,
    write_manifest,
)
from kpimart.settings import ApiSettings, Settings

SECONDS, TESTS, EXAMPLES = float(os.environ.get("FUZZ_SECONDS", "0")), 5 + len(API_SOURCES), 30
NOW = datetime(2026, 11, 24, tzinfo=UTC)
COLUMNS = {
    "id": "id",
    "manager": "agent",
    "stage": "stage",
    "created_at": "created",
    "closed_at": "closed",
    "amount": "sum",
}
STAGES = ({"name": "Talking", "outcome": "open", "position": 1}, {"name": "Won", "outcome": "won", "position": 2})
GOOD = {"id": "D1", "agent": "Ann", "stage": "Won", "created": "2026-01-05", "closed": "2026-02-01", "sum": "1054.50"}

# What has broken readers of files before, beside what Hypothesis finds by itself.
NASTY = [
    *(
        "",
        " ",
        "0",
        "-0",
        "1e999",
        "NaN",
        "-Infinity",
        "١٢٣",
        "1,5",
        "9" * 400,
        "2026-02-30",
        "9999-12-31T23:59:59+14:00",
    ),
    *("0001-01-01T00:00:00-14:00", "\x00", "\ufeff", "\u2028", "'", '"', '""', '"\n', "=1+1", "null", "true", "Won\r"),
]
VALUES = st.one_of(st.sampled_from(NASTY), st.sampled_from(list(GOOD.values())), st.text(max_size=30))
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), VALUES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(VALUES, inner, max_size=3)),
    max_leaves=6,
)


def for_a_while(
    strategy: st.SearchStrategy[Any], check: Callable[[Any], None], count: Callable[[str, object], None]
) -> None:
    """Check examples: the same few in `make test`, always new ones for a share of FUZZ_SECONDS."""
    checked = 0

    def once(example: Any) -> None:
        nonlocal checked
        checked += 1
        check(example)

    def batch(number: int) -> None:
        chosen = example_settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=not SECONDS,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        test = chosen(given(strategy)(once))
        (seed(number)(test) if SECONDS else test)()

    end = time.monotonic() + SECONDS / TESTS
    batch(0)
    while time.monotonic() < end:
        batch(random.randrange(2**63))  # noqa: S311 - Hypothesis prints the example that fails
    count("figure", f"{checked:,} files and answers of any content were read, set aside or refused by name")


def mangled(good: bytes) -> st.SearchStrategy[bytes]:
    """A good file in which bytes were changed, lost, doubled or put in; or no such file at all."""

    def mangle(edits: list[tuple[float, int, bytes]]) -> bytes:
        content = good
        for place, lost, put in edits:
            at = int(place * len(content))
            content = content[:at] + put + content[at + lost :]
        return content

    put = st.one_of(st.binary(max_size=6), st.sampled_from([b'"', b"\n", b"\r", b"\x00", b"\xff\xfe", good[:40]]))
    edits = st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 2, 16, 10_000]), put)
    return st.one_of(st.lists(edits, min_size=1, max_size=5).map(mangle), st.binary(max_size=200))


def read(folder: Path, name: str, content: bytes) -> None:
    """Read a file as deals: every record that it holds is told of, or an error that names the file is raised."""
    (folder / name).write_bytes(content)
    deals = {"file": name, "columns": COLUMNS}
    settings = Settings(files={"stages": STAGES, "deals": ({**deals},)})  # type: ignore[arg-type]
    try:
        items = list(open_files(settings, folder, extracted_at=NOW))
    except KpiMartError as error:
        said = str(error)
    else:
        require_account(items, name)
        return
    assert name in said


def require_account(items: list[Batch | ObjectRead], name: str) -> None:
    """What was read adds up: a record is a row, or in quarantine with its place and the reason."""
    batches = [item for item in items if isinstance(item, Batch)]
    (account,) = [item for item in items if isinstance(item, ObjectRead)]
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    quarantined = [row for batch in batches for row in batch.quarantined.to_pylist()]
    assert account.rows_read >= len(rows) + account.rows_quarantined
    assert account.rows_quarantined == len(quarantined)
    assert all(orjson.loads(row["payload"]) for row in rows)
    assert all(row["reason"] and row["place"].startswith(name) for row in quarantined)


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str, object], None]:
    return record_property


def test_csv_of_any_bytes(tmp_path: Path, figure: Any) -> None:
    lines = [",".join(GOOD), *(",".join(GOOD.values()).replace("D1", f"D{number}") for number in range(1, 6))]
    for_a_while(mangled("\n".join(lines).encode()), lambda content: read(tmp_path, "deals.csv", content), figure)


def test_csv_of_any_values(tmp_path: Path, figure: Any) -> None:
    def written(rows: list[list[str]]) -> bytes:
        lines = (",".join(f'"{value.replace(chr(34), chr(34) * 2)}"' for value in row) for row in rows)
        return "\n".join([",".join(GOOD), *lines]).encode("utf-8", errors="surrogatepass")

    rows = st.lists(st.lists(VALUES, min_size=5, max_size=7), min_size=1, max_size=4).map(written)
    for_a_while(rows, lambda content: read(tmp_path, "deals.csv", content), figure)


def test_ndjson_of_any_values(tmp_path: Path, figure: Any) -> None:
    def written(records: list[dict[str, Any]]) -> bytes:
        # Python's own writer lets NaN, lone surrogates and huge numbers through, as other programs do.
        return "\n".join([json.dumps(GOOD), *map(json.dumps, records)]).encode()

    record = st.one_of(st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, JSON_VALUES)), JSON_VALUES)
    lines = st.one_of(
        st.lists(record, min_size=1, max_size=4).map(written), mangled(b"\n".join([orjson.dumps(GOOD)] * 4))
    )
    for_a_while(lines, lambda content: read(tmp_path, "deals.ndjson", content), figure)


def test_parquet_of_any_bytes(tmp_path: Path, figure: Any) -> None:
    pq.write_table(pa.Table.from_pylist([GOOD, {**GOOD, "id": "D2"}]), tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    for_a_while(mangled(good), lambda content: read(tmp_path, "deals.parquet", content), figure)


# What a field's values should be, and what they are now and then.
USUAL: dict[type, st.SearchStrategy[Any]] = {
    str: st.one_of(VALUES, st.just("2026-11-24T10:00:00+00:00")),
    int: st.one_of(st.integers(), st.integers(0, 2**33)),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    list: st.lists(JSON_VALUES, max_size=3),
    dict: st.dictionaries(VALUES, JSON_VALUES, max_size=3),
}


def records_of(each: ApiObject[Any]) -> st.SearchStrategy[Any]:
    """Records of an object of a CRM that have some of the fields it keeps, with anything in them; or no records."""
    paths = {*each.keep, *each.needed}

    def value_of(name: str) -> st.SearchStrategy[Any]:
        within = [path.split(".")[1] for path in paths if path.startswith(f"{name}.")]
        inner = st.fixed_dictionaries({}, optional=dict.fromkeys(within, JSON_VALUES))
        return st.one_of(*(USUAL[kind] for kind in each.needed.get(name, ())), JSON_VALUES, inner)

    names = sorted({path.split(".")[0] for path in paths} | {"id"})
    record = st.fixed_dictionaries({}, optional={name: value_of(name) for name in names})
    return st.lists(st.one_of(record, JSON_VALUES), min_size=1, max_size=3)


@pytest.mark.parametrize("crm", API_SOURCES)
def test_records_of_an_api_of_any_content(crm: str, figure: Any) -> None:
    """What a CRM answers, once it is JSON: each record is kept or set aside, or the field that is wrong is named."""

    def check(example: tuple[ApiObject[Any], Any]) -> None:
        each, written = example
        try:
            # As other programs write JSON, and as it is read here.
            records = orjson.loads(json.dumps(written))
        except orjson.JSONDecodeError:
            return
        told = replace(each, read=lambda _, __: iter([Page(records, {})]), estimate=None)
        reading = ApiReading(crm, told, None, ApiSettings(), Known(None, None), silent)
        items = list(reading.take(NOW, lambda: False))
        if reading.failure:
            assert str(reading.failure).startswith(f"{crm} {each.name}: ")
        else:
            require_account(items, "record")

    objects = api_source(crm).objects
    examples = st.sampled_from(objects).flatmap(lambda each: st.tuples(st.just(each), records_of(each)))
    for_a_while(examples, check, figure)


def test_manifests_of_any_content(tmp_path: Path, figure: Any) -> None:
    release, place = tmp_path / "20261124T000000Z", tmp_path / "b" / "backups"
    release.mkdir()
    place.mkdir(parents=True)
    tables = {"deal": TableRecord(rows=9, control_totals={"amount": "452.25", "none": None})}
    stated = Manifest(
        contract_version="1.1",
        release_id=release.name,
        sequence=1,
        as_of=NOW,
        known_at=NOW,
        published_at=NOW,
        code_version="0.1.0",
        catalogue_sha256="c",
        raw_batches=(),
        gate=Gate(raw=GateCounts(), reporting=GateCounts(passed=3)),
        tables=tables,
        files={"reporting.duckdb": FileRecord(bytes=3, sha256="d")},
        previous=None,
    )
    write_manifest(stated, release)

    def check(content: bytes) -> None:
        (release / "manifest.json").write_bytes(content)
        (place / "x.json").write_bytes(content)
        try:
            found = read_manifest(release)
        except ReleaseDamaged as error:
            found, said = stated, str(error)
        else:
            said = "manifest.json"
        assert (found, "manifest.json" in said) == (stated, True)
        with pytest.raises(BackupDamaged, match=r"backups/x\.json"):
            _manifests(LandingArea.at(tmp_path / "b"))

    json_like = JSON_VALUES.map(lambda value: json.dumps(value).encode())
    for_a_while(st.one_of(mangled((release / "manifest.json").read_bytes()), json_like), check, figure)
