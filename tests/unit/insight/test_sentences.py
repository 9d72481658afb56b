"""Sentences over a few figures that are known by heart."""

from collections.abc import Iterator
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpimart.insight.phrases import Phrase, Wording, size_text
from kpimart.insight.statistics.sentences import write
from summaries import wrong_sentences

CATALOGUE = """
    ('won_amount', 'Won amount', 'Сумма выигранных сделок', 'currency'),
    ('win_rate', 'Win rate', 'Доля выигранных сделок', 'ratio'),
    ('won_deals', 'Won deals', 'Выигранные сделки', 'count'),
    ('sales_cycle_days', 'Sales cycle', 'Цикл сделки', 'days')
"""
ENTITIES = """
    ('company', 'company', null, null, 'Company'),
    ('department', 'crm:n', 'crm:n', null, 'North {0} "East"'),
    ('manager', 'crm:1', null, 'crm:1', 'Ann O''Hara; 3rd')
"""
PERIODS = """
    ('month', date '2026-08-01', date '2026-08-31', '2026-08', true),
    ('month', date '2026-09-01', date '2026-09-30', '2026-09', true),
    ('month', date '2026-10-01', date '2026-10-31', '2026-10', false),
    ('year', date '2025-01-01', date '2025-12-31', '2025', true)
"""
WEIGHTS = "('won_amount', 0.5), ('win_rate', 0.3), ('won_deals', 0.2), ('sales_cycle_days', 0)"

BUILD = f"""
    attach ':memory:' as warehouse;
    use warehouse;
    create schema core;
    create schema kpi;
    create schema seeds;
    create schema insight;

    create table seeds.kpi_catalogue as
    from (values {CATALOGUE}) as rows (kpi_code, name_en, name_ru, unit);

    create table core.dim_period as
    from (values {PERIODS}) as rows (period_grain, period_start, period_end, period_name, is_complete);

    create table kpi.kpi_value as
    select kpi_code, period_grain, period_start, period_end, entities.*, replace(unit, 'currency', 'EUR') as unit
    from core.dim_period, seeds.kpi_catalogue,
        (values {ENTITIES}) as entities (entity_level, entity_key, department_id, manager_id, entity_name);

    create table kpi.scorecard as
    select
        figures.*, weights.weight::decimal(5, 4) as weight,
        null::decimal(28, 8) as target_value, null::decimal(28, 6) as attainment
    from kpi.kpi_value as figures
    inner join (values {WEIGHTS}) as weights (kpi_code, weight) using (kpi_code);

    create table insight.kpi_trend as
    select
        figures.*,
        true as is_complete,
        case kpi_code when 'won_amount' then 1000.00 when 'win_rate' then 0.5 when 'won_deals' then 4 else 50 end
            ::decimal(28, 8) as value,
        value as previous_value,
        0::decimal(28, 8) as change,
        value as last_year_value,
        0::decimal(28, 8) as change_on_last_year,
        null::varchar as trend_direction,
        null::decimal(28, 8) as slope,
        null::decimal(9, 8) as q_value,
        null::boolean as is_significant,
        false as is_change_point,
        null::decimal(28, 8) as expected_low,
        null::decimal(28, 8) as expected_high,
        null::boolean as is_anomaly
    from kpi.kpi_value as figures;

    create table insight.kpi_driver (
        kpi_code varchar, comparison varchar, period_grain varchar, period_start date, entity_level varchar,
        entity_key varchar, unit varchar, driver varchar, part varchar, contribution decimal(18, 2),
        value_before decimal(28, 8), value_after decimal(28, 8), difference decimal(18, 2)
    );

    create table insight.weak_spot (
        period_grain varchar, period_start date, entity_level varchar, entity_key varchar, entity_name varchar,
        kind varchar, pipeline_id varchar, stage_id varchar, stage_name varchar, loss_reason varchar,
        value decimal(28, 10), peer_value decimal(28, 10), peer_median decimal(28, 10), sample_size bigint,
        leak_amount decimal(18, 2), shrunk_leak_amount decimal(18, 2), is_weak boolean,
        status varchar, is_complete boolean
    );

    create table kpi.funnel_stage as
    select 'p' as pipeline_id, 'Sales' as pipeline_name;
"""
RELEASE = """
    attach if not exists ':memory:' as reporting;
    create or replace table reporting.dim_period as from core.dim_period;
    create or replace table reporting.kpi_catalogue as from seeds.kpi_catalogue;
    create or replace table reporting.scorecard as from kpi.scorecard;
    create or replace table reporting.kpi_trend as from insight.kpi_trend;
    create or replace table reporting.kpi_driver as from insight.kpi_driver;
    create or replace table reporting.weak_spot as from insight.weak_spot;
    create or replace table reporting.funnel_stage as from kpi.funnel_stage;
    create or replace table reporting.kpi_summary as from insight.kpi_summary;
"""
OF_COMPANY = "entity_level = 'company' and period_grain = 'month' and period_start = date '2026-09-01'"


