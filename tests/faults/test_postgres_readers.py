"""Readers who never pause, while releases are published and rolled back in PostgreSQL."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from postgres import running_postgres
from psycopg import IsolationLevel
from small_company import Company

from kpimart.publish.postgres.export import export
from kpimart.publish.postgres.roles import ROLES_SQL
from kpimart.settings import Settings
from sampling import IS_FULL

READERS = 16
RELEASES = 4
EXPORTS = 200 if IS_FULL else 3

# In release number n every figure is n, each deal is worth n, and n releases were published after the first.
NUMBERS = {
    "release": "select count(*) - 1 from release",
    "figures": "select min(value) + max(value) - {n} from kpi_value",
    "rows of figures": "select (count(*) = {rows})::integer * {n} from kpi_value",
    "deals": "select avg(amount) from deal",
    "deals joined with figures": "select max(amount * value) / {n} from deal cross join kpi_value",
    "wide view": "select max(won_amount) from kpi_manager_quarter",
}
WHICH = "select release_id from release where is_this_release"
AT_ONCE = f"""
select ({WHICH}), (select count(*) - 1 from release), (select max(value) from kpi_value),
    (select min(value) from kpi_value), (select avg(amount) from deal),
    (select min(won_amount) from kpi_manager_quarter)
"""


@dataclass
class Reader:
    """Reads until told to stop; half of the readings in one transaction, half in one statement."""

    url: str
    numbers: dict[str, int]
    rows: int
    stop: threading.Event
    readings: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        try:
            with psycopg.connect(self.url, options="-c search_path=reporting") as connection:
                connection.isolation_level = IsolationLevel.REPEATABLE_READ
                is_last = False
                while not is_last:
                    is_last = self.stop.is_set()
                    self.in_one_transaction(connection)
                    self.in_one_statement(connection)
        except psycopg.Error as error:
            self.wrong.append(repr(error))

    def in_one_transaction(self, connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            ((release_id,),) = connection.execute(WHICH).fetchall()
            number = self.numbers[release_id]
            asked = list(NUMBERS.items())
            random.shuffle(asked)
            for name, query in asked:
                ((found,),) = connection.execute(query.format(n=number, rows=self.rows)).fetchall()  # type: ignore[arg-type]
                if found != number:
                    self.wrong.append(f"{name} of release {number}: {found}")
        self.readings[release_id] += 1

    def in_one_statement(self, connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            ((release_id, *found),) = connection.execute(AT_ONCE).fetchall()
        if {int(value) for value in found} != {self.numbers[release_id]}:
            self.wrong.append(f"{found} in one statement of release {self.numbers[release_id]}")
        self.readings[release_id] += 1


@pytest.fixture
def url() -> Iterator[str]:
    """A PostgreSQL server whose administrator has prepared it, and has let a reader in."""
    with running_postgres() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            # No test turns off the power.
            connection.execute("alter system set fsync = off")
            connection.execute("select pg_reload_conf()")
            connection.execute(ROLES_SQL)
            connection.execute("create role reader login in role kpi_analyst")
        yield url


def test_sixteen_readers_never_see_an_error_or_two_releases_at_once(
    company: Company, url: str, record_property: Callable[[str, object], None]
) -> None:
    numbers = {company.publish_numbered(number).release_id: number for number in range(1, RELEASES + 1)}
    ((rows,),) = company.ask_served("select count(*) from kpi_value")
    served_by = url.replace("postgres:@", "kpi_publisher@")
    settings = Settings(home=company.home, postgres={"url": served_by})  # type: ignore[arg-type]
    export(settings, min(numbers))
    stop = threading.Event()
    readers = [Reader(url.replace("postgres:@", "reader@"), numbers, rows, stop) for _ in range(READERS)]
    threads = [threading.Thread(target=reader.run) for reader in readers]
    for thread in threads:
        thread.start()
    # Releases 2, 1, 4, 3, and so on around.
    steps = [list(numbers)[(step + 1 + step % 2 * 2) % RELEASES] for step in range(EXPORTS)]
    try:
        for release_id in steps:
            export(settings, release_id)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    seen = sum((reader.readings for reader in readers), Counter())
    wrong = [each for reader in readers for each in reader.wrong]
    assert wrong == []
    assert seen.keys() == {min(numbers), *steps}
    record_property(
        "figure",
        f"{READERS} readers, {EXPORTS} releases published and rolled back in PostgreSQL: {seen.total():,} readings of "
        f"{len(seen)} releases, no error, no mixed release, no wrong total",
    )
