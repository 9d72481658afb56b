"""Settings come from the environment, `.env` and kpimart.toml, in this order, and nothing misspelt is ignored."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from kpimart.errors import SettingsError
from kpimart.settings import Settings, load_settings

Write = Callable[[str], Path]

# Zones whose clocks change at midnight, so that some days begin at one o'clock, and others have two midnights; the last
# two have offsets that are no whole hours.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Phoenix",
    "America/Sao_Paulo",
    "America/Havana",
    "Atlantic/Azores",
    "Africa/Cairo",
    "Asia/Beirut",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
]
NEVER_WAS = date(2011, 12, 30)  # Samoa went from the 29th to the 31st.


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a command is started in; its .env counts, as it does outside of tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    return tmp_path


@pytest.fixture
def toml(folder: Path) -> Write:
    def write(text: str) -> Path:
        (folder / "kpimart.toml").write_text(text)
        return folder / "kpimart.toml"

    return write


@pytest.fixture
def dotenv(folder: Path) -> Write:
    def write(text: str) -> Path:
        (folder / ".env").write_text(text)
        return folder / ".env"

    return write


@pytest.fixture
def secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Hands a secret over as a container gets it."""
    (folder / "secrets").mkdir()
    monkeypatch.setenv("KPIMART_SECRETS_DIR", "secrets")

    def write(name: str, text: str) -> None:
        (folder / "secrets" / name).write_text(text)

    return write


