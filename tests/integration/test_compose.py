"""The stack without an engine: Compose itself reads its files, hadolint the Dockerfile; what they name is there; and
the image's steps, done by hand, make a program that works.

`make test-full` also starts what the services start, and asks what their health checks ask.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import httpx
import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from postgres import POSTGRES_PROGRAMS, running_postgres
from typer.testing import CliRunner

from kpimart import cli
from kpimart.demo.server.bitrix24 import WEBHOOK_TOKEN
from kpimart.settings import load_settings
from sampling import IS_FULL

REPOSITORY = Path(__file__).parents[2]
COMPOSE_FILES = ("docker-compose.yml", "docker-compose.celery.yml")
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
COPIED = [source for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE) for source in line.split()]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
# A line that takes effect once its `#` is taken away explains a variable too.
VARIABLES = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (REPOSITORY / ".env.example").read_text(), re.MULTILINE))


def compose(*arguments: str, folder: Path = REPOSITORY) -> Any:
    """What Compose makes of both files, with all profiles and the variables of the example."""
    files = [argument for file in COMPOSE_FILES for argument in ("--file", file)]
    told = subprocess.run(
        [
            Path(sys.executable).with_name("docker-compose"),
            *("--env-file", ".env.example", "--profile", "*", *files, "config", "--format", "json", *arguments),
        ],
        cwd=folder,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (told.returncode, told.stderr) == (0, "")
    return json.loads(told.stdout)


STACK = compose("--no-path-resolution", "--no-env-resolution")
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
EVERY_SERVICE = pytest.mark.parametrize("name", sorted(SERVICES))
PORTS = {
    "airflow-db": 5432,
    "api-server": 8080,
    "dashboard": 8501,
    "demo-crm": signature(cli.demo_serve).parameters["port"].default,
    "redis": 6379,
    "reporting-db": 5432,
    "scheduler": 8974,
}


def environment(name: str) -> dict[str, str]:
    return SERVICES[name].get("environment", {})


def mounted(name: str) -> dict[str, Path]:
    """Where a folder or file of the repository lies in the container → what it is."""
    volumes = SERVICES[name].get("volumes", [])
    return {each["target"]: REPOSITORY / each["source"] for each in volumes if each["type"] == "bind"}


def run(*command: object, **how: Any) -> str:
    texts = [str(part) for part in command]
    done = subprocess.run(texts, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **how)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stack's files, prepared as a person does it."""
    folder = tmp_path_factory.mktemp("stack")
    shutil.copytree(REPOSITORY / "compose", folder / "compose")
    for name in (*COMPOSE_FILES, ".env.example"):
        shutil.copy(REPOSITORY / name, folder)
    run(folder / "compose" / "prepare")
    return folder


def files_of(prepared: Path) -> dict[str, str]:
    files = [prepared / ".env", *(path for path in (prepared / "secrets").rglob("*") if path.is_file())]
    return {str(path.relative_to(prepared)): path.read_text() for path in files}


# The files of the stack


def test_the_example_explains_every_variable_and_says_its_default() -> None:
    asked = {name: each["DefaultValue"] for name, each in compose("--variables").items()}
    assert asked.keys() == VARIABLES.keys() - {"COMPOSE_PROFILES", "COMPOSE_FILE"}
    assert [name for name, default in asked.items() if default not in ("", VARIABLES[name])] == []


def test_what_is_prepared_is_a_stack_whose_secrets_only_their_owner_can_read(prepared: Path) -> None:
    made = files_of(prepared)
    assert {Path(secret["file"]) for secret in STACK["secrets"].values()} <= {Path(name) for name in made}
    assert {stat.S_IMODE((prepared / name).stat().st_mode) for name in made} == {0o600}
    assert stat.S_IMODE((prepared / "secrets").stat().st_mode) == 0o700
    assert compose(folder=prepared)["services"].keys() == SERVICES.keys()


def test_to_prepare_again_makes_what_is_missing_and_changes_nothing_else(prepared: Path) -> None:
    before = files_of(prepared)
    (prepared / "secrets" / "redis_password").unlink()
    run(prepared / "compose" / "prepare")
    after = files_of(prepared)
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {
        "secrets/redis_password"
    }