@pytest.fixture
def build() -> Iterator[duckdb.DuckDBPyConnection]:
    """A build in which nothing moved, nothing was compared and nobody has a target."""
    with duckdb.connect() as connection:
        connection.execute(BUILD)
        yield connection


def told(
    build: duckdb.DuckDBPyConnection, topic: str, *, whose: str = "company", grain: str = "month", language: str = "en"
) -> list[str]:
    """What is said about a topic, after it was proved."""
    write(build)
    build.execute(RELEASE)
    assert wrong_sentences(build) == []
    rows = build.execute(
        f"""
        select text_{language} from insight.kpi_summary
        where topic = ? and entity_level = ? and period_grain = ? order by sentence_number
        """,
        [topic, whose, grain],
    ).fetchall()
    return [text for (text,) in rows]


def test_everybody_has_a_summary_of_the_last_complete_periods(build: duckdb.DuckDBPyConnection) -> None:
    write(build)
    found = build.execute(
        """
        select period_grain, period_start::varchar, entity_level, list(topic order by sentence_number)
        from insight.kpi_summary group by all order by all
        """
    ).fetchall()
    topics = ["moved", "moved", "leak", "unusual"]
    assert found == [
        (grain, start, level, topics)
        for grain, start in (("month", "2026-09-01"), ("year", "2025-01-01"))
        for level in ("company", "department", "manager")
    ]


def test_what_moved_most_by_its_weight_comes_first(build: duckdb.DuckDBPyConnection) -> None:
    """0.5 × 100/1000 = 0.05, 0.3 × 0.1/0.6 = 0.05, 0.2 × 2/4 = 0.1: deals, then of two alike the heavier."""
    build.execute(
        f"""
        update insight.kpi_trend set value = 900, change = -100, last_year_value = 0, change_on_last_year = 900
        where kpi_code = 'won_amount' and {OF_COMPANY};
        update insight.kpi_trend set value = 0.6, change = 0.1, change_on_last_year = 0.1
        where kpi_code = 'win_rate' and {OF_COMPANY};
        update insight.kpi_trend set value = 2, change = -2, last_year_value = null, change_on_last_year = null
        where kpi_code = 'won_deals' and {OF_COMPANY};
        update kpi.scorecard set target_value = 1200, attainment = 0.75 where kpi_code = 'won_amount' and {OF_COMPANY};
        """
    )
    assert told(build, "moved") == [
        "Won deals: 2; down 50.0 % on the month before (4).",
        "Won amount: 900.00 EUR; down 10.0 % on the month before (1,000.00 EUR); "
        "up on the same month of the year before (0.00 EUR); the target of 1,200.00 EUR is reached to 75.0 %.",
    ]


def test_nobody_is_named_in_what_is_said_of_them(build: duckdb.DuckDBPyConnection) -> None:
    same = "the same as in the month before; the same as in the same month of the year before."
    assert told(build, "moved", whose="department") == [
        f"Won amount: 1,000.00 EUR; {same}",
        f"Win rate: 50.0 %; {same}",
    ]
    (manager, _) = told(build, "moved", whose="manager", language="ru")
    assert manager == (
        "Сумма выигранных сделок: 1,000.00 EUR; "
        "без изменений к предыдущему месяцу; без изменений к тому же месяцу прошлого года."
    )


