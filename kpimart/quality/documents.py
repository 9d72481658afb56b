"""The Data Docs of a judgement: Great Expectations' own page of each table, and an index, as static HTML.

The pages load nothing, neither from a network nor from a file beside them, and run nothing: the templates of Great
Expectations, which ask nine hosts for scripts, styles and fonts, are put into a page of our own that forbids it. What
stands in the data is cut as it is in the record of the judgement, freed of control characters, and escaped.
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view.view import DefaultJinjaPageView
from jinja2 import ChoiceLoader, DictLoader

from kpimart.quality.verdict import Result
from kpimart.quality.wording import SAMPLE_ROWS, cut, readable

INDEX = "index.html"

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Data Docs</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; width: 100%; }
th, td { border: 1px solid #ccc; padding: .3rem .5rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
.badge { background: #e8e8e8; border-radius: .2rem; padding: 0 .3rem; }
.alert { border-left: .3rem solid #888; padding-left: .6rem; }
.text-success::before { content: "passed"; color: #17692b; font-style: normal; }
.text-danger::before { content: "failed"; color: #b3261e; font-style: normal; font-weight: bold; }
.text-warning::before { content: "errored"; color: #8a5a00; font-style: normal; font-weight: bold; }
</style>
</head>
<body>
"""
_PAGE = (
    _HEAD
    + """<p><a href="index.html">all tables</a></p>
{% for section in sections %}{% set section_loop = loop -%}{% include 'section.j2' %}{% endfor %}
</body>
</html>
"""
)

_SAMPLES = {"partial_unexpected_list", "partial_unexpected_counts", "unexpected_rows", "details"}


@dataclass(frozen=True)
class Page:
    """What Great Expectations found of one table, in the order of its suite; `meta` is that of its run."""

    table: str
    suite: str
    meta: Mapping[str, Any]
    results: tuple[ExpectationValidationResult, ...]


def write_documents(folder: Path, pages: Sequence[Page], results: Iterable[Result]) -> None:
    """Write the pages into a folder that is made; raises OSError. results: of all tables, for the index."""
    folder.mkdir(parents=True, exist_ok=True)
    renderer: Any = ValidationResultsPageRenderer(run_info_at_end=True)
    view: Any = _view()
    for each in pages:
        rendered = view.render(renderer.render(_suite_result(each)))
        (folder / f"{each.table}.html").write_text(_without_links(rendered), encoding="utf-8")
    (folder / INDEX).write_text(_index({each.table for each in pages}, list(results)), encoding="utf-8")


def _view() -> DefaultJinjaPageView:
    view = DefaultJinjaPageView()
    loaders = [DictLoader({"page.j2": _PAGE}), *filter(None, [view.env.loader])]
    view.env.loader = ChoiceLoader(loaders)
    return view


def _suite_result(page: Page) -> ExpectationSuiteValidationResult:
    found = list(map(_cleaned_result, page.results))
    passed = sum(bool(each.success) for each in found)
    return ExpectationSuiteValidationResult(
        success=passed == len(found),
        results=found,
        suite_name=page.suite,
        statistics={
            "evaluated_expectations": len(found),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(found) - passed,
            "success_percent": 100 * passed / len(found) if found else None,
        },
        meta=dict(page.meta),
    )


def _cleaned_result(result: ExpectationValidationResult) -> ExpectationValidationResult:
    """Without the values that a passed expectation let pass: the record of the judgement has none of them either."""
    found = result.result or {}
    shown = {name: found[name] for name in found if not (result.success and name in _SAMPLES)}
    return ExpectationValidationResult(
        success=result.success,
        expectation_config=result.expectation_config,
        result=_cleaned(shown),
        meta=result.meta,
        exception_info=_without_traces(_cleaned(result.exception_info or {})),
    )


def _without_traces(raised: dict[str, Any]) -> dict[str, Any]:
    """What was raised, plainly or by metric, without the lines of a library's source."""
    return {
        name: "" if name == "exception_traceback" else _without_traces(told) if isinstance(told, dict) else told
        for name, told in raised.items()
    }


def _cleaned(value: Any) -> Any:
    """Plain values, few of each, that are nothing but text in a page."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return html.escape(readable(cut(value)), quote=True)
        case dict():
            return {str(_cleaned(name)): _cleaned(each) for name, each in value.items()}
        case list() | tuple() | set():
            return [_cleaned(each) for each in list(value)[:SAMPLE_ROWS]]
        case _:
            return _cleaned(str(value))


def _without_links(rendered: str) -> str:
    """Without the links to pages of suites, which are not made: a suite is a file that people read as it is."""
    return re.sub(r'<a href="\.\./[^"]*"\s*>(.*?)</a>', r"\1", rendered, flags=re.DOTALL)


def _index(tables: set[str], results: Sequence[Result]) -> str:
    rows = "".join(_row(table, table in tables, results) for table in dict.fromkeys(each.table for each in results))
    head = "<tr><th>table</th><th>expectations</th><th>failed</th><th>errored</th><th>what</th></tr>"
    return f"{_HEAD}<h1>What was expected, and found</h1>\n<table>{head}{rows}</table>\n</body>\n</html>\n"


def _row(table: str, has_page: bool, results: Sequence[Result]) -> str:
    of_table = [each for each in results if each.table == table]
    name = html.escape(table)
    told = [_cleaned(f"{each.expectation}: {each.observed}") for each in of_table if each.outcome != "passed"]
    cells = [
        f'<a href="{name}.html">{name}</a>' if has_page else name,
        len(of_table),
        sum(each.outcome == "failed" for each in of_table),
        sum(each.outcome == "errored" for each in of_table),
        "<br>".join(told),
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"