@EVERY_SERVICE
def test_a_service_is_pinned_limited_restarted_and_looked_after(name: str) -> None:
    service = SERVICES[name]
    assert re.search(r":\d+\.\d+", service["image"])
    assert (service["cpus"] > 0, int(service["mem_limit"]) >= 256 << 20) == (True, True)
    assert (service["restart"], "healthcheck" in service) in {("no", False), ("unless-stopped", True)}
    # The entry point of PostgreSQL's image stops being root by itself, once it has read the password.
    assert service.get("user") == (None if name.endswith("-db") else "1000:0")
    assert {port["host_ip"] for port in service.get("ports", [])} <= {"127.0.0.1"}


@EVERY_SERVICE
def test_secrets_are_files_and_those_that_are_read_are_given(name: str) -> None:
    openly = [each for each in environment(name) if re.search("KEY|SECRET|PASSWORD|CONN|BROKER", each)]
    assert [each for each in openly if not each.endswith(("_CMD", "_FILE", "_DIR"))] == []
    script = [REPOSITORY / word for word in SERVICES[name].get("command") or [] if word.startswith("compose/")]
    texts = [path.read_text() for path in (*script, *mounted(name).values()) if path.is_file()]
    said = json.dumps({key: value for key, value in SERVICES[name].items() if key != "secrets"})
    read = set(re.findall(r"/run/secrets/(\w+)", said + "".join(texts)))
    assert read == {secret["source"] for secret in SERVICES[name].get("secrets", [])}


@EVERY_SERVICE
def test_what_is_mounted_is_there(name: str, prepared: Path) -> None:
    in_the_stack = [prepared / path.relative_to(REPOSITORY) for path in mounted(name).values()]
    assert [
        path for path in in_the_stack if not (path.exists() or (REPOSITORY / path.relative_to(prepared)).exists())
    ] == []


@EVERY_SERVICE
def test_addresses_are_those_of_services(name: str) -> None:
    """A port of localhost is the service's own, but where people are sent to."""
    said = json.dumps([SERVICES[name].get("healthcheck"), environment(name)])
    said = said.replace(VARIABLES["AIRFLOW_URL"], "")
    for host, port in re.findall(r"\w+://(?:[^/@ ]*@)?([\w-]+)(?::(\d+))?/", said):
        assert int(port or PORTS[host]) == PORTS[name if host == "localhost" else host]
    assert {port["target"] for port in SERVICES[name].get("ports", [])} <= {PORTS.get(name)}


