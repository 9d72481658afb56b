"""The table `kpi_summary`: what moved, why, where it leaks and what is unusual, in sentences that carry their proof.

For the last complete month, quarter and year, and for the company, each department and each manager.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import duckdb
import orjson

from kpimart.insight.phrases import Wording
from kpimart.insight.statistics.readings import (
    DEPARTMENTS_SPOT_COUNTS,
    DRIVERS,
    EXPLAINED_KPI,
    KEYS,
    KPIS,
    LAST_PERIODS,
    SCORECARD,
    SPOT_COUNTS,
    WEAK_SPOTS,
    Key,
    Reading,
    Row,
    Subject,
)
from kpimart.insight.statistics.topics import DRIVER_PHRASES, Sentence, leak, moved, unusual, why
from kpimart.language import Language
from kpimart.publish.contract.insight.summary import KPI_SUMMARY
from kpimart.publish.contract.shape import DATE, INTEGER, VARCHAR


def write(connection: duckdb.DuckDBPyConnection) -> None:
    """Write insight.kpi_summary anew, from the tables of figures, trends, drivers and weak spots of a build."""
    import pyarrow as pa  # type: ignore[import-untyped]

    kinds = {VARCHAR: pa.string(), DATE: pa.date32(), INTEGER: pa.int32()}
    schema = pa.schema([(column.name, kinds[column.type]) for column in KPI_SUMMARY.columns])
    names, currency = _kpi_names(connection), _currency(connection)
    rows = [row for subject, said in _summaries(connection) for row in _rows(subject, said, names, currency)]
    connection.register("written", pa.Table.from_pylist(rows, schema))
    connection.execute(f"create or replace table {KPI_SUMMARY.relation} as from written")
    connection.unregister("written")


def _kpi_names(connection: duckdb.DuckDBPyConnection) -> dict[Language, dict[str, str]]:
    """KPI → its name, in each language."""
    rows = connection.execute("select kpi_code, name_en, name_ru from seeds.kpi_catalogue").fetchall()
    return {"en": {code: name for code, name, _ in rows}, "ru": {code: name for code, _, name in rows}}


def _currency(connection: duckdb.DuckDBPyConnection) -> str:
    """The base currency, in which leaks are told."""
    row = connection.execute(f"select max(unit) from kpi.kpi_value where kpi_code = '{EXPLAINED_KPI}'").fetchone()
    return row[0] or "" if row else ""


def _summaries(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Subject, list[Sentence]]]:
    """Everybody who has figures, and what is said of them."""
    kpis, scorecards, drivers, spots, spot_counts = (
        _read(connection, reading) for reading in (KPIS, SCORECARD, DRIVERS, WEAK_SPOTS, SPOT_COUNTS)
    )
    # The company has no peers: its weak spots are those of its departments.
    of_level = DEPARTMENTS_SPOT_COUNTS.keys
    spots |= _read(connection, WEAK_SPOTS, by=of_level)
    spot_counts |= _read(connection, DEPARTMENTS_SPOT_COUNTS, by=of_level)
    subjects = _subjects(connection)
    cohorts = {subject.period_grain: subject for subject in subjects}
    for subject in subjects:
        # Deals that were created in a month are too few to compare.
        cohort = cohorts.get("quarter" if subject.period_grain == "month" else subject.period_grain, subject)
        whose = ("department",) if subject.entity_level == "company" else (subject.entity_level, subject.entity_key)
        spot_key = (cohort.period_grain, cohort.period_start, *whose)
        of_kpis, scorecard = kpis.get(subject.key, []), _counted(scorecards, SCORECARD, subject.key)
        counts_of = DEPARTMENTS_SPOT_COUNTS if subject.entity_level == "company" else SPOT_COUNTS
        yield (
            subject,
            [
                *moved(subject.period_grain, of_kpis, scorecard),
                *why(subject.period_grain, drivers.get(subject.key, [])),
                *leak(
                    cohort.period_name, spots.get(spot_key, []), counts_of, _counted(spot_counts, counts_of, spot_key)
                ),
                *unusual(subject.period_grain, of_kpis, scorecard),
            ],
        )


def _subjects(connection: duckdb.DuckDBPyConnection) -> list[Subject]:
    rows = connection.execute(
        f"""
        select distinct
            period_grain, period_start, entity_level, entity_key, period_end, period_name, department_id, manager_id,
            entity_name
        from kpi.kpi_value
        inner join core.dim_period using (period_grain, period_start, period_end)
        where
            entity_level in ('company', 'department', 'manager')
            and (period_grain, period_start) in ({LAST_PERIODS})
        order by all
        """
    ).fetchall()
    return [Subject(*row) for row in rows]


def _read(connection: duckdb.DuckDBPyConnection, reading: Reading, by: Sequence[str] = KEYS) -> dict[Key, list[Row]]:
    """The rows of a reading by some of their columns."""
    names = (*reading.keys, *reading.figures)
    found: dict[Key, list[Row]] = {}
    for values in connection.execute(reading.query()).fetchall():
        row = dict(zip(names, values, strict=True))
        found.setdefault(tuple(row[name] for name in by), []).append(row)
    return found


def _counted(rows: Mapping[Key, Sequence[Row]], reading: Reading, key: Key) -> Row:
    """The counts of a key; 0 where there was nothing to count."""
    nothing = {**dict(zip(reading.keys, key, strict=True)), **dict.fromkeys(reading.figures, 0)}
    return rows.get(key, [nothing])[0]


def _rows(
    subject: Subject, sentences: Sequence[Sentence], kpi_names: Mapping[Language, Mapping[str, str]], currency: str
) -> Iterator[dict[str, Any]]:
    """The rows of the table. No text names the person it is about: who is forgotten is in none of them."""
    for number, sentence in enumerate(sentences, start=1):
        unit = sentence.row.get("unit", currency)
        texts = {
            f"text_{language}": Wording(language, unit, DRIVER_PHRASES).text(
                sentence.phrase, {**sentence.row, **sentence.names_said, "kpi": names.get(sentence.kpi_code or "")}
            )
            for language, names in kpi_names.items()
        }
        figures = sentence.figures()
        yield {
            **asdict(subject),
            "sentence_number": number,
            "topic": sentence.topic,
            "kpi_code": sentence.kpi_code,
            **texts,
            "proof": sentence.reading.proof(figures, sentence.row),
            "figures": orjson.dumps({name: sentence.row[name] for name in figures}, default="{:f}".format).decode(),
        }
