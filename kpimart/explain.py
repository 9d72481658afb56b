"""Explains a figure of the published release: its formula, its measures, and what contributes how much to each.

The contributions are found anew in the release's own tables, by the SQL that the measures are declared with, and
summed. So an explanation is a check as well: it says whether what it comes to is what was published.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb

from kpimart.errors import SettingsError, did_you_mean
from kpimart.figures import GRAINS, Period, find_period
from kpimart.language import Language, said
from kpimart.measures import Formula, Measure, parse_formula, read_measures
from kpimart.sql import literal
from kpimart.warehouse import open_database

SHOWN_ROWS = 20
PART, VALUE = Decimal("0.000001"), Decimal("0.00000001")
# The quotient is formed in double precision, which holds fifteen digits.
DOUBLE_PRECISION = Decimal("1e-15")


@dataclass(frozen=True)
class Relation:
    """The rows that measures of a relation read, over the published tables, between $start and $end.

    rows: a query with manager_id, department_id, organised_on (the day whose tree of departments counts), subject_id,
    subject_name, day, and whatever the measures name. shape: what is done to them once they are those of an entity.
    """

    title: str
    rows: str
    shape: str = "select * from scoped"


_OPEN = """
    select
        intervals.*,
        1 as sign,
        cast(1 as decimal(9, 6)) as share,
        cast($last_day as date) as day,
        cast($last_day as date) as organised_on,
        'open' as what,
        {subject}
    from deal_open_interval as intervals
    left join deal on intervals.deal_id = deal.deal_id
    where intervals.started_on <= $last_day and (intervals.ended_on is null or intervals.ended_on > $last_day)
"""
_A_DEAL = "intervals.deal_id as subject_id, deal.deal_name as subject_name"
_AN_ACCOUNT = "intervals.account_id as subject_id, cast(null as varchar) as subject_name"
_EVENTS = """
    select
        events.* exclude (occurred_at, recorded_at),
        cast(1 as decimal(9, 6)) as share,
        events.occurred_on as day,
        events.credited_on as organised_on,
        events.event_type as what,
        events.deal_id as subject_id,
        deal.deal_name as subject_name
    from deal_event as events
    left join deal on events.deal_id = deal.deal_id
    where events.occurred_on between $start and $end
"""
_PURCHASES = """
    select
        purchases.*,
        purchases.{day} as day,
        purchases.won_on as organised_on,
        '{what}' as what,
        1 as sign,
        cast(null as decimal(18, 2)) as amount,
        purchases.account_id as subject_id,
        cast(null as varchar) as subject_name
    from customer_purchase as purchases
    where purchases.{day} between $start and $end
