import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import fsspec
import pytest

from kpimart.backup import BackedUp, Restored, backup, restore
from kpimart.errors import BackupDamaged, ReleaseDamaged, SettingsError, WarehouseBusy
from kpimart.publish import release
from kpimart.publish.retention import remove_outlived
from kpimart.publish.verify import check
from kpimart.settings import Retention, Settings
from kpimart.warehouse import open_warehouse, writer_lock

MADE_AT = datetime(2027, 1, 9, 4, tzinfo=UTC)


def silent(_: str) -> None:
    """Say nothing."""


def save(home: Path, place: object, *, night: int = 0, keep: int | None = None) -> BackedUp:
    settings = Settings(home=home)
    return backup(settings, str(place), keep=keep, clock=lambda: MADE_AT + timedelta(days=night), tell=silent)


def bring_back(home: Path, place: object, backup_id: str | None = None, *, replace: bool = False) -> Restored:
    return restore(home, str(place), backup_id, replace=replace, tell=silent)


def objects(place: Path) -> list[Path]:
    return sorted((place / "objects").iterdir())


@pytest.fixture
def busy_home(home: Path) -> Path:
    """The company's home, with three versions in raw."""
    with open_warehouse(home) as connection:
        connection.execute("""
            insert into raw.files__deals
            select id, null, false, '{}', id, '2027-01-07', '2027-01-07', 'files-1'
            from (values ('1'), ('2'), ('3')) as rows (id)
        """)
    return home


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return str(tmp_path / "elsewhere" / "backups of kpimart")
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "kpimart")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("backups-of-kpimart")
    return "s3://backups-of-kpimart/here"


def rows_of(home: Path, table: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(f"from {table} order by all").fetchall()


def test_on_an_empty_machine_it_brings_back_raw_ops_and_the_same_releases(
    busy_home: Path, tmp_path: Path, place: str
) -> None:
    made = save(busy_home, place)
    restored = tmp_path / "new machine" / "var"
    done = bring_back(restored, place)
    assert (done.backup_id, done.versions, done.releases) == ("20270109T040000Z", 3, 2)
    assert made.backup_id == done.backup_id
    for table in ("raw.files__deals", "ops.batch", "ops.batch_verdict", "ops.batch_object", "ops.quality_result"):
        assert rows_of(restored, table) == rows_of(busy_home, table)
    there, back = release.current(busy_home), release.current(restored)
    assert there is not None
    assert back is not None
    assert back.release_id == there.release_id
    assert back.database.read_bytes() == there.database.read_bytes()
    assert check(restored, back.release_id).chain == 2
    assert release.served_file(restored).samefile(back.database)
    assert not back.database.stat().st_mode & 0o222
    assert sorted(path.name for path in restored.glob(".*")) == []


def test_what_is_there_is_not_sent_again(busy_home: Path, tmp_path: Path) -> None:
    first = save(busy_home, tmp_path / "b")
    assert first.sent_bytes == sum(path.stat().st_size for path in objects(tmp_path / "b"))
    again = save(busy_home, tmp_path / "b", night=1)
    # That the first one was made is on record in the home.
    assert (again.files, again.sent_files) == (first.files, 1)
    with open_warehouse(busy_home) as connection:
        connection.execute("insert into raw.files__deals select * replace ('2' as batch_id) from raw.files__deals")
    assert save(busy_home, tmp_path / "b", night=2).sent_files == 2


def test_each_backup_of_a_place_can_be_brought_back(busy_home: Path, tmp_path: Path) -> None:
    first = save(busy_home, tmp_path / "b")
    with open_warehouse(busy_home) as connection:
        connection.execute("delete from raw.files__deals where id = '3'")
    save(busy_home, tmp_path / "b", night=1)
    assert bring_back(tmp_path / "last", tmp_path / "b").versions == 2
    assert bring_back(tmp_path / "first", tmp_path / "b", first.backup_id).versions == 3


def test_only_so_many_are_kept_and_no_file_of_the_others(busy_home: Path, tmp_path: Path) -> None:
    first = save(busy_home, tmp_path / "b")
    with open_warehouse(busy_home) as connection:
        connection.execute("update raw.files__deals set payload_hash = 'other' where id = '3'")
    second = save(busy_home, tmp_path / "b", night=1, keep=1)
    assert second.removed == (first.backup_id,)
    (manifest,) = (tmp_path / "b" / "backups").iterdir()
    assert manifest.stem == second.backup_id
    needed = {entry["sha256"] for entry in json.loads(manifest.read_text())["files"].values()}
    assert {path.name for path in objects(tmp_path / "b")} == needed
    assert [row[1] for row in rows_of(busy_home, "ops.backup")] == [second.backup_id]
    assert bring_back(tmp_path / "new", tmp_path / "b").versions == 3


def test_the_manifests_of_removed_releases_come_along_and_the_chain_is_right(busy_home: Path, tmp_path: Path) -> None:
    settings = Settings(home=busy_home)
    (removed,) = remove_outlived(busy_home, Retention(releases=1, month_ends=False), settings.zone, silent)
    save(busy_home, tmp_path / "b")
    bring_back(tmp_path / "new", tmp_path / "b")
    folder = tmp_path / "new" / "reporting" / "releases" / removed
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "removed"]
    assert check(tmp_path / "new", release.releases(tmp_path / "new")[0].release_id).chain == 2


