"""The strip that is always in sight: is it fresh, is it right, and what that is known from."""

from collections.abc import Iterator
from html import escape

import streamlit as st

from kpimart.clock import utc_now
from kpimart.dashboard.served import FRESH_FOR
from kpimart.dashboard.view import View
from kpimart.dashboard.words import age_text, plain
from kpimart.publish.manifest import GateCounts


def show_verdict(view: View) -> None:
    """Two badges that say in words what their colours say, and the details to open."""
    _show_freshness(view)
    _show_rightness(view)
    with st.popover(view.say("Details"), type="tertiary"):
        _show_details(view)


def _show_freshness(view: View) -> None:
    release = view.served.release
    age = utc_now() - release.as_of
    is_fresh = age <= FRESH_FOR
    text = view.say(
        "{verdict}: as of {moment}, {age}",
        verdict=view.say("Fresh" if is_fresh else "Old"),
        moment=view.moment(release.as_of),
        age=age_text(age, view.language),
    )
    st.badge(text, icon=":material/schedule:", color="green" if is_fresh else "orange")


def _show_rightness(view: View) -> None:
    counts, by = view.served.gate.reporting, view.served.gate.overridden_by
    unmet = counts.failed + counts.errored
    if by:
        text = view.say("Published although checks failed: {failed}, by {by}", failed=unmet, by=plain(by))
        st.badge(text, icon=":material/error:", color="red")
    elif unmet:
        text = view.say("Checks passed: {passed}, warnings: {failed}", passed=counts.passed, failed=unmet)
        st.badge(text, icon=":material/warning:", color="orange")
    else:
        st.badge(
            view.say("Checks passed: {passed}", passed=counts.passed), icon=":material/check_circle:", color="green"
        )


def _show_details(view: View) -> None:
    release, gate = view.served.release, view.served.gate
    say = view.say
    facts = [
        (say("Release"), release.release_id),
        (say("Figures as of"), view.moment(release.as_of)),
        (say("Known at"), view.moment(release.known_at)),
        (say("Published at"), view.moment(release.published_at)),
        (say("Checks of the data read"), _counts(gate.raw, view)),
        (say("Checks of the figures"), _counts(gate.reporting, view)),
        *(
            (
                say("Published all the same"),
                f"{each['table']}: {each['expectation']}; {each['by']}: {each['reason']}",
            )
            for each in gate.overrides
        ),
    ]
    rows = "".join(f"<tr><th scope='row'>{escape(name)}</th><td>{escape(told)}</td></tr>" for name, told in facts)
    st.html(f"<table class='facts'>{rows}</table>")
    if view.served.unmet:
        st.html("".join(_unmet_table(view)))


def _counts(counts: GateCounts, view: View) -> str:
    return view.say(
        "{passed} passed, {failed} failed, {errored} errored",
        passed=counts.passed,
        failed=counts.failed,
        errored=counts.errored,
    )


def _unmet_table(view: View) -> Iterator[str]:
    say = view.say
    yield f"<table class='unmet'><caption>{escape(say('Checks that were not passed'))}</caption><thead><tr>"
    for head in (say("Table"), say("Expectation"), say("Observed"), say("Expected")):
        yield f"<th scope='col'>{escape(head)}</th>"
    yield "</tr></thead><tbody>"
    for each in view.served.unmet:
        cells = (each.table, each.expectation, each.observed or "", each.expected or "")
        yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
    yield "</tbody></table>"