"""

RELATIONS = {
    "events": Relation("events of deals", _EVENTS),
    "cycles": Relation(
        "deals that were won, and not taken back, in the period",
        _EVENTS + " and events.event_type = 'won' and events.cycle_days is not null",
        """
        select
            subject_id,
            max(subject_name) as subject_name,
            max(day) as day,
            'won' as what,
            1 as sign,
            sum(sign * amount) as amount,
            max(cycle_days) as cycle_days
        from scoped
        group by subject_id
        having sum(sign) > 0
        """,
    ),
    "open_changes": Relation("deals open on the last evening of the period", _OPEN.format(subject=_A_DEAL)),
    "stale_changes": Relation(
        "deals open on the last evening of the period, in their stage for too long",
        _OPEN.format(subject=_A_DEAL) + " and intervals.stale_on <= $last_day",
    ),
    "next_step_changes": Relation(
        "deals open on the last evening of the period that have a next step planned",
        _OPEN.format(subject=_A_DEAL)
        + """
        and exists (
            select 1 from deal_next_step as steps
            where
                steps.deal_id = intervals.deal_id
                and steps.started_on <= $last_day
                and (steps.ended_on is null or steps.ended_on > $last_day)
        )
        """,
    ),
    "targets": Relation(
        "targets that were set",
        """
        select
            target_attainment.*,
            target_value as target_amount,
            period_start as day,
            cast($last_day as date) as organised_on,
            'target' as what,
            1 as sign,
            cast(null as decimal(18, 2)) as amount,
            kpi_code as subject_id,
            cast(null as varchar) as subject_name
        from target_attainment
        where
            period_grain = $grain and period_start = $start and entity_level = $level and entity_key = $key
            and target_value is not null
        """,
    ),
    "purchases": Relation("accounts that bought", _PURCHASES.format(day="won_on", what="bought")),
    "lapses": Relation("accounts that have not bought for too long", _PURCHASES.format(day="lapsed_on", what="lapsed")),
    "prospects": Relation(
        "accounts with an open deal on the last evening of the period that have not bought",
        _OPEN.format(subject=_AN_ACCOUNT)
        + """
        and intervals.account_id is not null
        and not exists (
            select 1 from customer_purchase as purchases
            where purchases.account_id = intervals.account_id and purchases.won_on <= $last_day
        )
        """,
    ),
    "leads": Relation(
        "leads that were created",
        """
        select
            lead.*,
            created_on as day,
            created_on as organised_on,
            if(is_converted, 'converted', 'created') as what,
            1 as sign,
            cast(null as decimal(18, 2)) as amount,
            lead_id as subject_id,
            cast(null as varchar) as subject_name
        from lead
        where created_on between $start and $end
        """,
    ),
    "activities": Relation(
        "activities",
        """
        select
            activity.*,
            occurred_on as day,
            occurred_on as organised_on,
            activity_type as what,
            1 as sign,
            cast(null as decimal(18, 2)) as amount,
            activity_id as subject_id,
            cast(null as varchar) as subject_name
        from activity
        where occurred_on between $start and $end
        """,
    ),
}


@dataclass(frozen=True)
class Kpi:
    """A KPI of the catalogue as the release has it, named in the language asked for."""

    kpi_code: str
    name: str
    description: str
    formula: str
    unit: str
    better: str
    finest_grain: str
    owner: str


@dataclass(frozen=True)
class Entity:
    """Whose figure it is, as in kpi_value."""

    level: str
    key: str
    name: str
    manager_id: str | None = None
    department_id: str | None = None


@dataclass(frozen=True)
class Input:
    """A measure of the formula and what it comes to; `why` says why it is not known, where it is not."""

    measure: Measure
    value: Decimal | None
    rows: int
    why: str | None


@dataclass(frozen=True)
class Contribution:
    """A row that counts: a deal, an account, a lead or an activity, and its weight in each measure."""

    id: str
    name: str | None
    day: date
    what: str
    sign: int
    amount: Decimal | None
    weights: Mapping[str, Decimal | None]


@dataclass(frozen=True)
class Section:
    """The contributions to the measures of a relation, the largest first.

    rows: those that are shown, of `count`; rest: what the others sum to. totals: what all come to; a median is no sum.
    """

    title: str
    measures: tuple[Measure, ...]
    rows: tuple[Contribution, ...]
    count: int
    rest: Mapping[str, Decimal]
    totals: Mapping[str, Decimal | None]


@dataclass(frozen=True)
class Quotient:
    """A figure and the two sides that it is made of, where its formula is a quotient."""

    numerator: Decimal | None
    denominator: Decimal | None
    value: Decimal | None


@dataclass(frozen=True)
class Explanation:
    """All of it. `published` is None where the release has no row, as nothing was there."""

    kpi: Kpi
    entity: Entity
    period: Period
    last_day: date
    lens: str
    unit: str
    language: Language
    inputs: tuple[Input, ...]
    sections: tuple[Section, ...]
    found: Quotient
    published: Quotient | None

    @property
    def differences(self) -> list[str]:
        """Where what was found is not what was published; none, or there is a defect."""
        return _differences(self.found, self.published, self.language)


def explain(
    database: Path,
    kpi_code: str,
    *,
    period: str,
    manager: str | None = None,
    department: str | None = None,
    language: Language = "en",
    shown_rows: int | None = SHOWN_ROWS,
) -> Explanation:
    """What a figure of a release is made of.

    period: as `read_figures` takes it. manager, department: an id or a name; both: the manager within the department;
    neither: the company. language: of names and of all that is said. shown_rows: how many contributions of each kind
    are listed; None: all.
    Raises SettingsError for a KPI, a period or an entity that the release does not have.
    """
    with open_database(database) as connection:
        kpi = find_kpi(connection, kpi_code, language)
        chosen = find_period(connection, period)
        if GRAINS.index(chosen.grain) < GRAINS.index(kpi.finest_grain):
            raise SettingsError(f"{kpi_code} has no figures by {chosen.grain}, they begin with {kpi.finest_grain}")
        entity = find_entity(connection, manager, department, language)
        scope = _Scope(connection, chosen, entity, language, shown_rows)
        formula = parse_formula(kpi.formula)
        needed = _needed(formula)
        totals = {
            name: total for relation, measures in needed.items() for name, total in scope.totals(relation, measures)
        }
        inputs = tuple(_input(read_measures()[name], totals, language) for name in formula.measures)
        sections = tuple(
            scope.section(relation, of_formula, totals)
            for relation, measures in needed.items()
            if (of_formula := [measure for measure in measures if measure.name in formula.measures])
        )
        published, unit = scope.published(kpi_code)
    found = _evaluated(formula, {each.measure.name: each.value for each in inputs})
    return Explanation(
        kpi, entity, chosen, scope.last_day, "at_event", unit or kpi.unit, language, inputs, sections, found, published
    )


# ------------------------------------------------------------------------------------------------- what is asked about


def find_kpi(connection: duckdb.DuckDBPyConnection, code: str, language: Language) -> Kpi:
    """The KPI of this code; raises SettingsError where the release has none."""
    rows = connection.execute(
        f"""
        select kpi_code, name_{language}, description_{language}, formula, unit, better, finest_grain, owner
        from kpi_catalogue
        """
    ).fetchall()
    known = {row[0]: Kpi(*row) for row in rows}
    if code not in known:
        raise SettingsError(f"KPI {code!r} is not in the catalogue{did_you_mean(code, known)}")
    return known[code]


def find_entity(
    connection: duckdb.DuckDBPyConnection, manager: str | None, department: str | None, language: Language
) -> Entity:
    """Whom ids or names mean: a manager, a department, both as one within the other; neither: the company.

    Raises SettingsError for one that the release does not have.
    """
    manager_id = _found(connection, "manager", manager) if manager is not None else None
    department_id = _found(connection, "department", department) if department is not None else None
    if manager_id and department_id:
        level, key = "manager_in_department", f"{manager_id[0]}|{department_id[0]}"
        return Entity(level, key, f"{manager_id[1]}, {department_id[1]}", manager_id[0], department_id[0])
    if manager_id:
        return Entity("manager", manager_id[0], manager_id[1], manager_id=manager_id[0])
    if department_id:
        return Entity("department", department_id[0], department_id[1], department_id=department_id[0])
    return Entity("company", "company", said("Company", language))


def _found(connection: duckdb.DuckDBPyConnection, kind: str, asked: str) -> tuple[str, str]:
    """Id and name of the one manager or department of that id or name."""
    rows = connection.execute(f"select {kind}_id, {kind}_name from dim_{kind} order by 1").fetchall()
    matching = [row for row in rows if row[0] == asked] or [row for row in rows if row[1] == asked]
    if not matching:
        raise SettingsError(
            f"there is no {kind} {asked!r}{did_you_mean(asked, (name for row in rows for name in row))}"
        )
    if len(matching) > 1:
        ids = ", ".join(row[0] for row in matching)
        raise SettingsError(f"{len(matching)} {kind}s are called {asked!r}; give the id, one of {ids}")
    return matching[0][0], matching[0][1]


def _needed(formula: Formula) -> dict[str, list[Measure]]:
    """Relation → its measures that are needed: those of the formula, and those that tell whether they are known."""
    measures = read_measures()
    names = dict.fromkeys(formula.measures)
    for name in formula.measures:
        names |= dict.fromkeys(measures[name].counted_with)
    needed: dict[str, list[Measure]] = {}
    for name in names:
        needed.setdefault(measures[name].relation, []).append(measures[name])
    return needed


# --------------------------------------------------------------------------------------------------------- the figures


class _Scope:
    """The rows of the release that count for an entity in a period."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        period: Period,
        entity: Entity,
        language: Language,
        shown_rows: int | None,
    ) -> None:
        self.connection, self.period, self.entity = connection, period, entity
        self.language, self.shown_rows = language, shown_rows
        last_covered: Any = connection.execute("select max(period_start) from dim_period where period_grain = 'day'")
        self.last_day: date = min(period.end, last_covered.fetchall()[0][0])

    def totals(self, relation: str, measures: Sequence[Measure]) -> list[tuple[str, tuple[Decimal | None, int]]]:
        """Name, (total, number of rows) of measures of one relation, over nothing None or 0."""
        columns = ", ".join(f"{_total(measure)}, count(*) filter (where {_counts(measure)})" for measure in measures)
        (row,) = self._ask(relation, f"select {columns} from shaped")
        return [(measure.name, (_decimal(row[2 * n]), row[2 * n + 1])) for n, measure in enumerate(measures)]

    def section(
        self, relation: str, measures: Sequence[Measure], totals: Mapping[str, tuple[Decimal | None, int]]
    ) -> Section:
        """What contributes to some measures of a relation."""
        names = tuple(measure.name for measure in measures)
        listing = _accounts if measures[0].additivity == "distinct" else _rows
        limit = "" if self.shown_rows is None else f"limit {self.shown_rows}"
        found = self._ask(relation, f"{listing(measures)} {limit}")
        shown = [_contribution(row, names) for row in found]
        sums = {name: totals[name][0] for name in names}
        rest = {
            measure.name: (sums[measure.name] or Decimal()) - _sum(row.weights[measure.name] for row in shown)
            for measure in measures
            if measure.additivity != "distribution"
        }
        count = found[0][0] if found else 0
        title = said(RELATIONS[relation].title, self.language)
        return Section(title, tuple(measures), tuple(shown), count, rest, sums)

    def published(self, kpi_code: str) -> tuple[Quotient | None, str | None]:
        """The row of kpi_value and its unit, if there is one."""
        row = self.connection.execute(
            """
            select numerator, denominator, value, unit
            from kpi_value
            where
                kpi_code = ? and period_grain = ? and period_start = ? and entity_level = ? and entity_key = ?
            """,
            [kpi_code, self.period.grain, self.period.start, self.entity.level, self.entity.key],
        ).fetchone()
        return (Quotient(*row[:3]), row[3]) if row else (None, None)

    def _ask(self, relation: str, query: str) -> list[Any]:
        read = RELATIONS.get(relation)
        if read is None:
            raise SettingsError(
                f"measures of {relation} cannot be explained: kpimart/explain.py does not know their rows"
            )
        asked = {
            "start": self.period.start,
            "end": self.last_day,
            "last_day": self.last_day,
            "grain": self.period.grain,
            "level": self.entity.level,
            "key": self.entity.key,
        }
        text = (
            f"with counted as ({read.rows}), scoped as (select * from counted where {self._is_of_entity()}), "
            f"shaped as ({read.shape}) {query}"
        )
        used = {name: value for name, value in asked.items() if f"${name}" in text}
        return self.connection.execute(text, used).fetchall()

    def _is_of_entity(self) -> str:
        """The tree of departments is that of the day on which something counted."""
        conditions = ["true"]
        if self.entity.manager_id:
            conditions.append(f"counted.manager_id = {literal(self.entity.manager_id)}")
        if self.entity.level == "manager_in_department":
            conditions.append(f"counted.department_id = {literal(self.entity.department_id)}")
        if self.entity.level == "department":
            conditions.append(
                f"""
                exists (
                    select 1
                    from dim_department_closure as closure
                    where
                        closure.ancestor_department_id = {literal(self.entity.department_id)}
                        and closure.department_id = counted.department_id
                        and counted.organised_on >= closure.valid_from
                        and counted.organised_on < closure.valid_to
                )
                """
            )
        return " and ".join(conditions)


