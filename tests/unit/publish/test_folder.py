from pathlib import Path

import duckdb
import pytest

from kpimart.errors import SettingsError
from kpimart.publish.contract import PUBLISHED
from kpimart.publish.folder import export_parquet
from kpimart.publish.manifest import MANIFEST_FILE


def test_a_folder_has_every_table_and_the_manifest(company, tmp_path: Path) -> None:
    made = company.publish()
    files = export_parquet(made, tmp_path / "below" / "kpi")
    assert {file.stem for file in files} == {table.name for table in PUBLISHED}
    assert duckdb.sql(f"select sum(amount) from '{tmp_path}/below/kpi/deal.parquet'").fetchall()[0][0] == 452.25
    assert (tmp_path / "below" / "kpi" / MANIFEST_FILE).read_bytes() == (made.folder / MANIFEST_FILE).read_bytes()


def test_a_former_export_is_replaced_whole(company, tmp_path: Path) -> None:
    folder = tmp_path / "kpi"
    export_parquet(company.publish(), folder)
    (folder / "table_of_an_older_contract.parquet").touch()
    made = company.publish()
    export_parquet(made, folder)
    assert not (folder / "table_of_an_older_contract.parquet").exists()
    assert made.release_id in (folder / MANIFEST_FILE).read_text()
    assert [path.name for path in tmp_path.glob(".kpi*")] == []


def test_a_folder_with_anything_else_is_not_touched(company, tmp_path: Path) -> None:
    made = company.publish()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter 1.txt").write_text("Once")
    with pytest.raises(SettingsError, match="is not empty and holds no release"):
        export_parquet(made, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter 1.txt").read_text() == "Once"
