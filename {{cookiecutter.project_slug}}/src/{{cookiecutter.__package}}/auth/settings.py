"""The settings of API keys, and how settings are read.

The first source that has a setting wins: the environment, `.env` (`ENV_FILE` names another file), a
directory of secret files (`/run/secrets`; `SECRETS_DIR` names another one) and a TOML file
(`config.toml`; `CONFIG_FILE` names another one).
"""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
{% if cookiecutter.__settings %}
from typing import Annotated, Any, Literal, Self, TypeVar
{% else %}
from typing import Annotated, Any, Literal, TypeVar
{% endif %}

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
{% if cookiecutter.__database or cookiecutter.__limited %}
    SecretStr,
{% endif %}
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from . import keys
{% if cookiecutter.__database %}
from .database import parse_url
{% endif %}
from .errors import ConfigurationError
{% if cookiecutter.__limited %}
from .limit_settings import MEMORY, RateLimit, StorageURL
{% endif %}
from .records import Network

CREATE_KEY = f"{keys.PROGRAM} keys create NAME"
ENV_FILE = os.environ.get("ENV_FILE", ".env")
CONFIG_FILE = os.environ.get("CONFIG_FILE", "config.toml")
SECRETS_DIR = Path(os.environ.get("SECRETS_DIR", "/run/secrets"))

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_QUOTES = ("'", '"')
_ENVIRONMENTS = {"dev": "development", "prod": "production"}
# What pydantic's errors mean, in terms of the setting.
_EXPLANATIONS = {
    "bool_parsing": "use true or false",
    "bool_type": "use true or false",
    "extra_forbidden": f"entries have no such field; see: {CREATE_KEY}",
    "float_parsing": "use a number, such as 0.5",
    "frozen_set_type": 'use a list, such as ["admin"]',
    "greater_than_equal": "the minimum is {ge}",
    "int_from_float": "use a whole number, such as 8000",
    "int_parsing": "use a whole number, such as 8000",
    "int_type": "use a whole number, such as 8000",
    "ip_any_network": (
        "use an address or a network without host bits, such as 192.0.2.0/24 or 2001:db8::/32"
    ),
    "less_than_equal": "the maximum is {le}",
    "literal_error": "use {expected}",
    "missing": "is required",
    "model_type": f"an entry is a JSON object, as printed by: {CREATE_KEY}",
    "string_type": "use a quoted string",
    "tuple_type": 'use a list, such as ["192.0.2.0/24"]',
}

# Options of all classes of settings, and what to do in place of changing them in one class.
_SHARED_OPTIONS = {
    "env_file": "Set ENV_FILE",
    "secrets_dir": "Set SECRETS_DIR",
    "toml_file": "Set CONFIG_FILE",
    "env_prefix": "Use Field(validation_alias=...), or a class of your own for your settings,",
    "case_sensitive": "Use Field(validation_alias=...)",
}

S = TypeVar("S", bound="KeyPolicy")


def read_list(value: Any) -> Any:
    """Return the list that a value stands for: JSON, texts with commas between, or one object.

    Raises:
        ValueError: it looks like JSON and is not valid.
    """
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, str):
        return value
    if not value.startswith(("[", "{")):
        return [part.strip() for part in value.split(",") if part.strip()]
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON list, such as []") from None
    return parsed if isinstance(parsed, list) else [parsed]


def _checked(check: Callable[[str], None]) -> Callable[[str], str]:
    def validate(text: str) -> str:
        check(text)
        return text

    return validate


def _matching(pattern: str, rule: str) -> Callable[[str], str]:
    def check(text: str) -> None:
        if not re.fullmatch(pattern, text):
            raise ValueError(rule)

    return _checked(check)


def _check_digest(text: str) -> str:
    if not keys.DIGEST.fullmatch(text):
        raise ValueError(f"a hash is 64 hexadecimal digits, as printed by: {CREATE_KEY}")
    return text.lower()