def _counts(measure: Measure) -> str:
    return f"({measure.filter or 'true'})"


def _total(measure: Measure) -> str:
    match measure.additivity:
        case "distinct":
            return f"count(distinct {measure.sql}) filter (where {_counts(measure)})"
        case "distribution":
            return f"cast({measure.sql} as decimal(18, 2))"
        case _:
            return f"sum({measure.sql}) filter (where {_counts(measure)})"


def _rows(measures: Sequence[Measure]) -> str:
    """One row a contribution, the largest first."""
    weights = [f"case when {_counts(measure)} then {_weight(measure)} end" for measure in measures]
    return f"""
        select count(*) over (), subject_id, subject_name, day, what, sign, amount, {", ".join(weights)}
        from shaped
        where {" or ".join(map(_counts, measures))}
        order by coalesce(abs({weights[0]}), 0) desc, day, subject_id, what, sign desc, {", ".join(weights)}
    """


def _weight(measure: Measure) -> str:
    """What a row brings; of a median the value itself."""
    return measure.sql.partition("(")[2].rpartition(")")[0] if measure.additivity == "distribution" else measure.sql


def _accounts(measures: Sequence[Measure]) -> str:
    """One row an account, however often it came."""
    weights = ", ".join(f"count(distinct {measure.sql}) filter (where {_counts(measure)})" for measure in measures)
    return f"""
        select count(*) over (), subject_id, max(subject_name), min(day), min(what), 1, sum(amount), {weights}
        from shaped
        where {" or ".join(map(_counts, measures))}
        group by subject_id
        order by subject_id
    """


