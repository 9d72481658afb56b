"""The house stands as designed: who may know whom in Python and in SQL, and what the repository holds."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import jinja2.nodes
import pytest
import yaml

from kpimart.extract.packages import SOURCES
from kpimart.publish.contract import PUBLISHED
from kpimart.staging_contract import staging_files

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "kpimart"
MODULES = sorted(PACKAGE.rglob("*.py"))

GROUND = {"settings", "errors", "schema", "warehouse", "paths", "build", "layers", "sources"}
STEPS = ["extract", "transform", "quality", "publish"]
# Slow to import, so each is known to the one part that works with it.
HEAVY = {
    "airflow": "scheduling",
    "dbt": "transform",
    "dlt": "extract",
    "great_expectations": "quality",
    "statsforecast": "insight",
    "streamlit": "dashboard",
}

# Folder of models → the folders it may read. Seeds are read everywhere.
LAYERS = {
    "staging": {"raw", "staging"},
    "intermediate": {"staging", "intermediate"},
    "marts/core": {"staging", "intermediate", "marts/core"},
    "marts/kpi": {"marts/core", "marts/kpi"},
    "marts/insight": {"marts/core", "marts/kpi", "marts/insight"},
    "marts/finance": {"marts/core", "marts/kpi", "marts/finance"},
}


def part_of(module: Path) -> str:
    """The part of the package that a file belongs to: `publish` for publish/shelf.py, `cli` for cli.py."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(module: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parts_known_to(part: str) -> set[str]:
    """The other parts of the package that a part imports."""
    names = [name for module in MODULES if part_of(module) == part for name in imported(module)]
    return {name.split(".")[1] for name in names if name.startswith("kpimart.")} - {part}


PARTS = sorted({part_of(module) for module in MODULES} - {"__init__"})


@pytest.mark.parametrize("part", sorted(GROUND))
def test_the_ground_knows_nobody_but_itself(part: str) -> None:
    assert parts_known_to(part) <= {"errors", "schema", "sources"}


@pytest.mark.parametrize(("position", "part"), enumerate(STEPS), ids=STEPS)
def test_a_step_knows_no_later_one(position: int, part: str) -> None:
    assert parts_known_to(part) & {*STEPS[position + 1 :], "pipeline", "demo"} == set()


@pytest.mark.parametrize("part", PARTS)
def test_nothing_knows_the_edges(part: str) -> None:
    assert parts_known_to(part) & {"cli", "scheduling"} == set()


def test_only_the_command_line_knows_the_pages() -> None:
    assert [part for part in PARTS if "dashboard" in parts_known_to(part)] == ["cli"]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_a_heavy_library_is_known_to_the_part_that_needs_it(module: Path) -> None:
    libraries = {name.split(".")[0] for name in imported(module)}
    assert {library for library in libraries & HEAVY.keys() if HEAVY[library] != part_of(module)} == set()


def test_the_command_line_starts_without_heavy_libraries() -> None:
    look = "import sys, kpimart.cli; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {"pandas", "pyarrow", *HEAVY} & set(loaded) == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_only_the_warehouse_opens_duckdb(module: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Call)]
    opens = any(ast.unparse(call) == "duckdb.connect" for call in calls) or "duckdb.connect" in imported(module)
    assert opens == (part_of(module) == "warehouse")


