"""The tables that the warehouse keeps from run to run, raw's and ops', as the numbered steps that led to them.

A new warehouse takes all steps. One of an older program takes those that it lacks, by `kpimart upgrade`; until then it
is left alone. What models make is no part of it: builds make that anew when models are others.

A step that people may have taken is never edited. A new table, as a further column, is a further step.
"""

from dataclasses import dataclass

import duckdb

RAW_COLUMNS = """
    id varchar not null,
    updated_at timestamptz,
    is_deleted boolean not null,
    payload varchar not null,
    payload_hash varchar not null,
    extracted_at timestamptz not null,
    landed_at timestamptz not null,
    batch_id varchar not null
"""


@dataclass(frozen=True)
class Step:
    """A step to the schema of this version. `brings`: what is new, for people.

    sql: runs in a transaction with the record that it was taken, so it is taken whole, and once.
    """

    version: int
    brings: str
    sql: str


COUNTED_FROM = 2
"""The first version that a warehouse says of itself; one that says none may have any part of this step already."""

STEPS: tuple[Step, ...] = (
    Step(
        1,
        "batches and their verdicts, quarantine, builds, results of the gates",
        """
        create schema if not exists raw;
        create schema ops;

        -- One row per load package that was landed.
        create table ops.batch (
            batch_id varchar primary key,
            source varchar not null,
            fetched_at timestamptz not null,
            landed_at timestamptz not null
        );

        -- One row per object of a batch: what was read, and what became of it.
        create table ops.batch_object (
            batch_id varchar not null,
            source varchar not null,
            object varchar not null,
            extent varchar not null,
            rows_read bigint not null,
            versions_stored bigint not null,
            rows_quarantined bigint not null,
            rows_vanished bigint not null,
            rows_known_before bigint not null,
            primary key (batch_id, object)
        );

        -- One row per judged batch. Builds read accepted batches only.
        create table ops.batch_verdict (
            batch_id varchar primary key,
            verdict varchar not null check (verdict in ('accepted', 'held')),
            judged_at timestamptz not null,
            reason varchar
        );

        -- One row per record that could not be used, with the reason and the record itself.
        create table ops.quarantine (
            batch_id varchar not null,
            source varchar not null,
            object varchar not null,
            place varchar not null,
            record_id varchar,
            reason varchar not null,
            payload varchar not null,
            quarantined_at timestamptz not null
        );

        -- One row per build: the two moments it speaks of, and the file it was made in.
        create table ops.build (
            build_id varchar primary key,
            as_of timestamptz not null,
            known_at timestamptz not null,
            started_at timestamptz not null,
            finished_at timestamptz,
            database_path varchar not null
        );

        -- One row per expectation of a gate; subject_id is the batch or the build that was judged.
        create table ops.quality_result (
            subject_id varchar not null,
            boundary varchar not null check (boundary in ('raw', 'reporting')),
            table_name varchar not null,
            expectation varchar not null,
            severity varchar not null,
            outcome varchar not null check (outcome in ('passed', 'failed', 'errored')),
            observed varchar,
            expected varchar,
            samples varchar,
            judged_at timestamptz not null
        );
        """,
    ),
    Step(
        2,
        "where fetches go on, changed fields, forgotten people, backups, overrides, closed months, what builds ran",
        f"""
        alter table ops.batch_object add column if not exists cursor varchar;

        -- What people took upon themselves that a gate refused; there before the first, for every release asks for it.
        create table if not exists raw.kpimart__override ({RAW_COLUMNS});

        -- Which months people closed and reopened; every build reads it.
        create table if not exists raw.kpimart__close ({RAW_COLUMNS});

        -- One row per field of a source's records that is new, has vanished or has another type than before.
        create table if not exists ops.schema_change (
            batch_id varchar not null,
            source varchar not null,
            object varchar not null,
            field varchar not null,
            change varchar not null check (change in ('new', 'vanished', 'retyped')),
            was varchar,
            is_now varchar,
            seen_at timestamptz not null
        );

        -- One row per record whose person was forgotten, and time that something of it was erased. What was erased is
        -- not kept: text_hashes are SHA-256 of the texts that were searched for, to know them again; erased counts what
        -- was found.
        create table if not exists ops.forgotten (
            source varchar not null,
            object varchar not null,
            record_id varchar not null,
            forgotten_at timestamptz not null,
            forgotten_by varchar not null,
            reason varchar not null,
            text_hashes varchar[] not null,
            erased varchar not null
        );

        -- One row per backup that was made of this home, and not removed since by this program.
        create table if not exists ops.backup (
            place varchar not null,
            backup_id varchar not null,
            made_at timestamptz not null,
            primary key (place, backup_id)
        );

        -- One row per build whose tables the next one may go on with: a hash of what made them, code and settings.
        create table if not exists ops.recipe (
            build_id varchar primary key,
            recipe varchar not null
        );

        -- One row per model, seed and test of a build, and time that it was run: how it ended, and how long it took.
        create table if not exists ops.model_run (
            build_id varchar not null,
            node varchar not null,
            kind varchar not null,
            status varchar not null,
            started_at timestamptz not null,
            seconds double not null,
            message varchar
        );

        -- One row per step of this list that the warehouse has taken, since steps are counted.
        create table ops.schema_step (
            version integer primary key,
            taken_at timestamptz not null
        );
        """,
    ),
    Step(
        3,
        "forecasts: fits that need not be made again, and every vintage; targets that were read from budget workbooks",
        f"""
        -- One row per fit of a forecasting method that the last build asked for: a hash of the method, its program and
        -- the series, and the months that follow.
        create table ops.forecast_fit (
            input_hash varchar primary key,
            forecast double[18] not null
        );

        -- One row per figure that a build forecast otherwise than any before it, or for the first time.
        create table ops.forecast_vintage (
            build_id varchar not null,
            kpi_code varchar not null,
            origin_on date not null,
            horizon integer not null,
            entity_level varchar not null,
            entity_key varchar not null,
            period_start date not null,
            method varchar not null,
            status varchar not null,
            value decimal(28, 8) not null,
            low_80 decimal(28, 8),
            high_80 decimal(28, 8),
            low_95 decimal(28, 8),
            high_95 decimal(28, 8),
            cumulative_value decimal(28, 8) not null,
            cumulative_low_80 decimal(28, 8),
            cumulative_high_80 decimal(28, 8),
            cumulative_low_95 decimal(28, 8),
            cumulative_high_95 decimal(28, 8)
        );

        -- Which targets people set by a workbook; every build reads it.
        create table if not exists raw.kpimart__target ({RAW_COLUMNS});
        """,
    ),
)


def version() -> int:
    """The schema that this program works with."""
    return STEPS[-1].version


def version_of(connection: duckdb.DuckDBPyConnection) -> int:
    """The schema that a warehouse has; 0 for a file with nothing in it."""
    tables = connection.execute("select table_name from duckdb_tables() where schema_name = 'ops'").fetchall()
    if ("schema_step",) in tables:
        return int(connection.execute("select max(version) from ops.schema_step").fetchall()[0][0])
    return 1 if tables else 0


def steps_after(found: int) -> tuple[Step, ...]:
    """The steps that a warehouse of that version has not taken."""
    return tuple(step for step in STEPS if step.version > found)
