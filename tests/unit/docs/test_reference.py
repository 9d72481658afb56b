"""The reference pages are what the code is."""

import re
from pathlib import Path

import pytest

from kpimart import errors, reference
from kpimart.extract.canonical import OBJECTS
from kpimart.publish.contract import PUBLISHED

MADE = reference.pages()


@pytest.mark.parametrize("name", MADE)
def test_a_page_is_up_to_date(name: str) -> None:
    path = reference.PAGES / name
    assert path.exists(), "make docs writes it"
    assert path.read_text(encoding="utf-8") == MADE[name], "it is stale: make docs writes it anew"


def test_no_page_is_left_over() -> None:
    assert {path.name for path in reference.PAGES.iterdir()} == set(MADE)


def test_writing_them_again_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "PAGES", tmp_path / "reference")
    reference.main()
    written = {path.name: path.stat().st_mtime_ns for path in reference.PAGES.iterdir()}
    reference.main()
    assert {path.name: path.stat().st_mtime_ns for path in reference.PAGES.iterdir()} == written


def test_every_setting_is_explained_and_no_other() -> None:
    assert set(reference.SETTINGS) == {key for key, _ in reference.setting_fields()}


def test_every_column_of_every_table_is_listed() -> None:
    for table in PUBLISHED:
        _, _, section = MADE["tables.md"].partition(f"## {table.name}\n")
        section = section.partition("\n## ")[0]
        assert [column.name for column in table.columns if f"| `{column.name}` | {column.type} |" not in section] == []


def test_a_kpi_is_told_in_both_languages() -> None:
    assert "· ratio · higher is better · for managers and departments · from day up · head of sales" in MADE["kpis.md"]
    assert "**Win rate.** " in MADE["kpis.md"]
    assert "· доля · чем больше, тем лучше · для менеджеров и отделов · от дня и крупнее · " in MADE["kpis.ru.md"]
    assert "**Доля выигранных сделок.** " in MADE["kpis.ru.md"]


def test_the_russian_page_leaves_only_code_and_names_in_english() -> None:
    prose = re.sub(r"`[^`]+`|\(\S+\)|^### .+$|<!--.*?-->", "", MADE["kpis.ru.md"], flags=re.MULTILINE)
    assert set(re.findall(r"[A-Za-z]{2,}", prose)) <= {"Add", "KPI", "In", "English", "NULL", "CRM"}


def test_every_exit_code_has_its_errors() -> None:
    raised = {each.exit_code for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "exit_code")}
    assert set(reference.EXIT_CODES) == {0, *raised}
    assert "\n| `SourceUnreachable` | yes | " in MADE["exit-codes.md"].partition("\n## 4\n")[2]


def test_a_dag_tells_its_hour_and_its_story() -> None:
    _, _, section = MADE["dags.md"].partition("\n## crm_kpi_nightly\n")
    assert section.startswith("\nSchedule: `0 2 * * *`\n\n### Sales KPIs, every night\n")


def test_a_measure_tells_when_it_is_not_known() -> None:
    rows = {line.split("`")[1]: line for line in MADE["measures.md"].splitlines() if line.startswith("| `")}
    assert "| NULL if all are |" in rows["won_amount"]
    assert "| NULL as soon as one is |" in rows["lost_amount"]
    assert "counted for `lost_amount`" in rows["lost_deals_without_amount"]


@pytest.mark.parametrize(
    ("key", "type_and_default"),
    [
        ("time_zone", "text | `UTC`"),
        ("fiscal_year_start", "a whole number from 1 to 12 | `1`"),
        ("as_of", "a time or a date | now"),
        ("thresholds.max_quarantined_share", "a number from 0 to 1 | `0.01`"),
        ("files.stages[].outcome", "`open` or `won` or `lost` | required"),
        ("columns.*.values", "a table of text | none"),
        ("distinct", "true or false | `false`"),
    ],
)
def test_a_setting_has_its_type_and_default(key: str, type_and_default: str) -> None:
    assert f"| `{key}` | {type_and_default} |" in MADE["settings.md"]


def test_every_object_has_its_section() -> None:
    assert [name for name in OBJECTS if f"\n## {name}\n" not in MADE["objects.md"]] == []


@pytest.mark.parametrize("option", ["--known-at <str>", "--make-current", "--by <manager|department|company>"])
def test_an_option_is_listed(option: str) -> None:
    assert f"| `{option}` |".replace("|", "\\|").replace("\\| `", "| `").replace("` \\|", "` |") in MADE["cli.md"]


def test_tables_that_are_asked_the_same_share_a_section() -> None:
    assert MADE["expectations.md"].count("No version twice in a batch") == 1