def _contribution(row: Sequence[Any], names: Sequence[str]) -> Contribution:
    _, subject_id, subject_name, day, what, sign, amount, *weights = row
    by_measure = dict(zip(names, map(_decimal, weights), strict=True))
    return Contribution(subject_id, subject_name, day, what, sign, amount, by_measure)


def _sum(numbers: Iterable[Decimal | None]) -> Decimal:
    return sum((number for number in numbers if number is not None), Decimal())


def _decimal(number: Any) -> Decimal | None:
    return None if number is None else Decimal(str(number)) if isinstance(number, float) else Decimal(number)


# What is over nothing is not 0, by how the measure adds up.
_NOT_KNOWN = {"distribution": "nothing has a value", "target": "no target was set"}


def _input(measure: Measure, totals: Mapping[str, tuple[Decimal | None, int]], language: Language) -> Input:
    """The measure's value, by the rules that say when it is 0 and when it is not known."""
    value, rows = totals[measure.name]
    if measure.additivity in _NOT_KNOWN:
        why = said(_NOT_KNOWN[measure.additivity], language)
        return Input(measure, value, rows, why if value is None else None)
    of = {name: totals[name][0] or Decimal() for name in measure.counted_with}
    if measure.unknown:
        if of[measure.unknown] != 0:
            count = f"{of[measure.unknown].normalize():f}"
            why = said("{name} is {count}, not 0", language, name=measure.unknown, count=count)
            return Input(measure, None, rows, why)
    elif measure.sample and of[measure.sample] != 0:
        is_known = bool(value) or (of[measure.known] != 0 if measure.known else value is not None)
        if not is_known:
            why = said("none of {name} has a known value", language, name=measure.sample)
            return Input(measure, None, rows, why)
    return Input(measure, value or Decimal(), rows, None)