def _check_origin(origin: str) -> str:
{% if cookiecutter.__cookie %}
    if origin == "*":
        raise ValueError("cookies are sent to named origins only: * is too wide, name each origin")
{% else %}
    if origin == "*":
        return origin
{% endif %}
    sent = origin.lower().removesuffix("/")
    if not _ORIGIN.fullmatch(sent):
        raise ValueError(
            "an origin is a scheme, a host and perhaps a port, without a path, such as"
            " https://app.example.com"
        )
    sent = sent.removesuffix(_DEFAULT_PORTS.get(sent.partition("://")[0], ""))
    if sent != origin:
        raise ValueError(f"browsers send this origin as {sent}: use that")
    return origin


def _read_environment(value: Any) -> Any:
    word = value.lower() if isinstance(value, str) else value
    return _ENVIRONMENTS.get(word, word)


def _read_expires(value: object) -> datetime:
    # TOML has date and time values.
    return value if isinstance(value, datetime) and value.tzinfo else keys.parse_expires(str(value))


def _check_network(value: object) -> object:
    # pydantic takes a number for an address, and any text for the zone of an IPv6 address.
    if not isinstance(value, str | IPv4Network | IPv6Network) or "%" in str(value):
        raise ValueError(_EXPLANATIONS["ip_any_network"])
    return value


