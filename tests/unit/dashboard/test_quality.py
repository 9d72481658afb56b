"""The page of the gate, the releases, and what changed between two of them."""

import shutil
from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

Open = Callable[..., AppTest]
LAST, FIRST = "20270109T020000Z", "20270107T020000Z"


def table(page: AppTest, name: str) -> str:
    (found,) = [html.value for html in page.html if f"aria-label='{name}'" in html.value]
    return str(found)


def captions(page: AppTest) -> str:
    return "\n".join(each.value for each in page.caption)


def test_each_release_is_told_with_what_its_gate_said(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "quality")
    assert not page.exception
    told = table(page, "Releases")
    assert told.index(LAST) < told.index(FIRST)
    assert "passed, with warnings · served" in told
    assert "<td class=text>1 / 1 / 0</td>" in told


def test_checks_that_were_not_passed_are_told_and_escaped(open_page: Open, staffed: Path) -> None:
    told = table(open_page(staffed, "quality"), "Checks that were not passed")
    assert "no &lt;b&gt;jump&lt;/b&gt;" in told
    assert "<td class=text>41</td><td class=text>0 … 6</td>" in told


def test_what_was_set_aside_of_a_batch_is_counted(open_page: Open, staffed: Path) -> None:
    told = table(open_page(staffed, "quality"), "Set aside")
    assert "<th scope='row'>files-1</th>" in told
    assert told.endswith("<td>8,885</td><td>8,883</td><td>2</td></tr></tbody></table></div>")


def test_two_releases_of_the_address_are_compared(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "quality", compare=FIRST, to=LAST)
    page.toggle(key="changes").set_value(True).run()
    assert not page.exception
    assert r"Figures that changed\: 2; " in captions(page)
    told = table(page, "What changed")
    assert "<th scope='row'>won_amount</th><td class=text>Month, 2026-12-01</td><td class=text>Mo</td>" in told
    assert "450.25" in told


def test_a_release_that_is_not_there_is_told(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, "quality", compare="20010101T000000Z/../..")
    assert "which this release does not have" in page.warning[0].value


def test_with_one_release_there_is_nothing_to_compare(open_page: Open, staffed: Path, tmp_path: Path) -> None:
    home = shutil.copytree(staffed, tmp_path / "home")
    for release in (home / "reporting" / "releases").iterdir():
        if release.name != LAST:
            shutil.rmtree(release)
    assert "nothing to compare it with" in captions(open_page(home, "quality"))
