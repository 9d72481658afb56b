"""What a night costs against a full build, model by model, and whether both yield the same tables.

    python -m benchmarks.incremental [--deals N] [--home FOLDER]

A company of 200 managers in 20 departments is written straight into raw: N deals (500,000) over 30 months with five
stage changes each, a tenth of them in two or three versions that came in later nights. It is built in full. Then a
night touches 1 % of the deals: most move to their next stage, some change their amount, some are new. It is built
again, and once more in full, from the same raw, in another warehouse: every table must hold the same rows.

Seconds are those that dbt tells of each model; its start, which costs the same every night, and the tests of data are
told apart.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.run import machine, peak_memory
from kpimart import pipeline
from kpimart.settings import Settings, load_settings
from kpimart.warehouse import RAW_COLUMNS, WAREHOUSE_FILE, open_warehouse, raw_table

AIM = 0.35
MANAGERS, DEPARTMENTS, DEALS_OF_AN_ACCOUNT = 200, 20, 15
TOUCHED = 100  # one deal of so many
FIRST_NIGHT = datetime(2026, 1, 1, 2, tzinfo=UTC)
# No deal was created after it.
CLOSED = datetime(2025, 12, 21, 20, tzinfo=UTC)
# Of what was created before the first rate of the seeds nothing can be converted: such a world has one currency.
FIRST_RATE = datetime(2023, 6, 30, tzinfo=UTC)
MONTHS, DAYS_OF_A_MONTH = 30, 30.4375
STAGES = ("New", "Qualified", "Demo", "Proposal", "Negotiation", "Won", "Lost")
# They tell of the builds themselves, and of what each found changed.
OF_BUILDS = [
    *("build_moment", "stg_kpimart__build", "stg_kpimart__live_build"),
    *("int_deal__content", "deal_touched", "purchase_content", "surroundings_content"),
]
COLUMNS = {
    "deals": (
        *("id", "manager", "account", "stage", "created_at", "closed_at", "amount", "currency", "expected_close_on"),
        *("product", "source", "updated_at"),
    ),
    "stage_changes": ("id", "deal", "stage", "changed_at"),
    "accounts": ("id", "name"),
    "managers": ("id", "name", "department"),
    "departments": ("id", "name", "parent"),
}

# A deal has n of its six stages by a night. Each stays as long as its number says; most have ended by the last night.
WORLD = """
create temp table world as
select
    deal,
    timestamptz '{opened}' >= timestamptz '{first_rate}' as is_converted,
    timestamptz '{opened}' + to_seconds(cast(hash(deal, 'created') % {seconds} as bigint)) as created_at,
    3600 + cast(hash(deal, 'pace') % 1500000 as bigint) as pace,
    case when hash(deal, 'won') % 100 < 35 then 'Won' else 'Lost' end as end_stage,
    hash(deal, 'manager') % {managers} as manager,
    hash(deal, 'account') % {accounts} as account,
    100 + hash(deal, 'amount') % 90000 as amount,
    case when is_converted and hash(deal, 'currency') % 4 < 3 then 'USD' else 'EUR' end as currency,
    'P' || hash(deal, 'product') % 8 as product,
    ['web', 'fair', 'call', 'partner'][cast(1 + hash(deal, 'source') % 4 as bigint)] as source
from range({first}, {last}) as numbers (deal)
"""
CHANGES = """
create temp table changes as
select
    deal,
    step,
    case step when 5 then end_stage else {stages}[step + 1] end as stage,
    created_at + to_seconds(pace * step + step * step * 7200) as changed_at
from world
cross join range(6) as steps (step)
where created_at + to_seconds(pace * step + step * step * 7200) < timestamptz '{until}'
"""
STANDING = """
create temp table standing as
select
    world.*,
    last_change.stage,
    last_change.changed_at,
    case when last_change.step = 5 then last_change.changed_at end as closed_at
