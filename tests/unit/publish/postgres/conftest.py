"""A PostgreSQL server, and in it a database that an administrator has prepared for a company."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres import running_postgres
from psycopg import sql

from kpimart.publish.postgres.export import Exported, export
from kpimart.publish.postgres.roles import ROLES_SQL
from kpimart.settings import Settings

NUMBERS = count()


@dataclass
class Target:
    """A database, and the home of the company whose releases it serves."""

    server: str
    name: str
    home: Path
    access: Path | None = None

    def url(self, user: str = "kpi_publisher") -> str:
        return self.server.replace("postgres:@/postgres", f"{user}@/{self.name}")

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, postgres={"url": self.url(), "access": self.access})  # type: ignore[arg-type]

    def export(self, release_id: str | None = None) -> Exported:
        return export(self.settings, release_id)

    def connect(self, user: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(self.url(user), options="-c search_path=reporting -c timezone=UTC")

    def ask(self, query: str, user: str = "postgres") -> list[tuple[Any, ...]]:
        with self.connect(user) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def run(self, *statements: str, user: str = "postgres") -> None:
        with self.connect(user) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]

    def served_id(self) -> str:
        return str(self.ask("select release_id from release where is_this_release")[0][0])


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            # No test turns off the power.
            connection.execute("alter system set fsync = off")
            connection.execute("select pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def make_target(postgres: str) -> Callable[[Path], Target]:
    def make(home: Path) -> Target:
        name = f"figures_{next(NUMBERS)}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        target = Target(postgres, name, home)
        target.run(ROLES_SQL)
        return target

    return make


@pytest.fixture
def target(make_target: Callable[[Path], Target], company: Any) -> Target:
    """Of a company that has published nothing yet; the database is empty."""
    return make_target(company.home)


@pytest.fixture(scope="module")
def lasting(
    found: Callable[[Path], Any], make_target: Callable[[Path], Target], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Target]:
    """A company of a test module's own that has published nothing yet, and its target."""
    home = tmp_path_factory.mktemp("lasting") / "home"
    return found(home), make_target(home)


@pytest.fixture(scope="module")
def loaded(lasting: tuple[Any, Target]) -> tuple[Any, Target]:
    """A company and its target that serves its release; for tests that only look."""
    company, target = lasting
    company.publish()
    target.export()
    return company, target