def test_a_year_has_no_other_year_before_it_and_what_is_unknown_is_not_printed(
    build: duckdb.DuckDBPyConnection,
) -> None:
    build.execute("update insight.kpi_trend set previous_value = null, change = null where period_grain = 'year'")
    assert told(build, "moved", grain="year") == [
        "Won amount: 1,000.00 EUR; the year before has no value to compare with.",
        "Win rate: 50.0 %; the year before has no value to compare with.",
    ]


def test_a_scorecard_without_a_value_says_so(build: duckdb.DuckDBPyConnection) -> None:
    build.execute("update insight.kpi_trend set value = null, change = null, change_on_last_year = null")
    assert told(build, "moved") == ["No value for any of 4 KPIs of the scorecard."]


def test_a_change_is_split_into_two_drivers_and_the_rest(build: duckdb.DuckDBPyConnection) -> None:
    of_company = "'won_amount', 'previous_period', 'month', date '2026-09-01', 'company', 'company', 'EUR'"
    build.execute(
        f"""
        insert into insight.kpi_driver values
            ({of_company}, 'headcount', 'own', 20.00, 1000, 700, -300),
            ({of_company}, 'stage_conversion:Offer 2', 'own', -350.50, 1000, 700, -300),
            ({of_company}, 'avg_won_amount', 'own', 30.50, 1000, 700, -300);
        """
    )
    assert told(build, "why") == [
        "Won amount: -300.00 EUR on the month before, of which -350.50 EUR came from conversion of stage «Offer 2», "
        "+30.50 EUR from average amount at constant rates, +20.00 EUR from all else."
    ]


def test_the_largest_leak_of_the_quarter_is_told_and_ties_are_not_hidden(build: duckdb.DuckDBPyConnection) -> None:
    build.execute(
        """
        insert into core.dim_period values ('quarter', '2026-07-01', '2026-09-30', '2026-Q3', true);
        insert into kpi.kpi_value select * replace ('quarter' as period_grain, date '2026-07-01' as period_start)
        from kpi.kpi_value where period_start = '2026-09-01';
        insert into insight.weak_spot
        select 'quarter', '2026-07-01', 'department', 'crm:n', 'North {0} "East"', rows.*, 'enough', true
        from (values
            ('stage_time', 'p', 's', 'Offer', null, 12.26, 8, 8.5, 21, null, null, true),
            ('win_rate', 'p', null, null, null, 0.25, 0.4, 0.35, 21, 4000, 3000, true),
            ('loss_reason', 'p', null, null, '=Price', 0.5, 0.2, 0.25, 21, 4000, 3000, true),
            ('stage_conversion', 'p', 't', 'Talk', null, 0.1, 0.4, 0.35, 21, 5000, 2000, true),
            ('stage_conversion', 'p', 's', 'Offer', null, 0.1, 0.4, 0.35, 21, 9000, 8000, false)
        ) as rows (kind, pipeline_id, stage_id, stage_name, reason, value, peers, median, sample, leak, shrunk, weak);
        """
    )
    assert told(build, "leak", whose="department") == [
        "Weak spot of deals created in 2026-Q3, win rate: 25.0 % of 21 deals, 40.0 % with others of the same mix; "
        "the median peer has 35.0 %, and the gap goes with 4,000.00 EUR, of which 3,000.00 EUR is likely more than "
        "luck (among others)."
    ]
    assert told(build, "leak", language="ru") == [
        'Слабое место, сделки, созданные в 2026-Q3, «North {0} "East"»: доля выигранных: 25.0 % из 21 сделки, у других '
        "при том же составе 40.0 %; у медианного из других 35.0 %, с отставанием связано 4,000.00 EUR, из них "
        "3,000.00 EUR — вероятно, не случайность (среди прочих)."
    ]
    assert told(build, "leak", whose="manager") == ["Nothing of deals created in 2026-Q3 to compare: 0 comparisons."]
    build.execute("update insight.weak_spot set is_weak = kind = 'stage_time'")
    assert told(build, "leak", whose="department") == [
        "Weak spot of deals created in 2026-Q3, stage Offer: 21 stays of 12.3 days, 8.0 days with others of the same "
        "mix."
    ]
    build.execute("update insight.weak_spot set is_weak = false")
    assert told(build, "leak", language="ru") == [
        "Слабых мест нет, сделки, созданные в 2026-Q3: 5 сравнений с другими, заметно хуже — ни одного."
    ]
    build.execute("update insight.weak_spot set status = 'too_few'")
    assert told(build, "leak", whose="department") == [
        "Too few deals created in 2026-Q3 to say where it leaks: 0 of 5 comparisons possible."
    ]
    build.execute("update insight.weak_spot set status = 'no_peers'")
    assert told(build, "leak") == ["Nobody to compare deals created in 2026-Q3 with: 5 comparisons without peers."]


