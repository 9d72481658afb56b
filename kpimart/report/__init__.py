"""What a person wants to see at the end of a command: what was read, built and judged, and where the result lies."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import RenderableType

from kpimart import figures, render
from kpimart.language import RUSSIAN, Language, said
from kpimart.pipeline import Extraction, Run
from kpimart.publish.manifest import Gate
from kpimart.publish.shelf import Release
from kpimart.quality.verdict import Outcome, Verdict, explain
from kpimart.settings import Settings
from kpimart.status import ChangedField, LastBatch, LastBuild, SetAside, Status

if TYPE_CHECKING:
    from kpimart.backup import BackedUp, Restored
    from kpimart.closing import Decision
    from kpimart.explain import Contribution, Explanation, Input, Quotient, Section
    from kpimart.forget import Finding
    from kpimart.publish.diff import Cell as ChangedCell
    from kpimart.publish.diff import Difference
    from kpimart.publish.postgres.export import Exported
    from kpimart.publish.verify import Verification
    from kpimart.reconcile import Cell, Reconciliation, Sum
    from kpimart.simulation import Rescored, Simulation
    from kpimart.upgrade import Contract, Upgrade
    from kpimart.upkeep import Kept

OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "errored")
SHOWN_IDS = 5


def of_run(settings: Settings, done: Run, kpi_codes: Sequence[str]) -> Iterator[RenderableType]:
    """A whole run: what was read, the few KPIs of its last month beside the one before, and how to look at more."""
    yield from of_batches(done.extraction)
    judged = (
        f"{boundary}: {counts['passed']} passed, {counts['failed']} warned"
        for boundary, counts in gate_counts(done).items()
    )
    yield render.facts(
        [
            ("built", f"{done.build.build_id}, figures as of {_local(settings, done.build.as_of)}"),
            ("judged", "; ".join(judged)),
            ("took", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in done.steps.items())),
        ]
    )
    yield from of_warnings(done.build.warnings)
    yield from of_gate_warnings(done.extraction.verdict, done.verdict)
    month = figures.latest_month(done.release.database)
    for level in ("company", "department"):
        yield ""
        found = figures.read_figures(done.release.database, level=level, period=month, kpi_codes=kpi_codes)
        yield render.figures_table(found, level)
    yield ""
    yield of_release(done.release)


def of_warnings(warnings: Sequence[str]) -> Iterator[RenderableType]:
    """What the build's tests found that did not stop it."""
    for warning in warnings:
        first, *further = warning.splitlines()
        yield f"warning: {first}"
        yield from further


def of_gate_warnings(*verdicts: Verdict | None) -> Iterator[RenderableType]:
    """What the gates found that did not close them."""
    for verdict in verdicts:
        if verdict and verdict.warnings:
            yield explain(verdict)


def of_batches(extraction: Extraction) -> Iterator[RenderableType]:
    """A table a batch, with a row an object; then which records were set aside, and why."""
    for batch in extraction.batches:
        yield f"read {batch.batch_id}"
        yield render.rows_table(
            ("object", "rows read", "new versions", "vanished", "quarantined"),
            [
                (read.object_name, read.rows_read, read.versions_stored, read.rows_vanished, read.rows_quarantined)
                for read in batch.objects
            ],
        )
    if extraction.quarantined:
        yield "set aside, in no figure until corrected in the source (kpimart quarantine lists all of them):"
        yield from (f"  {line}" for line in extraction.quarantined)


def of_quarantine(records: Sequence[SetAside]) -> Iterator[RenderableType]:
    """A row a record that was set aside."""
    if not records:
        yield "the last batches set nothing aside"
        return
    yield render.rows_table(
        ("object", "place", "id", "reason"),
        [(record.object, record.place, record.record_id or "", record.reason) for record in records],
    )


def of_reconciliation(compared: "Reconciliation") -> Iterator[RenderableType]:
    """How raw compares with the CRM's own aggregates: what nothing explains first, then what something does."""
    if not compared.has_totals:
        yield f"{compared.source}: its API has no aggregates to compare with"
        return
    yield render.rows_table(
        (compared.source, "ours", "CRM's", "amount of ours", "of CRM's", "cells", "differ", "unexplained"),
        [
            (
                total.object,
                total.ours.count,
                total.theirs.count,
                _amount(total.ours),
                _amount(total.theirs),
                total.cells,
                total.differing,
                total.unexplained,
            )
            for total in compared.objects
        ],
    )
    if compared.cells:
        yield render.rows_table(
            ("object", "owner", "created", "ours", "CRM's", "amount of ours", "of CRM's", "why"),
            [_cell_row(cell) for cell in compared.cells],
        )
    else:
        yield f"{compared.source}: every cell is equal"


