"""Forgetting a person: nothing tells of them any more, and the figures are what they were."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import orjson
import pytest
from typer.testing import CliRunner

from kpimart.backup import backup, restore
from kpimart.build import Build
from kpimart.cli import app
from kpimart.errors import ReleaseDamaged, SettingsError
from kpimart.extract import hubspot
from kpimart.extract.forgetting import parse_record
from kpimart.extract.landing import judge, land, pending_batches
from kpimart.extract.packages import fetch
from kpimart.extract.source import ApiObject, ApiSource, Deals, Json, Page, amount_in_raw, iso_moment
from kpimart.forget import Finding, forget, look
from kpimart.publish import contract
from kpimart.publish.contract import BUILT
from kpimart.publish.manifest import read_manifest
from kpimart.publish.release import current, publish, verify_release
from kpimart.settings import HubSpotSettings, Settings
from kpimart.warehouse import WAREHOUSE_FILE, open_warehouse
from sampling import sample

# The CRM that lies behind a home.
COMPANIES: dict[Path, "Company"] = {}
FIRST_NIGHT = datetime(2026, 11, 1, 2, tzinfo=UTC)
ANN, NAMESAKE = "hubspot:owners:77", "Ann Smithson"
# All that tells of her: the name before and after she married, her address, and what colleagues called her.
TEXTS = ("Ann Smith", "Ann Miller", "ann.smith@example.com", "Smithy of Sales")
ALSO = ("Smithy of Sales",)


@dataclass
class Company:
    """A CRM of owners and deals, and the home that takes it, builds from it and publishes it."""

    home: Path
    now: datetime = FIRST_NIGHT
    records: dict[str, list[Json]] = field(default_factory=dict)

    def clock(self) -> datetime:
        return self.now

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, sources=("hubspot",), hubspot=HubSpotSettings(personal_data=True))

    def read(self, name: str) -> Iterator[Page]:
        yield Page(self.records[name], {})

    def write_owner(self, **changes: Any) -> None:
        ann = {
            "id": "77",
            "firstName": "Ann",
            "lastName": "Smith",
            "email": "ann.smith@example.com",
            "teams": [{"id": "5", "name": "North"}],
            "updatedAt": self.now.isoformat(),
        }
        other = {**ann, "id": "78", "lastName": "Smithson", "email": "other@example.com"}
        self.records["owners"] = [{**ann, **changes}, other]

    def night(self) -> None:
        fetch(self.settings, "hubspot", folder=None, clock=self.clock)
        with open_warehouse(self.home) as connection:
            land(connection, self.settings, clock=self.clock)
            judge(connection, pending_batches(connection), "accepted", None, self.clock)
        self.now += timedelta(days=1)

    def publish(self, name: str) -> None:
        """Build, as far as a release needs it, with the manager's name as the CRM has it; publish."""
        build_id = f"{self.now:%Y%m%dT%H%M%SZ}"
        with open_warehouse(self.home) as connection:
            connection.execute(f"update core.dim_manager set manager_name = '{name}' where manager_id = 'hubspot:77'")
            connection.execute(f"update kpi.kpi_value set entity_name = '{name}' where entity_key = 'hubspot:77'")
            connection.execute(
                "insert into ops.quality_result values (?, 'reporting', 'kpi_value', 'x', 'critical', 'passed', null, "
                "null, ?, ?)",
                [build_id, f"manager_name={name}, value=7", self.now],
            )
        publish(Build(build_id, self.now, self.now, self.home / WAREHOUSE_FILE), self.home, clock=self.clock)

    def forget(self, record: str = ANN, also: tuple[str, ...] = ALSO, reason: str = "she asked for it") -> Finding:
        return forget(
            self.settings,
            parse_record(record),
            by="the data protection officer",
            reason=reason,
            also=also,
            clock=self.clock,
            tell=lambda _: None,
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with open_warehouse(self.home) as connection:
            return connection.execute(sql).fetchall()

    def releases(self) -> list[Path]:
        return sorted((self.home / "reporting" / "releases").iterdir())

    def figures(self) -> list[list[tuple[Any, ...]]]:
        """Numbers and keys of every release."""
        query = "select kpi_code, entity_key, value, sample_size from kpi_value order by all"
        return [ask(folder / "reporting.duckdb", query) for folder in self.releases()]


BUILT_ROWS = """
insert into core.dim_manager by name
select * from (values
    ('hubspot:77', 'Ann Smith', 'hubspot:5', false), ('hubspot:78', 'Ann Smithson', 'hubspot:5', false)
) as rows (manager_id, manager_name, department_id, is_inferred);
insert into core.dim_department by name
select 'hubspot:5' as department_id, 'North' as department_name, 'Ann Smith' as head_name, false as is_inferred;
insert into kpi.kpi_value by name
select
    'won_amount' as kpi_code, 'year' as period_grain, date '2026-01-01' as period_start,
    date '2026-12-31' as period_end, true as is_complete, if(key = 'company', 'company', 'manager') as entity_level,
    key as entity_key,
    if(key = 'company', null, key) as manager_id, name as entity_name, 1000.50 as value, 'EUR' as unit, 7 as sample_size
from (values ('company', 'Company'), ('hubspot:77', 'Ann Smith'), ('hubspot:78', 'Ann Smithson')) as rows (key, name);
insert into core.fct_deal by name
select
    'hubspot:1' as deal_id, 'Renewal (Smithy of Sales)' as deal_name, 'hubspot:77' as manager_id,
    'hubspot:5' as department_id, 'won' as outcome, 1000.50 as amount;
"""


def ask(file: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(autouse=True, scope="module")
def _crm() -> Iterator[None]:
    @contextmanager
    def connect(settings: Settings) -> Iterator[Company]:
        yield COMPANIES[settings.home]

    def reading(name: str) -> Any:
        return lambda client, _: client.read(name)

    owners = ApiObject[Company](
        "owners",
        read=reading("owners"),
        keep=("id", "firstName", "lastName", "teams"),
        personal=("email",),
        updated_at=iso_moment("updatedAt"),
    )
    deals = ApiObject[Company](
        "deals", read=reading("deals"), keep=("id", "dealname", "amount", "hubspot_owner_id", "note")
    )
    with pytest.MonkeyPatch.context() as patched:
        source = ApiSource(
            *("hubspot", connect, lambda _: {}, (owners, deals), Company.clock),
            deals=Deals("deals", amount_in_raw("/amount")),
        )
        patched.setattr(hubspot, "SOURCE", source)
        yield


@pytest.fixture(scope="module")
def kept_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two nights, a release each; she married between them. A backup, a log, and a build of another time."""
    made = company_in(tmp_path_factory.mktemp("kept") / "home")
    live_two_nights(made)
    return made.home


def company_in(home: Path, kept: Path | None = None) -> Company:
    made = COMPANIES[home] = Company(home)
    note = "as Ann\nSmithy of Sales"
    made.records["deals"] = [
        {"id": "1", "dealname": "Renewal", "amount": 1000.5, "hubspot_owner_id": "77", "note": note}
    ]
    made.write_owner()
    if kept:
        shutil.copytree(kept, home)
        made.now = FIRST_NIGHT + timedelta(days=2)
        # A copy of a tree makes two files of the one that is served under two names.
        served = home / "reporting" / "reporting.duckdb"
        served.unlink()
        served.hardlink_to(made.releases()[-1] / "reporting.duckdb")
        made.write_owner(lastName="Miller", updatedAt=(FIRST_NIGHT + timedelta(days=1)).isoformat())
    return made


@pytest.fixture
def company(tmp_path: Path, kept_home: Path) -> Company:
    """Knows her; to be changed."""
    return company_in(tmp_path / "home", kept_home)


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory, kept_home: Path) -> Company:
    """Has forgotten her; for tests that only look."""
    made = company_in(tmp_path_factory.mktemp("forgetful") / "home", kept_home)
    made.forget()
    return made


@contextmanager
def an_older_contract() -> Iterator[None]:
    """What is published meanwhile lacks a table that was added since."""
    built = tuple(table for table in contract.BUILT if table is not contract.PERIOD_CLOSE)
    published = (*built, contract.QUALITY_RESULT, contract.RELEASE)
    with mock.patch.multiple(contract, BUILT=built, PUBLISHED=published, CONTRACT_VERSION="1.2"):
        yield


def live_two_nights(made: Company) -> None:
    made.home.mkdir()
    with open_warehouse(made.home) as connection:
        for schema in ("core", "kpi", "insight", "finance", "seeds"):
            connection.execute(f"create schema {schema}")
        for table in BUILT:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            connection.execute(f"create table {table.relation} ({columns})")
        connection.execute(BUILT_ROWS)
    made.night()
    with an_older_contract():
        made.publish("Ann Smith")
    shutil.copytree(made.home, made.home / "backups" / "2026-11-01")
    made.write_owner(lastName="Miller")
    made.night()
    made.publish("Ann Miller")
    (made.home / "dbt").mkdir()
    (made.home / "dbt" / "dbt.log").write_text("a row: Ann Smith")
    (made.home / "scratch").mkdir()
    shutil.copy(made.home / WAREHOUSE_FILE, made.home / "scratch" / "20261101T000000Z.duckdb")


def values_of(file: Path) -> Iterator[str]:
    """Every text in a DuckDB or Parquet file, however it is compressed."""
    if file.suffix == ".parquet":
        yield from (str(row) for row in duckdb.sql(f"from '{file}'").fetchall())
    elif file.suffix == ".duckdb":
        tables = ask(file, "select schema_name, table_name from duckdb_tables()")
        for schema, table in tables:
            yield from (str(row) for row in ask(file, f'from "{schema}"."{table}"'))


def mentions_under(home: Path) -> list[tuple[str, str]]:
    """(file, text) wherever one of the texts stands: in the bytes of a file, or in what its bytes mean."""
    found = []
    for file in sorted(path for path in home.rglob("*") if path.is_file()):
        content = file.read_bytes().replace(NAMESAKE.encode(), b"")
        meaning = "\n".join(values_of(file)).replace(NAMESAKE, "")
        found += [(str(file.relative_to(home)), text) for text in TEXTS if text.encode() in content or text in meaning]
    return found


def test_nothing_under_the_home_tells_of_the_person(forgetful: Company, kept_home: Path) -> None:
    where = {file.split("/")[0] for file, _ in mentions_under(kept_home)}
    assert where == {"backups", "dbt", "landing", "reporting", "scratch", "warehouse.duckdb"}
    assert mentions_under(forgetful.home) == []


def test_a_release_of_an_older_contract_has_the_tables_that_it_had(forgetful: Company, kept_home: Path) -> None:
    for folder in forgetful.releases():
        files = sorted(path.relative_to(folder) for path in folder.rglob("*.parquet"))
        before = kept_home / folder.relative_to(forgetful.home)
        assert files == sorted(path.relative_to(before) for path in before.rglob("*.parquet"))
        assert read_manifest(folder).tables == read_manifest(before).tables


def test_what_figures_rest_on_stays_in_raw(forgetful: Company) -> None:
    payloads = forgetful.query(
        "select payload, payload_hash from raw.hubspot__owners where id = '77' order by landed_at"
    )
    left = {
        "firstName": "forgotten",
        "forgotten": True,
        "id": "77",
        "lastName": None,
        "teams": [{"id": "5", "name": "North"}],
    }
    assert [orjson.loads(payload) for payload, _ in payloads] == [left, left]
    assert payloads[0][1] == hashlib.sha256(b"false|" + payloads[0][0].encode()).hexdigest()


def test_others_of_a_similar_name_stay(forgetful: Company) -> None:
    ((payload,),) = forgetful.query("select payload from raw.hubspot__owners where id = '78'")
    assert orjson.loads(payload)["firstName"] == "Ann"
    served = forgetful.home / "reporting" / "reporting.duckdb"
    assert ask(served, "select manager_name from dim_manager order by manager_id") == [("forgotten",), (NAMESAKE,)]


def test_releases_keep_their_figures_and_hold_together(forgetful: Company, company: Company) -> None:
    assert forgetful.figures() == company.figures()
    for folder in forgetful.releases():
        verify_release(forgetful.home, folder.name)
    now, before = current(forgetful.home), current(company.home)
    assert now is not None
    assert before is not None
    assert now.release_id == before.release_id
    first, second = (read_manifest(folder) for folder in forgetful.releases())
    assert [amendment.by for amendment in second.amended] == ["the data protection officer"]
    assert first.amended[0].releases == (first.release_id, second.release_id)
    assert first.amended[0].at == forgetful.now


def test_manifests_state_the_totals_of_what_raw_holds_now(company: Company) -> None:
    company.forget()
    renewed = read_manifest(company.releases()[-1]).raw_batches
    for folder in company.releases():
        shutil.rmtree(folder)
    company.publish("forgotten")
    assert read_manifest(company.releases()[-1]).raw_batches == renewed


def test_it_is_on_record_that_it_was_done_and_not_what_was_erased(forgetful: Company) -> None:
    ((source, name, record_id, at, by, reason, hashes, erased),) = forgetful.query("from ops.forgotten")
    assert (source, name, record_id, at) == ("hubspot", "owners", "77", forgetful.now)
    assert (by, reason) == ("the data protection officer", "she asked for it")
    assert {hashlib.sha256(text.lower().encode()).hexdigest() for text in TEXTS} <= set(hashes)
    # Two versions of her in the home and one in the backup.
    assert orjson.loads(erased)["version"] == 3


def test_to_forget_twice_is_to_forget_once(forgetful: Company) -> None:
    before = {file: file.stat().st_mtime_ns for file in forgetful.home.rglob("*.parquet")}
    assert forgetful.forget().places == ()
    assert forgetful.query("select count(*) from ops.forgotten") == [(1,)]
    assert {file: file.stat().st_mtime_ns for file in forgetful.home.rglob("*.parquet")} == before


def test_it_does_not_come_back_with_the_next_extract_but_goes_on_being_counted(company: Company) -> None:
    company.forget()
    company.records["deals"][0]["note"] = "ann smith"
    company.write_owner(lastName="Miller", updatedAt=(FIRST_NIGHT + timedelta(days=1)).isoformat())
    company.night()
    assert company.query("select count(*) from raw.hubspot__owners where id = '77'") == [(2,)]
    company.write_owner(lastName="Miller", teams=[{"id": "6", "name": "South"}])
    company.night()
    assert company.query("select distinct payload ->> 'note' from raw.hubspot__deals order by all desc limit 1") == [
        ("forgotten",)
    ]
    assert mentions_under(company.home) == []
    (team,) = company.query("""
        select payload ->> '$.teams[0].id' from raw.hubspot__owners where id = '77' order by landed_at desc limit 1
    """)[0]
    assert team == "6"


# What is called for the second time when the kill comes; the warehouse is new in its place when it is sync.
PLACES_OF_KILLS = [
    "kpimart.extract.forgetting._rewrite",
    "kpimart.publish.amend._prepare",
    "kpimart.publish.swap._replace",
    "kpimart.forget.sync",
]


@pytest.mark.parametrize("place", sample(PLACES_OF_KILLS, 1))
def test_killed_anywhere_it_finishes_when_it_is_run_again(
    company: Company, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    shutil.rmtree(company.home / "backups")
    module, _, name = place.rpartition(".")
    original = getattr(__import__(module, fromlist=[name]), name)
    called = []

    def killed(*arguments: Any, **named: Any) -> Any:
        called.append(1)
        if len(called) == 2:
            raise KeyboardInterrupt
        return original(*arguments, **named)

    figures = company.figures()
    with monkeypatch.context() as patched:
        patched.setattr(place, killed)
        with pytest.raises(KeyboardInterrupt):
            company.forget()
    company.forget()
    assert mentions_under(company.home) == []
    assert company.figures() == figures
    assert current(company.home) is not None
    for folder in company.releases():
        verify_release(company.home, folder.name)
        assert len(read_manifest(folder).amended) == 1


def test_a_look_changes_nothing_and_names_each_place(company: Company) -> None:
    finding = look(company.settings, parse_record(ANN), ALSO)
    assert set(TEXTS) <= set(finding.texts)
    assert {place.kind for place in finding.places} >= {"version", "mention", "landing", "release", "scratch", "dbt"}
    assert any(place.home.name == "2026-11-01" for place in finding.places)
    assert mentions_under(company.home) != []


def test_what_others_wrote_below_the_home_is_told_and_left(company: Company) -> None:
    notes, archive = company.home / "notes.txt", company.home / "backups" / "old.tar.gz"
    notes.write_text("call Ann Miller")
    archive.write_bytes(b"")
    assert look(company.settings, parse_record(ANN)).left == (archive, notes)


def test_a_damaged_release_is_not_amended_which_would_hide_it(company: Company) -> None:
    shutil.rmtree(company.home / "backups")
    damaged = company.releases()[0] / "parquet" / "deal.parquet"
    damaged.chmod(0o644)
    damaged.write_bytes(b"something else")
    with pytest.raises(ReleaseDamaged, match=r"parquet/deal\.parquet"):
        company.forget()


def test_what_killed_processes_left_is_removed(company: Company) -> None:
    shutil.rmtree(company.home / "backups")
    for name in ("reconcile.killed_comparison", ".warehouse.duckdb.next.spill"):
        (company.home / name).mkdir()
        (company.home / name / "rows").write_text("Ann Smith")
    (company.home / ".warehouse.duckdb.next").write_text("half of it")
    company.forget()
    assert mentions_under(company.home) == []


def test_the_command_asks_before_it_erases(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPIMART_HOME", str(company.home))
    order = ["forget", ANN, "--by", "DPO", "--reason", "asked for it"]
    asked = CliRunner().invoke(app, order, input="n\n")
    assert asked.exit_code == 1
    assert "Ann Smith" in asked.output
    assert company.query("select count(*) from ops.forgotten") == [(0,)]
    assert isinstance(CliRunner().invoke(app, [*order, "--json"]).exception, SettingsError)


def test_a_record_that_is_nowhere_and_a_reason_that_tells_are_refused(company: Company) -> None:
    with pytest.raises(SettingsError, match="there is no record hubspot:owners:99"):
        company.forget("hubspot:owners:99")
    with pytest.raises(SettingsError, match="do not name the person"):
        company.forget(reason="Ann Miller asked for it")
    with pytest.raises(SettingsError, match="too short"):
        company.forget(also=("An",))


def test_backups_elsewhere_are_named_until_others_take_their_place(company: Company, tmp_path: Path) -> None:
    def save(keep: int | None = None) -> str:
        company.now += timedelta(minutes=1)
        done = backup(
            company.settings, str(tmp_path / "elsewhere"), keep=keep, clock=company.clock, tell=lambda _: None
        )
        return done.backup_id

    backup_id = save()
    company.now += timedelta(minutes=1)
    place = str(tmp_path / "elsewhere")
    assert company.forget().backups == ((place, backup_id),)
    assert look(company.settings, parse_record(ANN), ALSO).backups == ((place, backup_id),)
    save(keep=1)
    assert look(company.settings, parse_record(ANN), ALSO).backups == ()
    restore(tmp_path / "new", place, tell=lambda _: None)
    with duckdb.connect(str(tmp_path / "new" / WAREHOUSE_FILE), read_only=True) as connection:
        payloads = connection.execute("select string_agg(payload) from raw.hubspot__owners").fetchall()[0][0]
    assert not any(text in payloads for text in ("Ann Miller", "ann.smith@example.com"))
