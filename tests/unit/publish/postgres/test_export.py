"""What PostgreSQL holds after a release was loaded, and after one could not be."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from kpimart import pipeline
from kpimart.errors import AccessRefused, ReleaseNotFound, SettingsError, TargetFailed, TargetUnavailable
from kpimart.mentions import Mentions
from kpimart.publish import contract
from kpimart.publish.amend import Order, amend_releases
from kpimart.publish.contract import DEAL, PUBLISHED
from kpimart.publish.postgres import connection
from kpimart.publish.postgres.export import export
from kpimart.publish.postgres.roles import ROLES_SQL
from kpimart.settings import Settings

KILLED_AT_A_TABLE = """
import os, signal, sys
from pathlib import Path
from kpimart.publish.postgres.export import export
from kpimart.settings import Settings
url, home, table = sys.argv[1:]
def tell(name):
    if name == table:
        os.kill(os.getpid(), signal.SIGKILL)
export(Settings(home=Path(home), postgres={"url": url}), tell=tell)
"""


def differing(company: Any, target: Any, file: Any = None) -> list[str]:
    """The tables whose rows are not those of the release that is served from disk, or of another's file."""
    found = []
    for table in PUBLISHED:
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        query = f"select {columns} from {table.name} order by {', '.join(table.key)}"
        if target.ask(query) != company.ask(query, file):
            found.append(table.name)
    return found


# What is there


def test_every_table_holds_the_rows_of_the_release(company: Any, target: Any) -> None:
    company.publish()
    assert target.export().former_id is None
    assert differing(company, target) == []


def test_every_wide_view_shows_what_it_shows_on_disk(loaded: Any) -> None:
    company, target = loaded
    names = [contract.wide_view(level, grain) for level in contract.ENTITY_LEVELS for grain in contract.GRAINS]
    ordered = "select * from {} order by entity_name, period_start"
    assert {name: target.ask(ordered.format(name)) for name in names} == {
        name: company.ask(ordered.format(name)) for name in names
    }


def test_tables_and_columns_carry_the_words_of_the_contract(loaded: Any) -> None:
    _, target = loaded
    for table in PUBLISHED:
        described = target.ask(f"select obj_description('{table.name}'::regclass)")
        assert described == [(table.description,)]
        columns = target.ask(
            f"select attname, col_description(attrelid, attnum) from pg_attribute "
            f"where attrelid = '{table.name}'::regclass and attnum > 0"
        )
        assert dict(columns) == {column.name: column.description for column in table.columns}
    ((told,),) = target.ask(
        "select col_description(attrelid, attnum) from pg_attribute "
        "where attrelid = 'kpi_manager_month'::regclass and attname = 'win_rate'"
    )
    assert told == "Win rate (ratio)"


def test_every_table_with_a_key_has_it_as_its_primary_key(loaded: Any) -> None:
    _, target = loaded
    found = target.ask(
        "select conrelid::regclass::text, array_agg(attname::text order by array_position(conkey, attnum)) "
        "from pg_constraint inner join pg_attribute on attrelid = conrelid and attnum = any (conkey) "
        "where contype = 'p' and connamespace = 'reporting'::regnamespace group by 1"
    )
    keys = {table.name: list(table.key) for table in PUBLISHED if table.name != "quality_result"}
    assert {name: key for name, key in found if name != "access_scope"} == keys


def test_keys_and_what_is_looked_up_are_in_the_order_of_their_bytes(loaded: Any) -> None:
    """In the order of DuckDB, whatever the language of the database; and nothing of a key is empty."""
    _, target = loaded
    found = target.ask(
        """
        select attname::text, attnotnull from pg_attribute
        where attrelid = 'kpi_value'::regclass and attcollation = '"C"'::regcollation order by attname
        """
    )
    key = [(name, True) for name in ("entity_key", "entity_level", "kpi_code")]
    assert found == [*key, ("manager_id", False), ("period_grain", True)]


