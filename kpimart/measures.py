"""The measures as dbt_project/macros/measures.sql declares them, and the formulas that are written over them.

Measures are declared once, in the macro, and read from there. A formula is parsed here, so that whoever explains or
checks a KPI means by it what the models compute.
"""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext

from kpimart.errors import SettingsError
from kpimart.paths import DBT_PROJECT

MEASURES = DBT_PROJECT / "macros" / "measures.sql"


@dataclass(frozen=True)
class Measure:
    """What is counted or summed, as the macro declares it; the comment at its top says what each key is for."""

    name: str
    relation: str
    additivity: str
    sql: str
    filter: str | None = None
    sample: str | None = None
    known: str | None = None
    unknown: str | None = None
    clock: str | None = None
    maturity_days: int | None = None

    @property
    def is_amount(self) -> bool:
        """It is money, as macros/measures.sql tells its type."""
        return "amount" in self.sql

    @property
    def counted_with(self) -> tuple[str, ...]:
        """The measures that tell whether this one is known."""
        return tuple(name for name in (self.sample, self.known, self.unknown) if name)


@cache
def read_measures(path: Path = MEASURES) -> Mapping[str, Measure]:
    """Name → measure, in the order of the macro. Raises SettingsError if the macro cannot be rendered."""
    return {measure.name: measure for measure in declared(path)}


def declared(path: Path) -> Iterator[Measure]:
    """The measures as the macro lists them, the ones that share a name too.

    dbt's `return` is the one thing in it that Jinja does not know; here it keeps what it is given.
    """
    returned: list[list[dict[str, Any]]] = []

    def keep(value: list[dict[str, Any]]) -> str:
        returned.append(value)
        return ""

    try:
        environment = jinja2.Environment(extensions=[jinja2.ext.do], autoescape=True)
        template = environment.from_string(path.read_text(encoding="utf-8"), globals={"return": keep})
        template.module.measures()  # type: ignore[attr-defined]
    except jinja2.TemplateError as error:
        raise SettingsError(f"{path}: the macro cannot be read: {error}") from error
    known = [field.name for field in fields(Measure)]
    for entry in returned[0]:
        yield Measure(**{key: entry[key] for key in known if key in entry})


# ------------------------------------------------------------------------------------------------------------ formulas


class BadFormula(ValueError):
    """A formula that is not arithmetic over measures; the text says what was found, and what to write instead."""

    def __init__(self, found: str, what_to_do: str) -> None:
        super().__init__(f"{found}; {what_to_do}")
        self.found, self.what_to_do = found, what_to_do


_OPERATORS: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
}


@dataclass(frozen=True)
class Expression:
    """A side of a formula: names and numbers, added, subtracted and multiplied."""

    text: str
    tree: ast.expr

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that it names, each once, in the order of the text."""
        names = sorted(
            (node for node in ast.walk(self.tree) if isinstance(node, ast.Name)), key=lambda node: node.col_offset
        )
        return tuple(dict.fromkeys(node.id for node in names))

    def value(self, values: Mapping[str, Decimal | None]) -> Decimal | None:
        """What it is of the measures' values; None as soon as one of them is."""
        return _value(self.tree, values)


