"""What can be configured, and from where.

The first source that knows a setting wins: the environment, `.env`, a directory of secret files
(`/run/secrets`; `SECRETS_DIR` names another) and a TOML file (`config.toml`; `CONFIG_FILE` names
another).
"""

import os
import re
from datetime import date
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
{% if cookiecutter.__limited %}
from urllib.parse import urlsplit
{% endif %}

{% if cookiecutter.__limited %}
from limits import parse_many
{% endif %}
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    {% if cookiecutter.__limited or cookiecutter.__database %}
    SecretStr,
    {% endif %}
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from . import keys
{% if cookiecutter.__database %}
from .database import parse_url
{% endif %}
{% if cookiecutter.__limited %}

# Where requests are counted when no other place is set.
IN_MEMORY = "memory://"
{% endif %}

_MINT = "python -m {{ cookiecutter.__package }}.keys new NAME"
_SECRETS_DIR = Path(os.environ.get("SECRETS_DIR", "/run/secrets"))
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
{% if cookiecutter.__limited %}
_TLS = (
    r"(ssl_(ca_certs|ca_path|certfile|keyfile|password|check_hostname)=[^\s&#]+"
    r"|ssl_cert_reqs=(none|optional|required))"
)
_REDIS = re.compile(
    r"redis(s)?://([^\s/?#@]*@)?([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/\d{0,3})?"
    rf"(?(1)(\?{_TLS}(&{_TLS})*)?)"
)
_MAX_AMOUNT = 1_000_000
_MAX_SECONDS = 31 * 24 * 60 * 60
{% endif %}


def _check_digest(text: str) -> str:
    if not keys.DIGEST.fullmatch(text):
        raise ValueError(f"a digest is 64 hexadecimal digits, as printed by: {_MINT}")
    return text.lower()


def _read_expires(value: object) -> date:
    return keys.parse_expires(str(value))  # TOML has dates of its own


def _check_origin(origin: str) -> str:
    {% if cookiecutter.__cookie %}
    if origin == "*":
        raise ValueError("cookies are sent to named origins only: * is too wide, name each origin")
    {% else %}
    if origin == "*":
        return origin
    {% endif %}
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(
            "an origin is a scheme, a lower-case host and perhaps a port, without a path,"
            " such as https://app.example.com"
        )
    return origin


def _check_proxies(text: str) -> str:
    for proxy in text.split(",") if text != "*" else []:
        ip_network(proxy.strip())
    return text
{% if cookiecutter.__limited %}


def check_limit(text: str) -> str:
    """Return a limit when it is one.

    Raises:
        ValueError: it does not say how many requests, of those that can be counted, in what time.
    """
    try:
        [limit] = parse_many(text)
    except ValueError:
        limit = None
    if not limit or not (1 <= limit.amount <= _MAX_AMOUNT and limit.get_expiry() <= _MAX_SECONDS):
        raise ValueError(
            "a limit is a number of requests up to 1000000 and a time up to 31 days,"
            " such as 600/minute or 5000/2 hours"
        )
    return text


