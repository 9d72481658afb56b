"""Who is to be forgotten is forgotten in the whole home."""

import json
from pathlib import Path

import duckdb
from small_company import CONFIG, Company, Rows, differing

from kpimart.publish.release import verify_release


def test_a_manager_is_forgotten_and_keeps_the_figures(company: Company) -> None:
    name = "Annabel Lee"
    company.start_anew()
    company.configure(CONFIG.replace('name = "agent"', 'name = "name"'))
    company.write("agents.csv", f"agent,name,team\nAnn,{name},North\nBob,Bobby Shaftoe,North\nCid,El Cid,South\n")
    company.run_here()
    before = company.tables()
    assert name in json.dumps(before, default=str)

    arguments = ("forget", "files:managers:Ann", "--by", "DPO", "--reason", "asked for it", "--yes", "--json")
    ended = company.kpimart(*arguments)
    assert ended.code == 0, ended.said
    assert mentioning(company.home, name) == []
    forgotten = company.tables()
    assert in_order(forgotten, name) == in_order(before, name)
    (release,) = (company.home / "reporting" / "releases").iterdir()
    verify_release(company.home, release.name)

    # The next export names her still.
    company.run_here()
    assert mentioning(company.home, name) == []
    assert differing(company.tables(), forgotten) == []


def in_order(tables: dict[str, Rows], name: str) -> dict[str, Rows]:
    """The rows sorted, with `forgotten` in the place of a name."""
    return {
        table: sorted((tuple(renamed(value, name) for value in row) for row in rows), key=repr)
        for table, rows in tables.items()
    }


def renamed(value: object, name: str) -> object:
    return value.replace(name, "forgotten") if isinstance(value, str) else value


def mentioning(home: Path, name: str) -> list[str]:
    """The files of a home in which a name stands, in their bytes or in what their bytes mean."""
    return [
        str(path.relative_to(home))
        for path in sorted(home.rglob("*"))
        if path.is_file() and (name.encode() in path.read_bytes() or name in meaning_of(path))
    ]


def meaning_of(file: Path) -> str:
    if file.suffix == ".parquet":
        return str(duckdb.sql(f"from '{file}'").fetchall())
    if file.suffix != ".duckdb":
        return ""
    with duckdb.connect(str(file), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        return "".join(str(connection.execute(f'from "{schema}"."{table}"').fetchall()) for schema, table in tables)