def _unmap(network: Network) -> Network:
    """Return the IPv4 network that an IPv6 network of IPv4-mapped addresses stands for."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped else network


def _read_lifetime(value: object) -> timedelta:
    lifetime = value if isinstance(value, timedelta) else keys.parse_duration(str(value))
    if not lifetime:
        raise ValueError("the lifetime must not be 0: use a duration such as 365d")
    return lifetime
{% if cookiecutter.__database %}


def check_database_url(url: SecretStr) -> SecretStr:
    """Return the URL of a database.

    Raises:
        ValueError: it is not valid.
    """
    parse_url(url.get_secret_value())
    return url
{% endif %}


Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_check_origin)], ...], NoDecode, BeforeValidator(read_list)
]
ConsumerName = Annotated[str, AfterValidator(_checked(keys.check_consumer))]
KeyName = Annotated[str, AfterValidator(_checked(keys.check_name))]
Expires = Annotated[datetime, BeforeValidator(_read_expires)]
Lifetime = Annotated[timedelta, BeforeValidator(_read_lifetime)]
Networks = tuple[
    Annotated[IPvAnyNetwork, BeforeValidator(_check_network), AfterValidator(_unmap)], ...
]
Scopes = frozenset[Annotated[str, AfterValidator(_checked(keys.check_scope))]]
Id = Annotated[
    str,
    AfterValidator(_matching("[A-Za-z0-9_-]{1,64}", "use 1 to 64 letters, digits, - and _")),
]
Hint = Annotated[
    str, AfterValidator(_matching("[A-Za-z0-9]{4}", "use four letters and digits of the key"))
]


class KeyEntry(BaseModel):
    """A key as it stands in `API_KEYS`: its hash, its consumer and what it may do."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: Id = ""
    """The public id, which logs show; by default it is derived from the hash."""
    name: KeyName | None = None
    """What the key is for, such as `billing, staging`."""
    hint: Hint | None = None
    """The last four random characters of the key."""
    consumer: ConsumerName
    """The consumer of the key."""
    sha256: Annotated[str, AfterValidator(_check_digest)] = Field(repr=False)
    """The SHA-256 hash of the key, 64 hexadecimal digits."""
    scopes: Scopes = frozenset()
    """What the key may do."""
    expires: Expires | None = None
    """When the key expires: the last valid day (UTC) or a time (RFC 3339)."""
    networks: Networks = ()
    """The networks from which the key may be used; an empty list means any."""
{% if cookiecutter.__limited %}
    rate_limit: RateLimit | None = None
    """How many requests the key may send, in place of `RATE_LIMIT`."""
{% endif %}
    enabled: bool = True
    """Whether the key is accepted."""

    @model_validator(mode="before")
    @classmethod
    def _derive_id(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value.get("id"):
            digest = str(value.get("sha256", "")).lower()
            return {**value, "id": keys.key_id(digest)}
        return value

    def to_json(self) -> dict[str, Any]:
        """Return the entry as it is written into `API_KEYS`."""
        return {
            "id": self.id,
            "name": self.name,
            "hint": self.hint,
            "consumer": self.consumer,
            "sha256": self.sha256,
            "scopes": sorted(self.scopes),
            "expires": keys.format_expires(self.expires) if self.expires else None,
            "networks": [str(network) for network in self.networks],
{% if cookiecutter.__limited %}
            "rate_limit": self.rate_limit,
{% endif %}
            "enabled": self.enabled,
        }


def _name_entry(value: Any, validate: ValidatorFunctionWrapHandler) -> KeyEntry:
    try:
        entry: KeyEntry = validate(value)
    except ValidationError as error:
        consumer = value.get("consumer") if isinstance(value, dict) else None
        raise ValueError(f"consumer {consumer!r}: {describe_errors(error)}") from None
    return entry


def _check_entries(entries: tuple[KeyEntry, ...]) -> tuple[KeyEntry, ...]:
    for field in ("sha256", "id"):
        consumers: dict[str, str] = {}
        for entry in entries:
            value = getattr(entry, field)
            if value in consumers:
                what = "key" if field == "sha256" else f"key id {value}"
                raise ValueError(
                    f"consumers {consumers[value]!r} and {entry.consumer!r} have the same {what};"
                    f" create a key for each with: {CREATE_KEY}"
                )
            consumers[value] = entry.consumer
    return entries


Entries = Annotated[
    tuple[Annotated[KeyEntry, WrapValidator(_name_entry)], ...],
    NoDecode,
    BeforeValidator(read_list),
    AfterValidator(_check_entries),
]


class KeyPolicy(BaseSettings):
    """The settings that matter when a key is created, and the sources of all settings.

    Raises:
        ValueError: a setting is not valid, or a source cannot be read.
    """

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        secrets_dir=SECRETS_DIR if SECRETS_DIR.is_dir() else None,
        toml_file=CONFIG_FILE,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    max_key_lifetime: Lifetime | None = None
    """The longest lifetime of a new key, such as `365d`; a new key without an expiry is then refused."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Check that a class of settings keeps the names and the sources that it inherits.

        Raises:
            ConfigurationError: an option changes them.
        """
        super().__pydantic_init_subclass__(**kwargs)
        parents = [parent for parent in cls.__mro__[1:] if issubclass(parent, KeyPolicy)]
        for option, instead in _SHARED_OPTIONS.items():
            value = cls.model_config.get(option)
            if all(value != parent.model_config.get(option) for parent in parents):
                raise ConfigurationError(
                    f"{cls.__name__}: with another {option}, the service would not read the same"
                    f" settings as its commands and tests. {instead} instead"
                )

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, values: Any) -> Any:
        cleaned: dict[str, Any] = {}
        for name, value in dict(values).items():
            # In TOML too, a setting may be written as in `.env`.
            known = name.lower() if name.lower() in cls.model_fields else name
            text = _clean_text(value)
            if text != "" and (known == name or known not in values):
                cleaned[known] = text
        return cleaned

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of the settings; the first one that has a setting wins."""
        toml_settings = TomlConfigSettingsSource(settings_cls)
        return (init_settings, env_settings, dotenv_settings, file_secret_settings, toml_settings)


class AuthSettings(KeyPolicy):
    """The settings of API keys; `Settings` of the service inherits them.

    Raises:
        ValueError: a setting is missing or not valid, or a source cannot be read.
    """

    fastapi_env: Annotated[
        Literal["production", "development"], BeforeValidator(_read_environment)
    ] = "production"
    """`development` opens the docs and makes logs readable; `make run` sets it."""
{% if cookiecutter.__database %}
    database_url: Annotated[SecretStr, AfterValidator(check_database_url)] = SecretStr(
        "sqlite:///keys.db"
    )
    """The database of keys: a SQLite file, or `postgresql://USER:PASSWORD@HOST/NAME`."""
    key_cache_seconds: int = Field(default=30, ge=0)
    """How many seconds a revoked key may still be accepted."""
    key_grace_seconds: int = Field(default=3600, ge=0)
    """How many seconds a known key is accepted while the database is unavailable."""
    key_refresh_timeout_ms: int = Field(default=250, ge=10, le=10_000)
    """How many milliseconds a request with a known key waits for the database to confirm the key."""
    api_keys: Entries = Field(default=(), repr=False)
    """The entries that `keys import` copies into the database: a JSON list."""
{% else %}
    api_keys: Entries = Field(default=(), repr=False)
    """The keys: a JSON list of the entries that `keys create` prints."""
{% endif %}
{% if cookiecutter.__cookie %}
    cookie_secure: bool = Field(default_factory=lambda read: not in_development(read))
    """Whether browsers send the cookie over HTTPS only; `false` in development."""
{% endif %}
    cors_origins: Origins = ()
    """Other origins whose pages may call the service, such as `https://app.example.com`."""
{% if cookiecutter.__limited %}
    rate_limit: RateLimit = "600/minute"
    """How many requests a consumer may send, unless its key says otherwise."""
    rate_limit_storage_url: StorageURL = SecretStr(MEMORY)
    """Where requests are counted: `memory://`, or Redis, such as `redis://:PASSWORD@HOST:6379/0`."""
    rate_limit_timeout_ms: int = Field(default=500, ge=10, le=10_000)
    """How many milliseconds Redis may take to respond."""
    rate_limit_fail_open: bool = True
    """Whether requests pass uncounted while Redis is unavailable; otherwise they get 503."""
    failed_attempts_limit: RateLimit = "60/minute"
    """How many invalid keys an address may send before it has to wait."""
{% endif %}
{% if cookiecutter.__settings %}

    @model_validator(mode="after")
    def _require_keys(self) -> Self:
        if not self.api_keys:
            file = Path(str(self.model_config.get("env_file"))).absolute()
            missing = "" if file.exists() else f" There is no {file}."
            raise ValueError(
                f"API_KEYS: no key is configured. Create one with: {CREATE_KEY}.{missing}"
            )
        return self
{% endif %}

    @property
    def development(self) -> bool:
        """Whether this process runs for development, as FastAPI's own `FASTAPI_ENV` says."""
        return self.fastapi_env == "development"