def _check_storage(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if text != IN_MEMORY and not _is_redis(text):
        raise ValueError(
            "requests are counted in memory:// or in Redis, such as redis://cache:6379/0 or, with"
            " TLS and a percent-encoded password, rediss://:PASSWORD@cache.example.com:6379"
        )
    return url


def _is_redis(text: str) -> bool:
    try:
        return _REDIS.fullmatch(text) is not None and urlsplit(text).port != 0
    except ValueError:  # there is no such port or address
        return False


_Limit = Annotated[str, AfterValidator(check_limit)]
_StorageURL = Annotated[SecretStr, AfterValidator(_check_storage)]
{% endif %}


{% if cookiecutter.__database %}
def _check_url(url: SecretStr) -> SecretStr:
    parse_url(url.get_secret_value())
    return url


{% endif %}
class KeyEntry(BaseModel):
    """A key of a consumer: its digest, what it may do, and the last day (UTC) on which it is valid."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    consumer: Annotated[str, AfterValidator(keys.check_consumer)]
    sha256: Annotated[str, AfterValidator(_check_digest), Field(repr=False)]
    scopes: frozenset[Annotated[str, AfterValidator(keys.check_scope)]] = frozenset()
    expires: Annotated[date, BeforeValidator(_read_expires)] | None = None
    {% if cookiecutter.__limited %}
    rate_limit: _Limit | None = None
    {% endif %}


def _name_entry(value: Any, validate: ValidatorFunctionWrapHandler) -> KeyEntry:
    try:
        entry: KeyEntry = validate(value)
    except ValidationError as error:
        consumer = value.get("consumer") if isinstance(value, dict) else None
        raise ValueError(f"consumer {consumer!r}: {_problems(error)}") from None
    return entry


class Settings(BaseSettings):
    """The settings of this service; each is described in the README.

    Raises:
        ValueError: a setting is missing or not valid, or a source cannot be read.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        secrets_dir=_SECRETS_DIR if _SECRETS_DIR.is_dir() else None,
        toml_file=os.environ.get("CONFIG_FILE", "config.toml"),
    )

    fastapi_env: str = "production"
    {% if cookiecutter.__database %}
    database_url: Annotated[SecretStr, AfterValidator(_check_url)] = SecretStr("sqlite:///keys.db")
    key_cache_seconds: int = Field(default=30, ge=0)
    key_grace_seconds: int = Field(default=3600, ge=0)
    # The service itself does not look at them: `keys import` puts them into the database.
    api_keys: tuple[Annotated[KeyEntry, WrapValidator(_name_entry)], ...] = Field(
        default=(), repr=False
    )
    {% else %}
    api_keys: tuple[Annotated[KeyEntry, WrapValidator(_name_entry)], ...] = Field(
        default=(), repr=False, validate_default=True
    )
    {% endif %}
    docs_enabled: bool = Field(default_factory=lambda read: _in_development(read))
    {% if cookiecutter.__cookie %}
    cookie_secure: bool = Field(default_factory=lambda read: not _in_development(read))
    {% endif %}
    cors_origins: tuple[Annotated[str, AfterValidator(_check_origin)], ...] = ()
    max_body_size: int = Field(default=1024 * 1024, ge=0)
    {% if cookiecutter.__limited %}
    rate_limit: _Limit = "600/minute"
    rate_limit_storage_url: _StorageURL = SecretStr(IN_MEMORY)
    rate_limit_fail_open: bool = True
    failed_attempts_limit: _Limit = "60/minute"
    {% endif %}
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    workers: int = Field(default=1, ge=1)
    forwarded_allow_ips: Annotated[str, AfterValidator(_check_proxies)] = "127.0.0.1,::1"
    root_path: str = Field(default="", pattern=r"^(/[A-Za-z0-9._~-]+)*$")

    @field_validator("api_keys")
    @classmethod
    def _check_keys(cls, entries: tuple[KeyEntry, ...]) -> tuple[KeyEntry, ...]:
        {% if not cookiecutter.__database %}
        if not entries:
            raise ValueError(f"no key is configured. Mint one with: {_MINT}")
        {% endif %}
        holders: dict[str, str] = {}
        for entry in entries:
            if entry.sha256 in holders:
                raise ValueError(
                    f"consumers {holders[entry.sha256]!r} and {entry.consumer!r} have the same key;"
                    f" mint each its own with: {_MINT}"
                )
            holders[entry.sha256] = entry.consumer
        return entries

    @property
    def development(self) -> bool:
        """Whether this process runs for development, as FastAPI's own `FASTAPI_ENV` says."""
        return self.fastapi_env == "development"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of the settings, the first one that knows a setting wins."""
        toml_settings = TomlConfigSettingsSource(settings_cls)
        return (init_settings, env_settings, dotenv_settings, file_secret_settings, toml_settings)


def load_settings() -> Settings:
    """Return the settings of this process.

    Raises:
        SystemExit: they are not valid; the message says which, and shows neither key nor digest.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = _problems(error)
    except (OSError, ValueError) as error:  # from a source: a list that is no JSON, a broken file
        problems = f"{error}; a list is written in JSON, such as [], and a config file in TOML"
    raise SystemExit(f"The settings are not valid. {keys.DIGEST.sub('...', keys.redact(problems))}")


def _in_development(read: dict[str, Any]) -> bool:
    return bool(read.get("fastapi_env") == "development")


def _problems(error: ValidationError) -> str:
    problems = []
    for problem in error.errors():
        if problem["type"] == "default_factory_not_called":
            continue  # only says that another setting is not valid
        name, *path = (str(part) for part in problem["loc"])
        place = ", ".join([name.upper() if name in Settings.model_fields else name, *path])
        problems.append(f"{place}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(problems)
