"""The dashboard in a real browser."""

import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from small_company import Company

from kpimart.render import value_text

# Pages look for another release so often; `kpimart.dashboard.app` is a script, and is not imported.
LOOKS_EVERY_SECONDS = 60

Visit = Callable[..., Page]

SERIOUS = ("serious", "critical")

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
LAPTOP: dict[str, Any] = {"viewport": {"width": 1366, "height": 768}}


def value_of(page: Page, kpi: str) -> Any:
    return page.get_by_test_id("stMetric").filter(has_text=kpi).get_by_test_id("stMetricValue")


def is_in_view(page: Page, selector: str) -> bool:
    seen: bool = page.locator(selector).evaluate(
        "each => { const at = each.getBoundingClientRect(); return at.top >= 0 && at.bottom <= window.innerHeight }"
    )
    return seen


def test_the_first_screen_says_whether_it_is_fresh_and_right_how_we_are_doing_and_where_to_look(
    visit: Visit, company: Company
) -> None:
    ((published, unit),) = company.ask_served(
        "select value, unit from kpi_value where kpi_code = 'won_amount' and entity_level = 'company' "
        "and period_grain = 'month' and period_start = date '2026-03-01'"
    )
    page = visit(**LAPTOP)
    expect(page.locator("h1")).to_have_text("Company, March 2026")
    expect(value_of(page, "Won amount")).to_have_text(value_text(published, unit))
    expect(page.locator(".st-key-strip")).to_contain_text("as of 1 Apr 2026, 00:00 CEST")
    expect(page.locator(".st-key-strip")).to_contain_text("Checks passed")
    expect(page.get_by_test_id("stVegaLiteChart").locator("svg, canvas").first).to_be_visible()
    assert is_in_view(page, "h3")


def test_what_is_chosen_changes_the_page_and_its_address(visit: Visit, url: str) -> None:
    page = visit(**LAPTOP)
    page.get_by_text("Quarter", exact=True).click()
    expect(page.locator("h1")).to_have_text("Company, 2026-Q1")
    expect(value_of(page, "Won amount")).to_have_text("4,500.50")
    page.get_by_text("RU", exact=True).click()
    expect(page.locator("h1")).to_have_text("Компания, 2026-Q1")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(value_of(page, "Сумма выигранных сделок")).to_have_text("4,500.50")
    page.get_by_role("link", name="North").click()
    expect(page.locator("h1")).to_have_text("North, 2026-Q1")
    assert page.url == f"{url}?period=quarter&lang=ru&of=department%3Afiles%3ANorth"
    expect(value_of(page, "Сумма выигранных сделок")).to_have_text("4,100.50")


def test_it_is_dark_where_the_browser_is(visit: Visit) -> None:
    page = visit(color_scheme="dark")
    ground = page.locator(".stApp").evaluate("each => getComputedStyle(each).backgroundColor")
    assert max(map(int, ground.removeprefix("rgb(").removesuffix(")").split(","))) < 64