def test_of_what_is_all_luck_the_largest_leak_is_told_and_that_none_of_it_is_likely(
    build: duckdb.DuckDBPyConnection,
) -> None:
    build.execute(
        """
        insert into insight.weak_spot values
            ('year', '2025-01-01', 'manager', 'crm:1', 'Ann', 'win_rate', 'p', null, null, '(none)', 0.5, 0.6, 0.55, 21,
                300, 0, true, 'enough', true),
            ('year', '2025-01-01', 'manager', 'crm:1', 'Ann', 'loss_reason', 'p', null, null, 'Price', 0.5, 0.2, 0.3,
                21, 900, 0, true, 'enough', true)
        """
    )
    (told_of_ann,) = told(build, "leak", whose="manager", grain="year")
    assert "lost for Price" in told_of_ann
    assert told_of_ann.endswith("the gap goes with 900.00 EUR, of which 0.00 EUR is likely more than luck.")


def test_of_several_pipelines_it_is_told_in_which_one_it_leaks(build: duckdb.DuckDBPyConnection) -> None:
    build.execute(
        """
        insert into kpi.funnel_stage values ('q', 'Renewals 2'), ('r', 'Sales'), ('r', 'Sales');
        insert into insight.weak_spot values
            ('year', '2025-01-01', 'department', 'crm:n', 'North {0} "East"', 'loss_reason', 'q', null, null, 'Price',
                0.5, 0.2, 0.25, 21, 4000, 3000, true, 'enough', true),
            ('year', '2025-01-01', 'manager', 'crm:1', 'Ann', 'win_rate', 'r', null, null, '(none)', 0.5, 0.6, 0.6, 21,
                300, 200, true, 'enough', true);
        """
    )
    (english,) = told(build, "leak", whose="department", grain="year")
    assert english.startswith("Weak spot of deals created in 2025, pipeline Renewals 2, lost for Price: 50.0 % of 21")
    (russian,) = told(build, "leak", grain="year", language="ru")
    assert '«North {0} "East"»: воронка «Renewals 2», причина «Price»: проиграно' in russian
    # Two of one name are told apart.
    assert "2025, pipeline Sales (r), win rate: 50.0 %" in told(build, "leak", whose="manager", grain="year")[0]


def test_while_deals_of_the_cohort_are_open_that_is_said(build: duckdb.DuckDBPyConnection) -> None:
    build.execute(
        """
        insert into insight.weak_spot values
            ('year', '2025-01-01', 'department', 'crm:n', 'North', 'win_rate', 'p', null, null, '(none)', 0.5, 0.6, 0.6,
                21, 300, 200, true, 'enough', false),
            ('year', '2025-01-01', 'manager', 'crm:1', 'Ann', 'win_rate', 'p', null, null, '(none)', 0.5, 0.6, 0.6, 21,
                300, 200, false, 'enough', false),
            ('year', '2025-01-01', 'manager', 'crm:1', 'Ann', 'win_rate', 'q', null, null, '(none)', 0.5, 0.6, 0.6, 21,
                300, 200, false, 'enough', true)
        """
    )
    (weak,) = told(build, "leak", whose="department", grain="year")
    assert weak.startswith("Weak spot of deals created in 2025 (some still open), win rate: 50.0 % of 21 deals")
    assert told(build, "leak", whose="manager", grain="year", language="ru") == [
        "Слабых мест нет, сделки, созданные в 2025 (часть ещё открыта): 2 сравнения с другими, "
        "заметно хуже — ни одного."
    ]
    build.execute("update insight.weak_spot set is_complete = true")
    assert "still open" not in told(build, "leak", grain="year")[0]


