"""Sentences against their proofs: what a published summary says is what its own queries return."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import duckdb

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


def wrong_sentences(reporting: duckdb.DuckDBPyConnection) -> list[str]:
    """The sentences whose proof returns other figures than they carry, or that print a number that is none of them.

    reporting: a release, opened as its users do.
    """
    codes = dict(
        reporting.execute("select kpi_code, name_en || ' ' || name_ru from reporting.kpi_catalogue").fetchall()
    )
    periods = {name for (name,) in reporting.execute("select period_name from reporting.dim_period").fetchall()}
    sentences = reporting.execute(
        "select kpi_code, text_en, text_ru, proof, figures from reporting.kpi_summary order by all"
    ).fetchall()
    wrong = []
    for code, english, russian, proof, figures in sentences:
        said = json.loads(figures)
        if proved(reporting, proof) != [said]:
            wrong.append(f"{english} {figures} is not what its proof returns: {proof}")
        names = [codes.get(code, ""), *(text for text in said.values() if isinstance(text, str))]
        for text in (english, russian):
            spoken = text
            for name in sorted([*periods, *filter(is_a_name, names)], key=len, reverse=True):
                spoken = spoken.replace(name, "")
            wrong += [
                f"{text}: {number} is none of {figures}"
                for number in NUMBER.findall(spoken)
                if not any(is_printed(number, value) for value in said.values())
            ]
    return wrong


def proved(reporting: duckdb.DuckDBPyConnection, proof: str) -> list[dict[str, Any]]:
    found = reporting.execute(proof)
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [json.loads(json.dumps(row, default=str)) for row in rows]


def is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def is_a_name(text: str) -> bool:
    return bool(text) and not is_number(text)


def is_printed(number: str, value: Any) -> bool:
    """Whether a number is a figure as it is printed: rounded, without its sign, and of a rate in per cent."""
    return any(number == form for form in forms(value))


def forms(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from forms(each)
    elif value is not None and is_number(str(value)):
        for figure in (abs(Decimal(str(value))), abs(Decimal(str(value))) * 100):
            for places in range(3):
                yield f"{figure:,.{places}f}"