@pytest.mark.parametrize(("link", "target"), [("models", "models"), ("seeds", "seeds"), ("tests", "tests/dbt")])
def test_the_dbt_project_links_to_its_folders(link: str, target: str) -> None:
    path = REPOSITORY / "dbt_project" / link
    assert path.is_symlink()
    assert not path.readlink().is_absolute()
    assert path.resolve() == (REPOSITORY / target).resolve()
    assert any(path.iterdir())


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What dbt makes of the project."""
    target = tmp_path_factory.mktemp("dbt")
    project = REPOSITORY / "dbt_project"
    dbt = Path(sys.executable).with_name("dbt")
    done = subprocess.run(
        [
            dbt,
            "parse",
            "--vars",
            json.dumps({"crms": list(SOURCES)}),
            "--project-dir",
            project,
            "--profiles-dir",
            project,
            "--target-path",
            target,
            "--log-path",
            target,
        ],
        cwd=target,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return json.loads((target / "manifest.json").read_text())


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_yields_every_entity_of_staging(source: str) -> None:
    """Targets are what people set, so only what people describe themselves has them."""
    entities = {path.stem.split("__")[1] for path in (PACKAGE.parent / "models" / "staging" / source).glob("*.sql")}
    declared = yaml.safe_load((REPOSITORY / "dbt_project" / "staging_contract.yml").read_text()).keys()
    assert entities == declared - (set() if source in ("files", "sql") else {"target"})


def test_the_contracts_of_staging_are_as_they_are_declared() -> None:
    stale = [path.parent.name for path, text in staging_files().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run: make docs"


def layer_of(node: dict[str, Any]) -> str:
    if node["resource_type"] != "model":
        return {"source": "raw", "seed": "seeds"}[node["resource_type"]]
    folders = Path(node["original_file_path"]).parts[1:-1]
    return "/".join(folders[:2]) if folders[0] == "marts" else folders[0]


def test_dbt_sees_every_model(manifest: dict[str, Any]) -> None:
    seen = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    assert seen == {path.stem for path in (REPOSITORY / "models").rglob("*.sql")}
    assert seen


def test_a_layer_reads_only_the_layers_before_it(manifest: dict[str, Any]) -> None:
    everything = manifest["nodes"] | manifest["sources"]
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    reads = [(model, everything[parent]) for model in models for parent in model["depends_on"]["nodes"]]
    assert [
        f"{model['name']} ({layer_of(model)}) reads {parent['name']} ({layer_of(parent)})"
        for model, parent in reads
        if layer_of(parent) not in LAYERS[layer_of(model)] | {"seeds"}
    ] == []


def test_each_model_has_its_description_beside_it(manifest: dict[str, Any]) -> None:
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert [node["name"] for node in models if not node["description"].startswith("One row per ")] == []
    files = (REPOSITORY / "models").rglob("*.sql")
    contracts = {path.parent for path in (REPOSITORY / "models").rglob("_contract.yml")}
    assert [str(path) for path in files if not path.with_suffix(".yml").exists() and path.parent not in contracts] == []


def test_what_leaves_the_house_is_exposed(manifest: dict[str, Any]) -> None:
    everything = manifest["nodes"] | manifest["sources"]
    exposures = {exposure["name"]: exposure["depends_on"]["nodes"] for exposure in manifest["exposures"].values()}
    relations = {f"{each['schema']}.{each['name']}": key for key, each in everything.items()}
    published = {relations[table.relation] for table in PUBLISHED if table.relation in relations}
    assert set(exposures["postgresql"]) == set(exposures["dashboard"]) == published

    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    read = {parent for model in models for parent in model["depends_on"]["nodes"]}
    marts = {model["unique_id"] for model in models if layer_of(model).startswith("marts")}
    assert marts - read - {node for nodes in exposures.values() for node in nodes} == set()


@pytest.mark.parametrize("path", sorted((REPOSITORY / "models").rglob("*.sql")), ids=lambda path: path.stem)
def test_no_model_has_a_loop_that_sqlfluff_passes_over(path: Path) -> None:
    """sqlfluff loses its place in `for … else`: it then leaves the file unread, and its `fix` destroys it."""
    template = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=True).parse(path.read_text())
    loops = template.find_all(jinja2.nodes.For)
    assert [loop.lineno for loop in loops if loop.else_] == []


def test_pre_commit_checks_what_make_lint_checks() -> None:
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    (lint,) = re.findall(r"^lint: (.*?) ##", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert [hook["entry"] for hook in hooks] == [f"make {target}" for target in lint.split()]


@pytest.fixture(scope="module")
def repository_files() -> list[Path]:
    """What is or would be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a checkout")
    paths = [REPOSITORY / name for name in listed.stdout.splitlines()]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def test_no_file_is_large(repository_files: list[Path]) -> None:
    assert [str(path) for path in repository_files if path.stat().st_size > 1_000_000] == []


def test_no_file_names_a_place_on_one_machine(repository_files: list[Path]) -> None:
    place = re.compile(rb"(?<![\w.])/(?:work|root|home|Users)/\w")
    assert [str(path) for path in repository_files if place.search(path.read_bytes())] == []
