"""Whether the sentences of kpi_summary are proved: by the queries that stand beside them, number by number."""

import json
import re
from decimal import Decimal
from typing import Any

import duckdb

SENTENCES = """
    select
        summary.period_grain, summary.period_start, summary.entity_name, summary.sentence_number, text_en, text_ru,
        proof, figures, name_en, name_ru
    from reporting.kpi_summary as summary
    left join reporting.kpi_catalogue using (kpi_code)
    order by all
"""


def wrong_sentences(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """What is wrong with the sentences of a release that is opened as `reporting`; none if each is proved."""
    rows = connection.execute(SENTENCES).fetchall()
    return [
        f"{row[:4]}: {problem}"
        for row in rows
        for problem in (
            *_of_proof(connection, *row[6:8]),
            *_of_text(row[4], row[7], {row[2], row[8]}),
            *_of_text(row[5], row[7], {row[2], row[9]}),
        )
    ]


def _of_proof(connection: duckdb.DuckDBPyConnection, proof: str, figures: str) -> list[str]:
    found = connection.execute(proof)
    names = [column[0] for column in found.description or ()]
    answers = [{name: _plain(value) for name, value in zip(names, row, strict=True)} for row in found.fetchall()]
    return [] if answers == [json.loads(figures)] else [f"says {figures}, and its proof {answers}"]


def _plain(value: Any) -> Any:
    return f"{value:f}" if isinstance(value, Decimal) else value


def _of_text(text: str, figures: str, names: set[str | None]) -> list[str]:
    """Every number is one of the figures, and every figure is told; names may have numbers of their own."""
    stated = json.loads(figures)
    words = [value for value in stated.values() if isinstance(value, str) and not _is_number(value)]
    words += [word.partition(":")[2] for word in words]
    for name in sorted({name for name in (*names, *words) if name}, key=len, reverse=True):
        text = text.replace(name, "")
    text = re.sub(r"\b(FY)?\d{4}(-[QP]?\d+)?\b", "", text)  # a period
    numbers = set(re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text))
    forms = {name: _forms(Decimal(value)) for name, value in stated.items() if _is_number(value)}
    return [
        *(
            f"{number} is none of {figures}: {text}"
            for number in numbers
            if not any(number in of for of in forms.values())
        ),
        *(f"{name} is not told: {text}" for name, of in forms.items() if not of & numbers),
        *([f"it tells of nothing: {text}"] if re.search(r"\b(None|null|nan)\b", text) else []),
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int) or re.fullmatch(r"-?\d+(\.\d+)?", str(value)) is not None


def _forms(value: Decimal) -> set[str]:
    """How a figure may be written: amounts, days, counts, and rates as percentages or points."""
    size = abs(value)
    return {f"{size:,.2f}", f"{size:,.1f}", f"{size:,.0f}", f"{size * 100:,.1f}"}