def _evaluated(formula: Formula, values: Mapping[str, Decimal | None]) -> Quotient:
    over = formula.numerator.value(values)
    if formula.denominator is None:
        return Quotient(None, None, _rounded(over, VALUE))
    under = formula.denominator.value(values)
    is_defined = over is not None and under is not None and under > 0
    value = over / under if is_defined and over is not None and under is not None else None
    return Quotient(_rounded(over, PART), _rounded(under, PART), _rounded(value, VALUE))


def _rounded(number: Decimal | None, unit: Decimal) -> Decimal | None:
    return None if number is None else number.quantize(unit, ROUND_HALF_UP)


def _differences(found: Quotient, published: Quotient | None, language: Language) -> list[str]:
    if published is None:
        nothing = found.value in (None, 0) and found.numerator in (None, 0)
        told = "nothing was published, and the contributions come to {ours}"
        return [] if nothing else [said(told, language, ours=found.value)]
    pairs = [(name, getattr(found, name), getattr(published, name)) for name in ("numerator", "denominator", "value")]
    told = "the contributions come to a {name} of {ours}, and {theirs} was published"
    return [
        said(told, language, name=said(name, language), ours=ours, theirs=theirs)
        for name, ours, theirs in pairs
        if not _is_same(ours, theirs, is_exact=name != "value" or found.denominator is None)
    ]


def _is_same(ours: Decimal | None, theirs: Decimal | None, *, is_exact: bool) -> bool:
    if ours is None or theirs is None or is_exact:
        return ours == theirs
    return abs(ours - theirs) <= max(VALUE, abs(theirs) * DOUBLE_PRECISION)
