"""Scores a period of a release again, under a strategy profile that nobody has adopted yet.

The rules are those of the scorecards, word for word: the macros that dbt writes into models/marts/kpi/scorecard.sql are
plain Jinja over names of relations, and are written out here over the tables of the release.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb
import jinja2

from kpimart.errors import SettingsError
from kpimart.figures import Period, find_period
from kpimart.paths import DBT_PROJECT
from kpimart.seeds import seed_file
from kpimart.sql import literal
from kpimart.warehouse import open_database

PERIODS_A_YEAR = {"month": 12, "quarter": 4, "year": 1}


@dataclass(frozen=True)
class Rescored:
    """Somebody's scorecard as it was published and under the other choices; None where nothing is scored.

    Scores and weights are shares: 1 is all targets met, or all of the weight scored.
    """

    entity_key: str
    entity_name: str
    score_before: Decimal | None
    score_after: Decimal | None
    coefficient_before: Decimal | None
    coefficient_after: Decimal | None
    scored_weight_before: Decimal | None
    scored_weight_after: Decimal | None

    @property
    def score_change(self) -> Decimal | None:
        """What is gained or lost; None where either is missing."""
        return _difference(self.score_before, self.score_after)

    @property
    def coefficient_change(self) -> Decimal | None:
        """What is gained or lost; None where either is missing."""
        return _difference(self.coefficient_before, self.coefficient_after)


def _difference(before: Decimal | None, after: Decimal | None) -> Decimal | None:
    return None if before is None or after is None else after - before


@dataclass(frozen=True)
class Untargeted:
    """A KPI of the other profile for which some of the scorecards that have it lack a target.

    like_last_year: how many of these ask for the figure of the year before instead; the rest do not count it.
    """

    kpi_code: str
    scorecards: int
    without_target: int
    like_last_year: int


@dataclass(frozen=True)
class Simulation:
    """A period's scorecards before and after, the best after first; `untargeted` in the order of the codes."""

    period: Period
    profile_before: str
    profile_after: str
    scorecards: tuple[Rescored, ...]
    untargeted: tuple[Untargeted, ...]


def simulate(
    database: Path, *, profile: str, period: str, level: str, seeds: Path | None, like_last_year: bool = False
) -> Simulation:
    """Score a period of the release in `database` again, by the profile and the bonus table as they stand in the seeds.

    level: company, department or manager. period: as `find_period` takes it, also 2026Q3; a month, a quarter or a year.
    seeds: the company's own folder of seeds, if it has one. Assignments and targets are those of the release.
    like_last_year: where there is no target, ask for the entity's own figure in the same period a year before.
    Raises SettingsError for a profile that the seeds do not have, a seed that cannot be read, or such a period.
    """
    weights, steps = _weights(profile, seeds), _rows("bonus_coefficient.csv", seeds)
    with open_database(database) as connection:
        _require_scorecards(connection)
        chosen = find_period(connection, period)
        if chosen.grain not in PERIODS_A_YEAR:
            raise SettingsError(f"--period {period}: scorecards are of {', '.join(PERIODS_A_YEAR)}; give one of these")
        year_before = _start_a_year_before(connection, chosen) if like_last_year else None
        which = f"period_grain = '{chosen.grain}' and entity_level = {literal(level)} and period_start = date"
        now, then = f"{which} '{chosen.start}'", f"{which} '{year_before}'" if year_before else "false"
        connection.execute(f"create temp table scored_anew as {_rescoring(now, then, weights, steps)}")
        connection.execute(f"create temp table published as select * from scorecard where {now}")
        return Simulation(chosen, _profile_of(connection), profile, _rescored(connection), _untargeted(connection))


def _weights(profile: str, seeds: Path | None) -> list[dict[str, str]]:
    profiles = _rows("kpi_profile.csv", seeds)
    weights = [row for row in profiles if row["profile"] == profile]
    if not weights:
        known = ", ".join(sorted({row["profile"] for row in profiles}))
        raise SettingsError(f"--profile {profile!r}: is not in kpi_profile.csv; it has {known}")
    return weights


def _require_scorecards(connection: duckdb.DuckDBPyConnection) -> None:
    if not connection.execute("select 1 from duckdb_tables() where table_name = 'scorecard'").fetchall():
        raise SettingsError("this release was made before there were scorecards; take a later one")


def _start_a_year_before(connection: duckdb.DuckDBPyConnection, period: Period) -> date | None:
    """The first day of the same period a year before, by whatever calendar; None where the release has none."""
    rows = connection.execute(
        f"""
        select period_start
        from dim_period
        where period_grain = '{period.grain}' and period_start < date '{period.start}'
        order by period_start desc
        limit 1 offset {PERIODS_A_YEAR[period.grain] - 1}
        """
    ).fetchall()
    return rows[0][0] if rows else None


