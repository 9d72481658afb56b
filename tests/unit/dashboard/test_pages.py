"""What the pages say: the figures of `reporting`, of whom and when the address asks, and what is wrong if something is.

Each page is run by Streamlit as for a browser, without one.
"""

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kpimart.dashboard import overview, verdict
from kpimart.dashboard.serve import SCRIPT
from kpimart.publish.release import rollback, served_file
from kpimart.render import value_text
from kpimart.warehouse import open_database

Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def first(staffed: Path, tmp_path_factory: pytest.TempPathFactory) -> AppTest:
    """The page as it is opened first, for tests that only look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        patch.setenv("KPIMART_HOME", str(staffed))
        return AppTest.from_file(str(SCRIPT), default_timeout=60).run()


def cards(page: AppTest) -> dict[str, tuple[str, str]]:
    """Name → value and what stands below it."""
    return {metric.label: (metric.value, metric.delta) for metric in page.metric}


def texts(page: AppTest) -> str:
    """All that is read on the page, but for its cards and its lists."""
    kinds = (page.title, page.caption, page.markdown, page.info, page.warning, page.error, page.code, page.html)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def rows(page: AppTest) -> list[list[str]]:
    """The cells of the table of where to look."""
    (table,) = [html.value for html in page.html if "class='figures'" in html.value]
    return [
        [re.sub("<[^>]+>", " ", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", table)
    ]


def options(page: AppTest, key: str) -> list[str]:
    return page.selectbox(key=key).options


# Figures


def test_every_card_has_the_figure_of_reporting(first: AppTest, staffed: Path) -> None:
    with open_database(served_file(staffed)) as connection:
        published = connection.execute(
            """
            select name_en, value, kpi_value.unit
            from kpi_value inner join kpi_catalogue using (kpi_code)
            where entity_level = 'company' and period_grain = 'month' and period_start = date '2026-12-01'
            """
        ).fetchall()
    shown = cards(first)
    assert len(published) == 3
    for name, value, unit in published:
        label = f"{name}, EUR" if unit == "EUR" else name
        if name != "Lost deals":  # which is not in the profile
            assert shown[label][0] == value_text(value, unit)


def test_cards_are_the_kpis_of_the_profile_the_heaviest_first(first: AppTest) -> None:
    assert list(cards(first)) == [
        "Won amount, EUR",
        "Created amount",
        "New customers",
        "Won deals",
        "Win rate",
    ]


def test_a_complete_period_is_compared_with_the_one_before(first: AppTest) -> None:
    assert cards(first)["Won amount, EUR"] == ("1,250,000.50", "▲ +25.0 %")
    assert cards(first)["Win rate"] == ("61.5 %", "▲ +1.5 pp")
    assert "125.0 % of the target 1,000,000.00" in texts(first)


def test_a_period_that_goes_on_shows_the_one_before_and_its_pace(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, period="2027-01")
    assert cards(page)["Won amount, EUR"] == ("90,000.00", "before 1,250,000.50")
    assert "9.0 % of the target 1,000,000.00" in texts(page)
    assert "Pace 90.5 %" in texts(page)
    assert page.title[0].value == "Company, January 2027, going on"


def test_what_is_undefined_is_a_dash_and_a_missing_target_is_told(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, period="2027-01")
    assert cards(page)["Win rate"][0] == "–"
    assert "No target is set" in texts(page)


def test_who_has_no_figures_is_told(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, of="manager:files:3")
    assert page.info[0].value == "Li has no figures in December 2026."
    assert {value for value, _ in cards(page).values()} == {"–"}


# Where to look


def test_of_the_company_its_departments_are_shown_the_lowest_score_first(first: AppTest) -> None:
    head, *below = rows(first)
    assert head[:3] == ["Who", "Score", "Won amount, EUR"]
    assert [row[:3] for row in below] == [["South [old]", "30.5 %", "0.00"], ["North", "120.0 %", "1,250,000.50"]]


def test_of_a_department_its_managers_are_shown(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, of="department:files:n")
    assert [row[:2] for row in rows(page)] == [["Who", "Won amount, EUR"], ["Mo", "300.25"]]
    assert "href='?of=manager%3Afiles%3A1'" in texts(page)


def test_of_a_department_those_right_below_it_are_shown(open_page: Open, staffed: Path) -> None:
    assert [row[0] for row in rows(open_page(staffed, of="department:files:all"))] == ["Who", "South [old]", "North"]


# The address


def test_whose_figures_and_the_period_come_from_the_address(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, of="manager:files:1", period="2026-12")
    assert page.title[0].value == "Mo, December 2026"
    assert cards(page)["Won amount, EUR"][0] == "450.25"


def test_what_is_chosen_is_kept_in_the_address(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed)
    page.selectbox(key="entity").set_value("department:files:s").run()
    page.segmented_control(key="grain").set_value("quarter").run()
    page.selectbox(key="period").set_value("FY2026-Q4").run()
    page.segmented_control(key="language").set_value("ru").run()
    assert page.query_params == {"of": "department:files:s", "period": "FY2026-Q4", "lang": "ru"}
    assert page.title[0].value == r"South \[old\], FY2026\-Q4, идёт"


def test_a_link_to_a_page_carries_on_what_was_chosen(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, of="department:files:s", period="quarter", lang="ru", lens="split", basis="as_closed")
    links = [link.proto.query_string for link in page.get("page_link")]
    assert set(links) == {"of=department%3Afiles%3As&period=quarter&lang=ru&lens=split&basis=as_closed"}


def test_another_grain_shows_its_last_complete_period(open_page: Open, staffed: Path) -> None:
    assert open_page(staffed, period="week").title[0].value == r"Company, 2026\-W53"


def test_a_grain_without_a_complete_period_is_told(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, period="year")
    assert page.title[0].value == "Company, December 2026"
    assert "The address asks for year, which this release does not have" in page.warning[0].value


@pytest.mark.parametrize(
    "address",
    [
        {"period": "2035-01"},
        {"period": "'; drop table kpi_value; --"},
        {"of": "department:files:gone"},
        {"of": "manager_in_department:files:1|files:n"},
    ],
)
def test_what_the_release_does_not_have_is_told_and_the_default_shown(
    open_page: Open, staffed: Path, address: dict[str, str]
) -> None:
    page = open_page(staffed, **address)
    assert "which this release does not have" in page.warning[0].value
    assert page.title[0].value == "Company, December 2026"


def test_two_of_one_name_are_told_apart(first: AppTest) -> None:
    listed = options(first, "entity")
    assert [name for name in listed if name.startswith("Mo")] == ["Mo · North · files:1", "Mo · North · files:2"]
    assert "› South [old]" in listed


def test_everything_is_said_in_russian(open_page: Open, staffed: Path) -> None:
    page = open_page(staffed, lang="ru")
    assert page.title[0].value == "Компания, Декабрь 2026"
    assert cards(page)["Доля побед"] == ("61.5 %", "▲ +1.5 п. п.")
    assert "125.0 % от плана 1,000,000.00" in texts(page)


# Is it fresh, is it right


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (timedelta(hours=6), "green-badge[:material/schedule: Fresh: as of 9 Jan 2027, 02:00 UTC, 6 hours ago]"),
        (timedelta(hours=40), "orange-badge[:material/schedule: Old: as of 9 Jan 2027, 02:00 UTC, 40 hours ago]"),
    ],
)
def test_it_is_said_how_old_the_figures_are(
    open_page: Open, staffed: Path, monkeypatch: pytest.MonkeyPatch, age: timedelta, told: str
) -> None:
    monkeypatch.setattr(verdict, "utc_now", lambda: datetime(2027, 1, 9, 2, tzinfo=UTC) + age)
    assert told in texts(open_page(staffed))


def test_checks_that_were_not_passed_are_told(first: AppTest) -> None:
    told = texts(first)
    assert "orange-badge[:material/warning: Checks passed: 1, warnings: 1]" in told
    assert "<td>deal</td><td>no &lt;b&gt;jump&lt;/b&gt;</td><td>41</td><td>0 … 6</td>" in told
    assert "20270109T020000Z" in told


# Other releases, and none


def test_a_release_that_changes_under_an_open_page_is_taken_up(open_page: Open, staffed: Path, tmp_path: Path) -> None:
    home = shutil.copytree(staffed, tmp_path / "home")
    page = open_page(home)
    rollback(home)
    page.run()
    assert "20270108T020000Z" in texts(page)
    assert "20270109T020000Z" not in texts(page)
    assert cards(page)["Won amount, EUR"][0] == "1,250,000.50"


def test_a_release_that_vanishes_while_it_is_read_gives_way_to_the_next(
    open_page: Open, staffed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = shutil.copytree(staffed, tmp_path / "home")
    read_kpis = overview.read_kpis

    def vanishing(database: Path, *rest: object) -> object:
        monkeypatch.setattr(overview, "read_kpis", read_kpis)
        rollback(home)
        return read_kpis(tmp_path / "gone.duckdb", *rest)

    monkeypatch.setattr(overview, "read_kpis", vanishing)
    page = open_page(home)
    assert not page.error
    assert "20270108T020000Z" in texts(page)


def test_an_empty_home_says_how_to_make_the_first_release(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    page = open_page(tmp_path / "home")
    assert page.title[0].value == "There is no release yet"
    assert page.code[0].value == "kpimart run"
    assert not page.warning


def test_a_home_that_is_not_there_is_named(open_page: Open, tmp_path: Path) -> None:
    assert "elsewhere" in open_page(tmp_path / "elsewhere").warning[0].value


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_a_damaged_release_is_told_with_what_to_do(open_page: Open, staffed: Path, tmp_path: Path, lang: str) -> None:
    home = shutil.copytree(staffed, tmp_path / "home")
    served = served_file(home)
    served.chmod(0o644)
    served.write_bytes(served.read_bytes()[:-1])
    page = open_page(home, lang=lang)
    assert len(page.error) == 1
    assert "go back to a sound one with kpimart rollback" in page.code[0].value
    rollback(home, "20270109T020000Z")
    page.run()
    assert not page.error


def test_a_release_of_another_contract_is_told(open_page: Open, staffed: Path, tmp_path: Path) -> None:
    home = shutil.copytree(staffed, tmp_path / "home")
    database = home / "reporting" / "releases" / "20270109T020000Z" / "reporting.duckdb"
    database.chmod(0o644)
    with open_database(database, read_only=False) as connection:
        connection.execute("drop table target_attainment")
    shutil.copy(database, served_file(home))
    page = open_page(home)
    assert len(page.error) == 1


def test_wrong_settings_are_told(open_page: Open, staffed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPIMART_TIME_ZONE", "Mars/Olympus")
    assert "Mars/Olympus" in open_page(staffed).code[0].value
