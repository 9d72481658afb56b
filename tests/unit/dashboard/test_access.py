"""Who sees what on the pages: the rows that PostgreSQL gives the same login, whatever a page asks for."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from kpimart.dashboard.access import Sight, sight, signed_in
from kpimart.dashboard.served import read_served
from kpimart.publish.postgres import schema
from kpimart.publish.postgres.access import EVERYBODY, PUBLIC_COLUMNS, make_scope, read_entries
from kpimart.settings import DashboardSettings, PostgresSettings, Settings
from kpimart.warehouse import open_database, open_memory

ACCESS = """login,person,manager_id,department_id
mo,,files:1,
li,,files:3,
nora,,,files:n
boss,,,files:all
desk,Mo,files:1,
desk,Nora,,files:n
"""
ROLES = {"mo": "manager", "li": "manager", "nora": "head", "boss": "head", "desk": "head", "stranger": "manager"}

Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def settings(staffed: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    file = tmp_path_factory.mktemp("access") / "access.csv"
    file.write_text(ACCESS)
    dashboard = DashboardSettings(header="X-User", sees_all=("ann",))
    return Settings(home=staffed, postgres=PostgresSettings(access=file), dashboard=dashboard)


def seen_by(login: str, settings: Settings) -> Sight:
    served = read_served(settings.home)
    assert served
    return sight(settings, served, login)


@pytest.fixture(params=list(ROLES))
def login(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def policies(login: str, settings: Settings) -> Iterator[tuple[duckdb.DuckDBPyConnection, dict[str, str]]]:
    """Of each table of the release, the query of what the policies of PostgreSQL let the login see."""
    served = read_served(settings.home)
    assert served
    with open_memory() as connection:
        connection.execute(f"attach '{served.release.database}' as coming (read_only)")
        tables = schema.released_tables(connection)
        make_scope(connection, [(table.name, tuple(table.columns)) for table in tables], _entries(settings))
        connection.execute("create schema reporting")
        connection.execute("create table reporting.access_scope as from temp.access_scope")
        queries = {}
        for table in tables:
            conditions = [
                condition.replace("current_user", f"'{login}'")
                for name, _, condition in schema._policies(table)
                if name in (ROLES[login], "as_the_deal")
            ]
            rule = "true" if table.name in EVERYBODY else " or ".join(conditions) or "false"
            queries[table.name] = f"select * from coming.{table.name} where {rule}"
        connection.execute(f"create view reporting.deal as {queries['deal']}")
        yield connection, queries


def _entries(settings: Settings) -> list[Any]:
    return list(read_entries(settings.postgres.access))


def test_of_every_table_are_seen_the_rows_that_postgresql_shows(
    login: str, settings: Settings, policies: tuple[duckdb.DuckDBPyConnection, dict[str, str]]
) -> None:
    connection, queries = policies
    with open_database(seen_by(login, settings).served.release.database) as seen:
        for table, query in queries.items():
            if table != "leaderboard":
                shown = seen.execute(f"select * from {table} order by all").fetchall()
                assert shown == connection.execute(f"{query} order by all").fetchall(), table


def test_what_is_seen_is_not_nothing(settings: Settings) -> None:
    counted = {}
    for login in ROLES:
        with open_database(seen_by(login, settings).served.release.database) as seen:
            rows = seen.execute("select distinct entity_key from kpi_value order by 1").fetchall()
            counted[login] = [key for (key,) in rows]
    assert counted["mo"] == ["files:1", "files:1|files:n"]
    assert counted["nora"] == ["files:1", "files:1|files:n", "files:n"]
    assert counted["boss"] == ["files:1", "files:1|files:n", "files:n", "files:s"]
    assert counted["desk"] == ["files:1", "files:1|files:n"]
    assert counted["li"] == counted["stranger"] == []


def test_places_are_public_and_what_they_rest_on_is_not(settings: Settings) -> None:
    with open_database(seen_by("mo", settings).served.release.database) as seen:
        columns = [column for column, *_ in seen.execute("describe leaderboard").fetchall()]
        hidden = [column for column in columns if column not in PUBLIC_COLUMNS]
        rows = seen.execute(
            f"select manager_name, rank, {', '.join(hidden)} from leaderboard order by manager_name, rank"
        ).fetchall()
    assert [row[:2] for row in rows] == [("Li", 1), ("Mo", 2)]
    assert set(rows[0][2:]) == {None}
    assert "files:1" in rows[1]


def test_who_sees_all_has_the_release_itself(settings: Settings) -> None:
    served = read_served(settings.home)
    assert seen_by("ann", settings) == Sight(served) if served else False


def test_nothing_else_of_the_release_is_within_reach(settings: Settings) -> None:
    found = seen_by("mo", settings).served
    assert not found.release.folder.exists()
    assert found.unmet == ()


# The pages


@pytest.fixture
def open_as(
    open_page: Open, staffed: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AppTest]:
    """`open_as("mo", of=…)`: the page at that address, for somebody who has signed in."""

    def opened(login: str | None, page: str = "", /, **address: str) -> AppTest:
        monkeypatch.setenv("KPIMART_POSTGRES__ACCESS", str(settings.postgres.access))
        monkeypatch.setenv("KPIMART_DASHBOARD__HEADER", "X-User")
        monkeypatch.setenv("KPIMART_DASHBOARD__SEES_ALL", '["ann"]')
        headers = {} if login is None else {"X-User": login}
        monkeypatch.setattr(st, "context", SimpleNamespace(headers=headers, locale="en"))
        return open_page(staffed, page, **address)

    return opened


def test_a_manager_sees_themselves(open_as: Callable[..., AppTest]) -> None:
    page = open_as("mo")
    assert page.selectbox(key="entity").options == ["Mo · North"]
    assert page.title[0].value == "Mo, December 2026"


@pytest.mark.parametrize("of", ["company", "department:files:n", "manager:files:3", "manager:files:2"])
def test_an_address_of_somebody_else_shows_no_more(open_as: Callable[..., AppTest], of: str) -> None:
    page = open_as("mo", of=of)
    assert page.title[0].value == "Mo, December 2026"
    assert "which this release does not have" in page.warning[0].value


@pytest.mark.parametrize("of", ["manager:files:3", "department:files:s", "company"])
@pytest.mark.parametrize("page", ["department", "manager"])
def test_no_page_shows_somebody_else(open_as: Callable[..., AppTest], page: str, of: str) -> None:
    opened = open_as("nora", page, of=of, period="2026-12")
    assert opened.title[0].value in ("Mo, December 2026", "North, December 2026")


def test_a_manager_has_no_department_to_open(open_as: Callable[..., AppTest]) -> None:
    assert open_as("mo", "department").info[0].value == "There is nobody to show here."


def test_of_the_leaderboard_all_places_are_seen_and_ones_own_figure(open_as: Callable[..., AppTest]) -> None:
    page = open_as("mo", "leaderboard", period="2026-12")
    (table,) = [html.value for html in page.html if "aria-label='Leaderboard'" in html.value]
    assert ">Li<" in table
    assert "450.25" in table
    assert "500" not in table
    assert "Places are for everybody to see, figures for who answers for them." in [each.value for each in page.caption]


def test_a_head_plans_their_tree_and_takes_no_workbook_along(open_as: Callable[..., AppTest]) -> None:
    page = open_as("nora", "finance", period="2026-12")
    assert page.title[0].value == "Won amount, North"
    assert "South" not in "".join(each.value for each in page.html)
    assert "Plan a year" not in [each.value for each in page.subheader]
    assert "Plan a year" in [each.value for each in open_as("ann", "finance", period="2026-12").subheader]


def test_only_who_sees_all_has_the_page_of_checks(open_as: Callable[..., AppTest]) -> None:
    assert open_as("ann", "quality").title[0].value == "Quality"
    assert open_as("nora", "quality").title[0].value == "North, December 2026"


def test_the_catalogue_is_for_everybody_and_tells_who_is_measured_of_those_seen(
    open_as: Callable[..., AppTest],
) -> None:
    told = {login: "".join(each.value for each in open_as(login, "catalogue").html) for login in ("mo", "nora", "ann")}
    assert all("Won amount" in each for each in told.values())
    assert [name for name, each in told.items() if "growth: departments" in each] == ["nora", "ann"]
    assert "growth: departments 1" in told["nora"]


def test_a_head_sees_their_tree(open_as: Callable[..., AppTest]) -> None:
    assert open_as("nora").selectbox(key="entity").options == [
        "› North",
        "Mo · North · files:1",
        "Mo · North · files:2",
    ]


@pytest.mark.parametrize("login", [None, "", " "])
def test_whom_nobody_names_sees_nothing(open_as: Callable[..., AppTest], login: str | None) -> None:
    page = open_as(login)
    assert page.title[0].value == "Sign in to see your figures"
    assert not page.metric


def test_whom_nobody_gave_anything_is_told(open_as: Callable[..., AppTest]) -> None:
    page = open_as("stranger")
    assert "stranger sees no figures yet" in page.info[0].value
    assert not page.metric


class Claims(dict[str, Any]):
    is_logged_in = True


@pytest.mark.parametrize(
    ("claims", "login"),
    [
        ({"email": "mo@example.com"}, "mo@example.com"),
        ({"email": "mo@example.com", "email_verified": True}, "mo@example.com"),
        ({"email": "mo@example.com", "email_verified": False}, None),
        ({"sub": "1"}, None),
    ],
)
def test_by_oidc_the_claim_is_the_login(
    claims: dict[str, Any], login: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "user", Claims(claims))
    assert signed_in(DashboardSettings()) == login