def load_settings(settings_class: type[S]) -> S:
    """Return the settings of this process.

    Raises:
        SystemExit: they are not valid; the message says which, and shows neither key nor hash.
    """
    try:
        return settings_class()
    except ValidationError as error:
        problems = describe_errors(error, environment=True)
    except SettingsError as error:
        problems = _describe_unread(error)
    except UnicodeDecodeError:
        problems = f"{ENV_FILE} or {CONFIG_FILE} is not saved in UTF-8: convert it"
    except (OSError, ValueError) as error:  # from a source, such as a TOML file with an error
        problems = f"{error}; {CONFIG_FILE} is written in TOML"
    raise SystemExit(f"The settings are not valid. {redact(problems)}")


def find_misspelt_names(settings_class: type[BaseSettings]) -> list[str]:
    """Return a warning for each name in `.env` or the TOML file that is close to a setting's.

    Other unknown names are ignored: an `.env` may be shared with other programs.
    """
    known = _setting_names(settings_class)
    env_file, toml_file = (settings_class.model_config.get(f) for f in ("env_file", "toml_file"))
    found = [(env_file, name) for name in dotenv_values(str(env_file))]
    found += [(toml_file, name) for name in TomlConfigSettingsSource(settings_class).toml_data]
    warnings = []
    for file, written in found:
        name = written.upper()
        if find_setting(settings_class, name):
            continue
        unprefixed = name.removeprefix(f"{keys.PREFIX.upper()}_")
        near = [unprefixed] if unprefixed in known else get_close_matches(name, known, 1, 0.85)
        if near:
            warnings.append(f"{file}: {written} is not a setting: did you mean {near[0]}?")
    return warnings