@pytest.mark.parametrize("name", ["scheduler", "worker", "dashboard"])
def test_the_products_settings_are_those_of_the_demo(
    name: str, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    for variable, value in environment(name).items():
        if variable.startswith("KPIMART_"):
            place = mounted(name).get(value)
            monkeypatch.setenv(variable, str(prepared / place.relative_to(REPOSITORY)) if place else value)
    settings = load_settings()
    assert (settings.sources, str(settings.zone)) == (("bitrix24",), VARIABLES["KPIMART_TIME_ZONE"])
    if name == "dashboard":
        assert (settings.bitrix24.webhook, settings.postgres.url) == (None, None)
        return
    assert settings.bitrix24.webhook
    assert settings.postgres.url
    password = (prepared / "secrets" / "reporting_publisher_password").read_text()
    assert settings.bitrix24.webhook.get_secret_value() == (
        f"http://demo-crm:{PORTS['demo-crm']}/bitrix24/rest/1/{WEBHOOK_TOKEN}/"
    )
    assert settings.postgres.url.get_secret_value() == (
        f"postgresql://kpi_publisher:{password}@reporting-db/{environment('reporting-db')['POSTGRES_DB']}"
    )


@EVERY_SERVICE
def test_the_products_commands_are_ones(name: str) -> None:
    command = SERVICES[name].get("command") or [""]
    if command[0] == "kpimart":
        words = [word for word in command[1:] if re.fullmatch(r"[a-z]+", word)]
        told = CliRunner().invoke(cli.app, [*words, "--help"], env={"COLUMNS": "200"})
        assert told.exit_code == 0
        assert [word for word in command if word.startswith("--") and word not in told.output] == []


def test_only_those_who_run_tasks_can_write_the_figures() -> None:
    may_write = {
        name: not volume.get("read_only", False)
        for name, service in SERVICES.items()
        for volume in service.get("volumes", [])
        if volume["source"] == "home"
    }
    assert may_write == {"scheduler": True, "worker": True, "dashboard": False}


def test_the_publisher_can_load_releases_once_the_roles_are_made(prepared: Path, tmp_path: Path) -> None:
    """And still can after the second start of the stack."""
    service = SERVICES["reporting-roles"]
    script = mounted("reporting-roles")[service["entrypoint"][1]].read_text()
    for inside, path in mounted("reporting-roles").items():
        script = script.replace(inside, str(path))
    script = script.replace("/run/secrets", str(prepared / "secrets"))
    with running_postgres() as url:
        path = f"{POSTGRES_PROGRAMS}:{os.defpath}"
        socket_folder = url.partition("host=")[2]
        variables = {"PATH": path, "PGHOST": socket_folder, "PGUSER": "postgres", "PGDATABASE": "postgres"}
        for _ in range(2):
            assert run("sh", "-c", script, env=variables) == ""
        asked = "select rolpassword like 'SCRAM-SHA-256%' from pg_authid where rolname = 'kpi_publisher'"
        assert run("psql", "-At", "-c", asked, env=variables) == "t\n"


# The image


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    assert run(Path(sys.executable).with_name("hadolint"), REPOSITORY / "Dockerfile") == ""


def test_the_image_is_made_of_its_base_of_what_is_here_and_of_pypi() -> None:
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(.+)$", DOCKERFILE, re.MULTILINE)
    assert (base, VARIABLES["STACK_IMAGE"]) == (VARIABLES["PYTHON_IMAGE"], f"kpimart:{PROJECT['project']['version']}")
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    assert not re.search(r"//|\b(ADD|curl|wget|git)\b", DOCKERFILE)
    assert Version(re.findall(r"python:([\d.]+)-", base)[0]) in SpecifierSet(PROJECT["project"]["requires-python"])
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert [source for source in COPIED if f"!{source}" not in ignored] == []


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lies in /opt/kpimart of the image, made by the Dockerfile's last command from what it copies."""
    folder = tmp_path_factory.mktemp("image")
    for source in COPIED:
        copy = shutil.copytree if (REPOSITORY / source).is_dir() else shutil.copy
        (folder / source).parent.mkdir(parents=True, exist_ok=True)
        copy(REPOSITORY / source, folder / source)
    (*_, command) = re.findall(r"^RUN uv (sync .+)$", DOCKERFILE, re.MULTILINE)
    arguments = [word for word in command.split() if word != "--no-cache"]
    run(REPOSITORY / ".ci" / "with-uv", *arguments, "--project", folder, "--python", sys.executable, cwd=REPOSITORY)
    return folder


def in_image(image: Path, program: str, *arguments: object, input: str = "", **variables: str) -> str:  # noqa: A002
    """Run a program of the image, which finds no other Python on its path."""
    programs = image / ".venv" / "bin"
    home = {"PATH": f"{programs}:{os.defpath}", "HOME": str(image)}
    return run(programs / program, *arguments, cwd=image, env=home | variables, input=input)


def test_the_image_has_everything_that_a_run_needs(image: Path, tmp_path: Path) -> None:
    (tmp_path / "deals.csv").write_text("id,stage,created\n1,Won,2026-11-01\n")
    (tmp_path / "kpimart.toml").write_text(
        """
        files.stages = [{name = "Won", outcome = "won", position = 1}]
        files.deals = [{file = "deals.csv", columns = {id = "id", stage = "stage", created_at = "created"}}]
        """
    )
    told = in_image(
        image, "kpimart", "doctor", "--json", "--config", tmp_path / "kpimart.toml", "--files", tmp_path,
        KPIMART_HOME=str(tmp_path / "home"),
    )  # fmt: skip
    assert [check for check in json.loads(told) if check["outcome"] != "ok"] == []


ASK_AIRFLOW = """
import json, pkgutil, sys
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager

ProvidersManager().initialize_providers_configuration()
asked = json.load(sys.stdin)
for command in asked["commands"]:
    get_parser().parse_args(command[1:])
for variable in asked["variables"]:
    _, section, option = variable.lower().split("__")
    secret = option.removesuffix("_cmd")
    assert secret in conf.configuration_description[section]["options"], variable
    assert option == secret or (section, secret) in conf.sensitive_config_values, variable
for name in asked["objects"]:
    pkgutil.resolve_name(name)
"""


def test_airflow_knows_its_commands_its_settings_and_what_they_load(image: Path) -> None:
    script = (REPOSITORY / "compose" / "airflow-init").read_text().replace("\\\n", "")
    said = [shlex.split(line) for line in script.splitlines() if line.startswith("airflow")]
    said += [service.get("command") or [] for service in SERVICES.values()]
    said += [service["healthcheck"]["test"][1:] for service in SERVICES.values() if "healthcheck" in service]
    values = {variable: value for name in SERVICES for variable, value in environment(name).items()}
    (celery,) = re.findall(r"--app (\S+)", SERVICES["worker"]["healthcheck"]["test"][1])
    asked = {
        "commands": [command for command in said if command[:1] == ["airflow"]],
        "variables": [variable for variable in values if variable.startswith("AIRFLOW__")],
        "objects": [values["AIRFLOW__CORE__AUTH_MANAGER"], celery],
    }
    in_image(image, "python", "-c", ASK_AIRFLOW, input=json.dumps(asked), AIRFLOW_HOME=str(image / "airflow"))


# What the services start


class Outside:
    """The services outside of containers: the image's programs, the prepared secrets, a PostgreSQL, free ports."""

    def __init__(self, image: Path, prepared: Path, database: str, folder: Path) -> None:
        self._image, self._folder = image, folder
        self.ports = dict(zip(("api-server", "scheduler"), free_ports(2), strict=True))
        # What has another name outside.
        self._places = {
            "/run/secrets": str(prepared / "secrets"),
            "@airflow-db/airflow": f"@/airflow?host={database.partition('host=')[2]}",
            "/opt/kpimart": str(image),
            "http://api-server:": "http://localhost:",
            **{str(PORTS[name]): str(port) for name, port in self.ports.items()},
        }

    def placed(self, text: str) -> str:
        for inside, outside in self._places.items():
            text = text.replace(inside, outside)
        return text

    def variables(self, name: str) -> dict[str, str]:
        own = {variable: self.placed(value).replace("$$", "$") for variable, value in environment(name).items()}
        return own | {
            "PATH": f"{self._image / '.venv' / 'bin'}:{os.defpath}",
            "HOME": str(self._folder),
            "AIRFLOW_HOME": str(self._folder / "airflow"),
            "AIRFLOW__API__PORT": str(self.ports["api-server"]),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.ports["scheduler"]),
        }

    def run(self, name: str) -> None:
        """A service that ends."""
        script = self.placed((self._image / SERVICES[name]["command"][0]).read_text())
        run("sh", "-c", script, env=self.variables(name), cwd=self._image, timeout=300)

    @contextlib.contextmanager
    def running(self, name: str) -> Iterator[None]:
        """A service that does not, once its own check finds it healthy."""
        check = [self.placed(word) for word in SERVICES[name]["healthcheck"]["test"][1:]]
        how: dict[str, Any] = {"env": self.variables(name), "cwd": self._image}
        log = self._folder / f"{name}.log"
        with (
            log.open("w") as written,
            subprocess.Popen(SERVICES[name]["command"], stdout=written, stderr=written, **how) as process,
        ):
            try:
                deadline = time.monotonic() + 300
                while subprocess.run(check, capture_output=True, check=False, **how).returncode:
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < deadline, log.read_text()
                    time.sleep(1)
                yield
            finally:
                process.terminate()


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


@pytest.mark.skipif(not IS_FULL, reason="starts all of Airflow, a minute of work: make test-full")
def test_all_of_airflow_starts_becomes_healthy_and_lets_the_first_user_in(
    image: Path, prepared: Path, tmp_path: Path
) -> None:
    with running_postgres() as url, contextlib.ExitStack() as running:
        run(
            POSTGRES_PROGRAMS / "psql",
            url,
            "-c",
            "create role airflow superuser login",
            "-c",
            "create database airflow",
        )
        stack = Outside(image, prepared, url, tmp_path)
        for _ in range(2):
            stack.run("airflow-init")
        for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
            running.enter_context(stack.running(name))
        password = (prepared / "secrets" / "airflow_admin_password").read_text()
        with httpx.Client(base_url=f"http://127.0.0.1:{stack.ports['api-server']}", timeout=60) as client:
            token = client.post("/auth/token", json={"username": "admin", "password": password}).json()["access_token"]
            found = client.get("/api/v2/pools/kpimart_writer", headers={"Authorization": f"Bearer {token}"}).json()
        assert found["slots"] == 1
