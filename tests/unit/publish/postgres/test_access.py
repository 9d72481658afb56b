"""Who sees which rows, as PostgreSQL gives them out.

Departments: Berlin lies in East, East and West in All; West lay in East until 2026. Anna sits in Berlin and was in West
before, Bert sits in East, Carl in West.
"""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from kpimart.errors import SettingsError
from kpimart.publish.contract import PUBLISHED
from kpimart.publish.postgres.access import EVERYBODY, read_entries

ACCESS = """login,person,manager_id,department_id
anna,,f:anna,
heather,,,f:east
desk,Heather,,f:east
desk,Anna,f:anna,
head_desk,Heather,,f:east
head_desk,Anna,f:anna,
team,Anna,f:anna,
team,Bert,f:bert,
bert,,f:bert,
bert,,,f:berlin
boss,,,f:all
misplaced,,,f:east
gone,,f:nobody,
"""
MEMBERS = {
    "kpi_manager": ("anna", "desk", "team", "misplaced", "gone", "newcomer"),
    "kpi_head": ("heather", "head_desk", "bert", "boss"),
    "kpi_analyst": ("olga",),
}

ORGANISATION = """
delete from core.dim_department;
insert into core.dim_department values
    ('f:all', 'All', null, null, false), ('f:east', 'East', 'f:all', null, false),
    ('f:berlin', 'Berlin', 'f:east', null, false), ('f:west', 'West', 'f:all', null, false);
insert into core.dim_department_closure by name
select *, 0::integer as depth, date '0001-01-01' as valid_from
from (values
    ('f:all', 'f:all', date '9999-12-31'), ('f:all', 'f:east', date '9999-12-31'),
    ('f:all', 'f:berlin', date '9999-12-31'), ('f:all', 'f:west', date '9999-12-31'),
    ('f:east', 'f:east', date '9999-12-31'), ('f:east', 'f:berlin', date '9999-12-31'),
    ('f:east', 'f:west', date '2026-01-01'), ('f:berlin', 'f:berlin', date '9999-12-31'),
    ('f:west', 'f:west', date '9999-12-31')
) as rows (ancestor_department_id, department_id, valid_to);
delete from core.dim_manager;
insert into core.dim_manager values
    ('f:anna', 'Anna', 'f:berlin', false, null, null), ('f:bert', 'Bert', 'f:east', false, null, null),
    ('f:carl', 'Carl', 'f:west', false, null, null);

create temp table seat as
select * from (values ('f:anna', 'f:berlin'), ('f:anna', 'f:west'), ('f:bert', 'f:east'), ('f:carl', 'f:west'))
    as rows (manager_id, department_id);

-- One deal of each seat, called by it: anna|berlin, and so on.
create temp table deal as select * from core.fct_deal limit 1;
delete from core.fct_deal;
insert into core.fct_deal by name
select deal.* replace (
    replace(seat.manager_id || '|' || seat.department_id, 'f:', '') as deal_id, seat.manager_id as manager_id,
    seat.department_id as department_id
)
from deal, seat;
insert into kpi.kpi_next_step select deal_id, date '2026-11-01', null from core.fct_deal;
insert into kpi.leaderboard by name
select
    'won_amount' as kpi_code, 'month' as period_grain, date '2026-11-01' as period_start,
    date '2026-11-30' as period_end, false as is_complete, manager_id, manager_name, department_id,
    department_name, 1000::decimal(28, 8) as value, 'EUR' as unit, 1::integer as rank, true as is_tied,
    false as is_hidden
from core.dim_manager
inner join core.dim_department using (department_id);

create temp table entity as
select 'company' as entity_level, 'company' as entity_key, null as department_id, null as manager_id
union all select 'department', department_id, department_id, null from core.dim_department
union all select 'manager', manager_id, null, manager_id from core.dim_manager
union all select 'manager_in_department', manager_id || '|' || department_id, department_id, manager_id from seat;
create temp table figure as select * from kpi.kpi_value where entity_level = 'company';
delete from kpi.kpi_value;
insert into kpi.kpi_value by name
select figure.* replace (
    entity.entity_level as entity_level, entity.entity_key as entity_key, entity.department_id as department_id,
    entity.manager_id as manager_id
)
from figure, entity;
"""