POISON = """
update core.fct_deal set deal_name = case deal_id
    when 'files:1' then 'nul ' || chr(0) || ' nul' when 'files:2' then '''); drop table deal; --'
    when 'files:3' then '<script>alert(1)</script>' when 'files:4' then '\\N'
    when 'files:5' then 'tab' || chr(9) || chr(10)
    when 'files:6' then repeat('x', 1000000) when 'files:7' then '😀 Ж' when 'files:8' then '' end;
update core.fct_deal set amount = 9999999999999999.99, expected_close_on = date '0001-01-01' where deal_id = 'files:1';
update core.fct_deal set amount = -9999999999999999.99, created_at = timestamptz '9999-12-31 23:59:59.999999+00'
where deal_id = 'files:2';
update core.fct_deal set amount = 1000000000.01, native_amount = -0.01 where deal_id = 'files:3';
"""


def test_whatever_a_crm_holds_arrives_as_it_is(company: Any, target: Any) -> None:
    company.change(POISON)
    company.publish()
    target.export()
    on_disk = company.ask("from deal order by deal_id")
    for there, here in zip(target.ask("select * from deal order by deal_id"), on_disk, strict=True):
        assert there == tuple(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in here)


# The next release


def test_the_same_release_again_changes_nothing(company: Any, target: Any) -> None:
    company.publish()
    target.export()
    look = "select loaded_at::text, (select sum(xmin::text::bigint) from deal) from served_release"
    before = target.ask(look)
    assert target.export().is_unchanged
    assert target.ask(look) == before


def test_of_the_next_release_only_what_differs_is_sent(company: Any, target: Any) -> None:
    first = company.publish()
    target.export()
    before = dict(target.ask("select deal_id, xmin::text from deal"))
    company.change("update core.fct_deal set amount = 7 where deal_id = 'files:3'")
    company.change("delete from core.fct_deal where deal_id = 'files:4'")
    company.publish()
    done = target.export()
    assert differing(company, target) == []
    assert done.former_id == first.release_id
    after = dict(target.ask("select deal_id, xmin::text from deal"))
    assert {deal for deal in before if after.get(deal) != before[deal]} == {"files:3", "files:4"}


def test_a_release_whose_former_is_gone_from_disk_is_loaded_whole(company: Any, target: Any) -> None:
    first = company.publish()
    target.export()
    company.publish()
    first.folder.rename(company.home / "elsewhere")
    assert target.export().inserted > len(company.ask("from kpi_value"))
    assert differing(company, target) == []


def test_another_release_can_be_served_than_from_disk_and_back(company: Any, target: Any) -> None:
    first = company.publish()
    company.change("update core.fct_deal set amount = 7")
    second = company.publish()
    target.export()
    assert target.export(first.release_id).former_id == second.release_id
    assert differing(company, target, first.database) == []
    target.export()
    assert differing(company, target) == []
    with pytest.raises(ReleaseNotFound):
        target.export("20200101T000000Z")


def test_a_rollback_takes_postgresql_along(company: Any, target: Any) -> None:
    first = company.publish()
    company.publish()
    target.export()
    pipeline.rollback(target.settings)
    assert target.served_id() == company.served_id() == first.release_id


