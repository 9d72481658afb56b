"""What is said in words of the real export is proved, sentence by sentence."""

import json

import duckdb
from product import Product, Release

from summaries import wrong_sentences


def test_every_sentence_is_proved(first_run: Release) -> None:
    with duckdb.connect(str(first_run.path), read_only=True) as reporting:
        assert wrong_sentences(reporting) == []


def test_everybody_is_told_what_moved_and_where_it_leaks(first_run: Release) -> None:
    """35 agents, the departments of 6 heads, 3 offices, the company; the last month, quarter and year."""
    found = first_run.query(
        """
        select period_grain, period_start::varchar, topic, count(distinct (entity_level, entity_key)) as entities
        from reporting.kpi_summary
        where topic <> 'why'
        group by all
        order by all
        """
    )
    assert found.to_numpy().tolist() == [
        [grain, start, topic, 45]
        for grain, start in (("month", "2017-12-01"), ("quarter", "2017-10-01"), ("year", "2017-01-01"))
        for topic in ("leak", "moved", "unusual")
    ]


def test_the_last_quarter_of_the_company_by_hand(product: Product, first_run: Release) -> None:
    """Won 2,802,496 in the quarter and 2,982,255 in the one before: 179,759 less, a part of 0.0603."""
    told = json.loads(
        product.command("kpi", "summary", "--period", "2017-Q4", "--release", first_run.release_id, "--json")
    )
    (company,) = told["summaries"]
    (won,) = [each for each in company["sentences"] if (each["topic"], each["kpi_code"]) == ("moved", "won_amount")]
    assert won["text"].startswith("Won amount: 2,802,496.00 USD; down 6.0 % on the quarter before (2,982,255.00 USD)")
    assert won["figures"]["change"] == "-0.06027620"
    (why,) = [each for each in company["sentences"] if each["topic"] == "why"]
    assert why["figures"]["difference"] == "-179759.00000000"


def test_a_person_reads_it_in_russian_with_its_proof(product: Product, first_run: Release) -> None:
    printed = product.command("kpi", "summary", "--by", "department", "--period", "quarter", "--lang", "ru", "--proof")
    assert "2017-10-01 … 2017-12-31" in printed
    assert "Отдел Melvin Marxen\n" in printed
    assert "что изменилось  Сумма" in printed
    assert "select trend.value as value" in printed
