"""What is said of an entity in a period: what moved, why, where it leaks, what is unusual.

Drivers are arithmetic: parts of a change came from them. A weak spot or a trend only goes together with something.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from kpimart.insight.driver_names import DRIVER_NAMES, STAGE
from kpimart.insight.phrases import Phrase, joined
from kpimart.insight.statistics.readings import (
    DRIVERS,
    EXPLAINED_KPI,
    KEYS,
    KPIS,
    SCORECARD,
    WEAK_SPOTS,
    Reading,
    Row,
)
from kpimart.language import said

MOVED_SENTENCES = UNUSUAL_SENTENCES = 2


@dataclass(frozen=True)
class Sentence:
    """What is said of an entity in a period, and a row of the reading that has the figures it is said with.

    names_said: what stands in it besides figures and the KPI.
    """

    topic: str
    phrase: Phrase
    reading: Reading
    row: Row
    kpi_code: str | None = None
    names_said: Mapping[str, str] = field(default_factory=dict)

    def figures(self) -> list[str]:
        """The names of those it carries."""
        return [name for name in self.phrase.fields() if name in self.reading.figures]


_BEFORE = {
    "month": Phrase("the month before", "предыдущему месяцу"),
    "quarter": Phrase("the quarter before", "предыдущему кварталу"),
    "year": Phrase("the year before", "предыдущему году"),
}
_YEAR_BEFORE = {
    "month": Phrase("the same month of the year before", "тому же месяцу прошлого года"),
    "quarter": Phrase("the same quarter of the year before", "тому же кварталу прошлого года"),
}
_EACH = {
    "month": Phrase("a month", "в месяц"),
    "quarter": Phrase("a quarter", "в квартал"),
    "year": Phrase("a year", "в год"),
}
_KPI = Phrase("{kpi}: {value:unit}", "{kpi}: {value:unit}")
_END = Phrase(".", ".")


def moved(grain: str, kpis: Sequence[Row], scorecard: Row) -> Iterator[Sentence]:
    """The KPIs of the scorecard that moved most, by what that weighs there; or that none has a value."""
    valued = sorted((row for row in kpis if row["value"] is not None), key=_weighed_movement)
    for row in valued[:MOVED_SENTENCES]:
        parts = [_KPI, _compared(row, "change", "previous_value", _BEFORE[grain])]
        if row["last_year_value"] is not None and grain in _YEAR_BEFORE:
            parts.append(_compared(row, "change_on_last_year", "last_year_value", _YEAR_BEFORE[grain]))
        yield Sentence("moved", joined([*parts, *_against_target(row)], "; ") + _END, KPIS, row, row["kpi_code"])
    if not valued:
        none = Phrase(
            "No value for any of {kpis:KPI|KPIs} of the scorecard.",
            "Ни у одного из {kpis:показателя|показателей|показателей} карты нет значения.",
        )
        yield Sentence("moved", none, SCORECARD, scorecard)


def _weighed_movement(row: Row) -> tuple[Fraction, Decimal, str]:
    """Sorts first what moved most: its weight in the scorecard times its change as a part of the larger of the two."""
    value, before = row["value"], row["previous_value"]
    larger = max(abs(value), abs(before)) if before is not None else 0
    moved_by = Fraction(abs(value - before)) / Fraction(larger) if larger else Fraction()
    return -Fraction(row["weight"]) * moved_by, -row["weight"], row["kpi_code"]


def _compared(row: Row, change: str, before: str, against: Phrase) -> Phrase:
    """Up or down on an earlier period, and what the figure was then."""
    size, was = row[change], row[before]
    if was is None:
        return against + Phrase(" has no value to compare with", " сравнить не с чем")
    then = Phrase(f" ({{{before}:unit}})", f" (было {{{before}:unit}})")
    if row["value"] == was:
        return Phrase("the same as in ", "без изменений к ") + against
    if size is not None and round(abs(size) * 100, 1) == 0:
        return Phrase("about the same as in ", "почти без изменений к ") + against + then
    by = Phrase("", "") if size is None else Phrase(f" {{{change}:change}}", f" на {{{change}:change}}")
    up = row["value"] > was
    on = Phrase(" on ", "") + Phrase(against.en, "")
    return Phrase("up" if up else "down", f"к {against.ru} {'рост' if up else 'снижение'}") + by + on + then


def _against_target(row: Row) -> Iterator[Phrase]:
    if row["target_value"] is None:
        return
    if row["attainment"] is None:
        yield Phrase("the target is {target_value:unit}", "план {target_value:unit}")
    else:
        yield Phrase(
            "the target of {target_value:unit} is reached to {attainment:percent}",
            "план {target_value:unit} выполнен на {attainment:percent}",
        )


def why(grain: str, rows: Sequence[Row]) -> Iterator[Sentence]:
    """What the change of the explained KPI on the period before is made up of: two drivers, and the rest."""
    for row in rows:
        if row["difference"]:
            yield Sentence("why", _split(row, _BEFORE[grain]), DRIVERS, row, EXPLAINED_KPI)


def _split(row: Row, before: Phrase) -> Phrase:
    parts = [Phrase("{first_contribution:signed} came from {first:name}", "{first_contribution:signed} — {first:name}")]
    if row["second_contribution"]:
        parts.append(
            Phrase("{second_contribution:signed} from {second:name}", "{second_contribution:signed} — {second:name}")
        )
    if row["rest"]:
        parts.append(Phrase("{rest:signed} from all else", "{rest:signed} — остальное"))
    head = Phrase("{kpi}: {difference:signed} on ", "{kpi}: {difference:signed} к ") + before
    return head + Phrase(", of which ", ", из них ") + joined(parts, ", ") + _END


DRIVER_PHRASES = {
    **{code: Phrase(name, said(name, "ru")) for code, name in DRIVER_NAMES.items()},
    STAGE: Phrase("conversion of stage", "конверсия стадии"),
    # Whatever came, came from something.
    "unattributed": Phrase("what is not attributed", said("not attributed", "ru")),
}


def leak(cohort: str, spots: Sequence[Row], counts_of: Reading, counts: Row) -> Iterator[Sentence]:
    """The weak spot with the largest likely leak; or that there is none, or too little data to tell.

    cohort: the name of the period in which the deals were created. spots: those of the entity; of the company, those of
    its departments.
    """
    named = {"cohort": cohort}
    for row in sorted(spots, key=_by_money)[:1]:
        ties = [spot for spot in spots if _money(spot) == _money(row)]
        among = Phrase(" (among others)", " (среди прочих)") if len(ties) > 1 else Phrase("", "")
        of_department = Phrase("{entity_name}: ", "«{entity_name}»: ") if counts_of.keys != KEYS else Phrase("", "")
        of_pipeline = _PIPELINE if row["is_one_of_several"] else Phrase("", "")
        gap = _GAP if row["leak_amount"] else Phrase("", "")
        where = of_department + of_pipeline + _SPOTS[row["kind"]]
        phrase = _WEAK_SPOT + _cohort(row) + Phrase(", ", ", ") + where + gap + among + _END
        yield Sentence("leak", phrase, WEAK_SPOTS, row, names_said=named)
    if not spots:
        before, after = _without_a_weak_spot(counts)
        yield Sentence("leak", before + _cohort(counts) + after, counts_of, counts, names_said=named)


def _cohort(row: Row) -> Phrase:
    """When the deals were created; and while some are open, so that what is said of them may still change, that."""
    still_open = Phrase(" (some still open)", " (часть ещё открыта)") if row["has_open_deals"] else Phrase("", "")
    return Phrase("{cohort}", "{cohort}") + still_open


def _without_a_weak_spot(counts: Row) -> tuple[Phrase, Phrase]:
    """What is said before and after the cohort."""
    if counts["compared"]:
        return _NO_WEAK_SPOT
    if counts["without_peers"]:
        return _NO_PEERS
    return _TOO_FEW if counts["spots"] else _NO_DEALS


def _by_money(row: Row) -> tuple[Any, ...]:
    """Sorts first the largest amount, and last what has none."""
    return (
        *(-amount for amount in _money(row)),
        row["entity_level"],
        row["entity_key"],
        _PLACES[row["kind"]],
        row["pipeline_id"] or "",
        row["stage_id"] or "",
        row["loss_reason"] or "",
    )


def _money(row: Row) -> tuple[Decimal, Decimal]:
    """The likely leak, by which spots are ranked, and among those that have none the whole of it."""
    return row["shrunk_leak_amount"] or Decimal(), row["leak_amount"] or Decimal()


def unusual(grain: str, kpis: Sequence[Row], scorecard: Row) -> Iterator[Sentence]:
    """KPIs outside what is usual, at a new level or in a trend; or that there is none, or too short a history."""
    found = sorted((row for row in kpis if _is_unusual(row)), key=_oddity)
    for place, row in enumerate(found[:UNUSUAL_SENTENCES], start=1):
        oddities = list(_oddities(row, _EACH[grain]))
        if place == UNUSUAL_SENTENCES < len(found):
            oddities.append(Phrase("other KPIs are unusual too", "необычны и другие показатели"))
        phrase = _KPI + Phrase(", ", ", ") + joined(oddities, "; ") + _END
        yield Sentence("unusual", phrase, KPIS, row, row["kpi_code"])
    if found:
        return
    if not scorecard["compared"]:
        none = Phrase(
            "Too short a history to say what is unusual ({compared} of {kpis:KPI|KPIs} compared with it).",
            "История слишком коротка, чтобы судить о необычном (сравнимо с ней "
            "{compared} из {kpis:показателя|показателей|показателей}).",
        )
    else:
        none = Phrase(
            "Nothing unusual ({compared} of {kpis:KPI|KPIs} compared with their own history).",
            "Ничего необычного (с собственной историей сравнимо "
            "{compared} из {kpis:показателя|показателей|показателей}).",
        )
    yield Sentence("unusual", none, SCORECARD, scorecard)


def _is_unusual(row: Row) -> bool:
    return row["value"] is not None and (row["is_anomaly"] or row["is_change_point"] or _has_trend(row))


def _has_trend(row: Row) -> bool:
    return row["is_significant"] and row["trend_direction"] in _TRENDS


def _oddity(row: Row) -> tuple[bool, bool, Decimal, str]:
    """Sorts first what lies outside the expected range, then a new level, then a trend; the heaviest KPI first."""
    return not row["is_anomaly"], not row["is_change_point"], -row["weight"], row["kpi_code"]


def _oddities(row: Row, each: Phrase) -> Iterator[Phrase]:
    if row["is_anomaly"] and row["expected_low"] is not None and row["expected_high"] is not None:
        side = ("below", "ниже") if row["value"] < row["expected_low"] else ("above", "выше")
        yield Phrase(
            f"{side[0]} the usual {{expected_low:bound}} to {{expected_high:bound}}",
            f"{side[1]} обычного, от {{expected_low:bound}} до {{expected_high:bound}}",
        )
    if row["is_change_point"]:
        yield Phrase("its level shifts here", "здесь сменился уровень")
    if _has_trend(row):
        direction = _TRENDS[row["trend_direction"]]
        slope = Phrase(" by {slope:step} ", " на {slope:step} ") + each if row["slope"] else Phrase("", "")
        yield direction + slope


_TRENDS = {
    "up": Phrase("a trend that goes up", "тренд вверх"),
    "down": Phrase("a trend that goes down", "тренд вниз"),
}


_WEAK_SPOT = Phrase("Weak spot of deals created in ", "Слабое место, сделки, созданные в ")
_PIPELINE = Phrase("pipeline {pipeline_name}, ", "воронка «{pipeline_name}», ")
_SPOTS = {
    "stage_conversion": Phrase(
        "stage {stage_name}: {value:percent} of {sample_size:deal|deals} went on, {peer_value:percent} with others of "
        "the same mix",
        "стадия «{stage_name}»: из {sample_size:сделки|сделок|сделок} дальше прошло {value:percent}, у других при том "
        "же составе {peer_value:percent}",
    ),
    "win_rate": Phrase(
        "win rate: {value:percent} of {sample_size:deal|deals}, {peer_value:percent} with others of the same mix",
        "доля выигранных: {value:percent} из {sample_size:сделки|сделок|сделок}, у других при том же составе "
        "{peer_value:percent}",
    ),
    "loss_reason": Phrase(
        "lost for {loss_reason}: {value:percent} of {sample_size:deal|deals}, {peer_value:percent} with others of the "
        "same mix",
        "причина «{loss_reason}»: проиграно {value:percent} из {sample_size:сделки|сделок|сделок}, у других при том же "
        "составе {peer_value:percent}",
    ),
    "stage_time": Phrase(
        "stage {stage_name}: {sample_size:stay|stays} of {value:days}, {peer_value:days} with others of the same mix",
        "стадия «{stage_name}»: пребывание {value:days} ({sample_size:сделка|сделки|сделок}), у других при том же "
        "составе {peer_value:days}",
    ),
}
_PLACES = {kind: place for place, kind in enumerate(_SPOTS)}
_GAP = Phrase(
    "; the median peer has {peer_median:percent}, and the gap goes with {leak_amount:unit}, of which "
    "{shrunk_leak_amount:unit} is likely more than luck",
    "; у медианного из других {peer_median:percent}, с отставанием связано {leak_amount:unit}, из них "
    "{shrunk_leak_amount:unit} — вероятно, не случайность",
)
_NO_WEAK_SPOT = (
    Phrase("No weak spot among deals created in ", "Слабых мест нет, сделки, созданные в "),
    Phrase(
        ": {compared:comparison|comparisons} with others, none clearly worse.",
        ": {compared:сравнение|сравнения|сравнений} с другими, заметно хуже — ни одного.",
    ),
)
_NO_PEERS = (
    Phrase("Nobody to compare deals created in ", "Сделки, созданные в "),
    Phrase(
        " with: {without_peers:comparison|comparisons} without peers.",
        ", сравнить не с кем: {without_peers:сравнение|сравнения|сравнений} без других.",
    ),
)
_NO_DEALS = (
    Phrase("Nothing of deals created in ", "Сделок, созданных в "),
    Phrase(
        " to compare: {spots:comparison|comparisons}.",
        ", для сравнения нет: {spots:сравнение|сравнения|сравнений}.",
    ),
)
_TOO_FEW = (
    Phrase("Too few deals created in ", "Сделок, созданных в "),
    Phrase(
        " to say where it leaks: {compared} of {spots:comparison|comparisons} possible.",
        ", слишком мало, чтобы судить о потерях: возможно {compared} из {spots:сравнения|сравнений|сравнений}.",
    ),
)
