"""Reads what a release says in words about the company, its departments or its managers in a period."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kpimart.errors import SettingsError
from kpimart.figures import Period, find_period
from kpimart.language import Language
from kpimart.warehouse import open_database


@dataclass(frozen=True)
class Sentence:
    """What is said, and what proves it: a query that returns these figures. topic: moved, why, leak or unusual."""

    topic: str
    text: str
    kpi_code: str | None
    figures: Mapping[str, str | int]
    proof: str


@dataclass(frozen=True)
class Summary:
    """All that is said of an entity, in its order."""

    entity_key: str
    entity_name: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True)
class Summaries:
    """What is said of the entities of a level in a period, by their names."""

    period: Period
    level: str
    language: Language
    summaries: tuple[Summary, ...]


def read_summaries(database: Path, *, level: str, period: str, language: Language = "en") -> Summaries:
    """The summaries of a release. period: as `read_figures` takes it.

    Raises SettingsError for a period that the release has no summary of: only the last complete ones have one.
    """
    with open_database(database) as connection:
        chosen = find_period(connection, period)
        rows = connection.execute(
            f"""
            select entity_key, entity_name, topic, text_{language}, kpi_code, figures, proof
            from kpi_summary
            where period_grain = ? and period_start = ? and entity_level = ?
            order by entity_name, entity_key, sentence_number
            """,
            [chosen.grain, chosen.start, level],
        ).fetchall()
        told = connection.execute(
            """
            select distinct period_name from kpi_summary
            inner join dim_period using (period_grain, period_start)
            order by period_name
            """
        ).fetchall()
    if not rows:
        of = ", ".join(name for (name,) in told) or "no period yet"
        raise SettingsError(f"period {period}: there are summaries of the last complete periods only, {of}")
    said: dict[tuple[str, str], list[Sentence]] = {}
    for key, name, topic, text, kpi_code, figures, proof in rows:
        said.setdefault((key, name), []).append(Sentence(topic, text, kpi_code, json.loads(figures), proof))
    found = tuple(Summary(*entity, tuple(sentences)) for entity, sentences in said.items())
    return Summaries(chosen, level, language, found)
