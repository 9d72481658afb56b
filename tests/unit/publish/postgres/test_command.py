"""PostgreSQL as people meet it: the commands, the steps of a run, and the doctor."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from kpimart import pipeline
from kpimart.cli import app
from kpimart.doctor import Check, examine
from kpimart.errors import AccessRefused

Kpimart = Callable[..., Result]


@pytest.fixture
def kpimart(target: Any, monkeypatch: pytest.MonkeyPatch) -> Kpimart:
    """Type a command, where the target is configured."""
    monkeypatch.chdir(target.home)
    monkeypatch.setenv("KPIMART_HOME", str(target.home))
    monkeypatch.setenv("KPIMART_POSTGRES__URL", target.url())
    return lambda *words: CliRunner().invoke(app, list(words), catch_exceptions=False)


def check(target: Any) -> Check:
    (found,) = [each for each in examine(target.settings) if each.name == "postgres"]
    return found


def test_an_export_says_what_it_did_and_that_it_did_nothing_again(company: Any, kpimart: Kpimart) -> None:
    first, second = company.publish(), company.publish()
    told = kpimart("export", "postgres", "--release", first.release_id).output
    assert f"PostgreSQL serves release {first.release_id} (before: none)" in told
    assert "0 deleted" in told
    told = kpimart("export", "postgres").output
    assert f"PostgreSQL serves release {second.release_id} (before: {first.release_id})" in told
    told = kpimart("export", "postgres").output
    assert f"serves release {second.release_id} already, to the same people: nothing was changed" in told


def test_machines_are_told_as_json(company: Any, kpimart: Kpimart) -> None:
    made = company.publish()
    told = json.loads(kpimart("export", "postgres", "--json").output)
    assert (told["release_id"], told["former_id"], told["deleted"]) == (made.release_id, None, 0)


def test_an_id_that_opens_nothing_is_told(company: Any, target: Any, kpimart: Kpimart, monkeypatch: Any) -> None:
    company.publish()
    (target.home / "access.csv").write_text("login,person,manager_id,department_id\nanna,,files:mi,\n")
    monkeypatch.setenv("KPIMART_POSTGRES__ACCESS", "access.csv")
    told = kpimart("export", "postgres").output
    assert "warning: postgres.access names files:mi, which the release does not have: it opens nothing" in told


def test_the_administrators_script_is_printed(kpimart: Kpimart, target: Any) -> None:
    told = kpimart("export", "postgres-roles").output
    target.run("drop schema reporting", told)
    assert target.ask("select nspowner::regrole::text from pg_namespace where nspname = 'reporting'") == [
        ("kpi_publisher",)
    ]


def test_publishing_a_build_takes_postgresql_along(company: Any, target: Any) -> None:
    build = company.build()
    company.change(
        f"insert into ops.build values ('{build.build_id}', '{build.as_of}', '{build.known_at}', now(), now(), "
        "'warehouse.duckdb')"
    )
    away = target.settings.model_copy(update={"postgres": target.settings.postgres.model_copy(update={"url": None})})
    pipeline.publish(away)
    assert target.ask("select to_regclass('reporting.release')") == [(None,)]
    # As a scheduler does when it tries the step again.
    pipeline.publish(target.settings)
    assert target.served_id() == build.build_id


def test_the_doctor_finds_a_target_that_is_well(company: Any, target: Any) -> None:
    made = company.publish()
    target.export()
    assert check(target) == Check("postgres", "ok", f"serves {made.release_id}")


def test_the_doctor_tells_what_a_target_lacks(company: Any, target: Any) -> None:
    made = company.publish()
    target.access = target.home / "access.csv"
    target.access.write_text("login,person,manager_id,department_id\nnobody_there,,files:mo,\n")
    found = check(target)
    assert found.outcome == "warning"
    assert found.found == (
        "serves no release yet; nobody_there of postgres.access is no member of kpi_head or kpi_manager; "
        f"{made.release_id} is served from disk: kpimart export postgres"
    )
    target.run("alter role kpi_publisher superuser")
    try:
        assert "the publishing role is a superuser" in check(target).found
    finally:
        target.run("alter role kpi_publisher nosuperuser")
    target.run("drop schema reporting")
    found = check(target)
    assert (found.outcome, "missing: schema reporting" in found.found) == ("failed", True)


def test_a_rollback_while_the_server_is_away_says_what_to_do(company: Any, target: Any, kpimart: Kpimart) -> None:
    first = company.publish()
    company.publish()
    target.run("alter role kpi_publisher nologin")
    try:
        with pytest.raises(AccessRefused, match="is not permitted to log in"):
            kpimart("rollback")
    finally:
        target.run("alter role kpi_publisher login")
    assert company.served_id() == first.release_id
    assert kpimart("export", "postgres").exit_code == 0
    assert target.served_id() == first.release_id
