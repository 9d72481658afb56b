"""The one place for settings: environment (`KPIMART_*`), `.env`, files of secrets, then `kpimart.toml`.

The first of them that names a setting wins. Every key is checked: an unknown one is an error that names its nearest
known neighbour, because a misspelt threshold that is silently ignored is worse than none.
"""

import codecs
import difflib
import logging
import stat
import textwrap
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableVariable

from kpimart.errors import SettingsError
from kpimart.sources import SourceName

DEFAULT_CONFIG = Path("kpimart.toml")
NAMED_BY_VARIABLE = frozenset({"config", "secrets_dir"})
"""Settings that say where settings are: no kpimart.toml may name them."""
RENAMED: Mapping[str, str | None] = {}
"""What older programs called settings: key, with dots → its present key; None: it is not needed any more."""

_log = logging.getLogger(__name__)


def _known_time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is not a time zone of the IANA database, such as 'Europe/Berlin'")
    return name


def _known_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise ValueError(f"{name!r} is not a text encoding, such as 'utf-8' or 'windows-1251'") from None


TimeZone = Annotated[str, AfterValidator(_known_time_zone)]
Encoding = Annotated[str, AfterValidator(_known_encoding)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
M = TypeVar("M", bound="ObjectMapping")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """Where a canonical property comes from.

    `column` names the source's column, or `constant` gives one value for all rows. `format` is a strptime
    pattern for dates and times (default: ISO 8601). `values` replaces values after trimming, source → canonical.
    """

    column: str | None = None
    constant: str | None = None
    format: str | None = None
    values: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _a_bare_name_is_a_column(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> "Column":
        if (self.column is None) == (self.constant is None):
            raise ValueError("give either 'column' or 'constant'")
        return self


class ObjectMapping(_Strict, ABC):
    """Something that holds records of one canonical object, and which of its columns are which canonical ones."""

    columns: dict[str, Column]
    extent: Literal["full", "delta"] = "full"
    distinct: bool = False
    decimal_mark: Literal[".", ","] = "."
    date_format: str | None = None
    time_zone: TimeZone | None = None
    currency: Currency | None = None

    @property
    @abstractmethod
    def label(self) -> str:
        """What people call the thing that is mapped."""


class FileMapping(ObjectMapping):
    """One file of an export."""

    file: str
    format: Literal["csv", "ndjson", "parquet"] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: Encoding = "utf-8"

    @property
    def label(self) -> str:
        """The file's name."""
        return self.file


class TableMapping(ObjectMapping):
    """One table or view of a database, or one query."""

    table: str | None = None
    query: str | None = None

    @model_validator(mode="after")
    def _is_a_table_or_a_query(self) -> "TableMapping":
        if (self.table is None) == (self.query is None):
            raise ValueError("give either 'table' or 'query'")
        return self

    @property
    def label(self) -> str:
        """The table's name, or the beginning of the query."""
        return self.table or textwrap.shorten(self.query or "", 40, placeholder=" …")


class Stage(_Strict):
    """A step of a pipeline as the source names it. `probability` (0–1) weighs the amount of open deals."""

    name: str
    outcome: Literal["open", "won", "lost"]
    position: int
    pipeline: str = "default"
    probability: Share | None = None


class MappedSettings(_Strict, Generic[M]):
    """A source that is described instead of programmed: what holds which canonical object, and what its stages mean."""

    stages: tuple[Stage, ...] = ()
    deals: tuple[M, ...] = ()
    accounts: tuple[M, ...] = ()
    managers: tuple[M, ...] = ()
    departments: tuple[M, ...] = ()
    manager_assignments: tuple[M, ...] = ()
    leads: tuple[M, ...] = ()
    activities: tuple[M, ...] = ()
    stage_changes: tuple[M, ...] = ()
    owner_changes: tuple[M, ...] = ()
    deal_splits: tuple[M, ...] = ()
    targets: tuple[M, ...] = ()


class FilesSettings(MappedSettings[FileMapping]):
    """An export of any CRM as files."""

    folder: Path | None = None


class SqlSettings(MappedSettings[TableMapping]):
    """A CRM's own database. `url` is a database URL of SQLAlchemy; it holds a password, so only the environment has it.

    A delta goes on where the last one ended, less `overlap_minutes`: what was written before may be committed after.
    """

    url: SecretStr | None = None
    overlap_minutes: Annotated[int, Field(ge=0)] = 10


class HttpSettings(_Strict):
    """How patient a fetch is with a server. A pause grows from `backoff_seconds`, up to `longest_wait_seconds`."""

    attempts: Annotated[int, Field(gt=0)] = 8
    timeout_seconds: Annotated[float, Field(gt=0)] = 60
    backoff_seconds: Annotated[float, Field(ge=0)] = 1
    longest_wait_seconds: Annotated[float, Field(ge=0)] = 300


class ApiSettings(_Strict):
    """A CRM that is read over its API. Secrets come from variables or files of their own.

    `fields` names the CRM's own properties that hold what it has no standard one for, canonical name → property;
    `properties` names further ones that raw keeps, object → properties.
    """

    token: SecretStr | None = None
    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    overlap_minutes: Annotated[int, Field(ge=0)] = 10
    personal_data: bool = False
    fields: dict[Literal["product", "source", "loss_reason"], str] = Field(default_factory=dict)
    properties: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class OAuthSettings(ApiSettings):
    """A CRM that may be authorised by OAuth instead of by a token that does not end."""

    client_id: str | None = None
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None


class HubSpotSettings(OAuthSettings):
    """HubSpot: the token of a private app, or OAuth."""

    url: str = "https://api.hubapi.com"


class SalesforceSettings(OAuthSettings):
    """Salesforce: OAuth, client credentials, or a user with a password and a security token. Big objects by Bulk."""

    url: str = "https://login.salesforce.com"
    username: str | None = None
    password: SecretStr | None = None
    security_token: SecretStr | None = None
    api_version: str = "62.0"
    bulk_from: Annotated[int, Field(gt=0)] = 10_000


class PipedriveSettings(OAuthSettings):
    """Pipedrive: a user's API token, or OAuth. `changelog`: read each deal's history too, one request a deal."""

    url: str | None = None
    token_url: str = "https://oauth.pipedrive.com/oauth/token"  # noqa: S105 - the address where tokens are given
    changelog: bool = True


class Bitrix24Settings(OAuthSettings):
    """Bitrix24: an incoming webhook, which is a secret address, or OAuth at the portal `url`."""

    webhook: SecretStr | None = None
    url: str | None = None
    token_url: str = "https://oauth.bitrix24.tech/oauth/token/"  # noqa: S105 - the address where tokens are given


class AmoCrmSettings(OAuthSettings):
    """amoCRM or Kommo: a long-lived token, or OAuth."""

    url: str | None = None
    redirect_uri: str | None = None


class OdooSettings(ApiSettings):
    """Odoo: a user and an API key (or the password) as the token."""

    url: str | None = None
    database: str | None = None
    user: str | None = None


class TrytonSettings(ApiSettings):
    """Tryton: a user and the password as the token."""

    url: str | None = None
    database: str | None = None
    user: str | None = None


class PostgresSettings(_Strict):
    """A PostgreSQL database that serves the releases too. `url` holds a password, so only the environment has it.

    `access`: a CSV file of who may see what, see `publish.postgres.access`.
    """

    url: SecretStr | None = None
    access: Path | None = None


class DashboardSettings(_Strict):
    """Who opens the dashboard, and what of it they see: what `postgres.access` gives their login, or everything.

    They sign in by OIDC, or a proxy names them in a header of every request. Claim or header is the login.
    """

    url: str | None = None
    oidc_metadata_url: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_claim: str = "email"
    cookie_secret: SecretStr | None = None
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")] | None = None
    sees_all: tuple[str, ...] = ()
    open_to_all: bool = False

    @model_validator(mode="after")
    def _knows_one_way_to_sign_in(self) -> "DashboardSettings":
        needed = ("url", "oidc_metadata_url", "oidc_client_id", "oidc_client_secret", "cookie_secret")
        missing = [name for name in needed if getattr(self, name) is None]
        if 0 < len(missing) < len(needed):
            raise ValueError(f"sign-in by OIDC needs {', '.join(missing)} too")
        if sum((not missing, self.header is not None, self.open_to_all)) > 1:
            raise ValueError("give one of OIDC, 'header' and 'open_to_all'")
        return self

    @property
    def has_oidc(self) -> bool:
        """Whether people sign in by OIDC."""
        return self.oidc_client_id is not None

    @property
    def has_sign_in(self) -> bool:
        """Whether it is known who opens a page."""
        return self.has_oidc or self.header is not None


class Thresholds(_Strict):
    """When a run stops rather than go on with what it got. Shares are of the rows of one object."""

    max_quarantined_share: Share = 0.01
    max_vanished_share: Share = 0.2
    max_rate_age_days: Annotated[int, Field(ge=0)] = 31
    max_quiet_days: Annotated[int, Field(ge=0)] = 7


class Definitions(_Strict):
    """Business definitions that KPI formulas rest on, in days unless named otherwise."""

    regular_window_days: Annotated[int, Field(gt=0)] = 365
    regular_min_purchases: Annotated[int, Field(gt=1)] = 3
    lost_after_days: Annotated[int, Field(gt=0)] = 365
    stale_after_days: Annotated[int, Field(gt=0)] = 30
    idle_after_days: Annotated[int, Field(gt=0)] = 90
    min_leaderboard_sample: Annotated[int, Field(ge=0)] = 3
    min_comparison_sample: Annotated[int, Field(ge=2)] = 10


class Retention(_Strict):
    """What upkeep keeps: of releases the last so many, and the one at each month's end; of what was fetched and
    landed, and of what the raw gate held or set aside, so many days. One that a month was closed on is always kept.
    """

    releases: Annotated[int, Field(gt=0)] = 30
    month_ends: bool = True
    landed_days: Annotated[int, Field(ge=0)] = 30


class BackupSettings(_Strict):
    """Where backups go: a folder on another disk, or a URL such as s3://bucket/path; and how many are kept there."""

    place: str | None = None
    keep: Annotated[int | None, Field(gt=0)] = None


class Closing(_Strict):
    """When a month is to be closed: so many working days after its end."""

    after_working_days: Annotated[int, Field(ge=0)] = 3


class Alarms(_Strict):
    """How old things may be before `kpimart doctor` warns: the last release, in hours; the last backup, in days."""

    max_run_age_hours: Annotated[int, Field(gt=0)] = 26
    max_backup_age_days: Annotated[int, Field(gt=0)] = 8


class WorkingHours(_Strict):
    """When a working day begins and ends, in business time; an `end` of 00:00 is the midnight after it."""

    start: time = time(9)
    end: time = time(18)

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> "WorkingHours":
        if any(each.second or each.microsecond or each.tzinfo for each in (self.start, self.end)):
            raise ValueError("give hours and minutes of the business time zone, as 09:30:00")
        if self.end <= self.start and self.end != time.min:
            raise ValueError("'end' must be later than 'start', or 00:00:00 for midnight")
        return self


def _iso(value: Any) -> Any:
    """A bare day stays a day, instead of becoming its midnight in UTC; a bare year is not seconds since 1970."""
    try:
        if isinstance(value, str):
            return date.fromisoformat(value) if len(value) == len("2018-01-01") else datetime.fromisoformat(value)
    except ValueError:
        value = None
    else:
        if value is None or isinstance(value, date):
            return value
    raise ValueError("give a date or a time in ISO 8601, as 2018-01-01 or 2018-01-01T02:00")


class Settings(BaseSettings):
    """All settings of one company's pipeline. Frozen; made once, at the edge, by `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="KPIMART_",
        env_nested_delimiter="__",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    config: Path | None = None
    secrets_dir: Path | None = None
    home: Path = Path("var")
    landing: str | None = None
    sources: Annotated[tuple[SourceName, ...], Field(min_length=1)] = ("files",)
    time_zone: TimeZone = "UTC"
    base_currency: Currency = "USD"
    constant_rates_on: Annotated[date | None, BeforeValidator(_iso)] = None
    calendar: Literal["months", "4-4-5", "4-5-4", "5-4-4"] = "months"
    fiscal_year_start: Annotated[int, Field(ge=1, le=12)] = 1
    fiscal_year_first_week: Literal["nearest", "containing"] = "nearest"
    fiscal_year_named_after: Literal["start", "end"] = "start"
    week_starts_on: Weekday = "monday"
    working_days: Annotated[tuple[Weekday, ...], Field(min_length=1)] = get_args(Weekday)[:5]
    working_hours: WorkingHours = WorkingHours()
    holidays: Annotated[str, Field(pattern=r"^[\w-]+$")] | None = None
    as_of: Annotated[datetime | date | None, BeforeValidator(_iso)] = None
    profile: str = "growth"
    seeds: Path | None = None
    thresholds: Thresholds = Thresholds()
    definitions: Definitions = Definitions()
    retention: Retention = Retention()
    backup: BackupSettings = BackupSettings()
    closing: Closing = Closing()
    alarms: Alarms = Alarms()
    files: FilesSettings = FilesSettings()
    sql: SqlSettings = SqlSettings()
    http: HttpSettings = HttpSettings()
    hubspot: HubSpotSettings = HubSpotSettings()
    salesforce: SalesforceSettings = SalesforceSettings()
    pipedrive: PipedriveSettings = PipedriveSettings()
    bitrix24: Bitrix24Settings = Bitrix24Settings()
    amocrm: AmoCrmSettings = AmoCrmSettings()
    odoo: OdooSettings = OdooSettings()
    tryton: TrytonSettings = TrytonSettings()
    postgres: PostgresSettings = PostgresSettings()
    dashboard: DashboardSettings = DashboardSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before `.env` before files of secrets before the TOML file, which arrives as init arguments."""
        return env_settings, dotenv_settings, SecretFiles(settings_cls), init_settings

    @field_validator("fiscal_year_first_week", "week_starts_on")
    @classmethod
    def _is_of_a_year_of_weeks(cls, value: str, info: ValidationInfo) -> str:
        """What would be ignored is refused."""
        if info.data.get("calendar") == "months" and value not in ("nearest", "monday"):
            raise ValueError("needs calendar = '4-4-5', '4-5-4' or '5-4-4'; beside months, weeks are those of ISO 8601")
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The business time zone."""
        return ZoneInfo(self.time_zone)

    def moment(self, value: date | datetime) -> datetime:
        """The UTC moment of a date (its local midnight) or of a time (local, unless it names its offset).

        A time that the clock change leaves out is read by the offset before it: a day without a midnight begins with
        the change. Raises SettingsError for one that is not in the years 1 to 9999 of UTC.
        """
        local = value if isinstance(value, datetime) else datetime.combine(value, time.min)
        try:
            return (local if local.tzinfo else local.replace(tzinfo=self.zone)).astimezone(UTC)
        except OverflowError:
            raise SettingsError(f"{value}: no calendar goes that far; give a date of this age") from None

    def decisions(self) -> dict[str, Any]:
        """What people decided and figures rest on, as JSON: the part of the settings that raw keeps in versions."""
        kept = {
            "time_zone",
            "base_currency",
            "constant_rates_on",
            "profile",
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
        decided = self.model_dump(
            mode="json", include={"sources", *kept}, exclude={"files": {"folder"}, "sql": {"url", "overlap_minutes"}}
        )
        apis = {name: getattr(self, name) for name in self.sources if isinstance(getattr(self, name), ApiSettings)}
        return {**decided, **{name: {"fields": api.fields} for name, api in apis.items()}}


class SecretFiles(NestedSecretsSettingsSource):
    """The folder that `KPIMART_SECRETS_DIR` names: one file a setting, called as its variable, that holds the value.

    So a container is given its secrets: its environment may be looked at. Files of other names are others'.
    """

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        said = DotEnvSettingsSource(settings_cls)() | EnvSettingsSource(settings_cls)()
        folder = said.get("secrets_dir")
        if folder:
            # The library would take a folder that may not be looked into, or is not there, for an empty one.
            next(Path(folder).iterdir(), None)
        super().__init__(SecretsSettingsSource(settings_cls), secrets_dir=folder)


def load_settings(config: Path | None = None, *, home: Path | None = None) -> Settings:
    """Read the settings; `config` (or `KPIMART_CONFIG`, or ./kpimart.toml if there is one) is the TOML file.

    Raises SettingsError that names the file, the key, what was expected and what was found.
    """
    variables = _variables()
    path = config or _configured_path(variables)
    values = _read_toml(path) if path else {}
    _refuse_unknown_keys(path, values)
    _refuse_secrets(path, values)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(error, path, variables)) from error
    if exposed := exposed_secrets(settings):
        _log.warning(exposed)
    chosen = {"config": path, **({"home": home} if home else {})}
    return settings.model_copy(update=chosen)


def secret_files(settings: Settings) -> list[Path]:
    """The files that settings may be read from and that may hold secrets: `.env`, and those of `secrets_dir`."""
    dotenv = Settings.model_config.get("env_file")
    named = [Path(str(dotenv))] if dotenv else []
    kept = sorted(settings.secrets_dir.iterdir()) if settings.secrets_dir else []
    return [file for file in (*named, *kept) if file.is_file()]


def exposed_secrets(settings: Settings) -> str:
    """Which of the files everybody on this machine can read, and what to do; empty where there is none."""
    names = " ".join(str(file) for file in secret_files(settings) if file.stat().st_mode & stat.S_IROTH)
    return f"everybody on this machine can read {names}: chmod 600 {names}" if names else ""


def _variables() -> list[dict[str, Any]]:
    """What the environment, `.env` and files of secrets say by field; refuses a variable that is no setting."""
    known = {f"KPIMART_{field.upper()}" for field in Settings.model_fields}
    said = []
    sources = {"environment": EnvSettingsSource, ".env": DotEnvSettingsSource, "KPIMART_SECRETS_DIR": SecretFiles}
    for where, source in sources.items():
        try:
            found = source(Settings)
            said.append(found())
        except (OSError, ValueError) as error:
            reason = f'{error}; a list or a table is written as JSON, such as ["files"]'
            raise SettingsError(f"{where}: {reason if isinstance(error, UnreadableVariable) else error}") from error
        for name in (name.upper() for name in found.env_vars):
            if name.startswith("KPIMART_") and name.split("__")[0] not in known:
                key = name.removeprefix("KPIMART_").lower().replace("__", ".")
                raise SettingsError(f"{where}: variable {name}: unknown{_instead(key, name, known)}")
    return said


def _configured_path(variables: list[dict[str, Any]]) -> Path | None:
    named = [said["config"] for said in variables if "config" in said]
    if named:
        return Path(named[0])
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file; give the path of a kpimart.toml with --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not valid TOML: {error}") from error


def _refuse_unknown_keys(path: Path | None, values: dict[str, Any]) -> None:
    known = Settings.model_fields.keys() - NAMED_BY_VARIABLE
    unknown = [key for key in values if key not in known]
    if unknown:
        raise SettingsError("\n".join(f"{path}: {key}: unknown key{_instead(key, key, known)}" for key in unknown))


def _refuse_secrets(path: Path | None, values: dict[str, Any]) -> None:
    """A secret in a file that is copied, mailed and committed is none for long."""
    for name, section in values.items():
        for key in _secrets_of(name) & set(section if isinstance(section, dict) else ()):
            variable = f"KPIMART_{name.upper()}__{key.upper()}"
            raise SettingsError(f"{path}: {name}.{key}: is a secret; take it out, and set the variable {variable}")


def _secrets_of(section: str) -> set[str]:
    """The keys of a table of settings whose values are secrets."""
    model = Settings.model_fields[section].annotation if section in Settings.model_fields else None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return set()
    fields = model.model_fields.items()
    return {key for key, field in fields if SecretStr in (field.annotation, *get_args(field.annotation))}


def _explain(error: ValidationError, path: Path | None, variables: list[dict[str, Any]]) -> str:
    lines = []
    for problem in error.errors():
        place = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
        is_variable = any(_holds(said, problem["loc"]) for said in variables)
        where = "environment, .env or secrets_dir" if is_variable else path or "settings"
        if problem["type"] == "extra_forbidden":
            key = ".".join(part for part in problem["loc"] if isinstance(part, str))
            told = f"unknown key{_instead(key, str(problem['loc'][-1]), _keys_beside(problem['loc']))}"
        else:
            section, *within = problem["loc"]
            secrets = _secrets_of(str(section))
            is_hidden = problem["type"] == "missing" or (secrets and (not within or within[0] in secrets))
            found = "" if is_hidden else f"; found {problem['input']!r}"
            told = f"{problem['msg'].removeprefix('Value error, ')}{found}"
        lines.append(f"{where}: {place}: {told}")
    return "\n".join(lines)


def _holds(said: Any, place: tuple[int | str, ...]) -> bool:
    """Whether a value comes from a variable, so that nobody looks for it in the file."""
    for part in place:
        if not isinstance(said, dict):
            return said is not None
        if part not in said:
            return False
        said = said[part]
    return True


def _keys_beside(place: tuple[int | str, ...]) -> list[str]:
    """The keys that are known where an unknown one was found."""
    model: Any = Settings
    for part in place[:-1]:
        if isinstance(part, str) and part in getattr(model, "model_fields", {}):
            model = _model_within(model.model_fields[part].annotation)
    return list(getattr(model, "model_fields", ()))


def _model_within(annotation: Any) -> Any:
    """The settings model inside `tuple[Model, ...]`, `dict[str, Model]` or `Model` itself."""
    models = [part for part in get_args(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    return models[0] if models else annotation


def _instead(key: str, name: str, known: Iterable[str]) -> str:
    """What to write for an unknown key: what it is called now, else what it looks like by its name."""
    if key not in RENAMED:
        return _nearest(name, known)
    now = RENAMED[key]
    return f"; it is {now!r} now" if now else "; it is not needed any more, remove it"


def _nearest(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known))}"
