"""Settings of all processes. Order: environment, then `.env`, then the default.

`NAME_FILE` names a file that contains the value of `NAME`, for secrets that a platform mounts. The scraper adds its
login in `scraper/settings.py`, so that no other process loads the database password.

Relative paths count from the checkout, never from the folder in which a process was started: a service manager, a
shell in another folder and `make` all mean the same files.
"""

from __future__ import annotations

import base64
import logging
import os
import re
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, JsonValue, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from cache.cache_place import FILE, SHARED, CachePlace
from cache.errors import SettingsInvalid
from cache.machine.env_file import MAX_BYTES, EnvFile, read_env_file
from cache.machine.logs import set_up_logging
from cache.machine.memory import set_memory_limit
from cache.machine.setting_names import misspelt
from cache.machine.web_address import web_address

log = logging.getLogger(__name__)

CHECKOUT = Path(__file__).resolve().parents[1]
YEAR = 525_600  # minutes
DAY = 86_400  # seconds

WeekStart = Literal["monday", "sunday"]
CancelledOrders = Literal["reversed", "excluded"]


def from_checkout(path: str | Path) -> Path:
    """A path as settings mean it: absolute, or relative to the checkout.

    Raises:
        ValueError: No file of this system can have that path. It may be missing.
    """
    try:
        found = CHECKOUT / Path(path).expanduser()
        found.exists()
    except RuntimeError as error:  # ~name/…
        raise ValueError("begins with the home folder of a user that this machine does not have") from error
    except OSError as error:  # too long, or in a folder that this user may not enter
        raise ValueError(f"is not a path that can be used here: {error.strerror}") from error
    return found


def env_file() -> Path:
    """The file that stands in for `.env`: ENV_FILE, else `.env` in the checkout, which may be missing.

    Raises:
        SettingsInvalid: ENV_FILE names no file.
    """
    named = os.environ.get("ENV_FILE")
    if not named:
        return CHECKOUT / ".env"
    advice = "Correct ENV_FILE, or leave it out."
    try:
        path = from_checkout(named)
    except ValueError as error:
        raise SettingsInvalid(f"ENV_FILE {error}.", advice) from error
    if path.is_dir() or not path.exists():
        raise SettingsInvalid(f"ENV_FILE names {path}, which is not a file.", advice)
    return path


def time_zone(name: str) -> str:
    """Returns the name of an IANA time zone.

    Raises:
        ValueError: There is no such time zone.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: "Europe" is a folder
        raise ValueError("is not an IANA time zone such as Europe/Berlin") from error
    return name


MAY_BE_EMPTY: dict[str, JsonValue] = {"may_be_empty": True}
"""`json_schema_extra` of a setting that differs from a missing one where it is set and empty."""

_CHECKED = "SETTINGS_CHECKED"
_HOSTS = ("api_host", "dashboard_host")
_PUBLIC_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")  # it stands as it is in URLs, pages and cookies


def _port(settings: dict[str, Any], default: int) -> int:
    """PORT, else the default."""
    port: int | None = settings.get("port")
    return default if port is None else port


_BOUNDS = {"greater_than": "more than", "greater_than_equal": "at least", "less_than": "less than"}
_WORDS = {
    "missing": "is missing",
    "string_too_short": "is empty",
    "string_pattern_mismatch": "has a character that is not allowed there",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
}


def _in_words(fault: ErrorDetails) -> str:
    """What is wrong with a setting, without the words of the library."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind.startswith(("greater_than", "less_than")):
        return f"must be {_BOUNDS.get(kind, 'at most')} {next(iter(context.values())):.15g}"
    return _WORDS.get(kind, "cannot be read")


