"""docker-compose.yml, Dockerfile and .env.example name what there is. Read, not run: no Docker engine is needed."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from kpimart.settings import load_settings

REPOSITORY = Path(__file__).parents[2]
COMPOSE_FILE = REPOSITORY / "docker-compose.yml"
COMPOSE = yaml.safe_load(COMPOSE_FILE.read_text())
AIRFLOW_SERVICES = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "kpimart"}
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
EXAMPLE_VARIABLES = dict(
    line.split("=", 1) for line in (REPOSITORY / ".env.example").read_text().splitlines() if re.match(r"\w+=", line)
)
COPIED = [source for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for source in line.split()]


def environment() -> dict[str, str]:
    return COMPOSE["x-airflow"]["environment"]


def mounts() -> list[tuple[str, str]]:
    """Where each mounted file or folder lies on the host, by the example's variables, and in the container."""
    pairs = [volume.removesuffix(":ro").rsplit(":", 1) for volume in COMPOSE["x-airflow"]["volumes"]]
    return [
        (re.sub(r"\$\{(\w+)[^}]*\}", lambda name: EXAMPLE_VARIABLES[name[1]], host), inside) for host, inside in pairs
    ]


def test_the_example_names_the_variables_that_compose_asks_for() -> None:
    assert set(re.findall(r"\$\{(\w+)", COMPOSE_FILE.read_text())) == EXAMPLE_VARIABLES.keys()


def test_the_example_holds_no_secret() -> None:
    secret = {name for name in EXAMPLE_VARIABLES if re.search("KEY|SECRET|PASSWORD", name)}
    assert {name: EXAMPLE_VARIABLES[name] for name in secret} == dict.fromkeys(secret, "")


def test_the_tasks_settings_are_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        if name.startswith("KPIMART_"):
            monkeypatch.setenv(name, EXAMPLE_VARIABLES.get(name, value))
    monkeypatch.setenv("KPIMART_CONFIG", str(REPOSITORY / EXAMPLE_VARIABLES["COMPANY_CONFIG"]))
    assert load_settings().files.folder == Path(environment()["KPIMART_FILES__FOLDER"])


def test_the_tasks_settings_point_at_what_is_mounted() -> None:
    inside = {path for _, path in mounts()}
    assert {environment()[f"KPIMART_{name}"] for name in ("CONFIG", "FILES__FOLDER", "HOME")} <= inside
    assert environment()["AIRFLOW__CORE__DAGS_FOLDER"] in inside


@pytest.mark.parametrize("variable", [name for name in environment() if name.startswith("AIRFLOW__")])
def test_airflow_knows_its_settings(variable: str) -> None:
    template = Path(importlib.util.find_spec("airflow").origin).parent / "config_templates" / "config.yml"
    _, section, option = variable.lower().split("__")
    assert option in yaml.safe_load(template.read_text())[section]["options"]


def test_airflow_knows_the_commands(tmp_path: Path) -> None:
    commands = [
        shlex.split(command)
        for service in AIRFLOW_SERVICES.values()
        for command in re.findall(r"airflow [^&\"]+", service["command"])
    ]
    parse = """
import json, sys
from airflow.cli.cli_parser import get_parser
for command in json.loads(sys.argv[1]):
    get_parser().parse_args(command[1:])
"""
    subprocess.run(
        [sys.executable, "-c", parse, json.dumps(commands)],
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path)},
        check=True,
        timeout=120,
    )


def test_the_pool_that_is_made_is_the_one_that_the_tasks_take() -> None:
    (made,) = re.findall(r"airflow pools set (\w+) 1 ", AIRFLOW_SERVICES["init"]["command"])
    assert f'"pool": "{made}"' in (REPOSITORY / "dags" / "crm_kpi_nightly.py").read_text()


def test_what_is_mounted_is_there() -> None:
    made_at_run_time = {"./var", "airflow"}
    beside_the_repository = {
        host for host, _ in mounts() if host.startswith("../") and not (REPOSITORY / "../shared").exists()
    }
    expected = {host for host, _ in mounts()} - made_at_run_time - beside_the_repository
    assert {host for host in expected if not (REPOSITORY / host).exists()} == set()


@pytest.mark.parametrize("source", COPIED)
def test_what_the_image_is_made_of_is_there_and_not_ignored(source: str) -> None:
    assert (REPOSITORY / source).exists()
    assert f"!{source}" in (REPOSITORY / ".dockerignore").read_text().splitlines()


def test_the_image_has_a_python_that_the_lock_covers() -> None:
    (version,) = re.findall(r"^FROM python:(\d+\.\d+)-slim$", DOCKERFILE, re.MULTILINE)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert version in SpecifierSet(project["requires-python"])