def _cell_row(cell: "Cell") -> tuple[object, ...]:
    reasons = [
        f"{each.why}: {len(each.ids):,} ({', '.join(each.ids[:SHOWN_IDS])}{', …' if len(each.ids) > SHOWN_IDS else ''})"
        for each in cell.explanations
    ]
    if not cell.is_explained:
        amount = "" if cell.unexplained.amount is None else f", {cell.unexplained.amount:+,.2f}"
        reasons.insert(0, f"UNEXPLAINED {cell.unexplained.count:+,}{amount}")
    return (
        cell.object,
        cell.manager_id or "nobody",
        f"{cell.month:%Y-%m}" if cell.month else "undated",
        cell.ours.count,
        cell.theirs.count,
        _amount(cell.ours),
        _amount(cell.theirs),
        "\n".join(reasons),
    )


def _amount(figures: "Sum") -> str:
    return render.UNDEFINED if figures.amount is None else f"{figures.amount:,.2f}"


def of_finding(finding: "Finding") -> Iterator[RenderableType]:
    """What there is of a person: what is looked for, where it was found, and what others have to erase."""
    yield render.facts(
        [
            ("record", str(finding.record)),
            ("looked for", ", ".join(finding.texts) or "nothing: no name, address or number is kept of it"),
            *([("as a whole value", ", ".join(finding.names))] if finding.names else []),
        ]
    )
    if finding.places:
        yield render.rows_table(
            ("home", "kind", "where", "found"),
            [(str(place.home), place.kind, place.name, place.found) for place in finding.places],
        )
    else:
        yield "nothing of it is left to erase"
    yield from (f"look yourself, it is not kpimart's file: {file}" for file in finding.left)
    for place in dict.fromkeys(place for place, _ in finding.backups):
        ids = ", ".join(backup_id for its, backup_id in finding.backups if its == place)
        yield f"backups {ids} in {place} hold what is erased here; replace them then:  kpimart backup {place} --keep 1"


def of_release(release: Release) -> str:
    """Where a release lies and how to look at it."""
    if not release.is_current:
        return (
            f"release {release.release_id} lies in {release.database}\n"
            "what is served stays, as this one speaks of an earlier moment; "
            f"to serve it:  kpimart rollback {release.release_id}"
        )
    served = release.folder.parent.parent / release.database.name
    return (
        f"release {release.release_id} is served: {served}\n"
        f"look at it:  kpimart kpi --by manager --period quarter\n"
        f'             duckdb -readonly {served} "select * from reporting.kpi_company_month"'
    )


def of_export(done: "Exported") -> Iterator[RenderableType]:
    """What PostgreSQL serves now, and what that took."""
    if done.is_unchanged:
        yield f"PostgreSQL serves release {done.release_id} already, to the same people: nothing was changed"
    else:
        rows = f"{done.inserted:,} rows inserted, {done.deleted:,} deleted"
        access = "who may see what has changed" if done.is_access_changed else "who may see what is the same"
        yield f"PostgreSQL serves release {done.release_id} (before: {done.former_id or 'none'}): {rows}; {access}"
    for name in done.unknown_ids:
        yield f"warning: postgres.access names {name}, which the release does not have: it opens nothing"


def of_releases(settings: Settings, releases: Sequence[Release]) -> Iterator[RenderableType]:
    """A row a release."""
    if not releases:
        yield f"{settings.home} has no releases yet: kpimart run"
        return
    yield render.rows_table(
        ("release", "figures as of", "known at", "published", "gate", "served"),
        [
            (
                release.release_id,
                _local(settings, release.as_of),
                _local(settings, release.known_at),
                _local(settings, release.published_at),
                f"overridden by {release.overridden_by}" if release.overridden_by else "passed",
                "yes" if release.is_current else "",
            )
            for release in releases
        ],
    )