class _FileSource(PydanticBaseSettingsSource):
    """`NAME_FILE=/run/secrets/x`: NAME is the content of that file, without the last line break."""

    def __init__(self, settings_cls: type[BaseSettings], env_file: EnvFile) -> None:
        super().__init__(settings_cls)
        self._env_file = env_file

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = f"{field_name.upper()}_FILE"
        path = os.environ.get(name) or self._env_file.values.get(name)
        if not path:
            return None, field_name, False
        try:
            return _content(from_checkout(path)), field_name, False
        except OSError as error:
            raise SettingsInvalid(f"{name} names a file that cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise SettingsInvalid(f"{name} {error}.") from error

    def __call__(self) -> dict[str, Any]:
        values = (
            (name, self.get_field_value(field, name)[0]) for name, field in self.settings_cls.model_fields.items()
        )
        return {name: value for name, value in values if value is not None}


def _content(path: Path) -> str:
    """The value that a file contains: its text, without the last line break.

    Raises:
        ValueError: The file is no text in UTF-8, or too long for a value.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError("names a file that is larger than 1 MB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError("names a file that is not UTF-8 text")
    return text.rstrip("\r\n")


class Settings(BaseSettings):
    """The settings that every process reads."""

    model_config = SettingsConfigDict(
        extra="ignore",
        env_ignore_empty=True,
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    data_dir: Path = Field(
        Path("var"),
        validate_default=True,
        description="Folder for everything the product stores, absolute or relative to the checkout.",
    )
    cache_url: SecretStr = Field(
        default_factory=lambda settings: SecretStr(f"file:{settings.get('data_dir', Path()) / 'cache'}"),
        description="Where snapshots are stored: `file:` and a folder; or `postgresql://user:password@host/database`, "
        "which several hosts may share. Default: the folder `cache` in DATA_DIR.",
    )
    cache_folder: Path = Field(
        default_factory=lambda settings: settings.get("data_dir", Path()) / "cache",
        description="The copy of a shared cache on this host. Default: the folder `cache` in DATA_DIR.",
    )
    cache_name: str = Field(
        "orders",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Name of a shared cache in its database: several shops may use one database.",
    )
    sync_interval_minutes: float = Field(
        60, gt=0, le=YEAR, description="Minutes between a verification and the next scheduled sync."
    )
    sync_timeout_minutes: float = Field(
        30, gt=0, le=YEAR, description="Minutes after which a sync and its Chrome are stopped."
    )
    refresh_min_seconds: float = Field(
        60,
        ge=0,
        le=YEAR * 60,
        description="For this many seconds after a verification, `?refresh=true` starts no new sync.",
    )
    scheduler: Literal["auto", "off"] = Field("auto", description="`off`: this process never runs scheduled syncs.")
    orders_api_key: SecretStr | None = Field(
        None, description="The API key. Without one, the first start creates a key in `DATA_DIR/api_key`."
    )
    shopify_api_key: SecretStr | None = Field(
        None, description="Another name of ORDERS_API_KEY, which comes first. Not the client ID of a Shopify app."
    )
    port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="The port that a platform assigns. `python serve.py` then serves dashboard and API on it together.",
    )
    api_host: str = Field("127.0.0.1", description="IP address that the API listens on.")
    api_port: int = Field(
        default_factory=lambda settings: _port(settings, 5000),
        ge=0,
        le=65535,
        description="Port of the API. Default: PORT, else 5000.",
    )
    cors_origins: str = Field(
        "*", description="Origins that may call the API from a browser: `*`, or a comma-separated list."
    )
    sse_timeout_seconds: float = Field(
        300, gt=0, le=DAY, description="Seconds that a stream waits for the refresh it requested."
    )
    personal_columns: str = Field(
        "",
        description="More columns with personal data, beside those that are known by name and meaning. They are hidden "
        "from masked keys and viewers. `*` matches any characters.",
    )
    safe_columns: str = Field(
        "",
        description="Columns that masked keys and viewers may see although a rule hides them. JSON is shown without "
        "its personal data. PERSONAL_COLUMNS goes first.",
    )
    mask_unknown: Literal["on", "off"] = Field(
        "off", description="`on`: masked keys and viewers see only columns that are known to be harmless."
    )
    rate_limit: str = Field(
        "6000/minute",
        description="Limit of requests for each key, for each IP address with a key, and for each without one, such as "
        "`600/minute`, or `off`.",
    )
    failed_keys_limit: str = Field(
        "60/minute",
        description="Number of wrong keys in a period, such as `60/minute`, after which an IP address is blocked for "
        "the rest of the period, or `off`.",
    )
    trusted_proxies: str | None = Field(
        None,
        description="Comma-separated IP addresses or networks of proxies whose `X-Forwarded-For` header is trusted.",
    )
    access_log: Literal["on", "off"] = Field("on", description="Whether the API logs each request.")
    log_format: Literal["text", "json"] = Field(
        "text", description="`json`: each line of the log is a JSON object. `text`: for people."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged: `debug`, `info`, `warning` or `error`."
    )
    memory_limit_mb: int | None = Field(
        None,
        ge=128,
        description="Memory in MB that all processes of the product may take together, where no container says it.",
    )
    metrics_host: str = Field("127.0.0.1", description="IP address that a worker serves its metrics on.")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port on which `python -m scraper worker` serves `/metrics`, without a key. Default: none.",
    )
    dashboard_host: str = Field("127.0.0.1", description="IP address that the dashboard listens on.")
    dashboard_port: int = Field(
        default_factory=lambda settings: _port(settings, 8501),
        ge=0,
        le=65535,
        description="Port of the dashboard. Default: PORT, else 8501.",
    )
    dashboard_password: SecretStr | None = Field(
        None, description="Password of the dashboard's operators, or its hash from `python -m dashboard hash`."
    )
    dashboard_viewer_password: SecretStr | None = Field(
        None, description="Password of the dashboard's viewers, or its hash from `python -m dashboard hash`."
    )
    oidc_metadata_url: str | None = Field(
        None, description="Metadata URL of the OpenID Connect provider: `https://…/.well-known/openid-configuration`."
    )
    oidc_client_id: str | None = Field(None, description="Client ID of the dashboard at the OpenID Connect provider.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="Client secret of the dashboard at the OpenID Connect provider."
    )
    dashboard_url: str | None = Field(
        None,
        description="Public URL of the dashboard, such as `https://orders.example.com`. After a sign-in, the "
        "provider redirects the browser to this URL.",
    )
    public_path: str = Field(
        "",
        validate_default=True,
        description="Path of the dashboard behind a reverse proxy that strips it, such as `/orders`. Default: the path "
        "of DASHBOARD_URL.",
    )
    dashboard_operators: str = Field(
        "", description="Operators who sign in by OpenID Connect: comma-separated e-mail addresses or `@domains`."
    )
    dashboard_viewers: str = Field(
        "", description="Viewers who sign in by OpenID Connect: comma-separated e-mail addresses or `@domains`."
    )
    oidc_unverified_emails: Literal["refused", "accepted"] = Field(
        "refused",
        description="Whether accounts may sign in whose address the provider does not verify. `accepted`: whoever "
        "can enter any address at the provider can sign in as anyone on the lists.",
    )
    dashboard_personal_data: Literal["operators", "everyone"] = Field(
        "operators",
        description="Who sees personal data on the dashboard: `operators` or `everyone`.",
    )
    shop_name: str | None = Field(
        None,
        max_length=60,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="Name of the shop, shown above the navigation, on paper, at the sign-in and in titles.",
    )
    shop_logo: Path | None = Field(
        None, description="Image file beside SHOP_NAME: PNG, JPEG, WebP or SVG, up to 512 KiB."
    )
    shop_timezone: str = Field("UTC", description="IANA time zone in which figures begin and end days.")
    week_start: WeekStart = Field("monday", description="First day of a week in figures: `monday` or `sunday`.")
    cancelled_orders: CancelledOrders = Field(
        "reversed",
        description="`reversed`: a cancelled order counts on its day and is reversed on the day of the cancellation. "
        "`excluded`: it counts in no figure.",
    )
    checks_amber_below: float = Field(
        0.99,
        ge=0,
        le=1,
        description="Share of orders that must add up, from 0 to 1. Below it, the badge of the figures is amber.",
    )
    shop_currency: str | None = Field(
        None, description="Currency of figures where none is chosen. Default: the one with the most orders."
    )
    rates_file: Path | None = Field(
        None,
        description="CSV file of exchange rates, with the columns `date,currency,rate`: the value of 1 unit of a "
        "currency in SHOP_CURRENCY on that day.",
    )

    ping_url: SecretStr | None = Field(
        None, description="URL that is requested after each verified sync, such as that of a monitor of regular jobs."
    )
    webhook_secret: SecretStr | None = Field(
        None, description="Secret that signs the events: `whsec_`, then at least 24 random bytes in base64."
    )
    webhook_url: SecretStr | None = Field(
        None,
        description="URL that receives an event by POST when a sync fails, a table is held back, data gets stale or "
        "checks fail, and when that ends.",
    )
    notify_private_hosts: Literal["refused", "allowed"] = Field(
        "refused", description="Whether PING_URL and WEBHOOK_URL may name hosts whose addresses are not public."
    )
    stale_after_minutes: float | None = Field(
        None,
        gt=0,
        le=YEAR,
        description="Age of the data in minutes after which it is stale. Default: three times SYNC_INTERVAL_MINUTES.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments come first, then the environment, the `.env` file, and files named by `NAME_FILE`."""
        file = read_env_file(env_file())
        given = {name.lower(): value for name, value in file.values.items() if value}
        # Of a setting for which an empty value has a meaning, after all that may say more.
        empty = {
            name: ""
            for name, field in settings_cls.model_fields.items()
            if field.json_schema_extra == MAY_BE_EMPTY
            and "" in (os.environ.get(name.upper()), file.values.get(name.upper()))
        }
        of_file = InitSettingsSource(
            settings_cls, {name: given[name] for name in settings_cls.model_fields.keys() & given.keys()}
        )
        named = _FileSource(settings_cls, file)
        return init_settings, env_settings, of_file, named, InitSettingsSource(settings_cls, empty)

    @model_validator(mode="before")
    @classmethod
    def _reachable_for_a_platform(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A platform that assigns a PORT calls it from another machine."""
        if values.get("port") is None or not values.keys().isdisjoint(_HOSTS):
            return values
        return {**dict.fromkeys(_HOSTS, "0.0.0.0"), **values}  # noqa: S104  meant: see above

    @field_validator("shop_timezone", "source_timezone", check_fields=False)
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return time_zone(value)

    @field_validator("data_dir", "cache_folder", "shop_logo")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value and from_checkout(value)

    @field_validator("shop_currency")
    @classmethod
    def _upper_case(cls, value: str | None) -> str | None:
        return value and value.strip().upper()

    @field_validator("rates_file")
    @classmethod
    def _rates_in_a_currency(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value and not info.data.get("shop_currency"):
            raise ValueError("needs SHOP_CURRENCY, the currency that its rates are in")
        return value and from_checkout(value)

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        if not re.fullmatch(r"[ !-~]+", value):  # a header that cannot be sent
            raise ValueError("has a character that no origin has. Write `*`, or https://app.example.com and such")
        return value

    @field_validator("dashboard_url")
    @classmethod
    def _public_address(cls, value: str | None) -> str | None:
        return value and web_address(value)

    @field_validator("public_path")
    @classmethod
    def _public(cls, value: str, info: ValidationInfo) -> str:
        url = info.data.get("dashboard_url")
        of_url = urlsplit(url or "").path.rstrip("/")
        path = value or of_url
        if path and not _PUBLIC_PATH.fullmatch(path):
            which = "is not" if value else "is empty, and the path of DASHBOARD_URL is not"
            raise ValueError(f"{which} a path such as /orders: letters, digits and ._~- between single slashes")
        if url and path != of_url:
            raise ValueError("is not the path of DASHBOARD_URL. Set one of them only, or both to the same path")
        return path

    @field_validator("webhook_secret")
    @classmethod
    def _signs(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            text = value.get_secret_value()
            try:
                size = len(base64.b64decode(text.removeprefix("whsec_"), validate=True))
            except ValueError:
                size = 0
            if not text.startswith("whsec_") or not 24 <= size <= 64:
                raise ValueError("is not `whsec_` and 24 to 64 bytes in base64")
        return value

    @field_validator("webhook_url")
    @classmethod
    def _signed(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value and not info.data.get("webhook_secret"):
            raise ValueError("needs WEBHOOK_SECRET, which signs its events")
        return value

    @field_validator("cache_url")
    @classmethod
    def _absolute_folder(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url.startswith(SHARED):
            return value
        if not url.startswith(FILE) or url == FILE:
            raise ValueError("must be `file:` and a folder, such as file:var/cache, or `postgresql://…`")
        return SecretStr(f"{FILE}{from_checkout(url.removeprefix(FILE))}")

    @property
    def is_one_port(self) -> bool:
        """Whether a platform assigns one port, and the dashboard and the API have none of their own."""
        return self.port is not None and self.model_fields_set.isdisjoint(("api_port", "dashboard_port"))

    def port_setting(self, name: str) -> str:
        """The name of the setting that a port comes from: its own, or PORT of a platform.

        Args:
            name: `api_port` or `dashboard_port`.
        """
        return "PORT" if self.port is not None and name not in self.model_fields_set else name.upper()

    @property
    def has_one_address(self) -> bool:
        """Whether the API listens where the dashboard does."""
        return (self.api_host, self.api_port) == (self.dashboard_host, self.dashboard_port)

    def on_one_port(self) -> Self:
        """The settings of an API that shares the address of the dashboard."""
        return self.model_copy(update={"api_host": self.dashboard_host, "api_port": self.dashboard_port})

    @property
    def kept_dir(self) -> Path:
        """What people made, and history: API keys, the set-up, past syncs. The product never deletes it."""
        return self.data_dir / "kept"

    @property
    def cache_place(self) -> CachePlace:
        """Where the cache is."""
        return CachePlace(url=self.cache_url, kept=self.kept_dir, mirror=self.cache_folder, name=self.cache_name)

    @property
    def diagnostics_dir(self) -> Path:
        """Screenshots and pages of failed logins."""
        return self.data_dir / "diagnostics"

    @property
    def set_api_key(self) -> tuple[str, str] | None:
        """The name of the setting that holds the API key, and the key; None where neither is set."""
        for name in ("orders_api_key", "shopify_api_key"):
            if key := getattr(self, name):
                return name.upper(), key.get_secret_value()
        return None

    @property
    def api_key_file(self) -> Path:
        """The API key that is made where no setting holds one."""
        return self.data_dir / "api_key"

    @classmethod
    def misspelt(cls) -> list[str]:
        """Sentences about names in the environment and in `.env` that look like settings and are none.

        Raises:
            SettingsInvalid: The `.env` file cannot be read.
        """
        return misspelt([name.upper() for name in cls.model_fields], os.environ, read_env_file(env_file()))

    @classmethod
    def warn_of_misspelt(cls) -> None:
        """Logs what is misspelt, once: the processes that this one starts inherit that it has been said.

        Raises:
            SettingsInvalid: The `.env` file cannot be read.
        """
        if not os.environ.get(_CHECKED):
            for sentence in cls.misspelt():
                log.warning(sentence)
            os.environ[_CHECKED] = "1"

    def set_up_process(self, process: str) -> None:
        """Sets up the log and the memory limit of this process, and of those that it will start.

        Args:
            process: What it is, for lines of JSON.
        """
        set_up_logging(self.log_format, self.log_level, process)
        set_memory_limit(self.memory_limit_mb)

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Reads the settings.

        Args:
            **overrides: Settings by name, which come before the environment.

        Raises:
            SettingsInvalid: A setting is missing or invalid. The message names it, and never shows its value.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])).upper()} {_in_words(fault)}".strip()
                for fault in error.errors()
                if fault["type"] != "default_factory_not_called"  # it follows from another one
            )
            raise SettingsInvalid(f"Invalid settings: {faults}.") from error
