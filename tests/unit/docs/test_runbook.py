"""The runbook explains everything that can go wrong by the name under which it is met, and names nothing else."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from kpimart import errors
from kpimart.cli import app
from kpimart.errors import KpiMartError
from kpimart.quality.verdict import Boundary, Verdict, explain
from kpimart.settings import Settings

REPOSITORY = Path(__file__).parents[3]
PACKAGE = REPOSITORY / "kpimart"
PAGE = (REPOSITORY / "docs" / "runbook.md").read_text(encoding="utf-8")
BOUNDARIES: tuple[Boundary, ...] = ("raw", "reporting")
ERRORS = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, KpiMartError)]


def section(heading: str) -> str:
    """What stands below a heading of the second level."""
    _, _, text = PAGE.partition(f"\n## {heading}\n")
    assert text, heading
    return text.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without their heads."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [row for row, following in zip(cells, [*cells[1:], []], strict=True) if not {"---"} & {*row, *following}]


def code_in(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


# What is met


def test_every_error_is_there_with_its_exit_code_and_no_other() -> None:
    told = {tuple(row[:3]) for row in rows(section("By error"))}
    assert told == {
        (f"`{each.__name__}`", str(each.exit_code), "yes" if each.is_retryable else "no")
        for each in ERRORS
        if each is not KpiMartError
    }


def test_every_exit_code_is_there_and_no_other() -> None:
    assert [row[0] for row in rows(section("By exit code"))] == sorted({"0", *(str(each.exit_code) for each in ERRORS)})


def checks() -> set[str]:
    """The names of all checks of the doctor, as its code has them; of those of sources what is the same for all."""
    names = set()
    for module in (PACKAGE / "doctor").glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Check", "partial") and node.args:
                names |= set(texts_of(node.args[-1] if ast.unparse(node.func) == "partial" else node.args[0]))
            if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple) and module.name == "__init__.py":
                names |= set(texts_of(node.value.elts[0]))
    return {name.split("…")[0].strip() for name in names} - {""}


def texts_of(node: ast.expr) -> Iterator[str]:
    """The text of a literal, with `…` for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)


def test_every_check_of_the_doctor_is_there_and_no_other() -> None:
    names = [name for row in rows(section("By check")) for name in code_in(row[0])]
    of_objects = {"hubspot deals"}
    assert {name.removesuffix("…").strip() for name in names} - of_objects == checks()
    assert len(names) == len(set(names))


def said() -> str:
    """All texts that the package may say, a line each."""
    texts = {
        text
        for module in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.expr)
        for text in texts_of(node)
    }
    headlines = (explain(Verdict(boundary, ()), "a batch or a build") for boundary in BOUNDARIES)
    return "\n".join([*texts, *headlines])


def test_every_message_that_is_told_is_said() -> None:
    known = said()
    fragments = [
        fragment
        for row in [*rows(section("By message")), *rows(section("By alert"))[:4]]
        for quoted in code_in(row[0])
        for fragment in quoted.split("…")
        if fragment.strip()
    ]
    assert len(fragments) > 40
    assert [fragment for fragment in fragments if fragment not in known] == []


def test_what_a_raw_gate_refuses_is_there_in_its_own_words() -> None:
    suites = [
        json.loads((REPOSITORY / f"expectations/raw/{name}.json").read_text())
        for name in ("batch_object", "every_object")
    ]
    closing = [
        each["description"].partition("thresholds.")[0].strip()
        for suite in suites
        for each in suite["expectations"]
        if each["severity"] == "critical" and "description" in each
    ]
    told = "\n".join(row[0] for row in rows(section("The raw gate refused")))
    assert len(closing) >= 6
    assert [description for description in closing if description not in told] == []


def tasks_of(dag: Path) -> set[str]:
    """The names of a DAG's tasks, but for the layers of a build, which have one each."""
    tree = ast.parse(dag.read_text())
    tasks = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if ast.unparse(decorator).startswith("task") and not ast.unparse(decorator).startswith("task_group")
    }
    return tasks - {"build_layer"}


# Tasks that do nothing that can go wrong without one before or after them going wrong too.
PLAIN = {"notify", "choose_release", "describe_month"}


def test_every_dag_and_task_is_there_and_no_other() -> None:
    told: dict[str, set[str]] = {}
    for dag, task, *_ in rows(section("By alert"))[6:]:
        dag_id = dag.strip("`") or list(told)[-1]
        told.setdefault(dag_id, set()).update(code_in(task))
    told["crm_kpi_nightly"].remove("staging")
    assert told == {path.stem: tasks_of(path) - PLAIN for path in (REPOSITORY / "dags").glob("*.py")}


# What is typed


def commands() -> list[str]:
    """Every command of ours that the page types, in a block or in a line."""
    blocks = re.findall(r"^```(?:bash|sh)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    inline = code_in(re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL))
    return sorted({line for line in [*lines, *inline] if line.startswith("kpimart ")})


@pytest.mark.parametrize("command", commands())
def test_every_command_can_be_typed(command: str) -> None:
    """Parsed as the command line would, without doing it."""
    parser: Any = typer.main.get_command(app)
    name, *words = shlex.split(command)
    with parser.make_context(name, words) as context:
        while hasattr(parser, "resolve_command"):
            rest = [*context._protected_args, *context.args]
            if not rest:
                break
            name, parser, words = parser.resolve_command(context, rest)
            context = parser.make_context(name, words, parent=context)


def test_every_setting_that_is_named_is_one() -> None:
    sections = "|".join(name for name in Settings.model_fields)
    for name in re.findall(rf"`((?:{sections})\.\w+)`", PAGE):
        part, _, key = name.partition(".")
        model: Any = Settings.model_fields[part].annotation
        assert key in model.model_fields, name


def test_a_heading_of_the_page_is_led_to() -> None:
    """Who finds a message finds what to do: no section is without a way to it, and it is in the first part."""
    first = PAGE.partition("\n## The raw gate refused\n")[0]
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert [anchor for anchor in anchors if f"(#{anchor})" not in first] == []