def of_decision(settings: Settings, decision: "Decision") -> Iterator[RenderableType]:
    """What was decided about a month, and what follows."""
    if decision.is_repeated:
        decided_at = _local(settings, decision.decided_at)
        yield f"{decision.month} was {decision.action} so already, on {decided_at}: nothing was recorded"
        return
    yield f"{decision.month} ({decision.period_start} … {decision.period_end}) is {decision.action}"
    figures_of = f"{decision.release_id}, figures as of {_local(settings, decision.as_of)}"
    yield (
        f"frozen: release {figures_of}; it is kept for good"
        if decision.action == "closed"
        else f"frozen no more: release {figures_of}; it is still kept"
    )
    yield "the next release tells of it in period_close"


def of_decisions(settings: Settings, decisions: "Sequence[Decision]") -> Iterator[RenderableType]:
    """A row a closing or reopening, in the order in which they were decided."""
    if not decisions:
        yield "no month was closed yet"
        return
    yield render.rows_table(
        ("month", "", "release", "figures as of", "by", "on", "note"),
        [
            (
                decision.month,
                decision.action,
                decision.release_id,
                _local(settings, decision.as_of),
                decision.decided_by,
                _local(settings, decision.decided_at),
                decision.note,
            )
            for decision in decisions
        ],
    )


def of_difference(found: "Difference") -> Iterator[RenderableType]:
    """How much changed, the widest figures with what is behind each, and how to see more."""
    if not found.kpis:
        yield f"every figure of {found.after.release_id} is that of {found.before.release_id}"
        return
    listed = ", ".join(f"{kpi.kpi_code} {kpi.cells:,}" for kpi in found.kpis)
    yield f"{found.cell_count:,} figures changed, {found.entries:,} entries of the ledger: {listed}"
    yield render.rows_table(
        ("figure", "whose", "before", "after", "change", "because of"),
        [
            (
                f"{cell.kpi_code} {cell.period_grain} {cell.period_start}",
                cell.entity_name,
                render.value_text(cell.before, cell.unit),
                render.value_text(cell.after, cell.unit),
                render.change_text(cell.after, cell.before, cell.unit),
                _causes(cell),
            )
            for cell in found.cells
        ],
    )
    if found.cell_count > len(found.cells):
        yield f"{found.cell_count - len(found.cells):,} more:  --all, or choose by --kpi and --by"


def _causes(cell: "ChangedCell") -> str:
    lines = []
    for entry in cell.causes:
        signed = "taken back: " if entry.sign < 0 else ""
        amount = "" if entry.amount is None else f" {entry.amount:,.2f}"
        name = f" {entry.deal_name}" if entry.deal_name else ""
        lines.append(f"{signed}{entry.event_type}{amount} {entry.occurred_on} {entry.deal_id}{name} ({entry.why})")
    if cell.cause_count > len(lines):
        lines.append(f"and {cell.cause_count - len(lines):,} more")
    return "\n".join(lines) or "nothing within its period: see earlier ones, targets or settings"


def of_backup(done: "BackedUp") -> Iterator[RenderableType]:
    """What a backup holds, and how much of it was sent."""
    yield (
        f"backup {done.backup_id} in {done.place}: {done.files:,} files, {_megabytes(done.bytes)}; sent "
        f"{done.sent_files:,} of them, {_megabytes(done.sent_bytes)}, the others were there"
    )
    if done.removed:
        yield f"removed {', '.join(done.removed)}"


def of_restoration(settings: Settings, done: "Restored") -> Iterator[RenderableType]:
    """What came back, and what is left to do by hand."""
    yield (
        f"{settings.home} is what it was on {_local(settings, done.made_at)}: {done.versions:,} versions in raw, "
        f"{done.releases:,} releases"
    )
    yield f"release {done.served} is served" if done.served else "there is no release yet: kpimart run"
    if done.replaced:
        yield f"what was there lies in {done.replaced}"
    yield from (f"compare with yours, and put it in its place: {file}" for file in done.beside)


def of_upkeep(done: "Kept") -> Iterator[RenderableType]:
    """What was removed, and how large the warehouse is."""
    yield render.facts(
        [
            ("releases removed", ", ".join(done.releases) or "none"),
            ("packages emptied", f"{done.packages:,}"),
            ("held versions removed", f"{done.held_versions:,}"),
            ("warehouse", f"{_megabytes(done.bytes_before)} before, {_megabytes(done.bytes_after)} now"),
        ]
    )