@dataclass(frozen=True)
class Formula:
    """A KPI's formula; `denominator` is None where it is no quotient."""

    text: str
    numerator: Expression
    denominator: Expression | None

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that it names, each once, in the order of the text."""
        under = self.denominator.measures if self.denominator else ()
        return tuple(dict.fromkeys((*self.numerator.measures, *under)))


def parse_formula(text: str) -> Formula:
    """Read a formula: arithmetic over measures and numbers, with at most one division, between its two sides.

    The models sum both sides and divide once, so the one `/` must be what the whole formula is: what stands before it
    is the numerator, what stands after it the denominator. Raises BadFormula.
    """
    _require_characters(text)
    whole = _parsed(text)
    sides = [side.strip() for side in text.split("/")]
    is_quotient = len(sides) > 1
    formula = _quotient(text, whole, sides) if is_quotient else Formula(text, Expression(text.strip(), whole), None)
    counted = formula.denominator or formula.numerator
    if not counted.measures:
        raise BadFormula(
            f"{counted.text!r}, in which nothing is counted",
            "name a measure in it; a KPI is multiplied by a number, not divided by one",
        )
    return formula


def _quotient(text: str, whole: ast.expr, sides: list[str]) -> Formula:
    advice = "write one numerator / denominator, the denominator in parentheses if it is more than a name"
    if len(sides) > 2:
        raise BadFormula(f"{len(sides) - 1} divisions, and a quotient of quotients adds up to nothing", advice)
    try:
        numerator, denominator = map(_parsed, sides)
    except BadFormula:
        raise BadFormula("a division within parentheses", advice) from None
    is_whole = isinstance(whole, ast.BinOp) and isinstance(whole.op, ast.Div)
    if not is_whole or _meaning(whole.left) != _meaning(numerator) or _meaning(whole.right) != _meaning(denominator):  # type: ignore[attr-defined]
        raise BadFormula("a division of only a part of it", advice)
    return Formula(text, Expression(sides[0], numerator), Expression(sides[1], denominator))


def _require_characters(text: str) -> None:
    """What SQL would read otherwise than Python does is in neither."""
    strange = re.search(r"[^a-z0-9_.+\-*/() ]|\*\*|//|--|\b\d\w*[a-z_]\w*", text)
    if strange:
        raise BadFormula(repr(strange.group()), "use names of measures, numbers, + - * / and parentheses")


def _parsed(text: str) -> ast.expr:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise BadFormula(f"{text!r}, which does not parse ({error.msg})", "complete the arithmetic") from None
    _require_arithmetic(tree)
    return tree


def _require_arithmetic(tree: ast.expr) -> None:
    match tree:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
            _require_arithmetic(left)
            _require_arithmetic(right)
        case ast.Name() | ast.Constant(value=int() | float()):
            pass
        case _:
            raise BadFormula(repr(ast.unparse(tree)), "use names of measures, numbers, + - * / and parentheses")


def _meaning(tree: ast.expr) -> str:
    return ast.dump(tree)


def _value(tree: ast.expr, values: Mapping[str, Decimal | None]) -> Decimal | None:
    match tree:
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=operator, right=right):
            of_left, of_right = _value(left, values), _value(right, values)
            return None if of_left is None or of_right is None else _OPERATORS[type(operator)](of_left, of_right)
        case _:
            return Decimal(ast.unparse(tree))


# ---------------------------------------------------------------------------------------------------------------- units


# What in the SQL of a measure tells its unit, as macros/measures.sql tells its type.
_WORDS = {"currency": "amount", "days": "days", "hours": "hours"}


class MixedUnits(ValueError):
    """Unlike things are added or subtracted."""


def _unit_of(measure: Measure) -> Counter[str]:
    """The powers of currency, days and hours in a measure; a count has none."""
    return Counter(name for name, word in _WORDS.items() if word in measure.sql)


def _unit(tree: ast.expr, measures: Mapping[str, Measure]) -> Counter[str] | None:
    """The unit of an expression; None: that of a number, which goes with everything."""
    match tree:
        case ast.Name(id=name):
            return _unit_of(measures[name])
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _times(_unit(left, measures), _unit(right, measures), 1)
        case ast.BinOp(left=left, right=right):
            of_left, of_right = _unit(left, measures), _unit(right, measures)
            if of_left is not None and of_right is not None and of_left != of_right:
                raise MixedUnits(ast.unparse(tree))
            return of_right if of_left is None else of_left
        case _:
            return None


def _times(left: Counter[str] | None, right: Counter[str] | None, power: int) -> Counter[str] | None:
    if left is None and right is None:
        return None
    powers = Counter(left or {})
    for name, count in (right or Counter()).items():
        powers[name] += power * count
    return Counter({name: count for name, count in powers.items() if count})


def units_of(formula: Formula, measures: Mapping[str, Measure]) -> tuple[str, ...]:
    """The units that fit a formula; raises MixedUnits, naming the part, where unlike things are added."""
    unit = _unit(formula.numerator.tree, measures)
    if formula.denominator:
        unit = _times(unit, _unit(formula.denominator.tree, measures), -1)
    powers = {name: count for name, count in (unit or {}).items() if count}
    named = {
        (("currency", 1),): ("currency",),
        (("days", 1),): ("days",),
        (("hours", 1),): ("hours",),
        (("currency", 1), ("days", -1)): ("currency_per_day",),
        (): ("ratio", "count") if formula.denominator else ("count",),
    }
    return named.get(tuple(sorted(powers.items())), ())