def test_what_is_unusual_is_told_the_furthest_first(build: duckdb.DuckDBPyConnection) -> None:
    build.execute(
        f"""
        update insight.kpi_trend set q_value = 0.01, is_significant = true, trend_direction = 'down', slope = -12.34
        where kpi_code = 'won_amount' and {OF_COMPANY};
        update insight.kpi_trend set is_anomaly = true, expected_low = 0.55, expected_high = 0.6,
            is_change_point = true, is_significant = true, trend_direction = 'up', slope = 0.012
        where kpi_code = 'win_rate' and {OF_COMPANY};
        update insight.kpi_trend set is_change_point = true where kpi_code = 'sales_cycle_days' and {OF_COMPANY};
        """
    )
    assert told(build, "unusual") == [
        "Win rate: 50.0 %, below the usual 55.0 % to 60.0 %; its level shifts here; "
        "a trend that goes up by 1.2 pp a month.",
        "Sales cycle: 50.0 days, its level shifts here; other KPIs are unusual too.",
    ]
    assert (
        told(build, "unusual", language="ru")[1]
        == "Цикл сделки: 50.0 дня, здесь сменился уровень; необычны и другие показатели."
    )
    build.execute(f"update insight.kpi_trend set is_change_point = false, is_anomaly = false where {OF_COMPANY}")
    assert told(build, "unusual", language="ru")[0] == (
        "Сумма выигранных сделок: 1,000.00 EUR, тренд вниз на 12.34 EUR в месяц."
    )


def test_what_is_counted_is_never_shown_within_the_range_that_it_is_outside_of(
    build: duckdb.DuckDBPyConnection,
) -> None:
    build.execute(
        f"""
        update insight.kpi_trend set is_anomaly = true, expected_low = 0, expected_high = 3.65
        where kpi_code = 'won_deals' and {OF_COMPANY}
        """
    )
    assert told(build, "unusual") == ["Won deals: 4, above the usual 0.0 to 3.6."]
    figures = build.execute("select figures from insight.kpi_summary where kpi_code = 'won_deals'").fetchall()
    assert '{"value":"4.00000000","expected_low":"0.00000000","expected_high":"3.65000000"}' in [
        row[0] for row in figures
    ]


def test_nothing_unusual_is_not_too_little_history(build: duckdb.DuckDBPyConnection) -> None:
    build.execute("update insight.kpi_trend set expected_low = 1, expected_high = 9000 where kpi_code = 'won_amount'")
    build.execute("update insight.kpi_trend set expected_low = null where entity_level = 'manager'")
    assert told(build, "unusual") == ["Nothing unusual (1 of 4 KPIs compared with their own history)."]
    assert told(build, "unusual", whose="manager") == [
        "Too short a history to say what is unusual (0 of 4 KPIs compared with it)."
    ]


@pytest.mark.parametrize(
    ("value", "unit", "english", "russian"),
    [
        ("1234.5", "EUR", "1,234.50 EUR", "1,234.50 EUR"),
        ("-0.001", "EUR_per_day", "0.00 EUR a day", "0.00 EUR в день"),
        ("1", "days", "1.0 days", "1.0 дня"),
        ("21.5", "hours", "21.5 hours", "21.5 часа"),
        ("0.617", "ratio", "61.7 %", "61.7 %"),
        ("1254", "count", "1,254", "1,254"),
    ],
)
def test_a_value_has_its_unit(value: str, unit: str, english: str, russian: str) -> None:
    assert [size_text(Decimal(value), unit, language) for language in ("en", "ru")] == [english, russian]


@given(st.integers(0, 10_000))
def test_a_noun_has_the_form_that_its_number_asks_for(number: int) -> None:
    phrase = Phrase("{deals:deal|deals}", "{deals:сделка|сделки|сделок}")
    tens, ones = number % 100 // 10, number % 10
    few = "сделка" if ones == 1 else "сделки" if 2 <= ones <= 4 else "сделок"
    assert (
        Wording("en", "count", {}).text(phrase, {"deals": number}) == f"{number:,} {'deal' if number == 1 else 'deals'}"
    )
    assert Wording("ru", "count", {}).text(phrase, {"deals": number}) == f"{number:,} {'сделок' if tens == 1 else few}"