def of_upgrade(settings: Settings, found: "Upgrade", *, is_done: bool) -> Iterator[RenderableType]:
    """What is to be done or was done to the warehouse, and whether readers of the figures have to follow."""
    for older in found.older:
        schemas = f"schema {older.found} → {found.schema_version}"
        yield f"{older.home}: {schemas}{', done' if is_done else ', to be done'}"
        yield from (f"  {version}: {brings}" for version, brings in older.steps.items())
    if not found.older:
        yield f"{settings.home}: schema {found.schema_version}, nothing to do"
    if found.backup:
        yield from of_backup(found.backup)
    if found.contract:
        yield from _of_contract(found.contract, has_postgres=settings.postgres.url is not None)
    if found.older and not is_done:
        yield f"do it:  kpimart upgrade{'' if settings.backup.place else ' --backup PLACE'}"
    elif is_done:
        yield "the next run derives every deal anew:  kpimart run"


def _of_contract(contract: "Contract", *, has_postgres: bool) -> Iterator[str]:
    if contract.served == contract.next:
        yield f"contract {contract.served} is served, and published next"
        return
    verdict = "READERS MUST CHANGE" if contract.is_broken else "readers go on as they are"
    yield f"contract {contract.served} is served, {contract.next} is published next: {verdict}"
    yield from (f"  {each.contract} {each.change}: {each.tables}" for each in contract.changes)
    if has_postgres:
        yield "the tables in PostgreSQL follow when that release is loaded"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def of_verification(found: "Verification") -> Iterator[RenderableType]:
    """What was looked at and is right, then what a rebuild did not give."""
    manifest = found.manifest
    yield (
        f"release {found.release.release_id}: {len(manifest.files)} files, {len(manifest.tables)} tables with their "
        f"control totals, and a chain of {found.chain} manifests are right"
    )
    if found.changed_batches:
        yield f"raw holds other versions than the release counted, in: {', '.join(found.changed_batches)}"
    if found.rebuilt is None:
        return
    if not found.rebuilt:
        yield "built again from raw, every row of every table is the same"
        return
    for table in found.rebuilt:
        yield f"{table.table}: {table.only_released:,} rows only as released, {table.only_rebuilt:,} only as rebuilt"
        yield from (f"  - {_row(row)}" for row in table.released_rows)
        yield from (f"  + {_row(row)}" for row in table.rebuilt_rows)
    yield f"it was made by kpimart {manifest.code_version}; another version's figures may differ for good reason"


def _row(row: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items() if value is not None)


def of_status(settings: Settings, status: Status) -> Iterator[RenderableType]:
    """Is it fresh, is it right, how did the last runs end."""
    if status.release is None or status.age is None or status.gate is None:
        yield f"{settings.home} serves nothing yet: kpimart run"
    else:
        judged = status.gate.reporting
        yield render.facts(
            [
                ("release", status.release.release_id),
                ("figures as of", f"{_local(settings, status.release.as_of)}, {_age(status.age)}"),
                ("known at", _local(settings, status.release.known_at)),
                ("gate", f"{judged.passed} passed, {judged.failed} failed, {judged.errored} errored"),
                *(("overridden", told) for told in _overrides(status.gate)),
            ]
        )
    if status.busy:
        yield status.busy
    if status.builds:
        yield render.rows_table(
            ("build", "as of", "ended", "gate"), [_build_row(settings, build) for build in status.builds]
        )
    if status.batches:
        yield render.rows_table(
            ("batch", "landed", "rows read", "new versions", "quarantined", "verdict"),
            [_batch_row(settings, batch) for batch in status.batches],
        )
    yield from (_changed_field(settings, each) for each in status.changed_fields)


def _overrides(gate: Gate) -> Iterator[str]:
    """Each refusal that the release was published in spite of, and who took that upon themselves, why."""
    for each in gate.overrides:
        yield f"{each['table']}: {each['expectation']}; by {each['by']}: {each['reason']}"


def gate_counts(done: Run) -> dict[str, dict[str, int]]:
    """Boundary → outcome → how many expectations; no raw boundary when nothing new was landed."""
    verdicts = {"raw": done.extraction.verdict, "reporting": done.verdict}
    return {
        boundary: {outcome: verdict.count(outcome) for outcome in OUTCOMES}
        for boundary, verdict in verdicts.items()
        if verdict
    }