from world
inner join changes as last_change using (deal)
where (deal, last_change.step) in (select (deal, max(step)) from changes group by deal)
"""
MOMENT = "strftime(timezone('UTC', {}), '%Y-%m-%dT%H:%M:%SZ')"
DEAL_FIELDS = {
    "manager": "'m' || manager",
    "account": "'a' || account",
    "stage": "stage",
    "created_at": MOMENT.format("created_at"),
    "closed_at": MOMENT.format("closed_at"),
    "amount": "amount || '.50'",
    "currency": "currency",
    "expected_close_on": "cast(cast(created_at + to_seconds(pace * 5) as date) as varchar)",
    "product": "product",
    "source": "source",
    "updated_at": MOMENT.format("changed_at"),
}
CHANGE_FIELDS = {"deal": "'d' || deal", "stage": "stage", "changed_at": MOMENT.format("changed_at")}
CONFIG_HEAD = (
    'time_zone = "Europe/Berlin"\nbase_currency = "EUR"\nas_of = 2026-01-08\n[thresholds]\nmax_rate_age_days = 2000\n'
)


@dataclass
class Cost:
    """Seconds of each model and test, and of the whole; `peak` is the most memory of the process so far, in GiB."""

    models: dict[str, float]
    tests: float
    wall: float
    peak: float

    @property
    def seconds(self) -> float:
        return sum(self.models.values())


def main() -> None:
    options = parse(sys.argv[1:])
    print(machine())
    with home_in(options.home) as folder:
        night, again = folder / "night", folder / "again"
        land_world(night, options.deals)
        full = build(night)
        print(f"{options.deals:,} deals in full: {brief(full)}", flush=True)
        land_night(night, options.deals)
        shutil.copytree(night, again, ignore=shutil.ignore_patterns("dbt"))
        forget_tables(again)
        cost = build(night)
        print(f"1 % of them touched: {brief(cost)}", flush=True)
        build(again)
        differing = compare(night / WAREHOUSE_FILE, again / WAREHOUSE_FILE)
    print("\n".join(report(full, cost)))
    if differing:
        sys.exit(f"these tables are not those of a full build: {', '.join(differing)}")
    print("every table holds the same rows as after a full build")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deals", type=int, default=500_000, help="how many deals (500,000)")
    parser.add_argument("--home", type=Path, help="an empty folder to work in, and to leave (default: a temporary one)")
    return parser.parse_args(arguments)


@contextmanager
def home_in(folder: Path | None) -> Iterator[Path]:
    if folder:
        folder.mkdir(parents=True)
        yield folder
    else:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)


# ----------------------------------------------------------------------------------------------------------- the world


def land_world(home: Path, deals: int, *, months: int = MONTHS) -> None:
    """The settings, and raw as three nights left it: all deals of so many months, later versions of a tenth of them."""
    home.mkdir()
    (home / "kpimart.toml").write_text(config())
    with open_warehouse(home) as connection:
        for name in COLUMNS:
            connection.execute(f"create table {raw_table('files', name)} ({RAW_COLUMNS})")
        tell_world(connection, 0, deals, accounts=deals // DEALS_OF_AN_ACCOUNT, until="2025-12-31", months=months)
        batch = accept(connection, night=0)
        land(connection, batch, "departments", "n", department_fields(), f"range({DEPARTMENTS}) as numbers (n)")
        land(connection, batch, "managers", "n", manager_fields(), f"range({MANAGERS}) as numbers (n)")
        accounts = f"range({deals // DEALS_OF_AN_ACCOUNT}) as numbers (n)"
        land(connection, batch, "accounts", "n", {"name": "'Account ' || n"}, accounts, prefix="a")
        land(connection, batch, "deals", "deal", DEAL_FIELDS, "standing", updated_at="changed_at", prefix="d")
        land(connection, batch, "stage_changes", "deal || '-' || step", CHANGE_FIELDS, "changes")
        for night, one_of in ((1, 10), (2, 30)):
            edited = f"(select * replace (amount + {night} as amount) from standing where deal % {one_of} = 3)"
            batch = accept(connection, night=night)
            when = f"timestamptz '2025-12-31 00:00:00+00' + interval {night} hour"
            land(connection, batch, "deals", "deal", DEAL_FIELDS, edited, updated_at=when, prefix="d")


def land_night(home: Path, deals: int) -> None:
    """A night that touches one deal of a hundred: six tenths move on, three change their amount, one is new."""
    few = deals // TOUCHED
    with open_warehouse(home) as connection:
        tell_world(connection, 0, deals + few // 10, accounts=deals // DEALS_OF_AN_ACCOUNT, until="2026-01-06")
        batch = accept(connection, night=6)
        moved = (
            f"(select * from standing where deal < {deals} and closed_at is null order by deal limit {few * 6 // 10})"
        )
        edited = f"""(
            select * replace (amount + 77 as amount) from standing
            where deal % {TOUCHED} = 7 and closed_at is not null
            order by deal
            limit {few * 3 // 10}
        )"""
        new = f"(select * from standing where deal >= {deals})"
        for rows in (moved, edited, new):
            when = "timestamptz '2026-01-06 00:00:00+00'"
            land(connection, batch, "deals", "deal", DEAL_FIELDS, rows, updated_at=when, prefix="d")
        fresh = f"""(
            select changes.* from changes
            where deal >= {deals}
            union all
            select deal, 6 + step, 'Negotiation', timestamptz '2026-01-05 10:00:00+00' from changes
            where (deal, step) in (select (deal, 0) from {moved})
        )"""
        land(connection, batch, "stage_changes", "deal || '-' || step", CHANGE_FIELDS, fresh)


def tell_world(
    connection: duckdb.DuckDBPyConnection, first: int, last: int, *, accounts: int, until: str, months: int = MONTHS
) -> None:
    opened = CLOSED - timedelta(days=months * DAYS_OF_A_MONTH)
    seconds = int((CLOSED - opened).total_seconds())
    connection.execute(
        WORLD.format(
            first=first,
            last=last,
            managers=MANAGERS,
            accounts=accounts,
            opened=opened,
            seconds=seconds,
            first_rate=FIRST_RATE,
        )
    )
    connection.execute(CHANGES.format(stages=list(STAGES), until=until))
    connection.execute(STANDING)


def accept(connection: duckdb.DuckDBPyConnection, *, night: int) -> str:
    """A batch that was landed and accepted in a night of that number; returns its id."""
    batch, at = f"files__{night}", f"timestamptz '{FIRST_NIGHT}' + interval {night} day"
    connection.execute(f"insert into ops.batch values ('{batch}', 'files', {at}, {at})")
    connection.execute(f"insert into ops.batch_verdict values ('{batch}', 'accepted', {at}, null)")
    return batch


def land(
    connection: duckdb.DuckDBPyConnection,
    batch: str,
    name: str,
    record: str,
    fields: dict[str, str],
    rows: str,
    *,
    updated_at: str = "null",
    prefix: str = "",
) -> None:
    """Versions of an object's records. record: SQL of the id after its prefix; fields: column → SQL of its text."""
    prefix = prefix or name[0]
    fields = {"id": f"'{prefix}' || {record}", **fields}
    payload = ", ".join(f"'{column}', {fields[column]}" for column in sorted(fields))
    connection.execute(
        f"""
        insert into {raw_table("files", name)}
        select
            '{prefix}' || {record} as id, {updated_at} as updated_at, false as is_deleted,
            json_object({payload}) as payload,
            md5(cast(json_object({payload}) as varchar)) as payload_hash, moment, moment, '{batch}'
        from {rows}
        cross join (select landed_at as moment from ops.batch where batch_id = '{batch}')
        """
    )


def department_fields() -> dict[str, str]:
    return {"name": "'Department ' || n", "parent": "case when n > 0 then 'd' || (n - 1) // 4 else '' end"}


def manager_fields() -> dict[str, str]:
    return {"name": "'Manager ' || n", "department": f"'d' || n % {DEPARTMENTS}"}


def config() -> str:
    """kpimart.toml: a file an object, its columns named as the canonical ones."""
    lines = [CONFIG_HEAD]
    for position, stage in enumerate(STAGES):
        outcome = {"Won": "won", "Lost": "lost"}.get(stage, "open")
        lines.append(f'[[files.stages]]\nname = "{stage}"\noutcome = "{outcome}"\nposition = {position + 1}\n')
    for name, columns in COLUMNS.items():
        lines.append(f'[[files.{name}]]\nfile = "{name}.csv"\n[files.{name}.columns]')
        lines += [f'{column} = "{column}"' for column in columns]
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------------------ building


def build(home: Path) -> Cost:
    """Build all models in `home`; what each cost."""
    started = time.perf_counter()
    made = pipeline.build(settings_of(home))
    wall = time.perf_counter() - started
    with open_warehouse(home) as connection:
        runs = connection.execute(
            "select node, kind, seconds from ops.model_run where build_id = ?", [made.build_id]
        ).fetchall()
    return Cost(
        models={node: seconds for node, kind, seconds in runs if kind != "test"},
        tests=sum(seconds for _, kind, seconds in runs if kind == "test"),
        wall=wall,
        peak=peak_memory() / 1024,
    )


def settings_of(home: Path) -> Settings:
    return load_settings(home / "kpimart.toml", home=home)


def forget_tables(home: Path) -> None:
    """Leave nothing in a warehouse but raw and what is told of it, so that the next build is a full one."""
    with open_warehouse(home) as connection:
        schemas = connection.execute(
            "select schema_name from duckdb_schemas() where not internal and schema_name not in ('raw', 'ops', 'main')"
        ).fetchall()
        for (schema,) in schemas:
            connection.execute(f'drop schema "{schema}" cascade')
        connection.execute("delete from ops.build")


def compare(one: Path, other: Path) -> list[str]:
    """The tables that do not hold the same rows in both files, but for those that tell of the build itself."""
    differing = []
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"attach '{one}' as one (read_only); attach '{other}' as other (read_only)")
        tables = connection.execute(
            """
            select database_name, schema_name || '."' || table_name || '"' from duckdb_tables()
            where schema_name not in ('raw', 'ops', 'main') and not list_contains(?, table_name)
            """,
            [OF_BUILDS],
        ).fetchall()
        names = {side: {name for database, name in tables if database == side} for side in ("one", "other")}
        for name in sorted(names["one"] | names["other"]):
            if not all(name in there for there in names.values()) or len(sums(connection, name)) > 1:
                differing.append(name)
    return differing