def _profile_of(connection: duckdb.DuckDBPyConnection) -> str:
    """The profile that the release was scored by; empty where nobody has a scorecard."""
    rows = connection.execute("select max(profile) from scorecard").fetchall()
    return rows[0][0] or ""


def _rescored(connection: duckdb.DuckDBPyConnection) -> tuple[Rescored, ...]:
    totals = "entity_key, entity_name, total_score, bonus_coefficient, scored_weight"
    rows = connection.execute(
        f"""
        with
        before as (select distinct {totals} from published),
        after as (select distinct {totals} from scored_anew)
        select
            coalesce(after.entity_key, before.entity_key) as entity_key,
            coalesce(after.entity_name, before.entity_name) as entity_name,
            before.total_score,
            after.total_score,
            before.bonus_coefficient,
            after.bonus_coefficient,
            before.scored_weight,
            after.scored_weight
        from before
        full outer join after
            on before.entity_key = after.entity_key
        order by after.total_score desc nulls last, 2, 1
        """
    ).fetchall()
    return tuple(Rescored(*row) for row in rows)


def _untargeted(connection: duckdb.DuckDBPyConnection) -> tuple[Untargeted, ...]:
    rows = connection.execute(
        """
        select
            kpi_code,
            count(*),
            count(*) filter (where target_value is null or is_like_last_year),
            count(*) filter (where is_like_last_year)
        from scored_anew
        where weight > 0
        group by kpi_code
        having count(*) filter (where target_value is null or is_like_last_year) > 0
        order by kpi_code
        """
    ).fetchall()
    return tuple(Untargeted(*row) for row in rows)


def _rescoring(now: str, then: str, profile: Iterable[Mapping[str, str]], steps: Iterable[Mapping[str, str]]) -> str:
    """The query of the scorecards model, over what a release has instead of what a build makes.

    now: the condition on the rows of one level and period; then: on the figures that stand in for targets.
    """
    macros = _macros()
    weights = _relation("kpi_profile.csv", profile, {"kpi_code": None, "weight": 5, "threshold": 6, "cap": 6})
    table = _relation("bonus_coefficient.csv", steps, {"score_from": 6, "coefficient": 6})
    key = "kpi_code, period_grain, period_start, entity_level, entity_key, entity_name"
    return f"""
        with
        kpis as (select * from kpi_catalogue),
        profile as ({weights}),
        steps as ({table}),
        assigned as (select * from scorecard where is_assigned and {now}),
        targeted as (select * from target_attainment where {now}),
        present as (select * from kpi_value where {now}),
        judged as (select distinct entity_key, employed_share from targeted),
        -- with what nobody has set a target for, and was in no scorecard
        figures as (
            select {key}, value, target_value, attainment, employed_share from targeted
            union all
            select {key}, value, null, null, employed_share
            from present
            inner join judged using (entity_key)
            where
                kpi_code in (select kpi_code from profile)
                and (kpi_code, entity_key) not in (select kpi_code, entity_key from targeted)
        ),
        last_year as (select kpi_code, entity_key, value from kpi_value where {then}),
        attainments as (
            select
                figures.* exclude (target_value, attainment),
                coalesce(figures.target_value, last_year.value) as target_value,
                case
                    when figures.target_value is not null then figures.attainment
                    else {macros.attainment("figures.value", "last_year.value", "kpis.better")}
                end as attainment,
                figures.target_value is null and last_year.value is not null as is_like_last_year
            from figures
            inner join kpis on figures.kpi_code = kpis.kpi_code
            left join last_year
                on figures.kpi_code = last_year.kpi_code and figures.entity_key = last_year.entity_key
        ),
        {macros.scored()}
        select * from scorecards
    """


def _macros() -> Any:
    """The macros of scoring.sql, as functions that give SQL."""
    # What is written out is SQL, which has nothing to escape for a browser.
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(DBT_PROJECT / "macros"), autoescape=False)  # noqa: S701
    return environment.get_template("scoring.sql").module


def _rows(name: str, seeds: Path | None) -> list[dict[str, str]]:
    with seed_file(name, seeds).open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def _relation(name: str, rows: Iterable[Mapping[str, str]], columns: Mapping[str, int | None]) -> str:
    """Rows of a seed as SQL; columns: name → the digits of a decimal with four after the point, None for a text."""
    values = [[_value(name, row, column, digits) for column, digits in columns.items()] for row in rows]
    listed = ", ".join(f"({', '.join(row)})" for row in values)
    return f"select * from (values {listed}) as rows ({', '.join(columns)})"


def _value(name: str, row: Mapping[str, str], column: str, digits: int | None) -> str:
    text = row.get(column) or ""
    if digits is None:
        return literal(text)
    try:
        return f"cast({Decimal(text)} as decimal({digits}, 4))"
    except InvalidOperation:
        raise SettingsError(f"{name}: {column}: {text!r} is not a number") from None
