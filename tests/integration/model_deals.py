"""What happened to a deal, and how it stood on an evening, from its versions and its histories.

The steps of a deal are those of its history of stages, if it has one, else the changes of stage that its versions show.
Steps of one outcome in a row are one closing: it counts with the amount that the deal had then; a later amount takes
that back when it was changed and counts in its place, and so does a reopening, with nothing in its place. A deal that
is deleted, or a part of another one, has no life at all.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import pairwise

from model_records import UNASSIGNED, Change, Deal, DealVersion, Decisions

ALWAYS = datetime(1, 1, 3, tzinfo=UTC)
"""When a deal without dates began."""


@dataclass(frozen=True)
class Fact:
    """Something that happened to a deal: what a −1 takes back, it takes back with the credit that it had.

    `amount`: in cents of `currency`; None: not known.
    """

    kind: str
    sign: int
    occurred_at: datetime
    credited_at: datetime
    manager: str
    amount: int | None
    currency: str


@dataclass(frozen=True)
class Step:
    """A stay in a stage; versions `first` to `last` describe it. A deal without dates entered its stage unseen."""

    stage: str
    outcome: str
    entered_at: datetime | None
    first: int
    last: int


@dataclass(frozen=True)
class Standing:
    """How an open deal stood: the version that told of it, the stage it was in since a day, and whose it was."""

    version: DealVersion
    stage: str | None
    stage_entered_on: date | None
    manager: str


class Life:
    """A deal's life as it is known in the end."""

    def __init__(self, deal: Deal, decisions: Decisions) -> None:
        self.deal = deal
        self.deal_id = deal.deal_id
        self._decisions = decisions
        self._versions = deal.versions
        self.last_version = deal.versions[-1]
        self.is_there = not self.last_version.is_deleted
        self.created_at = self.last_version.created_at
        self._opened_at = self.created_at or ALWAYS
        self.booked_on = decisions.day(self.created_at or self.last_version.effective_at)

    # -------------------------------------------------------------------------------------------------------- owners

    def owner_at(self, moment: datetime, version: DealVersion) -> str:
        """Whom the history of owners names, which begins before everything; else the version that tells of it."""
        owner = version.manager
        for place, change in enumerate(self.deal.owner_changes):
            if place == 0 or change.at <= moment:
                owner = change.value
        return owner or UNASSIGNED

    def owner_before(self, as_of: datetime) -> str:
        """Whose it is just before a moment."""
        told = [version for version in self._versions[1:] if version.effective_at < as_of]
        owner = (told[-1] if told else self._versions[0]).manager
        for place, change in enumerate(self.deal.owner_changes):
            if place == 0 or change.at < as_of:
                owner = change.value
        return owner or UNASSIGNED

    # --------------------------------------------------------------------------------------------------------- steps

    def _outcome(self, stage: str) -> str:
        known = self._decisions.stages.get((self.last_version.pipeline, stage))
        return known.outcome if known else "open"

    @cached_property
    def steps(self) -> list[Step]:
        """In their order. A later step ends those before it that are dated after it: they have no length."""
        steps = self._steps_of_history() if self.deal.stage_changes else self._steps_seen()
        ends: datetime | None = None
        proper: list[Step] = []
        for step in reversed(steps):
            if step.entered_at is not None:
                ends = min(step.entered_at, ends or step.entered_at)
            entered_at = None if step.entered_at is None else ends
            last = max(step.first, proper[-1].first - 1 if proper else len(self._versions) - 1)
            proper.append(Step(step.stage, step.outcome, entered_at, step.first, last))
        return proper[::-1]

    def _steps_of_history(self) -> list[Step]:
        history = [(change.value, change.at) for change in self.deal.stage_changes]
        stage, entered_at = history[-1]
        record = self.last_version
        is_closed = self._outcome(record.stage) != "open"
        day = self._decisions.day
        if record.stage != stage:
            # The history lags behind the record.
            told_at = (record.closed_at if is_closed else None) or record.effective_at
            history.append((record.stage, max(entered_at, told_at)))
        elif is_closed and record.closed_at and day(record.closed_at) != day(entered_at):
            # What the CRM's reports show; within one day the history is more exact.
            history[-1] = (stage, record.closed_at)
        return [self._step(stage, at) for stage, at in history]

    def _step(self, stage: str, entered_at: datetime) -> Step:
        told = [place for place, version in enumerate(self._versions) if version.effective_at >= entered_at]
        return Step(stage, self._outcome(stage), entered_at, told[0] if told else len(self._versions) - 1, 0)

    def _steps_seen(self) -> list[Step]:
        steps = []
        first = 0
        for place, version in enumerate(self._versions):
            if place + 1 < len(self._versions) and self._versions[place + 1].stage == version.stage:
                continue
            began = self._versions[first].effective_at
            outcome = self._outcome(version.stage)
            if outcome != "open":
                entered_at = version.closed_at or began
            else:
                entered_at = version.created_at if first == 0 else began  # type: ignore[assignment]
            steps.append(Step(version.stage, outcome, entered_at, first, place))
            first = place + 1
        return steps

    # --------------------------------------------------------------------------------------------------------- facts

    @cached_property
    def facts(self) -> list[Fact]:
        return [*self._created(), *self._reopened(), *self._closed(), *self._slipped()] if self.is_there else []

    def _fact(self, kind: str, at: datetime, version: DealVersion) -> Fact:
        return Fact(kind, 1, at, at, self.owner_at(at, version), version.amount, version.currency)

    def _created(self) -> Iterator[Fact]:
        if self.created_at:
            yield self._fact("created", self.created_at, self._versions[0])

    def _reopened(self) -> Iterator[Fact]:
        for before, step in pairwise(self.steps):
            if step.outcome == "open" != before.outcome and step.entered_at:
                yield self._fact("reopened", step.entered_at, self._versions[step.first])

    def _slipped(self) -> Iterator[Fact]:
        for before, version in pairwise(self._versions):
            was, is_now = before.expected_close_on, version.expected_close_on
            months = [self._decisions.calendar.period_of("month", day).start for day in (was, is_now) if day]
            if len(months) == 2 and months[0] < months[1]:
                yield self._fact("slipped", version.effective_at, version)

    def _closed(self) -> Iterator[Fact]:
        steps = self.steps
        place = 0
        while place < len(steps):
            after = place
            while after < len(steps) and steps[after].outcome == steps[place].outcome:
                after += 1
            if steps[place].outcome != "open":
                yield from self._closing(steps[place:after], steps[after].entered_at if after < len(steps) else None)
            place = after

    def _closing(self, steps: list[Step], ended_at: datetime | None) -> Iterator[Fact]:
        closed_at = min(step.entered_at for step in steps if step.entered_at)
        first, last = min(step.first for step in steps), max(step.last for step in steps)
        versions = self._versions[first : last + 1]
        manager = self.owner_at(closed_at, versions[0])
        amounts = [(closed_at, versions[0])]
        for before, version in pairwise(versions):
            changed_at = max(closed_at, version.effective_at)
            is_changed = (before.amount, before.currency) != (version.amount, version.currency)
            if is_changed and (ended_at is None or changed_at < ended_at):
                amounts.append((changed_at, version))
        ends = [at for at, _ in amounts[1:]] + [ended_at]
        for (at, version), end in zip(amounts, ends, strict=True):
            for sign, moment in ((1, at), (-1, end)):
                if moment:
                    kind = steps[0].outcome
                    yield Fact(kind, sign, moment, closed_at, manager, version.amount, version.currency)

    @cached_property
    def standing_wins(self) -> list[Fact]:
        """Closings as won that nothing took back at their own moment, first to last."""
        net: dict[tuple[datetime, str], int] = {}
        for fact in self.facts:
            if fact.kind == "won":
                key = (fact.occurred_at, fact.manager)
                net[key] = net.get(key, 0) + fact.sign
        won = {(fact.occurred_at, fact.manager): fact for fact in self.facts if fact.kind == "won" and fact.sign == 1}
        return [won[key] for key in sorted(net) if net[key] > 0]

    # ------------------------------------------------------------------------------------------------------ evenings

    @cached_property
    def _changes(self) -> list[tuple[datetime, int, int, int]]:
        """(moment, step, version, owner) in order: what holds from then on. Nothing comes before the deal."""
        told = [(self._opened_at, -1, 0, -1)]
        told += [(step.entered_at or self._opened_at, place, 0, -1) for place, step in enumerate(self.steps)]
        told += [(version.effective_at, -1, place, -1) for place, version in enumerate(self._versions)][1:]
        told += [(change.at if place else ALWAYS, -1, 0, place) for place, change in enumerate(self.deal.owner_changes)]
        held = (-1, 0, -1)
        changes = []
        for moment, *places in sorted((max(moment, self._opened_at), *places) for moment, *places in told):
            held = tuple(max(pair) for pair in zip(held, places, strict=True))  # type: ignore[assignment]
            changes.append((moment, *held))
        return changes

    @cached_property
    def first_evening(self) -> date:
        """The first day on whose evening it may be open."""
        return self._decisions.day(self._opened_at) if self.created_at else date.min

    def last_evening(self, last_day: date) -> date:
        """The last such day, of those up to the last day of all."""
        is_closed = self.steps[-1].outcome != "open"
        return min(last_day, self._decisions.day(self._changes[-1][0])) if is_closed else last_day

    def standing(self, moment: datetime) -> Standing | None:
        """How it stood just before a moment; None where it was not there, or not open."""
        place = bisect_left(self._changes, (moment,))
        if place == 0:
            return None
        _, step_place, version_place, owner_place = self._changes[place - 1]
        version = self._versions[version_place]
        step = self.steps[step_place] if step_place >= 0 else None
        if step and step.outcome != "open":
            return None
        entered_at = (step.entered_at if step else None) or self.created_at
        owners: tuple[Change, ...] = self.deal.owner_changes
        return Standing(
            version=version,
            stage=step.stage if step else None,
            stage_entered_on=self._decisions.day(entered_at) if entered_at else None,
            manager=(owners[owner_place].value if owner_place >= 0 else version.manager) or UNASSIGNED,
        )