def _changed_field(settings: Settings, each: ChangedField) -> str:
    became = {
        "new": f"is new ({each.is_now})",
        "vanished": f"has vanished (was {each.was})",
        "retyped": f"is {each.is_now} now, and was {each.was}",
    }
    return f"{each.source} {each.object}: field {each.field} {became[each.change]}, {_local(settings, each.seen_at)}"


def _build_row(settings: Settings, build: LastBuild) -> tuple[str, ...]:
    ended = _local(settings, build.finished_at) if build.finished_at else "broke off"
    judged = "not judged" if build.failed is None else "passed" if build.failed == 0 else f"{build.failed} not passed"
    return build.build_id, _local(settings, build.as_of), ended, judged


def _batch_row(settings: Settings, batch: LastBatch) -> tuple[object, ...]:
    return (
        f"{batch.batch_id} and {len(batch.others):,} more" if batch.others else batch.batch_id,
        _local(settings, batch.landed_at),
        batch.rows_read,
        batch.versions_stored,
        batch.rows_quarantined,
        batch.verdict or "not judged",
    )


def _local(settings: Settings, moment: datetime) -> str:
    return f"{moment.astimezone(settings.zone):%Y-%m-%d %H:%M %Z}"


def _age(age: timedelta) -> str:
    if age < timedelta(0):
        return f"in {_length(-age)}"
    return f"{_length(age)} ago"


def _length(age: timedelta) -> str:
    if age.days:
        return f"{age.days:,} day{'' if age.days == 1 else 's'}"
    return f"{age.seconds // 3600} h {age.seconds % 3600 // 60} min"


# ------------------------------------------------------------------------------------------------------ an explanation

_CLOCKS = {
    "occurred_at": "the moment it happened",
    "created_at": "the moment it was created",
    "won_at": "the moment it was won first",
    "lapsed_on": "the day on which the time without a purchase ran out",
    "period_end": "the end of the period",
    "period": "the period it was set for",
}
_ADDED_UP = {
    "additive": "added up",
    "snapshot": "as it stands at the end of the period",
    "distinct": "each counted once",
    "distribution": "the median of the values",
    "target": "as it was set",
}


def of_explanation(explained: "Explanation") -> Iterator[RenderableType]:
    """A figure, what it is computed from, what contributes to it, and whether that is what was published."""
    kpi, period, language = explained.kpi, explained.period, explained.language
    ends = f"{period.end}"
    if explained.last_day != period.end:
        ends = said("{end}, so far through {day}", language, end=ends, day=explained.last_day)
    credit = "{lens}: to the owner, and the department that they were in, when it happened"
    unit = "{unit}, higher is better" if kpi.better == "higher" else "{unit}, lower is better"
    yield f"{kpi.name} ({kpi.kpi_code}), {explained.entity.name}, {period.start} … {ends}"
    yield kpi.description
    yield ""
    yield render.facts(
        [
            (said("formula", language), kpi.formula),
            (said("figure", language), _quotient(explained.found, explained.unit)),
            (said("published", language), said(_published(explained), language)),
            (said("credit", language), said(credit, language, lens=explained.lens)),
            (said("unit", language), said(unit, language, unit=explained.unit)),
            (said("defined by", language), kpi.owner),
        ]
    )
    columns = ("measure", "value", "one row brings", "of which count", "rows", "dated by", "together")
    yield render.rows_table(
        [said(column, language) for column in columns], [_input_row(each, language) for each in explained.inputs]
    )
    for section in explained.sections:
        yield ""
        yield from _of_section(section, language)
    for difference in explained.differences:
        told = "DOES NOT ADD UP: {difference}; this is a defect of kpimart, tell who looks after it"
        yield said(told, language, difference=difference)


def _published(explained: "Explanation") -> str:
    if explained.differences:
        return "NOT THE SAME, see below"
    if explained.published is None:
        return "nothing, as nothing is there"
    return "the same"


def _quotient(found: "Quotient", unit: str) -> str:
    value = render.value_text(found.value, unit)
    if found.numerator is None and found.denominator is None:
        return value
    return f"{_plain(found.numerator)} / {_plain(found.denominator)} = {value}"


def _plain(number: Decimal | None, *, is_amount: bool = False) -> str:
    """A number with all its digits and no more; an amount with its cents."""
    if number is None:
        return render.UNDEFINED
    short = number.normalize()
    places = 2 if is_amount else max(0, -int(short.as_tuple().exponent))
    return f"{short:,.{places}f}"