def sums(connection: duckdb.DuckDBPyConnection, name: str) -> set[tuple[Any, ...]]:
    """Rows and their hash, whatever their order, of a table in each of the two files."""
    query = "select count(*), sum(hash(rows)) from {}.{} as rows"
    return {connection.execute(query.format(side, name)).fetchall()[0] for side in ("one", "other")}


# ------------------------------------------------------------------------------------------------------------- telling


def brief(cost: Cost) -> str:
    return (
        f"models {cost.seconds:.1f} s, tests of data {cost.tests:.1f} s, wall time of the build {cost.wall:.1f} s, "
        f"peak {cost.peak:.1f} GiB"
    )


def report(full: Cost, night: Cost) -> list[str]:
    lines = [f"{'model':<44}{'full':>10}{'night':>10}"]
    for name in sorted(full.models, key=lambda each: -full.models[each]):
        if max(full.models[name], night.models.get(name, 0)) >= full.seconds / 200:
            lines.append(f"{name:<44}{full.models[name]:>10.2f}{night.models.get(name, 0):>10.2f}")
    lines.append(f"{'all models and seeds':<44}{full.seconds:>10.2f}{night.seconds:>10.2f}")
    return [*lines, f"a night costs {night.seconds / full.seconds:.0%} of a full build's models; the aim is {AIM:.0%}"]


if __name__ == "__main__":
    main()
