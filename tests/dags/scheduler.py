"""A real Airflow of the tests' own: scheduler, dag processor, triggerer, API server, and tasks in their processes.

PostgreSQL and LocalExecutor, in temporary folders, on free ports of loopback; on SQLite the servers lock each other out
of a busy machine. People talk to it through its REST API.
"""

import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import requests
from airflow_instance import AIRFLOW, REPOSITORY
from postgres import running_postgres

ENDED = {"success", "failed"}
SECONDS = 900
USER, PASSWORD = "nora", "of the tests"

T = TypeVar("T")


@dataclass
class Scheduler:
    """The servers, and what was asked of them so far."""

    home: Path
    url: str
    database: str
    environment: dict[str, str]
    _session: requests.Session = field(default_factory=requests.Session, repr=False)

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """One request to the REST API as the user, and its JSON."""
        if "Authorization" not in self._session.headers:
            given = self._session.post(
                f"{self.url}/auth/token", json={"username": USER, "password": PASSWORD}, timeout=60
            )
            assert given.status_code == 201, given.text
            self._session.headers["Authorization"] = f"Bearer {given.json()['access_token']}"
        answer = self._session.request(method, f"{self.url}/api/v2/{path}", json=body or None, timeout=60)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def command(self, *arguments: str) -> str:
        """A command of Airflow's command line; what it prints."""
        done = subprocess.run(
            [str(AIRFLOW), *arguments], env=self.environment, cwd=self.home, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def unpause(self, dag_id: str) -> None:
        self.ask("PATCH", f"dags/{dag_id}", is_paused=False)

    def trigger(self, dag_id: str, logical_date: str | None = None, **conf: Any) -> str:
        """Start a run; its id."""
        return str(self.ask("POST", f"dags/{dag_id}/dagRuns", logical_date=logical_date, conf=conf)["dag_run_id"])

    def runs(self, dag_id: str, run_type: str) -> list[dict[str, Any]]:
        """The runs of a kind, the earliest first."""
        found = self.ask("GET", f"dags/{dag_id}/dagRuns?run_type={run_type}&order_by=logical_date")
        return list(found["dag_runs"])

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """The task instances of a run, by the last part of their id."""
        found = self.ask("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"]
        return {each["task_id"].rpartition(".")[2]: each for each in found}

    def ended(self, dag_id: str, run_id: str) -> str:
        """Wait for the end of a run; its state."""

        def state() -> str | None:
            now = str(self.ask("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])
            return now if now in ENDED else None

        try:
            return self.until(f"{dag_id} {run_id} ends", state)
        except AssertionError as late:
            late.add_note(f"its tasks: {self.states(dag_id, run_id)}")
            raise

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """The state of each task of a run, by the last part of its id."""
        return {name: task["state"] for name, task in self.tasks(dag_id, run_id).items()}

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What a task handed on."""
        entry = self.ask("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value")
        return entry["value"]

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """The log of the last try of a task, all parts of a mapped one."""
        name = f"dag_id={dag_id}/run_id={run_id}/task_id={task_id}"
        return "\n".join(file.read_text() for file in sorted((self.home / "logs" / name).rglob("*.log")))

    def has_noted_the_end(self, dag_id: str, run_id: str, task_id: str) -> bool:
        """Whether the scheduler has seen a process of the task end."""
        end = f"TaskInstance Finished: dag_id={dag_id}, task_id={task_id}, run_id={run_id},"
        return end in (self.home / "servers.log").read_text()

    def change_metadata(self, sql: str) -> None:
        """Change Airflow's own database, where a test cannot wait for hours."""
        with psycopg.connect(self.database) as connection:
            connection.execute(sql)

    def until(self, what: str, found: Callable[[], T | None]) -> T:
        """Ask again and again until there is an answer."""
        give_up_at = time.monotonic() + SECONDS
        while time.monotonic() < give_up_at:
            answer = found()
            if answer:
                return answer
            time.sleep(1)
        raise AssertionError(f"waited {SECONDS} s in vain until {what}; the servers said:\n{self.last_words()}")

    def last_words(self) -> str:
        """What the servers said at last."""
        # The API server tells of each request, the dag processor of each file.
        said = (self.home / "servers.log").read_text().splitlines()
        return "\n".join([line for line in said if not line.startswith(("api-server", "dag-processor"))][-60:])


@contextmanager
def running(home: Path, **variables: str) -> Iterator[Scheduler]:
    """The servers, for as long as the block lasts; they and all that they started end with it."""
    with running_postgres() as database, _airflow_on(database, home, variables) as scheduler:
        scheduler.command("pools", "set", "kpimart_writer", "1", "one process writes the warehouse")
        yield scheduler


@contextmanager
def _airflow_on(database: str, home: Path, variables: Mapping[str, str]) -> Iterator[Scheduler]:
    port = free_port()
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({USER: PASSWORD}))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "KPIMART"))}
    own = {
        "PATH": f"{AIRFLOW.parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": "only of the tests, and as long as it has to be for that",
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.replace("postgresql://", "postgresql+psycopg2://"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
    }
    scheduler = Scheduler(home, f"http://127.0.0.1:{port}", database, kept | own | variables)
    with (home / "servers.log").open("wb") as said:
        # A session of its own, so that whatever it started can be ended with it.
        servers = subprocess.Popen(
            [str(AIRFLOW), "standalone"],
            cwd=home,
            env=scheduler.environment,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        scheduler.until("the API answers", lambda: servers.poll() is not None or _is_healthy(scheduler.url))
        assert servers.poll() is None, f"airflow standalone has ended: {scheduler.last_words()}"
        yield scheduler
    finally:
        if servers.poll() is None:
            os.killpg(servers.pid, signal.SIGTERM)
        try:
            servers.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(servers.pid, signal.SIGKILL)
            servers.wait(30)


def _is_healthy(url: str) -> bool:
    try:
        health = requests.get(f"{url}/api/v2/monitor/health", timeout=5).json()
    except (requests.ConnectionError, requests.Timeout, requests.JSONDecodeError):
        return False
    return all(
        health[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "dag_processor", "triggerer")
    )


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mailbox() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook: its address for a connection of Apprise, and what was posted to it."""
    received: list[dict[str, Any]] = []

    class Post(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Post) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}/t0p-s3cret", received
        server.shutdown()
