"""A CRM's own database: what is asked of it, what is read, how a delta goes on, and what ends the reading."""

import re
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, postgresql

from kpimart.doctor import examine
from kpimart.errors import BadSourceData, SettingsError, SourceUnreachable
from kpimart.extract.canonical import OBJECTS
from kpimart.extract.records import Known, ObjectRead
from kpimart.extract.sql import Table, _last, open_sql
from kpimart.settings import Settings, TableMapping

NOW = datetime(2026, 11, 1, 2, tzinfo=UTC)
STAGES = (
    {"name": "Talking", "outcome": "open", "position": 1},
    {"name": "Won", "outcome": "won", "position": 2},
)
COLUMNS = {"id": "id", "stage": "stage", "amount": "amount", "updated_at": "changed"}


class Database:
    """A CRM's database with one table, its mapping, and how far it was read."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self.mappings: dict[str, Any] = {"deals": [{"table": "opportunity", "columns": COLUMNS}]}
        self.stages: Any = STAGES
        self.known: dict[str, Known] = {}
        self.run("create table opportunity (id integer primary key, stage text, amount numeric, changed text)")

    def run(self, statement: str) -> None:
        engine = sa.create_engine(self.url)
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def add(self, *rows: str) -> None:
        """Add rows, each as SQL of its values."""
        self.run(f"insert into opportunity values {', '.join(f'({row})' for row in rows)}")

    def map_deals(self, **mapping: Any) -> None:
        self.mappings["deals"] = [{"table": "opportunity", "columns": COLUMNS, **mapping}]

    def map_query(self, query: str) -> None:
        self.mappings["deals"] = [{"query": query, "columns": COLUMNS}]

    @property
    def settings(self) -> Settings:
        return Settings(sql={"url": self.url, "stages": self.stages, **self.mappings}, time_zone="Europe/Berlin")

    def read(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], ObjectRead]:
        """The deals that are read from where the last reading ended, those put aside, and the account of them."""
        rows: list[dict[str, Any]] = []
        quarantined: list[dict[str, Any]] = []
        for item in open_sql(self.settings, self.known, extracted_at=NOW):
            if isinstance(item, ObjectRead):
                self.known[item.object_name] = Known(item.cursor, None)
                account = item
            else:
                rows += [{**row, "payload": orjson.loads(row["payload"])} for row in item.rows.to_pylist()]
                quarantined += item.quarantined.to_pylist()
        return rows, quarantined, account

    def ids(self) -> list[str]:
        """The ids of what is read."""
        return [row["id"] for row in self.read()[0]]

    def refusal(self, kind: type[Exception]) -> str:
        with pytest.raises(kind) as error:
            self.read()
        return str(error.value)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "crm.sqlite")


# ---- what is read


def test_a_row_becomes_a_record_of_its_mapped_columns(database: Database) -> None:
    database.add("7, 'Won', 10.5, '2026-02-01 10:00:00'")
    (deal,), quarantined, account = database.read()
    assert deal["id"] == "7"
    assert deal["updated_at"] == datetime(2026, 2, 1, 9, tzinfo=UTC)
    assert deal["payload"] == {"amount": 10.5, "changed": "2026-02-01 10:00:00", "id": 7, "stage": "Won"}
    assert quarantined == []
    assert (account.extent, account.rows_read, account.can_tell_vanished, account.cursor) == ("full", 1, True, None)


def test_a_row_that_cannot_be_used_is_put_aside_with_the_reason(database: Database) -> None:
    database.add("7, 'Wno', 1, null", "8, 'Won', x'01', null")
    rows, (unknown, binary), account = database.read()
    assert rows == []
    assert unknown["place"] == "opportunity, row 1"
    assert unknown["record_id"] == "7"
    assert unknown["reason"] == "stage: expected a stage of the settings (Talking, Won), found 'Wno'"
    assert "expected a plain value, found bytes" in binary["reason"]
    assert not account.can_tell_vanished


def test_a_query_is_taken_as_it_is_written(database: Database) -> None:
    database.map_query("select id, stage, 10 % 4 as amount, 'a:b' as other, null as changed from opportunity;")
    database.add("7, 'Won', 1, null")
    ((deal,), _, _) = database.read()
    assert deal["payload"]["amount"] == 2


def test_an_id_that_a_query_gives_twice_is_put_aside(database: Database) -> None:
    database.map_query("select * from opportunity union all select id, 'Talking', 0, changed from opportunity")
    database.add("7, 'Won', 1, null")
    (deal,), (twice,), _ = database.read()
    assert deal["payload"]["stage"] == "Won"
    assert "expected one record with id '7', found another" in twice["reason"]


def test_keys_that_differ_in_blanks_only_are_one_id(database: Database) -> None:
    database.run("create table padded (id text primary key, stage text, amount numeric, changed text)")
    database.run("insert into padded values ('A', 'Won', 1, null), ('A ', 'Won', 1, null)")
    database.map_deals(table="padded")
    rows, (twice,), _ = database.read()
    assert len(rows) == 1
    assert twice["record_id"] == "A"


def test_an_empty_table_is_no_mistake(database: Database) -> None:
    assert database.read()[2].rows_read == 0


# ---- how a delta goes on


@pytest.fixture
def delta(database: Database) -> Database:
    database.map_deals(extent="delta", time_zone="UTC")
    return database


def test_a_delta_goes_on_where_the_last_one_ended_less_the_overlap(delta: Database) -> None:
    delta.add("1, 'Won', 1, '2026-02-01T08:00:00Z'", "2, 'Won', 1, '2026-02-01T10:00:00Z'")
    assert delta.ids() == ["1", "2"]
    delta.add("3, 'Won', 1, '2026-02-01T09:50:00Z'", "4, 'Won', 1, '2026-02-01T09:49:59Z'")
    assert delta.ids() == ["2", "3"]


def test_a_row_whose_change_is_not_dated_is_read_every_time(delta: Database) -> None:
    delta.add("1, 'Won', 1, null", "2, 'Won', 1, '2026-02-01 10:00:00'", "3, 'Won', 1, '2026-01-01 10:00:00'")
    delta.read()
    assert delta.ids() == ["1", "2"]


def test_an_hour_that_comes_twice_is_read_twice(delta: Database) -> None:
    delta.add("1, 'Won', 1, '2026-10-25 02:55:00'")
    delta.read()
    delta.add("2, 'Won', 1, '2026-10-25 02:01:00'")
    assert delta.ids() == ["1", "2"]


def test_nothing_hides_behind_a_change_in_the_future(delta: Database) -> None:
    delta.add("1, 'Won', 1, '2026-02-01 10:00:00'", "2, 'Won', 1, '2098-01-01 00:00:00'")
    delta.read()
    delta.add(f"3, 'Won', 1, '{datetime.now(UTC):%Y-%m-%d %H:%M:%S}'")
    assert delta.ids() == ["2", "3"]


def test_a_delta_without_news_goes_on_from_the_same_place(delta: Database) -> None:
    delta.add("1, 'Won', 1, '2026-02-01 10:00:00'")
    delta.read()
    before = delta.known
    delta.run("delete from opportunity")
    assert delta.ids() == []
    assert delta.known == before


def test_a_changed_mapping_reads_everything_again(delta: Database) -> None:
    delta.add("1, 'Other', 1, '2026-01-01 10:00:00'", "2, 'Won', 1, '2026-02-01 10:00:00'")
    assert delta.ids() == ["2"]
    delta.stages = (*STAGES, {"name": "Other", "outcome": "open", "position": 3})
    assert delta.ids() == ["1", "2"]


def test_a_text_among_times_is_no_time() -> None:
    at_noon = datetime(2026, 2, 1, 12, tzinfo=UTC)
    assert _last([None, at_noon, "0000-00-00 00:00:00"]) == at_noon


def test_days_are_compared_as_days(delta: Database) -> None:
    delta.add("1, 'Won', 1, '2026-02-01'", "2, 'Won', 1, '2026-02-03'")
    delta.read()
    delta.add("3, 'Won', 1, '2026-02-02'")
    assert delta.ids() == ["2", "3"]


@pytest.mark.parametrize("written", ["'2026-02-01T10:00:00+03:00'", "'1.2.2026'", "1767225600"])
def test_a_delta_by_what_a_database_does_not_compare_by_time_is_refused(delta: Database, written: str) -> None:
    delta.add(f"1, 'Won', 1, {written}")
    assert "changed: a delta goes by it, and a database does not compare such as" in delta.refusal(BadSourceData)


# ---- what is asked


@pytest.mark.parametrize(
    ("dialect", "asked"),
    [
        (
            postgresql.dialect(),
            'SELECT crm.deals."Stage", crm.deals.changed, crm.deals.id FROM crm.deals '
            "WHERE crm.deals.changed >= '2026-02-01 10:00:00' OR crm.deals.changed IS NULL",
        ),
        (
            mysql.dialect(),
            "SELECT crm.deals.`Stage`, crm.deals.changed, crm.deals.id FROM crm.deals "
            "WHERE crm.deals.changed >= '2026-02-01 10:00:00' OR crm.deals.changed IS NULL",
        ),
        (
            mssql.dialect(),
            "SELECT crm.deals.[Stage], crm.deals.changed, crm.deals.id FROM crm.deals "
            "WHERE crm.deals.changed >= '2026-02-01 10:00:00' OR crm.deals.changed IS NULL",
        ),
    ],
    ids=["postgresql", "mysql", "mssql"],
)
def test_a_table_is_asked_for_what_changed_in_each_dialect(dialect: Any, asked: str) -> None:
    columns = {"id": "id", "stage": "Stage", "updated_at": "changed"}
    mapping = TableMapping(table="crm.deals", columns=columns, extent="delta")
    table = Table(OBJECTS["deals"], mapping, since=datetime(2026, 2, 1, 10))  # noqa: DTZ001
    statement = table.select().compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    assert " ".join(str(statement).split()) == asked


# ---- what ends the reading


def test_a_missing_column_is_told_with_what_is_there(database: Database) -> None:
    database.map_deals(columns={**COLUMNS, "amount": "amuont"})
    message = database.refusal(BadSourceData)
    assert "deals: opportunity: no column 'amuont', which is mapped to amount; did you mean 'amount'?" in message
    assert "the table has: id, stage, amount, changed" in message


def test_a_missing_table_is_told(database: Database) -> None:
    database.map_deals(table="opportunities")
    assert database.refusal(BadSourceData).startswith("deals: opportunities: no such table: opportunities")


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        (None, SettingsError, "set KPIMART_SQL__URL=postgresql://user:password@host/name"),
        ("hunter2", SettingsError, "KPIMART_SQL__URL is no URL of a database"),
        ("oracle://ann:hunter2@host/crm", SettingsError, "expected one of postgresql, mysql, mariadb, mssql, sqlite"),
        ("sqlite+nosuchdriver://ann:hunter2@/crm", SettingsError, "install the driver of sqlite+nosuchdriver"),
        ("postgresql://ann:hunter2@127.0.0.1:1/crm", SourceUnreachable, "check that the database is up"),
    ],
)
def test_a_wrong_address_is_told_without_its_password(
    database: Database, url: str | None, kind: type[Exception], message: str
) -> None:
    database.url = url  # type: ignore[assignment]
    with pytest.raises(kind, match=re.escape(message)) as error:
        database.read()
    assert "hunter2" not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        (
            {"columns": {"id": "id", "stage": "stage"}, "extent": "delta"},
            "sql.deals[1] (opportunity): columns.updated_at: a delta goes by it; name the column that holds it",
        ),
        (
            {"extent": "delta", "date_format": "%d.%m.%Y"},
            "columns.updated_at: a delta goes by it, and a database compares no formats; cast it in a query",
        ),
    ],
)
def test_a_delta_needs_a_time_that_the_database_compares(
    database: Database, mapping: dict[str, Any], problem: str
) -> None:
    database.map_deals(**mapping)
    assert problem in database.refusal(SettingsError)


def test_assignments_have_no_delta(database: Database) -> None:
    columns = {"manager": "manager", "department": "team", "valid_from": "since"}
    database.mappings["manager_assignments"] = [{"table": "seats", "columns": columns, "extent": "delta"}]
    assert "manager_assignments have no time of change" in database.refusal(SettingsError)


def test_a_mapping_names_a_table_or_a_query(database: Database) -> None:
    database.map_deals(query="select 1")
    with pytest.raises(ValueError, match="give either 'table' or 'query'"):
        database.read()


def test_the_doctor_says_whether_it_answers_and_what_can_be_read(database: Database) -> None:
    database.add("7, 'Won', 1, null", "8, 'Won', 1, null")
    settings = database.settings.model_copy(update={"sources": ("sql",)})
    connection, rows = [check for check in examine(settings) if check.name == "source sql"]
    assert (connection.outcome, rows.outcome) == ("ok", "ok")
    assert connection.found.startswith("answers; its clock is ")
    assert rows.found == "2 rows can be read, 0 would go to quarantine"


def test_the_address_is_no_part_of_what_raw_keeps(database: Database) -> None:
    database.url = "postgresql://ann:hunter2@host/crm"
    kept = orjson.dumps(database.settings.decisions()).decode()
    assert "opportunity" in kept
    assert "hunter2" not in kept + repr(database.settings)
