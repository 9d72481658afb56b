"""Reads the tables of a page that is run without a browser."""

import re

from streamlit.testing.v1 import AppTest


def rows_of(page: AppTest, name: str) -> list[list[str]]:
    """The cells of each row of the table of that name, its head left out."""
    (found,) = [html.value for html in page.html if f"aria-label='{name}'" in html.value]
    rows = re.findall(r"<tr>(.*?)</tr>", found)[1:]
    return [[re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]