def test_a_phone_shows_everything_without_scrolling_aside(visit: Visit) -> None:
    page = visit("?lang=ru", **PHONE)
    width = page.evaluate("[document.scrollingElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]
    for card in page.get_by_test_id("stMetric").all():
        box = card.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["viewport"]["width"]
    page.get_by_test_id("stMain").evaluate("each => each.scrollTo(0, each.scrollHeight)")
    assert not is_in_view(page, "h1")
    assert is_in_view(page, ".st-key-strip")


def test_the_first_release_appears_on_a_page_that_is_open(visit: Visit, company: Company) -> None:
    reporting = company.home / "reporting"
    shutil.move(reporting, company.home / "later")
    try:
        page = visit(has_clock=True)
        expect(page.locator("h1")).to_have_text("There is no release yet")
    finally:
        shutil.move(company.home / "later", reporting)
    page.clock.fast_forward(LOOKS_EVERY_SECONDS * 1000)
    expect(page.locator("h1")).to_have_text("Company, March 2026")


@pytest.mark.parametrize("name", ["", "department", "manager"])
@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, PHONE], ids=["laptop", "dark", "phone"])
def test_every_page_can_be_read_by_everybody(visit: Visit, name: str, options: dict[str, Any]) -> None:
    page = visit(f"{name}?period=quarter", **options)
    expect(page.locator("h1")).to_contain_text("2026-Q1")
    expect(page.get_by_test_id("stVegaLiteChart").locator("svg, canvas").first).to_be_visible()
    found = Axe().run(page).response["violations"]
    serious = {each["id"]: [node["html"] for node in each["nodes"]] for each in found if each["impact"] in SERIOUS}
    assert serious == {}
    width = page.evaluate("[document.scrollingElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]


def test_a_link_to_another_page_carries_on_what_was_chosen(visit: Visit, url: str) -> None:
    page = visit("?of=department:files:North&period=2026-Q1&lang=ru")
    page.locator(".st-key-pages").get_by_role("link", name="Отдел", exact=True).click()
    expect(page.locator("h1")).to_have_text("North, 2026-Q1")
    expect(page.get_by_role("region", name="Карта показателей")).to_contain_text("4,100.50")
    assert page.url == f"{url}department?of=department%3Afiles%3ANorth&period=2026-Q1&lang=ru"


def test_deals_behind_a_figure_sum_to_it(visit: Visit) -> None:
    page = visit("manager?of=manager:files:Ann&period=2026-Q1&kpi=won_amount", **LAPTOP)
    page.get_by_text("Show what it is made of").click()
    expect(page.get_by_text("All of them: won_amount = 1,600.00")).to_be_visible()
    expect(page.get_by_role("region", name="events of deals")).to_contain_text("files:D01")


def test_a_table_is_taken_along(visit: Visit) -> None:
    page = visit("manager?of=manager:files:Ann&period=2026-Q1", **LAPTOP)
    with page.expect_download() as download:
        page.locator("[class*='st-key-csv-Scorecard']").get_by_role("button").click()
    text = download.value.path().read_text("utf-8-sig")
    assert text.startswith("KPI,Value,Target")
    assert "1600.00" in text


def test_a_scorecard_prints_to_one_page(visit: Visit) -> None:
    page = visit("manager?of=manager:files:Ann&period=2026-Q1", **LAPTOP)
    expect(page.get_by_role("heading", name="Pipeline")).to_be_visible()
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4", prefer_css_page_size=True))) == 1


@pytest.mark.parametrize("address", ["", "?of=company", "?of=manager:files:Bob", "manager?of=manager:files:Bob"])
def test_a_manager_sees_themselves_whatever_the_address_says(visit: Visit, address: str) -> None:
    page = visit(address, login="ann")
    expect(page.locator("h1")).to_have_text("Ann, March 2026")
    # What it tells of the address may name who is asked for, and nothing of theirs.
    expect(page.locator("body")).not_to_contain_text("2,500.50")


def test_a_head_sees_their_tree_and_who_sees_all_everything(visit: Visit) -> None:
    expect(visit("?of=manager:files:Cid", login="head").locator("h1")).to_have_text("North, March 2026")
    expect(visit("?of=manager:files:Bob", login="head").locator("h1")).to_have_text("Bob, March 2026")
    expect(visit("?of=manager:files:Cid", login="olga").locator("h1")).to_have_text("Cid, March 2026")


@pytest.mark.parametrize(("login", "told"), [(None, "Sign in to see your figures"), ("cid", "cid sees no figures yet")])
def test_whom_nobody_knows_sees_nothing(visit: Visit, login: str | None, told: str) -> None:
    page = visit("?of=company", login=login)
    expect(page.get_by_text(told)).to_be_visible()
    assert page.get_by_test_id("stMetric").count() == 0