def refusal(config: Path | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    return str(refused.value)


@cache
def in_zone(zone: str) -> Settings:
    return Settings(time_zone=zone)


# Where settings come from


def test_without_anything_there_are_defaults() -> None:
    settings = load_settings()
    assert (settings.config, settings.home, settings.time_zone) == (None, Path("var"), "UTC")
    assert settings.thresholds.max_quarantined_share == 0.01


def test_the_environment_comes_before_dotenv_and_dotenv_before_toml(
    toml: Write, dotenv: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml('time_zone = "Europe/Berlin"\nbase_currency = "EUR"\nprofile = "retention"')
    dotenv("KPIMART_TIME_ZONE=Asia/Tokyo\nKPIMART_BASE_CURRENCY=JPY\n")
    monkeypatch.setenv("KPIMART_TIME_ZONE", "America/New_York")
    settings = load_settings()
    assert (settings.time_zone, settings.base_currency, settings.profile) == ("America/New_York", "JPY", "retention")


def test_each_source_may_name_another_part_of_a_table(
    toml: Write, dotenv: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml("[thresholds]\nmax_quarantined_share = 0.5\nmax_vanished_share = 0.5\nmax_rate_age_days = 5")
    dotenv("KPIMART_THRESHOLDS__MAX_QUARANTINED_SHARE=0.4\nKPIMART_THRESHOLDS__MAX_VANISHED_SHARE=0.4\n")
    monkeypatch.setenv("KPIMART_THRESHOLDS__MAX_QUARANTINED_SHARE", "0.3")
    thresholds = load_settings().thresholds
    assert thresholds.max_quarantined_share == 0.3
    assert thresholds.max_vanished_share == 0.4
    assert thresholds.max_rate_age_days == 5


def test_a_secret_may_be_a_file_that_is_called_as_its_variable(
    toml: Write, monkeypatch: pytest.MonkeyPatch, secret: Callable[[str, str], None]
) -> None:
    toml('profile = "growth"')
    secret("KPIMART_PROFILE", "retention")
    secret("KPIMART_HUBSPOT__TOKEN", "of the file\n")
    secret("KPIMART_ODOO__TOKEN", "of the file")
    secret("redis_password", "somebody else's")
    monkeypatch.setenv("KPIMART_ODOO__TOKEN", "of the variable")
    settings = load_settings()
    assert settings.hubspot.token
    assert settings.odoo.token
    told = (settings.profile, settings.hubspot.token.get_secret_value(), settings.odoo.token.get_secret_value())
    assert told == ("retention", "of the file", "of the variable")


def test_an_empty_variable_says_nothing(toml: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    toml('time_zone = "Europe/Berlin"')
    monkeypatch.setenv("KPIMART_TIME_ZONE", "")
    monkeypatch.setenv("KPIMART_CONFIG", "")
    assert load_settings().time_zone == "Europe/Berlin"


@pytest.mark.parametrize("place", ["environment", "dotenv"])
def test_the_configuration_may_be_named_by_a_variable(
    folder: Path, toml: Write, dotenv: Write, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    toml('profile = "growth"')
    named = folder / "company.toml"
    named.write_text('profile = "retention"')
    if place == "environment":
        monkeypatch.setenv("KPIMART_CONFIG", str(named))
    else:
        dotenv(f"KPIMART_CONFIG={named}\n")
    settings = load_settings()
    assert (settings.profile, settings.config) == ("retention", named)


def test_the_configuration_of_the_option_comes_before_that_of_a_variable(
    toml: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPIMART_CONFIG", "elsewhere.toml")
    assert load_settings(toml('profile = "retention"')).profile == "retention"


def test_a_home_that_is_handed_over_comes_before_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPIMART_HOME", "elsewhere")
    assert load_settings(home=folder).home == folder


def test_variables_of_other_programs_are_nobodys_business(dotenv: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    dotenv("POSTGRES_PASSWORD=x\nCOMPANY_CONFIG=y\n")
    monkeypatch.setenv("KPI_HOME", "z")
    assert load_settings().home == Path("var")


def test_a_file_from_windows_is_read(toml: Write) -> None:
    path = toml("")
    path.write_bytes(b'\xef\xbb\xbfprofile = "retention"\r\n')
    assert load_settings().profile == "retention"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().home = Path("elsewhere")  # type: ignore[misc]


# What is wrong is named, with what was expected and what was found


def test_an_unknown_key_names_its_nearest_neighbour(toml: Write) -> None:
    path = toml('time_zon = "UTC"')
    assert refusal(path) == f"{path}: time_zon: unknown key; did you mean 'time_zone'?"


def test_an_unknown_key_without_a_neighbour_names_those_there_are(toml: Write) -> None:
    assert "unknown key; known are alarms, amocrm, as_of, " in refusal(toml("qqqq = 1"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[thresholds]\nmax_quarantine_share = 0.1", "thresholds.max_quarantine_share: unknown key; did you mean "),
        ("[[files.deels]]\nfile = 'x'", "files.deels: unknown key; did you mean 'deals'?"),
        (
            "[[files.deals]]\nfile = 'x'\ndelimeter = ';'\ncolumns = {id = 'id'}",
            "files.deals[1].delimeter: unknown key; did you mean 'delimiter'?",
        ),
        (
            "[[files.deals]]\nfile = 'x'\ncolumns = {id = {column = 'id', fromat = '%d'}}",
            "files.deals[1].columns.id.fromat: unknown key; did you mean 'format'?",
        ),
    ],
    ids=["a_threshold", "an_object", "a_mapping", "a_column"],
)
def test_an_unknown_key_within_names_its_place_and_neighbour(toml: Write, text: str, said: str) -> None:
    path = toml(text)
    assert f"{path}: {said}" in refusal(path)


def test_a_key_that_was_renamed_or_removed_names_what_stands_in_its_place(
    toml: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = {"timezone": "time_zone", "colour": None, "files.deals.separator": "files.deals.delimiter"}
    monkeypatch.setattr("kpimart.settings.RENAMED", now)
    path = toml("timezone = 'UTC'\ncolour = 'red'")
    assert refusal(path).splitlines() == [
        f"{path}: timezone: unknown key; it is 'time_zone' now",
        f"{path}: colour: unknown key; it is not needed any more, remove it",
    ]
    path = toml("[[files.deals]]\nfile = 'x'\nseparator = ';'\ncolumns = {}")
    assert refusal(path) == f"{path}: files.deals[1].separator: unknown key; it is 'files.deals.delimiter' now"
    monkeypatch.setenv("KPIMART_TIMEZONE", "UTC")
    assert refusal() == "environment: variable KPIMART_TIMEZONE: unknown; it is 'time_zone' now"


@pytest.mark.parametrize("place", ["environment", ".env", "KPIMART_SECRETS_DIR"])
def test_an_unknown_variable_names_its_nearest_neighbour(
    dotenv: Write, monkeypatch: pytest.MonkeyPatch, secret: Callable[[str, str], None], place: str
) -> None:
    if place == ".env":
        dotenv("KPIMART_HOEM=x\n")
    elif place == "KPIMART_SECRETS_DIR":
        secret("KPIMART_HOEM", "x")
    else:
        monkeypatch.setenv("KPIMART_HOEM", "x")
    assert refusal() == f"{place}: variable KPIMART_HOEM: unknown; did you mean 'KPIMART_HOME'?"


def test_a_folder_of_secrets_that_is_not_there_is_not_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPIMART_SECRETS_DIR", "nowhere")
    assert refusal() == "KPIMART_SECRETS_DIR: [Errno 2] No such file or directory: 'nowhere'"


def test_where_settings_lie_is_said_by_variables_only(toml: Write) -> None:
    assert "secrets_dir: unknown key" in refusal(toml('secrets_dir = "secrets"'))


def test_an_unknown_part_of_a_variable_names_its_nearest_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPIMART_THRESHOLDS__MAX_QUARANTINE_SHARE", "0.3")
    assert refusal() == (
        "environment, .env or secrets_dir: thresholds.max_quarantine_share: unknown key; "
        "did you mean 'max_quarantined_share'?"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'time_zone = "Berlin"',
            "time_zone: 'Berlin' is not a time zone of the IANA database, such as 'Europe/Berlin'",
        ),
        ('base_currency = "Euro"', "base_currency: String should match pattern '^[A-Z]{3}$'; found 'Euro'"),
        ("fiscal_year_start = 13", "fiscal_year_start: Input should be less than or equal to 12; found 13"),
        ('calendar = "4-4-4"', "calendar: Input should be 'months', '4-4-5', '4-5-4' or '5-4-4'; found '4-4-4'"),
        ('week_starts_on = "sunday"', "week_starts_on: needs calendar = '4-4-5', '4-5-4' or '5-4-4'"),
        ("working_hours = {start = 18:00:00}", "working_hours: 'end' must be later than 'start', or 00:00:00"),
        ("working_hours = {start = 09:00:30}", "working_hours: give hours and minutes"),
        ("working_days = []", "working_days: Tuple should have at least 1 item"),
        ('holidays = "it\'s"', "holidays: String should match pattern"),
        ("thresholds = {max_vanished_share = 20}", "thresholds.max_vanished_share: Input should be less than or equal"),
        ("definitions = {regular_min_purchases = 1}", "definitions.regular_min_purchases: Input should be greater"),
        ("[[files.deals]]\nfile = 'x'", "files.deals[1].columns: Field required"),
        (
            "[[files.deals]]\nfile = 'x'\nencoding = 'utf-9'\ncolumns = {}",
            "'utf-9' is not a text encoding, such as 'utf-8' or 'windows-1251'; found 'utf-9'",
        ),
        (
            "[[files.deals]]\nfile = 'x'\ncolumns = {id = {column = 'a', constant = 'b'}}",
            "files.deals[1].columns.id: give either 'column' or 'constant'",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_place_and_what_is_right(toml: Write, text: str, said: str) -> None:
    path = toml(text)
    assert f"{path}: " in refusal(path)
    assert said in refusal(path)


def test_everything_that_is_wrong_is_said_at_once(toml: Write) -> None:
    said = refusal(toml('time_zone = "Berlin"\nbase_currency = "Euro"')).splitlines()
    assert len(said) == 2


def test_a_wrong_value_of_a_variable_is_not_looked_for_in_the_file(
    toml: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toml('base_currency = "Euro"')
    monkeypatch.setenv("KPIMART_FISCAL_YEAR_START", "13")
    said = refusal().splitlines()
    assert [line for line in said if line.startswith("environment, .env or secrets_dir: fiscal_year_start: ")]
    assert [line for line in said if line.startswith(f"{path.name}: base_currency: ")]


@pytest.mark.parametrize("value", ['{"token": 4711}', '"4711"', '{"token": {"is": 4711}}'])
def test_a_wrong_value_that_may_be_a_secret_is_not_shown(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPIMART_HUBSPOT", value)
    said = refusal()
    assert said.startswith("environment")
    assert "hubspot" in said
    assert "4711" not in said


@pytest.mark.parametrize(("mode", "is_told"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_dotenv_that_everybody_can_read_is_warned_about(
    dotenv: Write, caplog: pytest.LogCaptureFixture, mode: int, *, is_told: bool
) -> None:
    file = dotenv("KPIMART_HUBSPOT__TOKEN=hunter2")
    file.chmod(mode)
    load_settings()
    expected = ["everybody on this machine can read .env: chmod 600 .env"] if is_told else []
    assert [record.getMessage() for record in caplog.records] == expected


def test_a_list_in_a_variable_that_is_no_json_is_told_how_to_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPIMART_SOURCES", "files")
    assert refusal().startswith('environment: error parsing value for field "sources"')
    assert refusal().endswith('a list or a table is written as JSON, such as ["files"]')


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such file; give the path of a kpimart.toml with --config"),
        (b"time_zone = ", "is not valid TOML: "),
        (b"\xff\xfe", "cannot be read: "),
    ],
    ids=["missing", "broken", "not_text"],
)
def test_a_file_that_cannot_be_read_is_named(folder: Path, content: bytes | None, said: str) -> None:
    path = folder / "company.toml"
    if content is not None:
        path.write_bytes(content)
    assert refusal(path).startswith(f"{path}: {said}")


def test_a_folder_in_place_of_the_file_is_named(folder: Path) -> None:
    assert refusal(folder).startswith(f"{folder}: cannot be read: ")


# Days and moments


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2018-01-01", datetime(2018, 1, 1, 5, tzinfo=UTC)),
        ('"2018-01-01"', datetime(2018, 1, 1, 5, tzinfo=UTC)),
        ("2018-01-01T02:00:00", datetime(2018, 1, 1, 7, tzinfo=UTC)),
        ('"2018-01-01T02:00"', datetime(2018, 1, 1, 7, tzinfo=UTC)),
        ("2018-01-01T02:00:00+01:00", datetime(2018, 1, 1, 1, tzinfo=UTC)),
        ("2018-01-01T02:00:00Z", datetime(2018, 1, 1, 2, tzinfo=UTC)),
    ],
)
def test_a_day_begins_at_local_midnight_and_a_time_is_local_unless_it_names_its_offset(
    toml: Write, written: str, meant: datetime
) -> None:
    settings = load_settings(toml(f'time_zone = "America/New_York"\nas_of = {written}'))
    assert settings.as_of is not None
    assert settings.moment(settings.as_of) == meant


def test_a_day_in_a_variable_stays_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPIMART_AS_OF", "2018-01-01")
    assert load_settings().as_of == date(2018, 1, 1)
    assert not isinstance(load_settings().as_of, datetime)


@pytest.mark.parametrize(
    "written", ["2018", "2018.5", "true", "02:00:00", '"2018"', '"1 January 2018"', '"2018-02-30"']
)
def test_what_is_neither_a_day_nor_a_time_is_refused(toml: Write, written: str) -> None:
    """2018 alone would be half past midnight on 1 January 1970, counted in seconds."""
    assert "as_of: give a date or a time in ISO 8601, as 2018-01-01 or 2018-01-01T02:00" in refusal(
        toml(f"as_of = {written}")
    )


@given(
    day=st.dates(date(1971, 1, 1), date(2037, 12, 31)).filter(lambda day: day != NEVER_WAS),
    zone=st.sampled_from(ZONES),
)
def test_the_start_of_a_day_lies_on_that_day_and_nothing_of_the_day_before_it(day: date, zone: str) -> None:
    start = in_zone(zone).moment(day)
    assert start.tzinfo is UTC
    assert start.astimezone(ZoneInfo(zone)).date() == day
    assert (start - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() < day


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("America/Sao_Paulo", date(2017, 10, 15), datetime(2017, 10, 15, 3, tzinfo=UTC)),  # 00:00 was 01:00
        ("Africa/Cairo", date(2026, 4, 24), datetime(2026, 4, 23, 22, tzinfo=UTC)),  # 00:00 is 01:00
        ("America/Havana", date(2026, 11, 1), datetime(2026, 11, 1, 4, tzinfo=UTC)),  # the first of two midnights
        ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC)),  # changes at two o'clock
        ("Europe/Berlin", date(2026, 10, 25), datetime(2026, 10, 24, 22, tzinfo=UTC)),
    ],
)
def test_a_day_on_which_the_clocks_change_begins_with_its_first_moment(zone: str, day: date, start: datetime) -> None:
    assert in_zone(zone).moment(day) == start


KATHMANDU = ZoneInfo("Asia/Kathmandu")


@given(moment=st.datetimes(timezones=st.just(KATHMANDU)), zone=st.sampled_from(ZONES))
@example(moment=datetime(1986, 1, 1, 0, 5, tzinfo=KATHMANDU), zone="UTC")  # the clock change left it out
@example(moment=datetime(1919, 12, 31, 23, 55, tzinfo=KATHMANDU), zone="UTC")  # it came twice
def test_a_moment_with_an_offset_means_the_same_in_every_zone(moment: datetime, zone: str) -> None:
    assume(moment.year > 1)  # in UTC it would lie before all calendars
    # Python calls what was left out, or came twice, equal to nothing in another zone (PEP 495); time has passed or not.
    assert in_zone(zone).moment(moment) - moment == timedelta(0)


def test_a_moment_before_all_calendars_is_refused() -> None:
    with pytest.raises(SettingsError, match="0001-01-01: no calendar goes that far"):
        Settings(time_zone="Europe/Berlin").moment(date(1, 1, 1))


# What people decided


def test_decisions_hold_what_figures_rest_on_and_nothing_of_the_machine(
    toml: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPIMART_HOME", "/secret/home")
    monkeypatch.setenv("KPIMART_FILES__FOLDER", "/secret/folder")
    monkeypatch.setenv("KPIMART_AS_OF", "2018-01-01")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "/secret/key")
    decisions = load_settings(
        toml("""
            time_zone = "Europe/Berlin"
            [[files.stages]]
            name = "Won"
            outcome = "won"
            position = 1
            [[files.deals]]
            file = "deals.csv"
            columns = { id = "opportunity" }
        """)
    ).decisions()
    assert "secret" not in json.dumps(decisions)
    assert decisions.keys() == {
        "sources",
        "time_zone",
        "base_currency",
        "profile",
        "constant_rates_on",
        "calendar",
        "fiscal_year_start",
        "fiscal_year_first_week",
        "fiscal_year_named_after",
        "week_starts_on",
        "working_days",
        "working_hours",
        "holidays",
        "thresholds",
        "definitions",
        "files",
        "sql",
    }
    assert "folder" not in decisions["files"]
    assert decisions["files"]["deals"][0]["columns"]["id"]["column"] == "opportunity"
    assert decisions["files"]["stages"][0]["outcome"] == "won"


def test_equal_settings_are_equal_decisions_wherever_they_come_from(
    toml: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_file = load_settings(toml("[thresholds]\nmax_vanished_share = 0.5")).decisions()
    toml("")
    monkeypatch.setenv("KPIMART_THRESHOLDS__MAX_VANISHED_SHARE", "0.5")
    assert load_settings().decisions() == from_file
