"""Pictures of every page of the dashboard, light and dark, on a laptop and on a phone.

    python -m docs.screenshots [--home FOLDER]

`kpimart dashboard` serves the home (KPIMART_HOME, or var) to Debian's chromium, and the links on the first page say
which pages there are. All pictures go to docs/images/dashboard/, which is not kept; of the first page on a laptop there
is one more, docs/images/dashboard-overview.png, which the README shows.
"""

import argparse
import os
from itertools import product
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, ViewportSize

from benchmarks.dashboard import browser, serving, wait_until_shown

IMAGES = Path(__file__).parent / "images"
LAPTOP, PHONE = ViewportSize(width=1366, height=900), ViewportSize(width=390, height=844)
SCREENS = {"laptop": LAPTOP, "phone": PHONE}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LONGEST_PAGE, SETTLES_WITHIN_MS = 12_000, 2_000


def main() -> None:
    options = parse()
    folder = IMAGES / "dashboard"
    folder.mkdir(parents=True, exist_ok=True)
    with serving(options.home) as server, browser() as chromium:
        pages = list_pages(chromium, server.url)
        take(chromium, server.url, IMAGES / "dashboard-overview.png", LAPTOP, "light", is_whole=False)
        for name, (screen, size), scheme in product(pages, SCREENS.items(), SCHEMES):
            file = folder / f"{name or 'overview'}-{screen}-{scheme}.png"
            take(chromium, server.url + name, file, size, scheme)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    home = Path(os.environ.get("KPIMART_HOME", "var"))
    parser.add_argument("--home", type=Path, default=home, help="the home that is shown (KPIMART_HOME, or var)")
    return parser.parse_args()


def list_pages(chromium: Browser, url: str) -> list[str]:
    """The addresses of the pages below the server's, as the first page links to them; its own is empty."""
    page = chromium.new_page()
    page.goto(url)
    wait_until_shown(page)
    links = page.locator(".st-key-pages a").evaluate_all("links => links.map(link => new URL(link.href).pathname)")
    page.close()
    return [link.strip("/") for link in links]


def take(
    chromium: Browser,
    address: str,
    file: Path,
    size: ViewportSize,
    scheme: Literal["light", "dark"],
    *,
    is_whole: bool = True,
) -> None:
    """Take a picture of a page; `is_whole` also of what lies below the screen."""
    page = chromium.new_context(viewport=size, color_scheme=scheme, locale="en-GB").new_page()
    page.goto(address)
    wait_until_shown(page)
    if is_whole:
        # Streamlit scrolls within the page, so the screen is made as high as the page is.
        height = page.locator("[data-testid=stMain]").evaluate("main => main.scrollHeight")
        page.set_viewport_size(ViewportSize(width=size["width"], height=min(max(height, size["height"]), LONGEST_PAGE)))
    # Charts are drawn after the page has told that it is done.
    page.wait_for_timeout(SETTLES_WITHIN_MS)
    page.screenshot(path=file)
    page.context.close()


if __name__ == "__main__":
    main()