def _input_row(each: "Input", language: Language) -> tuple[object, ...]:
    measure = each.measure
    clock = measure.clock or ""
    return (
        measure.name,
        f"{_plain(each.value, is_amount=measure.is_amount)}{f' ({each.why})' if each.why else ''}",
        measure.sql,
        measure.filter or said("all", language),
        each.rows,
        said(_CLOCKS[clock], language) if clock in _CLOCKS else clock,
        said(_ADDED_UP[measure.additivity], language),
    )


def _of_section(section: "Section", language: Language) -> Iterator[RenderableType]:
    """The contributions, one row each, and below them what they come to."""
    yield f"{section.title}: {section.count:,}"
    if not section.rows:
        return
    rows = [
        (
            row.id,
            row.name or "",
            str(row.day),
            _what(row, language),
            _plain(row.amount, is_amount=True),
            *_of_measures(section, row.weights),
        )
        for row in section.rows
    ]
    left = section.count - len(section.rows)
    if left:
        more = said("and {count} more: --all", language, count=f"{left:,}")
        rows.append((more, "", "", "", "", *_of_measures(section, section.rest)))
    rows.append((said("together", language), "", "", "", "", *_of_measures(section, section.totals)))
    columns = [said(column, language) for column in ("id", "name", "day", "what", "amount")]
    yield render.rows_table((*columns, *(measure.name for measure in section.measures)), rows)


def _what(row: "Contribution", language: Language) -> str:
    """What happened; an activity of a kind that only the source knows stays as it is there."""
    what = said(row.what, language) if row.what in RUSSIAN else row.what
    return what if row.sign > 0 else said("{what}, taken back", language, what=what)


def _of_measures(section: "Section", values: Mapping[str, Decimal | None]) -> Iterator[str]:
    for measure in section.measures:
        yield _plain(values.get(measure.name), is_amount=measure.is_amount)


# ------------------------------------------------------------------------------------------------------- a simulation


def of_simulation(simulation: "Simulation", level: str) -> Iterator[RenderableType]:
    """Everybody's score and bonus coefficient before and after, what that changes on average, and what is missing."""
    period, before, after = simulation.period, simulation.profile_before, simulation.profile_after
    ends = f"{period.end}" if period.is_complete else f"{period.end}, going on"
    yield f"{period.start} … {ends}: scored by {before} as published, and by {after} as the seeds have it"
    yield render.rows_table(
        (level, f"score, {before}", f"score, {after}", "change", "bonus ×", "then ×", "change", "of the weight"),
        [_rescored_row(each) for each in simulation.scorecards],
    )
    both = list(_coefficients(simulation.scorecards))
    if both:
        mean_before, mean_after = (sum(each, Decimal(0)) / len(both) for each in zip(*both, strict=True))
        yield f"mean bonus coefficient of the {len(both)} with both: {mean_before:.2f}, then {mean_after:.2f}"
    for each in simulation.untargeted:
        without = each.without_target - each.like_last_year
        asked = f", {each.like_last_year} ask for last year's figure" if each.like_last_year else ""
        found = f"{each.without_target} of {each.scorecards} have no target"
        yield f"{each.kpi_code}: {found}{asked}, {without} do not count it"
    if simulation.untargeted and not any(each.like_last_year for each in simulation.untargeted):
        yield "add --like-last-year to ask for the figure of the year before where there is no target"


def _coefficients(rescored: "Sequence[Rescored]") -> Iterator[tuple[Decimal, Decimal]]:
    for each in rescored:
        if each.coefficient_before is not None and each.coefficient_after is not None:
            yield each.coefficient_before, each.coefficient_after


def _rescored_row(each: "Rescored") -> tuple[str, ...]:
    weight = each.scored_weight_after
    return (
        each.entity_name,
        _score(each.score_before),
        _score(each.score_after),
        _signed(each.score_change),
        _score(each.coefficient_before),
        _score(each.coefficient_after),
        _signed(each.coefficient_change),
        render.UNDEFINED if weight is None else f"{weight:.0%}",
    )


def _score(value: Decimal | None) -> str:
    return render.UNDEFINED if value is None else f"{value:.2f}"


def _signed(change: Decimal | None) -> str:
    return "" if change is None else f"{change:+z.2f}"