def check_lifetime(
    expires: datetime | None, longest: timedelta | None, *, created: datetime | None = None
) -> None:
    """Check the end of a key against `MAX_KEY_LIFETIME`; a key that is created now needs no date.

    Raises:
        ValueError: the key would live for longer, or without an end.
    """
    if longest is None:
        return
    latest = (created or datetime.now(UTC)) + longest
    if expires is None or expires > latest:
        raise ValueError(
            f"MAX_KEY_LIFETIME: a new key must expire by {latest:%Y-%m-%d %H:%M} UTC: set an"
            " earlier expiry"
        )


{% if cookiecutter.__settings %}
def find_overlong_keys(settings: AuthSettings) -> list[str]:
    """Return a warning that names the keys which live for longer than `MAX_KEY_LIFETIME`."""
    longest = settings.max_key_lifetime
    if longest is None:
        return []
    latest = datetime.now(UTC) + longest
    ids = [
        entry.id for entry in settings.api_keys if entry.expires is None or entry.expires > latest
    ]
    return [f"Keys that live for longer than MAX_KEY_LIFETIME: {', '.join(ids)}"] if ids else []


{% endif %}
def describe_errors(error: ValidationError, *, environment: bool = False) -> str:
    """Return the problems in one line, in terms of the settings.

    With `environment`, settings are named as in the environment: in upper case.
    """
    problems = []
    for problem in error.errors():
        if problem["type"] == "default_factory_not_called":
            continue  # only says that another setting is not valid
        path = [str(part) for part in problem["loc"]]
        if path and environment:
            path[0] = path[0].upper()
        problems.append(": ".join(part for part in (", ".join(path), _explain(problem)) if part))
    return "; ".join(problems)


def _explain(problem: ErrorDetails) -> str:
    context = {name: str(value).replace("'", "") for name, value in problem.get("ctx", {}).items()}
    rule = _EXPLANATIONS.get(problem["type"])
    return rule.format(**context) if rule else problem["msg"].removeprefix("Value error, ")


def _describe_unread(error: SettingsError) -> str:
    """Return which setting is not the JSON that its type asks for."""
    name = re.search(r'field "(\w+)"', str(error))
    return f"{name[1].upper() if name else error}: must be JSON, such as []"


def find_setting(settings_class: type[BaseSettings], name: str) -> str | None:
    """Return the field that has this name in a source, or a part with it: `SMTP__HOST` is in `smtp`."""
    known, name = _setting_names(settings_class), name.upper()
    delimiter = settings_class.model_config.get("env_nested_delimiter")
    whole = name.partition(delimiter.upper())[0] if delimiter else name
    return known.get(name) or known.get(whole)


def _setting_names(settings_class: type[BaseSettings]) -> dict[str, str]:
    """Return the field of each name that the sources know, aliases too."""
    found = {}
    for field, info in settings_class.model_fields.items():
        alias = info.validation_alias
        aliases = alias.choices if isinstance(alias, AliasChoices) else [alias]
        for name in (field, *aliases):
            if isinstance(name, str):
                found[name.upper()] = field
    return found


def redact(text: str) -> str:
    """Return `text` without keys and hashes."""
    return keys.DIGEST.sub("...", keys.redact(text))


def in_development(read: dict[str, Any]) -> bool:
    """Tell whether the settings that were read so far select development."""
    return bool(read.get("fastapi_env") == "development")


def _clean_text(value: Any) -> Any:
    """Return a text without a byte order mark and surrounding white space and quotes.

    Some sources keep them.
    """
    if not isinstance(value, str):
        return value
    text = value.removeprefix("\ufeff").strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES
    return text[1:-1] if quoted else text