def test_settings_and_seeds_come_back_beside_and_secrets_do_not(busy_home: Path, tmp_path: Path) -> None:
    (tmp_path / "kpimart.toml").write_text('base_currency = "EUR"')
    (tmp_path / ".env").write_text("KPIMART_HUBSPOT__TOKEN=hunter2")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "kpi_target.csv").write_text("a,b\n")
    settings = Settings(home=busy_home, seeds=tmp_path / "own").model_copy(update={"config": tmp_path / "kpimart.toml"})
    backup(settings, str(tmp_path / "b"), keep=None, clock=lambda: MADE_AT, tell=silent)
    done = bring_back(tmp_path / "new", tmp_path / "b")
    texts = {path.relative_to(tmp_path / "new").as_posix(): path.read_text() for path in done.beside}
    assert texts == {
        "restored/settings/kpimart.toml": 'base_currency = "EUR"',
        "restored/seeds/kpi_target.csv": "a,b\n",
    }
    assert not any(b"hunter2" in path.read_bytes() for path in objects(tmp_path / "b"))


def test_a_home_that_is_not_empty_is_left_as_it_is(busy_home: Path, tmp_path: Path) -> None:
    save(busy_home, tmp_path / "b")
    before = rows_of(busy_home, "raw.files__deals")
    with pytest.raises(SettingsError, match=r"is not empty: reporting, warehouse\.duckdb; restore into another"):
        bring_back(busy_home, tmp_path / "b")
    assert rows_of(busy_home, "raw.files__deals") == before


def test_told_so_it_moves_what_was_there_aside_to_where_forgetting_finds_it(busy_home: Path, tmp_path: Path) -> None:
    save(busy_home, tmp_path / "b")
    with open_warehouse(busy_home) as connection:
        connection.execute("delete from raw.files__deals")
    done = bring_back(busy_home, tmp_path / "b", replace=True)
    assert done.replaced == busy_home / "backups" / "replaced-20270109T040000Z"
    assert len(rows_of(busy_home, "raw.files__deals")) == 3
    assert rows_of(done.replaced, "raw.files__deals") == []
    assert bring_back(tmp_path / "new", tmp_path / "b").versions == 3


@pytest.mark.parametrize("spoil", ["flip", "cut", "remove"])
def test_a_file_of_a_backup_that_is_spoilt_is_named_and_nothing_comes_back(
    busy_home: Path, tmp_path: Path, spoil: str
) -> None:
    save(busy_home, tmp_path / "b")
    victim = max(objects(tmp_path / "b"), key=lambda path: path.stat().st_size)
    content = victim.read_bytes()
    victim.unlink()
    if spoil != "remove":
        victim.write_bytes(bytes([content[0] ^ 1]) + content[1:] if spoil == "flip" else content[:-1])
    with pytest.raises(BackupDamaged, match=rf"objects/{victim.name} is (missing|not what its name says)"):
        bring_back(tmp_path / "new", tmp_path / "b")
    assert [path.name for path in (tmp_path / "new").iterdir() if not path.name.startswith("writer")] == []


def test_a_manifest_that_was_edited_is_named(busy_home: Path, tmp_path: Path) -> None:
    made = save(busy_home, tmp_path / "b")
    file = tmp_path / "b" / "backups" / f"{made.backup_id}.json"
    file.write_text(file.read_text().replace(".parquet", ".parkett", 1))
    with pytest.raises(BackupDamaged, match="was edited"):
        bring_back(tmp_path / "new", tmp_path / "b")


def test_where_there_is_no_backup_none_comes_back(busy_home: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupDamaged, match="has no backup"):
        bring_back(tmp_path / "new", tmp_path / "b")
    save(busy_home, tmp_path / "b")
    with pytest.raises(BackupDamaged, match="has no backup yesterday; there are: 20270109T040000Z"):
        bring_back(tmp_path / "new", tmp_path / "b", "yesterday")


def test_an_interrupted_backup_is_none_and_the_next_one_goes_on(
    busy_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("kpimart.backup._served", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            save(busy_home, tmp_path / "b")
    with pytest.raises(BackupDamaged, match="has no backup"):
        bring_back(tmp_path / "new", tmp_path / "b")
    assert save(busy_home, tmp_path / "b").sent_files == 0
    assert bring_back(tmp_path / "new", tmp_path / "b").versions == 3


def test_a_damaged_release_is_not_taken_for_a_good_one(busy_home: Path, tmp_path: Path) -> None:
    damaged = release.releases(busy_home)[1]
    damaged.database.chmod(0o644)
    content = damaged.database.read_bytes()
    damaged.database.write_bytes(content[:9000] + bytes([content[9000] ^ 1]) + content[9001:])
    with pytest.raises(ReleaseDamaged, match=f"{damaged.release_id} is damaged: reporting.duckdb"):
        save(busy_home, tmp_path / "b")


def test_readers_do_not_disturb_it_and_a_run_has_to_end_first(busy_home: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(release.served_file(busy_home)), read_only=True) as connection:
        save(busy_home, tmp_path / "b")
        assert connection.execute("select count(*) from kpi_value").fetchall()
    with writer_lock(busy_home), pytest.raises(WarehouseBusy):
        save(busy_home, tmp_path / "b", night=1)


def test_an_empty_home_is_not_backed_up_over_a_good_backup(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nothing to back up; is KPIMART_HOME right"):
        save(tmp_path / "home", tmp_path / "b")
    shutil.rmtree(tmp_path / "home")
