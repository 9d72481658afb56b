"""Finding a person in tables and files: as whole words, in SQL and in Python alike."""

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from kpimart.mentions import Mentions, copy_erased, count_mentions
from kpimart.warehouse import create_database

ANN = Mentions(frozenset({"Ann Smith", "Анна Кузнецова", 'Ann "Smithy" S.'}), frozenset({"Cid"}))


@pytest.mark.parametrize(
    ("text", "erased"),
    [
        ("Ann Smith", "forgotten"),
        ("call ANN SMITH, then Ann Smith Ann Smith", "call forgotten, then forgotten forgotten"),
        ("Ann Smithson, Joann Smith", "Ann Smithson, Joann Smith"),
        ("договор: Анна Кузнецова.", "договор: forgotten."),
        ("Анна Кузнецовазнает", "Анна Кузнецовазнает"),
        (r'{"note":"first\nAnn Smith\tsecond"}', r'{"note":"first\nforgotten\tsecond"}'),
        (r'{"name":"Ann \"Smithy\" S."}', r'{"name":"forgotten"}'),
        (
            r'{"name":"\u0410\u043d\u043d\u0430 \u041a\u0443\u0437\u043d\u0435\u0446\u043e\u0432\u0430"}',
            '{"name":"forgotten"}',
        ),
        ("Cid", "Cid"),
    ],
)
def test_a_phrase_is_erased_where_it_stands_as_whole_words(text: str, erased: str) -> None:
    assert ANN.erased(text) == erased
    with duckdb.connect() as connection:
        query = f"select {ANN.erased_from('text', with_names=False)}, {ANN.found_in('text', with_names=False)}"
        assert connection.execute(f"{query} from (select ? as text)", [text]).fetchall() == [(erased, erased != text)]


@pytest.mark.parametrize(
    ("text", "erased"),
    [
        ("Cid", "forgotten"),
        ("cid", "forgotten"),
        ("Cid, South", "forgotten, South"),
        ("El Cid", "El Cid"),
        ("Cida", "Cida"),
    ],
)
def test_a_word_that_others_may_bear_is_erased_as_a_whole_value_only(text: str, erased: str) -> None:
    with duckdb.connect() as connection:
        query = f"select {ANN.erased_from('text', with_names=True)} from (select ? as text)"
        assert connection.execute(query, [text]).fetchall() == [(erased,)]


def test_no_mentions_are_found_nowhere(tmp_path: Path) -> None:
    nobody, file = Mentions(), tmp_path / "notes.txt"
    file.write_text("Ann Smith")
    assert (nobody.erased("Ann Smith"), nobody.is_in(file)) == ("Ann Smith", False)
    assert nobody.found_in("text", with_names=True) == "false"


@pytest.mark.parametrize(
    ("content", "is_there"), [(b"\x00Ann Smith\x00", True), (b"Ann Smithson", False), (b"", False)]
)
def test_bytes_of_any_file_are_looked_through(tmp_path: Path, content: bytes, is_there: bool) -> None:
    file = tmp_path / "block"
    file.write_bytes(content)
    assert ANN.is_in(file) == is_there


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Has her in raw, in a built table and behind a view, and had more of her that was deleted."""
    with duckdb.connect(str(tmp_path / "old.duckdb")) as connection:
        connection.execute("""
            create schema raw;
            create schema core;
            create table raw.crm__deals (
                id varchar not null, is_deleted boolean not null, payload varchar, payload_hash varchar
            );
            insert into raw.crm__deals
            select id, false, payload, sha256('false|' || payload)
            from (values ('1', '{"with":"Ann Smith"}'), ('2', '{"with":"Cid"}')) as rows (id, payload);
            create table core.dim_manager (manager_id varchar primary key, name varchar, amount decimal(18, 2));
            insert into core.dim_manager values ('1', 'Ann Smith', 10.50), ('2', 'Cid', 0.10), ('3', null, 1);
            comment on table core.dim_manager is 'One row per manager.';
            create view core.names as select name from core.dim_manager;
            create table gone as select 'Ann Smith was here ' || i as note from range(5000) as r (i);
            delete from gone;
        """)
    return tmp_path / "old.duckdb"


def test_a_copy_has_everything_but_the_mentions(database: Path, tmp_path: Path) -> None:
    with create_database(tmp_path / "new.duckdb", beside={"old": database}) as connection:
        assert count_mentions(connection, "old", ANN) == {"core.dim_manager": 2, "raw.crm__deals": 1}
        copy_erased(connection, "old", "release", ANN, {"raw.crm__deals": "true"})
    with duckdb.connect(str(tmp_path / "new.duckdb"), read_only=True) as connection:
        assert connection.execute("select name, amount from core.dim_manager").fetchall() == [
            ("forgotten", Decimal("10.50")),
            ("forgotten", Decimal("0.10")),
            (None, 1),
        ]
        assert connection.execute("from core.names limit 1").fetchall() == [("forgotten",)]
        assert connection.execute(
            "select comment from duckdb_tables() where table_name = 'dim_manager'"
        ).fetchall() == [("One row per manager.",)]
        # A hash is that of its payload; a word that others may bear stays in what others wrote.
        assert connection.execute(
            "select payload, payload_hash = sha256('false|' || payload) from raw.crm__deals"
        ).fetchall() == [
            ('{"with":"forgotten"}', True),
            ('{"with":"Cid"}', True),
        ]


def test_a_copy_has_no_blocks_of_what_was_there_before(database: Path, tmp_path: Path) -> None:
    assert b"Ann Smith" in database.read_bytes()
    with create_database(tmp_path / "new.duckdb", beside={"old": database}) as connection:
        copy_erased(connection, "old", "release", ANN)
    assert b"Ann Smith" not in (tmp_path / "new.duckdb").read_bytes()