@pytest.fixture
def older_contract(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Deals have no expected_close_on yet, and there are no activities."""
    older = replace(DEAL, columns=tuple(each for each in DEAL.columns if each.name != "expected_close_on"))
    for name in ("BUILT", "PUBLISHED"):
        tables = (older if table is DEAL else table for table in getattr(contract, name))
        monkeypatch.setattr(contract, name, tuple(table for table in tables if table is not contract.ACTIVITY))
    return monkeypatch


def test_a_contract_grows_and_an_older_release_is_served_again(
    company: Any, target: Any, older_contract: pytest.MonkeyPatch
) -> None:
    company.change("update core.fct_deal set expected_close_on = date '2026-12-24'")
    company.change(
        "insert into kpi.kpi_counted_activity by name select 'a' as activity_id, 'call' as activity_type, "
        "'files:mo' as manager_id, 'files:north' as department_id, date '2026-11-17' as occurred_on"
    )
    first = company.publish()
    target.export()
    older_contract.undo()
    company.publish()
    target.export()
    assert differing(company, target) == []
    target.export(first.release_id)
    assert target.ask("select distinct expected_close_on, amount > 0 from deal") == [(None, True)]
    assert target.ask("select count(*) from activity") == [(0,)]
    target.export()
    assert differing(company, target) == []


def test_a_table_whose_column_has_another_type_is_made_anew(company: Any, target: Any) -> None:
    company.publish()
    target.export()
    target.run("create role ada login in role kpi_analyst", "drop view if exists kpi_company_day cascade")
    target.run("alter table deal alter amount type numeric(20,4)", user="kpi_publisher")
    company.publish()
    target.export()
    assert differing(company, target) == []
    assert target.ask("select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'deal'::regclass "
                      "and attname = 'amount'") == [("numeric(18,2)",)]  # fmt: skip
    assert target.ask("select count(*) from deal", "ada") == target.ask("select count(*) from deal")
    assert target.ask("select count(*) from kpi_company_day", "ada") == [(1,)]


def test_what_somebody_built_on_a_view_is_not_dropped_with_it(company: Any, target: Any) -> None:
    company.publish()
    target.export()
    target.run("create view public.mine as table kpi_company_month")
    served = target.served_id()
    company.change("delete from seeds.kpi_catalogue where kpi_code = 'open_deals'")
    company.publish()
    with pytest.raises(TargetFailed, match=r"kpi_company_month because other objects depend on it"):
        target.export()
    assert target.served_id() == served


def test_a_kpi_that_is_new_has_a_column_in_the_views(company: Any, target: Any) -> None:
    company.publish()
    target.export()
    company.change(
        "insert into seeds.kpi_catalogue by name select * replace ('calls' as kpi_code, 'It''s calls' as name_en) "
        "from seeds.kpi_catalogue where kpi_code = 'open_deals'"
    )
    company.publish()
    target.export()
    assert target.ask("select calls from kpi_company_month") == [(None,)]


def test_mentions_that_were_erased_from_a_release_are_erased_there_too(company: Any, target: Any) -> None:
    company.change("update core.dim_manager set manager_name = 'Mo Smith' where manager_id = 'files:mo'")
    made = company.publish()
    target.export()
    order = Order(
        Mentions(frozenset({"Mo Smith"})),
        {},
        "me",
        made.published_at,
    )
    amend_releases(company.home, order, lambda _: None)
    done = target.export()
    assert (done.release_id, done.former_id) == (made.release_id, made.release_id)
    assert target.ask("select count(*) from dim_manager where manager_name like '%Smith%'") == [(0,)]
    assert differing(company, target) == []


# Failures


def test_rows_that_somebody_else_removed_come_back(company: Any, target: Any) -> None:
    company.publish()
    target.export()
    target.run("delete from deal where deal_id = 'files:3'", "update deal set amount = 0 where deal_id = 'files:5'")
    company.publish()
    target.export()
    assert differing(company, target) == []


@pytest.mark.parametrize("table", ["kpi_value", "totals"])
def test_a_kill_leaves_the_former_release(table: str, company: Any, target: Any) -> None:
    first = company.publish()
    target.export()
    company.change("update core.fct_deal set amount = 7")
    company.change("update kpi.kpi_value set value = 7")
    company.publish()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_A_TABLE, target.url(), str(company.home), table], capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert differing(company, target, first.database) == []
    target.export()
    assert differing(company, target) == []


def test_a_load_that_does_not_come_to_the_same_totals_is_not_committed(
    company: Any, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = company.publish()
    target.export()
    company.change("update core.fct_deal set amount = 7")
    company.publish()
    target.run(
        "create function public.spoil() returns trigger language plpgsql as "
        "$$ begin new.amount := new.amount + 0.01; return new; end $$",
        "create trigger spoil before insert on deal for each row execute function public.spoil()",
    )
    with pytest.raises(TargetFailed, match=r"reporting\.deal would have 9 rows and totals \{'amount': '63\.09'\}; exp"):
        target.export()
    assert differing(company, target, first.database) == []


def test_a_server_that_is_away_is_told_with_exit_code_4_and_the_release_on_disk_stays(
    company: Any, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = company.publish()
    company.publish()
    away = Settings(home=company.home, postgres={"url": "postgresql://kpi_publisher:hidden@127.0.0.1:1/figures"})  # type: ignore[arg-type]
    with pytest.raises(TargetUnavailable, match="Connection refused") as raised:
        pipeline.rollback(away)
    assert raised.value.exit_code == 4
    assert raised.value.is_retryable
    assert "hidden" not in str(raised.value)
    assert "kpimart export postgres" in str(raised.value)
    assert company.served_id() == first.release_id
    target.export()
    assert target.served_id() == first.release_id


def test_a_connection_that_breaks_is_told_as_a_server_that_is_away(company: Any, target: Any) -> None:
    company.publish()

    def cut(table: str) -> None:
        if table == "kpi_value":
            target.run(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'kpi_publisher' "
                f"and datname = '{target.name}'"
            )

    with pytest.raises(TargetUnavailable):
        export(target.settings, tell=cut)
    assert target.ask("select to_regclass('reporting.deal')") == [(None,)]


@pytest.mark.parametrize(
    ("url", "error", "told"),
    [
        (None, SettingsError, "KPIMART_POSTGRES__URL=postgresql://"),
        ("mysql://kpi:hidden@host/figures", SettingsError, "is no URL"),
        ("postgresql://kpi:hid%zzden@host/figures", SettingsError, "is no URL"),
        ("postgresql://kpi:hidden@host.invalid/figures", TargetUnavailable, "could not translate host name"),
    ],
)
def test_an_url_that_leads_nowhere_is_told_without_its_password(
    url: str | None, error: type[Exception], told: str, company: Any
) -> None:
    company.publish()
    with pytest.raises(error, match=told) as raised:
        export(Settings(home=company.home, postgres={"url": url}))  # type: ignore[arg-type]
    assert "hid" not in str(raised.value).replace("hidden@host/name", "")


def test_a_user_or_a_database_that_is_not_there_is_told(company: Any, target: Any) -> None:
    company.publish()
    with pytest.raises(AccessRefused, match='role "nobody" does not exist'):
        export(Settings(home=company.home, postgres={"url": target.url("nobody")}))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r'database "figures_\w+x" does not exist'):
        export(Settings(home=company.home, postgres={"url": f"{target.url()}".replace(target.name, target.name + "x")}))  # type: ignore[arg-type]


def test_a_database_that_was_not_prepared_is_told_what_is_missing(company: Any, target: Any) -> None:
    company.publish()
    target.run("drop schema reporting")
    with pytest.raises(SettingsError, match=r"missing: schema reporting; let its administrator"):
        target.export()
    target.run("create schema reporting")
    with pytest.raises(SettingsError, match=r"schema reporting belongs to postgres, not to kpi_publisher"):
        target.export()


def test_the_administrators_script_can_be_run_again(company: Any, target: Any) -> None:
    company.publish()
    target.export()
    target.run(ROLES_SQL)
    assert target.export().is_unchanged


def test_the_publishing_role_owns_its_schema_and_nothing_else(loaded: Any) -> None:
    _, target = loaded
    owned = target.ask(
        "select distinct relnamespace::regnamespace::text from pg_class "
        "where relowner = 'kpi_publisher'::regrole and relnamespace::regnamespace::text not like 'pg_toast%'"
    )
    assert owned == [("reporting",)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        target.run("create schema further", user="kpi_publisher")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        target.run("create role further", user="kpi_publisher")


# Readers and other publishers


def test_a_transaction_of_several_statements_sees_one_release(company: Any, target: Any) -> None:
    company.publish()
    target.export()
    with target.connect() as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        (before,) = reader.execute("select release_id from release where is_this_release").fetchall()
        company.change("update core.fct_deal set amount = 7")
        company.publish()
        target.export()
        assert reader.execute("select release_id from served_release").fetchall() == [before]
        assert reader.execute("select sum(amount)::text from deal").fetchall() == [("452.25",)]
    assert target.ask("select sum(amount)::text from deal") == [("63.00",)]


def test_two_who_publish_at_once_do_so_one_after_the_other(company: Any, target: Any) -> None:
    first, second = company.publish(), company.publish()
    others = [threading.Thread(target=target.export, args=(each.release_id,)) for each in (first, second, first)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    target.export()
    assert differing(company, target) == []


def test_a_reader_who_stands_in_the_way_is_not_waited_for_for_ever(
    company: Any, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.publish()
    target.export()
    served = target.served_id()
    company.change("delete from seeds.kpi_catalogue where kpi_code = 'open_deals'")
    company.publish()
    monkeypatch.setattr(connection, "_SESSION", (*connection._SESSION, "set lock_timeout = '100ms'"))
    with target.connect() as reader:
        reader.execute("select * from kpi_company_month")
        with pytest.raises(TargetUnavailable, match="lock timeout"):
            target.export()
    assert target.served_id() == served
    target.export()
    assert differing(company, target) == []
