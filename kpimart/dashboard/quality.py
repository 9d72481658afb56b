"""Quality: what the gate said of each release, what was set aside, and what changed between two releases."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import NamedTuple

import streamlit as st

from kpimart.dashboard.choices import choose_one
from kpimart.dashboard.entity import show_section
from kpimart.dashboard.table import Cell, Column, Quantity, show_table
from kpimart.dashboard.view import View
from kpimart.dashboard.words import plain
from kpimart.publish.diff import SHOWN_CELLS, diff
from kpimart.publish.diff import Cell as ChangedCell
from kpimart.publish.manifest import GateCounts, Manifest
from kpimart.publish.shelf import Shelf
from kpimart.warehouse import open_database

SHOWN_RELEASES = 60
SHOWN_RESULTS = 50
"""So many checks that were not passed, and so many batches, are listed."""


class _Unmet(NamedTuple):
    """A check that was not passed."""

    judged_at: datetime
    boundary: str
    table: str
    expectation: str
    severity: str
    outcome: str
    observed: str | None
    expected: str | None


def quality(view: View) -> None:
    """The page."""
    st.title(view.say("Quality"), anchor=False)
    shelf = Shelf(view.settings.home)
    for problem in islice(shelf.unreadable.values(), SHOWN_RESULTS):
        st.error(plain(problem))
    show_section(view, "Releases", lambda: _show_releases(view, shelf))
    show_section(view, "Checks that were not passed", lambda: _show_unmet(view, shelf))
    show_section(view, "Set aside", lambda: _show_set_aside(view, shelf))
    show_section(view, "What changed", lambda: _show_changes(view, shelf))


def _show_releases(view: View, shelf: Shelf) -> None:
    say = view.say
    titles = ["Release", "Figures as of", "Published at", "Verdict", "Checks of the data read", "Checks of the figures"]
    rows = [
        [
            one.release_id,
            view.moment(one.as_of),
            view.moment(one.published_at),
            _verdict(view, shelf, one),
            _counts(one.gate.raw),
            _counts(one.gate.reporting),
        ]
        for one in shelf.newest_first[:SHOWN_RELEASES]
    ]
    show_table(view, say("Releases"), [Column(say(title)) for title in titles], rows)
    st.caption(say("Checks: passed / failed / errored. A release without figures is made anew by kpimart run."))


def _verdict(view: View, shelf: Shelf, manifest: Manifest) -> str:
    by, counts = manifest.gate.overridden_by, manifest.gate.reporting
    if by:
        told = view.say("overridden by {by}", by=by)
    elif counts.failed or counts.errored:
        told = view.say("passed, with warnings")
    else:
        told = view.say("passed")
    if manifest.release_id == view.served.release.release_id:
        return f"{told} · {view.say('served')}"
    return f"{told} · {view.say('without figures')}" if manifest.release_id in shelf.removed else told


def _counts(counts: GateCounts) -> str:
    return f"{counts.passed} / {counts.failed} / {counts.errored}"


def _show_unmet(view: View, shelf: Shelf) -> None:
    say = view.say
    found = sorted(dict.fromkeys(_read_unmet(shelf)), key=lambda each: each.judged_at, reverse=True)[:SHOWN_RESULTS]
    if not found:
        st.caption(say("All checks of these releases were passed."))
        return
    titles = ["Judged at", "Boundary", "Table", "Expectation", "Severity", "Outcome", "Observed", "Expected"]
    rows = [
        [
            view.moment(each.judged_at),
            say(_BOUNDARIES[each.boundary]),
            each.table,
            each.expectation,
            say(each.severity),
            say(each.outcome),
            each.observed or "",
            each.expected or "",
        ]
        for each in found
    ]
    show_table(view, say("Checks that were not passed"), [Column(say(title)) for title in titles], rows)


_BOUNDARIES = {"raw": "data read", "reporting": "figures"}


def _read_unmet(shelf: Shelf) -> Iterator[_Unmet]:
    """Of the last releases, by the files of those that had some; a batch is told by each that rests on it."""
    for one in shelf.kept[:SHOWN_RELEASES]:
        counts = (one.gate.raw, one.gate.reporting)
        if any(each.failed or each.errored for each in counts):
            with open_database(shelf.release(one.release_id).database) as connection:
                rows = connection.execute(
                    f"""
                    select judged_at, boundary, table_name, expectation, severity, outcome, observed, expected
                    from quality_result
                    where outcome <> 'passed'
                    order by all desc
                    limit {SHOWN_RESULTS}
                    """
                ).fetchall()
            yield from (_Unmet(*row) for row in rows)


def _show_set_aside(view: View, shelf: Shelf) -> None:
    say = view.say
    batches = sorted(
        shelf.manifests[view.served.release.release_id].raw_batches, key=lambda batch: batch.landed_at, reverse=True
    )
    titles = [Column(say("Batch")), Column(say("Source")), Column(say("Landed at"))]
    counts = [Column(say(title), "count") for title in ("Rows read", "New versions", "Set aside")]
    rows: list[list[Cell]] = [
        [
            each.batch_id,
            each.source,
            view.moment(each.landed_at),
            each.rows_read,
            each.versions_stored,
            each.rows_quarantined,
        ]
        for each in batches[:SHOWN_RESULTS]
    ]
    show_table(view, say("Set aside"), [*titles, *counts], rows)
    st.caption(say("The records that were set aside, and why: kpimart quarantine."))


# ------------------------------------------------------------------------------------------------- between two releases


def _show_changes(view: View, shelf: Shelf) -> None:
    """Compared when somebody asks for it, as all figures of both are read."""
    say = view.say
    kept = {one.release_id: one for one in shelf.kept}
    if len(kept) < 2:
        st.caption(say("There is one release so far, and nothing to compare it with."))
        return
    labels = {name: f"{name} · {view.moment(one.as_of)}" for name, one in kept.items()}
    with st.container(key="compared", horizontal=True):
        after = choose_one("to", say("To"), labels, say)
        before = choose_one("compare", say("From"), {name: labels[name] for name in _before(kept, after)}, say)
    if not st.toggle(say("Show what changed"), key="changes"):
        return
    found = diff(shelf.release(before), shelf.release(after), limit=SHOWN_CELLS)
    st.caption(
        plain(
            say(
                "Figures that changed: {figures}; entries of the ledger behind them: {entries}.",
                figures=f"{found.cell_count:,}",
                entries=f"{found.entries:,}",
            )
        )
    )
    if found.cells:
        titles = ["KPI", "Period", "Who", "before", "now", "change", "Entries", "The largest of them"]
        rows: list[list[Cell]] = [
            [
                cell.kpi_code,
                f"{say(cell.period_grain.capitalize())}, {cell.period_start}",
                cell.entity_name,
                *(Quantity(value, cell.unit) for value in (cell.before, cell.after, cell.change)),
                cell.cause_count,
                _largest(view, cell),
            ]
            for cell in found.cells
        ]
        columns = [Column(say(title), "count" if title == "Entries" else "") for title in titles]
        show_table(view, say("What changed"), columns, rows)
    if found.cell_count > len(found.cells):
        st.caption(plain(say("All of them: kpimart diff {before} {after} --all", before=before, after=after)))


def _before(kept: Iterable[str], after: str) -> list[str]:
    """The others, the one before it first."""
    names = list(kept)
    place = names.index(after)
    return [*names[place + 1 :], *reversed(names[:place])]


def _largest(view: View, cell: ChangedCell) -> str:
    if not cell.causes:
        return view.say("nothing within its period")
    entry = cell.causes[0]
    amount = "" if entry.amount is None else f" {entry.amount:,.2f}"
    return f"{entry.event_type}{amount}: {entry.deal_name or entry.deal_id} ({view.say(entry.why)})"
