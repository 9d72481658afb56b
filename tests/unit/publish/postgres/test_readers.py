"""Readers who never pause, while releases are published and rolled back in PostgreSQL."""

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import IsolationLevel

from sampling import IS_FULL

READERS = 16
RELEASES = 4
EXPORTS = 200 if IS_FULL else 3

# In release number n every figure is n, each of the nine deals is worth n, and n releases are known.
NUMBERS = {
    "release": "select count(*) from release",
    "figures": "select min(value) + max(value) - {n} from kpi_value",
    "rows of figures": "select (count(*) = {rows})::integer * {n} from kpi_value",
    "deals": "select sum(amount) / 9 from deal",
    "deals joined with figures": "select max(amount * value) / {n} from deal cross join kpi_value",
    "wide view": "select won_amount from kpi_company_month",
    "catalogue": "select (count(*) = 3)::integer * {n} from kpi_catalogue",
}
WHICH = "select release_id from release where is_this_release"
AT_ONCE = f"""
select ({WHICH}), (select count(*) from release), (select max(value) from kpi_value),
    (select min(value) from kpi_value), (select sum(amount) / 9 from deal), (select won_amount from kpi_company_month)
"""


@dataclass
class Reader:
    """Reads until told to stop; half of the readings in one transaction, half in one statement."""

    target: Any
    numbers: dict[str, int]
    rows: int
    stop: threading.Event
    readings: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        try:
            with self.target.connect("reader") as connection:
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


def test_sixteen_readers_never_see_an_error_or_two_releases_at_once(company: Any, target: Any, capsys: Any) -> None:
    numbers = {}
    for number in range(1, RELEASES + 1):
        company.change(f"update kpi.kpi_value set value = {number}")
        company.change(f"update core.fct_deal set amount = {number}")
        numbers[company.publish().release_id] = number
    ((rows,),) = company.ask("select count(*) from kpi_value")
    target.export(min(numbers))
    target.run("create role reader login in role kpi_analyst")
    stop = threading.Event()
    readers = [Reader(target, numbers, rows, stop) for _ in range(READERS)]
    threads = [threading.Thread(target=reader.run) for reader in readers]
    for thread in threads:
        thread.start()
    # Releases 2, 1, 4, 3, and so on around.
    steps = [list(numbers)[(step + 1 + step % 2 * 2) % RELEASES] for step in range(EXPORTS)]
    try:
        for release_id in steps:
            target.export(release_id)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    seen = sum((reader.readings for reader in readers), Counter())
    wrong = [each for reader in readers for each in reader.wrong]
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{READERS} readers, {EXPORTS} releases published and rolled back in PostgreSQL: {seen.total():,} "
            f"readings of {len(seen)} releases, {len(wrong)} errors, mixed releases or wrong totals"
        )
    assert wrong == []
    assert seen.keys() == {min(numbers), *steps}