@pytest.fixture(scope="module")
def people(lasting: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A target that is loaded, with everybody's logins."""
    access = tmp_path_factory.mktemp("access") / "access.csv"
    access.write_text(ACCESS)
    company, target = lasting
    company.change(ORGANISATION)
    company.publish()
    target.access = access
    for role, logins in MEMBERS.items():
        for login in logins:
            target.run(f"create role {login} login", f"grant {role} to {login}")
    target.run("create role stranger login")
    assert target.export().unknown_ids == ("f:nobody",)
    return target


DEALS = {
    "olga": ["anna|berlin", "anna|west", "bert|east", "carl|west"],
    "boss": ["anna|berlin", "anna|west", "bert|east", "carl|west"],
    "anna": ["anna|berlin", "anna|west"],
    "heather": ["anna|berlin", "bert|east"],
    # What a manager and the head of East may both see.
    "desk": ["anna|berlin"],
    "head_desk": ["anna|berlin"],
    "team": [],
    # A manager who is the head of another department too.
    "bert": ["anna|berlin", "bert|east"],
    # The role of a manager does not open a department.
    "misplaced": [],
    "gone": [],
    "newcomer": [],
}


@pytest.mark.parametrize("login", DEALS)
def test_a_login_sees_the_deals_that_all_its_people_may_see(login: str, people: Any) -> None:
    assert people.ask("select deal_id from deal order by 1", login) == [(deal,) for deal in DEALS[login]]
    assert people.ask("select deal_id from deal_next_step order by 1", login) == [(deal,) for deal in DEALS[login]]


FIGURES = {
    "olga": 12,
    # Everything but the company's own.
    "boss": 11,
    "anna": ["f:anna", "f:anna|f:berlin", "f:anna|f:west"],
    "heather": ["f:anna", "f:anna|f:berlin", "f:berlin", "f:bert", "f:bert|f:east", "f:east"],
    "desk": ["f:anna", "f:anna|f:berlin"],
    "head_desk": ["f:anna", "f:anna|f:berlin"],
    "team": [],
    "newcomer": [],
}


@pytest.mark.parametrize("login", FIGURES)
def test_a_login_sees_the_figures_that_all_its_people_may_see(login: str, people: Any) -> None:
    seen = [key for (key,) in people.ask("select distinct entity_key from kpi_value order by 1", login)]
    expected = FIGURES[login]
    assert (len(seen) if isinstance(expected, int) else seen) == expected


def test_a_wide_view_shows_no_more_than_its_table(people: Any) -> None:
    assert people.ask("select manager_id from kpi_manager_month order by 1", "anna") == [("f:anna",)]
    assert people.ask("select department_id from kpi_department_year order by 1", "heather") == [
        ("f:berlin",),
        ("f:east",),
    ]
    assert people.ask("select count(*) from kpi_company_month", "boss") == [(0,)]
    assert people.ask("select count(*) from kpi_company_month", "olga") == [(1,)]


def test_places_are_public_and_what_they_rest_on_is_not(people: Any) -> None:
    places = [("Anna", 1), ("Bert", 1), ("Carl", 1)]
    for login in ("anna", "heather", "newcomer"):
        assert people.ask("select manager_name, rank from leaderboard_public order by 1", login) == places
    assert people.ask("select manager_id, value::integer from leaderboard", "anna") == [("f:anna", 1000)]
    columns = people.ask(
        "select attname from pg_attribute where attrelid = 'leaderboard_public'::regclass and attnum > 0"
    )
    assert not {"value", "manager_id", "department_id"} & {name for (name,) in columns}


def test_what_names_nobody_is_for_everybody(people: Any) -> None:
    for table in sorted(EVERYBODY - {"served_release"}):
        assert people.ask(f"select count(*) from {table}", "newcomer") == people.ask(f"select count(*) from {table}")


def test_every_published_table_is_for_everybody_or_guarded(people: Any) -> None:
    guarded = {
        name
        for (name,) in people.ask(
            "select relname from pg_class where relnamespace = 'reporting'::regnamespace and relrowsecurity"
        )
    }
    names = {table.name for table in PUBLISHED}
    assert guarded & names == names - EVERYBODY
    naming_people = {
        table.name for table in PUBLISHED if {"manager_id", "deal_id"} & {column.name for column in table.columns}
    }
    assert naming_people & EVERYBODY == set()


@pytest.mark.parametrize("login", ["anna", "heather"])
def test_rows_that_failed_an_expectation_are_for_analysts(login: str, people: Any) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        people.ask("select * from quality_result", login)
    assert people.ask("select count(*) > 0 from quality_result", "olga") == [(True,)]


def test_who_has_no_role_sees_nothing(people: Any) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        people.ask("select * from reporting.kpi_catalogue", "stranger")


@pytest.mark.parametrize("login", ["anna", "heather", "olga"])
@pytest.mark.parametrize(
    "statement",
    [
        "delete from deal",
        "update deal set amount = 0",
        "insert into access_scope values ('anna', 'f:carl', 'f:west', true)",
        "create table mine (number integer)",
        "drop view leaderboard_public",
    ],
)
def test_a_reader_writes_nothing(login: str, statement: str, people: Any) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        people.run(statement, user=login)


def test_a_login_sees_only_its_own_scope(people: Any) -> None:
    assert people.ask("select distinct login from access_scope", "anna") == [("anna",)]
    assert people.ask("select count(distinct login) > 3 from access_scope") == [(True,)]


@pytest.mark.parametrize("relation", ["deal", "kpi_value", "leaderboard", "dim_manager"])
def test_a_cheap_function_is_not_shown_the_rows_of_others(relation: str, people: Any) -> None:
    with people.connect("anna") as connection:
        told: list[str] = []
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
        connection.execute(
            "create function pg_temp.peep(seen text) returns boolean language plpgsql cost 0.0000001 as "
            "$$ begin raise notice '%', seen; return true; end $$"
        )
        connection.execute(f"select count(*) from {relation} where pg_temp.peep(manager_id)")
    assert set(told) == {"f:anna"}


def test_a_tool_that_takes_the_role_of_a_person_sees_what_the_person_sees(people: Any) -> None:
    people.run("create role tool login", "grant anna, heather to tool with inherit false")
    with people.connect("tool") as connection:
        connection.execute("set role anna")
        assert connection.execute("select count(*) from deal").fetchall() == [(2,)]
        connection.execute("set role heather")
        assert connection.execute("select string_agg(deal_id, ' ' order by deal_id) from deal").fetchall() == [
            ("anna|berlin bert|east",)
        ]


def test_a_change_of_who_may_see_what_needs_no_new_release(people: Any) -> None:
    before = people.access.read_text()
    people.access.write_text(before + "newcomer,,f:carl,\n")
    done = people.export()
    assert (done.is_access_changed, done.inserted, done.deleted) == (True, 0, 0)
    assert people.ask("select deal_id from deal", "newcomer") == [("carl|west",)]
    people.access.write_text(before)
    people.export()
    assert people.ask("select deal_id from deal", "newcomer") == []
    assert people.export().is_unchanged


def test_without_the_file_only_analysts_see_rows(people: Any) -> None:
    access, people.access = people.access, None
    people.export()
    assert people.ask("select count(*) from deal", "boss") == [(0,)]
    assert people.ask("select count(*) from deal", "olga") == [(4,)]
    people.access = access
    people.export()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("login;person\n", "the first line must be login,person,manager_id,department_id"),
        (
            "login,person,manager_id,department_id\nanna,,,\n",
            "line 2: give anna either a manager_id or a department_id",
        ),
        ("login,person,manager_id,department_id\nanna,,a,b\n", "line 2: give anna either"),
        ("login,person,manager_id,department_id\n,,a,\n", "line 2: give login, person"),
        ("login,person,manager_id,department_id\nanna,x\n", "line 2: give login, person"),
        ("login,person,manager_id,department_id\nanna,x,a,,further\n", "line 2: give login, person"),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "access.csv"
    file.write_text(text)
    with pytest.raises(SettingsError, match=told):
        read_entries(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"access\.csv: cannot be read"):
        read_entries(tmp_path / "access.csv")
