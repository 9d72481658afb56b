"""Sentences about figures, in English and in Russian at once: templates, and how a figure is written within one.

A figure stands in a template as `{name:how}`. Which figures a sentence carries is read from its template, so that no
number is printed that is not among them. Russian templates put names where they need no ending: after a colon, a dash.
"""

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, reduce
from typing import Any

from babel import Locale

from kpimart import render
from kpimart.language import Language

PER_DAY = "_per_day"
_NOUNS = {"days": (("day", "days"), ("день", "дня", "дней")), "hours": (("hour", "hours"), ("час", "часа", "часов"))}


@dataclass(frozen=True)
class Phrase:
    """A part of a sentence; both languages carry the same figures."""

    en: str
    ru: str

    def __add__(self, other: "Phrase") -> "Phrase":
        return Phrase(self.en + other.en, self.ru + other.ru)

    def text(self, language: Language) -> str:
        """The template in a language."""
        return self.en if language == "en" else self.ru

    def fields(self) -> tuple[str, ...]:
        """The names in braces, each once, in the order in which the English has them."""
        return _fields(self.en)


@dataclass(frozen=True)
class Wording:
    """What a sentence is written with in one language: the unit of its figures, and what codes in it are called."""

    language: Language
    unit: str
    names: Mapping[str, Phrase]

    def text(self, phrase: Phrase, values: Mapping[str, Any]) -> str:
        """A phrase with its values filled in."""
        return _Filled(self).vformat(phrase.text(self.language), (), values)


def joined(parts: Iterable[Phrase], between: str) -> Phrase:
    """Phrases one after the other."""
    return reduce(lambda text, part: text + Phrase(between, between) + part, parts)


def size_text(value: Decimal, unit: str, language: Language) -> str:
    """A value with its unit: 3,086,111.00 EUR, 1,254, 61.7 %, 51.8 days."""
    text = render.value_text(value, unit)
    if unit in _NOUNS:
        return f"{text} {_form(Decimal(text.replace(',', '')), *_NOUNS[unit], language)}"
    if unit.endswith(PER_DAY):
        return f"{text} {unit.removesuffix(PER_DAY)} {'a day' if language == 'en' else 'в день'}"
    return text if unit in ("ratio", "count") else f"{text} {unit}"


def step_text(step: Decimal, unit: str, language: Language) -> str:
    """The size of a step from value to value, without its sign: points of rates, and parts of what is counted."""
    match unit:
        case "ratio":
            return f"{abs(step) * 100:.1f} {'pp' if language == 'en' else 'п. п.'}"
        case "count":
            return f"{abs(step):,.2f}"
        case _:
            return size_text(abs(step), unit, language)


def change_text(change: Decimal, unit: str, language: Language) -> str:
    """The size of a change, without its sign: points of a rate, per cent (1 is 100 %) of anything else."""
    return step_text(change, unit, language) if unit == "ratio" else render.value_text(abs(change), "ratio")


class _Filled(string.Formatter):
    """Writes a figure as the template says.

    How: unit, bound (of a range), step, change, signed, percent, days, name, or the forms of a noun that follows it.
    """

    def __init__(self, wording: Wording) -> None:
        self.wording = wording

    def format_field(self, value: Any, spec: str) -> str:
        unit, language = self.wording.unit, self.wording.language
        match spec:
            case "":
                return f"{value:,}" if isinstance(value, int) else str(value)
            case "unit":
                return size_text(value, unit, language)
            case "bound":
                return f"{value:z,.1f}" if unit == "count" else size_text(value, unit, language)
            case "step":
                return step_text(value, unit, language)
            case "change":
                return change_text(value, unit, language)
            case "signed":
                return f"{'+' if value > 0 else ''}{size_text(value, unit, language)}"
            case "percent" | "days":
                return size_text(value, "ratio" if spec == "percent" else spec, language)
            case "name":
                return self._name(value)
            case _:
                forms = tuple(spec.split("|"))
                return f"{value:,} {_form(value, forms, forms, language)}"

    def _name(self, code: str) -> str:
        """What a code is called; what stands after a colon in it is a name already."""
        kind, colon, name = code.partition(":")
        if kind not in self.wording.names:
            return code
        said = self.wording.names[kind].text(self.wording.language)
        return f"{said} «{name}»" if colon else said


def _form(number: Decimal | int, english: tuple[str, ...], russian: tuple[str, ...], language: Language) -> str:
    """The form of a noun after a number: one, other; in Russian one, few, many. After a fraction Russian takes few."""
    rule = _plural_rule(language)(number)
    if language == "en":
        return english[0 if rule == "one" else 1]
    return russian[{"one": 0, "few": 1, "many": 2, "other": 1}[rule]]


@cache
def _plural_rule(language: Language) -> Any:
    return Locale(language).plural_form


@cache
def _fields(template: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for _, name, _, _ in string.Formatter().parse(template) if name))
