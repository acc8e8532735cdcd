"""Settings: their sources, their values, and what the service says about mistakes."""

import json
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from {{ cookiecutter.__package }}.auth import keys
from {{ cookiecutter.__package }}.auth.errors import (
    ConfigurationError,
)
from {{ cookiecutter.__package }}.auth.settings import (
    CREATE_KEY,
    KeyEntry,
    find_misspelt_names,
    find_setting,
)
from {{ cookiecutter.__package }}.auth.settings import (
    load_settings as load,
)
{% if cookiecutter.__database %}
from {{ cookiecutter.__package }}.migrate import (
    MigrationSettings,
)
{% endif %}
from {{ cookiecutter.__package }}.settings import (
    Settings,
    SettingsDep,
    find_warnings,
    load_settings,
)

from . import REQUIRED
from .helpers import call_asgi, make_settings

ROOT = Path(__file__).parents[1]
{% if cookiecutter.__database %}
ALL = MigrationSettings  # the settings of the service, and one of `migrate` alone
{% else %}
ALL = Settings
{% endif %}
FIELDS = ALL.model_fields
KEY = keys.generate_key()
DIGEST = keys.hash_key(KEY)
ENTRY = {"consumer": "web", "sha256": DIGEST}
{% if cookiecutter.__database or cookiecutter.__limited %}
HIDDEN = "xyzzy-plugh"
{% endif %}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of this test: it may hold `.env`, `secrets` and `config.toml`."""
    (tmp_path / "secrets").mkdir()
    files = {"env_file": ".env", "toml_file": "config.toml", "secrets_dir": "secrets"}
    for name, file in files.items():
        monkeypatch.setitem(Settings.model_config, name, tmp_path / file)
    return tmp_path


def set_variables(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Set variables of the environment."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def refusal(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """Return the message of a service that does not start with these variables."""
    set_variables(monkeypatch, variables)
    with pytest.raises(SystemExit) as stopped:
        load_settings()
    message = str(stopped.value)
    assert stopped.value.__context__ is None
    assert message.startswith("The settings are not valid. ")
    assert "\n" not in message
    assert DIGEST not in message
    assert KEY not in message
    return message.removeprefix("The settings are not valid. ")


def test_production_is_the_default() -> None:
    # If you want another default, change it here too.
    settings = make_settings()
    assert not settings.development
    assert not settings.docs_enabled
    assert not settings.docs_public
    assert settings.cors_origins == ()
    {% if cookiecutter.__cookie %}
    assert settings.cookie_secure
    {% endif %}


def test_development_opens_the_docs() -> None:
    settings = make_settings(fastapi_env="development")
    assert settings.development
    assert settings.docs_enabled
    assert settings.docs_public
    {% if cookiecutter.__cookie %}
    assert not settings.cookie_secure
    {% endif %}


def test_first_source_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "config.toml").write_text('log_level = "error"\nPORT = 8001\nworkers = 2\n')
    assert load_settings().log_level == "error"
    (folder / "secrets" / "log_level").write_text("warning\n")
    assert load_settings().log_level == "warning"
    (folder / ".env").write_text("LOG_LEVEL=critical\nPORT=8002\n")
    assert load_settings().log_level == "critical"
    monkeypatch.setenv("LOG_LEVEL", "debug")
    settings = load_settings()
    assert (settings.log_level, settings.port, settings.workers) == ("debug", 8002, 2)


def test_names_in_toml_may_be_upper_case(folder: Path) -> None:
    (folder / "config.toml").write_text('LOG_LEVEL = "error"\n')
    assert load_settings().log_level == "error"


@pytest.mark.parametrize(
    "text", ["/parcels", " /parcels\n", '"/parcels"', "'/parcels' ", "\t/parcels"]
)
def test_spaces_and_quotes_are_stripped_everywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    assert make_settings(root_path=text).root_path == "/parcels"
    (folder / "config.toml").write_text(f"root_path = {json.dumps(text)}\n")
    assert load_settings().root_path == "/parcels"
    (folder / "config.toml").unlink()
    (folder / "secrets" / "root_path").write_text(text)
    assert load_settings().root_path == "/parcels"
    (folder / "secrets" / "root_path").unlink()
    (folder / ".env").write_text(f"ROOT_PATH={json.dumps(text)}\n")
    assert load_settings().root_path == "/parcels"
    (folder / ".env").unlink()
    monkeypatch.setenv("ROOT_PATH", text)
    assert load_settings().root_path == "/parcels"


@pytest.mark.parametrize("text", ["", " ", '""'])
def test_empty_setting_is_not_set(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PORT", text)
    assert load_settings().port == FIELDS["port"].default


{% if cookiecutter.__database %}
def test_database_url_may_end_in_a_newline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///keys.db\n")
    assert load_settings().database_url.get_secret_value() == "sqlite:///keys.db"


{% endif %}
@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({"fastapi_env": "dev"}, "development"),
        ({"fastapi_env": "Development"}, "development"),
        ({"fastapi_env": "prod"}, "production"),
        ({"log_level": "INFO"}, "info"),
        ({"port": "8001"}, 8001),
        ({"docs_enabled": "yes"}, True),
        ({"docs_enabled": "0"}, False),
        ({"cors_origins": "https://app.example.com"}, ("https://app.example.com",)),
        ({"cors_origins": "http://a.test, http://b.test,"}, ("http://a.test", "http://b.test")),
        ({"cors_origins": '["https://app.example.com"]'}, ("https://app.example.com",)),
        ({"cors_origins": "[]"}, ()),
        ({"cors_origins": "http://localhost:5173"}, ("http://localhost:5173",)),
        ({"cors_origins": "http://[::1]:8080"}, ("http://[::1]:8080",)),
        ({"cors_origins": "capacitor://localhost"}, ("capacitor://localhost",)),
        ({"cors_origins": "tauri://localhost"}, ("tauri://localhost",)),
        ({"cors_origins": "chrome-extension://" + "a" * 32}, ("chrome-extension://" + "a" * 32,)),
        {% if not cookiecutter.__cookie %}
        ({"cors_origins": "*"}, ("*",)),
        {% endif %}
        ({"cors_headers": "X-Mine, X-Other"}, ("X-Mine", "X-Other")),
        ({"forwarded_allow_ips": "10.0.0.0/8, ::1"}, "10.0.0.0/8, ::1"),
        ({"forwarded_allow_ips": "*"}, "*"),
        ({"root_path": "/api/v1.0/parcel_tracking"}, "/api/v1.0/parcel_tracking"),
        {% if cookiecutter.__limited %}
        ({"rate_limit": "5000/2 hours"}, "5000/2 hours"),
        ({"rate_limit": "1 per second"}, "1 per second"),
        ({"failed_attempts_limit": "1000000/day"}, "1000000/day"),
        {% endif %}
    ],
    ids=str,
)
def test_plain_meaning_is_accepted(fields: dict[str, str], read: object) -> None:
    [name] = fields
    assert getattr(make_settings(**fields), name) == read


ORIGIN_RULE = (
    "an origin is a scheme, a host and perhaps a port, without a path, such as"
    " https://app.example.com"
)
PROXY_RULE = "use addresses or networks without host bits, separated by commas, such as"
PATH_RULE = "a path prefix begins with a slash and ends without one, such as /parcels"
{% if cookiecutter.__limited %}
STORAGE_RULE = "use memory:// or the URL of a Redis, such as redis://cache:6379/0"
{% endif %}


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("FASTAPI_ENV", "staging", "use production or development"),
        ("LOG_LEVEL", "loud", "use debug, info, warning, error or critical"),
        ("PORT", "tcp://10.0.0.1:80", "use a whole number, such as 8000"),
        ("PORT", "0", "the minimum is 1"),
        ("PORT", "65536", "the maximum is 65535"),
        ("WORKERS", "0", "the minimum is 1"),
        ("MAX_BODY_SIZE", "-1", "the minimum is 0"),
        ("MAX_BODY_SIZE", "1 MB", "use a whole number, such as 8000"),
        ("DOCS_ENABLED", "perhaps", "use true or false"),
        ("FORWARDED_ALLOW_IPS", "proxy", PROXY_RULE),
        ("FORWARDED_ALLOW_IPS", "10.0.0.1,", PROXY_RULE),
        ("FORWARDED_ALLOW_IPS", "10.0.0.1/8", PROXY_RULE),
        ("FORWARDED_ALLOW_IPS", "*,10.0.0.1", PROXY_RULE),
        ("ROOT_PATH", "parcels", PATH_RULE),
        ("ROOT_PATH", "/", PATH_RULE),
        ("ROOT_PATH", "/parcels?", PATH_RULE),
        ("CORS_ORIGINS", "app.example.com", ORIGIN_RULE),
        ("CORS_ORIGINS", "https://user@app.example.com", ORIGIN_RULE),
        ("CORS_ORIGINS", "https://app.example.com/path", ORIGIN_RULE),
        ("CORS_ORIGINS", "https://app.example.com/", "use that"),
        ("CORS_ORIGINS", "https://App.example.com", "as https://app.example.com: use that"),
        ("CORS_ORIGINS", "https://a.example:443", "as https://a.example: use that"),
        ("CORS_ORIGINS", "http://a.example:80", "as http://a.example: use that"),
        {% if cookiecutter.__cookie %}
        ("CORS_ORIGINS", "*", "cookies are sent to named origins only: * is too wide"),
        {% endif %}
        ("CORS_ORIGINS", "['https://a.example']", "must be a JSON list, such as []"),
        ("API_KEYS", "{", "must be a JSON list, such as []"),
        pytest.param("API_KEYS", "[" * 9999, "must be a JSON list, such as []", id="nested"),
        ("API_KEYS", "7", "an entry is a JSON object"),
        ("API_KEYS", '["web"]', "an entry is a JSON object"),
        {% if cookiecutter.__database %}
        ("KEY_CACHE_SECONDS", "-1", "the minimum is 0"),
        ("KEY_GRACE_SECONDS", "1.5", "use a whole number"),
        ("DATABASE_URL", "keys.db", "use sqlite:///FILE"),
        {% endif %}
        {% if cookiecutter.__limited %}
        ("RATE_LIMIT", "often", "such as 600/minute"),
        ("RATE_LIMIT", "600", "such as 600/minute"),
        ("RATE_LIMIT", "0/minute", "such as 600/minute"),
        ("RATE_LIMIT", "1000001/minute", "such as 600/minute"),
        ("RATE_LIMIT", "10/fortnight", "such as 600/minute"),
        ("RATE_LIMIT", "10/2 months", "such as 600/minute"),
        ("RATE_LIMIT", "10/second;600/minute", "such as 600/minute"),
        ("FAILED_ATTEMPTS_LIMIT", "0/minute", "such as 600/minute"),
        ("RATE_LIMIT_FAIL_OPEN", "perhaps", "use true or false"),
        ("RATE_LIMIT_TIMEOUT_MS", "0", "the minimum is"),
        {% endif %}
    ],
)
def test_mistake_is_explained_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    message = refusal(monkeypatch, **{name: value})
    assert message.startswith((f"{name}: ", f"{name}, 0: "))
    assert problem in message


def test_all_mistakes_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = json.dumps([ENTRY | {"sha256": "short", DIGEST: 1}])
    message = refusal(monkeypatch, LOG_LEVEL="loud", FASTAPI_ENV="test", API_KEYS=entries)
    assert message == (
        "FASTAPI_ENV: use production or development;"
        " API_KEYS, 0: consumer 'web': sha256: a hash is 64 hexadecimal digits, as printed by:"
        f" {CREATE_KEY}; ...: entries have no such field; see: {CREATE_KEY};"
        " LOG_LEVEL: use debug, info, warning, error or critical"
    )


def test_own_list_that_is_not_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class OwnSettings(Settings):
        branches: list[str] = []

    monkeypatch.setenv("BRANCHES", "Berlin, Oslo")
    with pytest.raises(SystemExit) as stopped:
        load(OwnSettings)
    expected = "The settings are not valid. BRANCHES: must be JSON, such as []"
    assert str(stopped.value) == expected


def test_unreadable_file_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "config.toml").write_text(f"api_keys = {DIGEST}")
    assert "is written in TOML" in refusal(monkeypatch)


@pytest.mark.parametrize("name", [".env", "config.toml"])
def test_file_in_another_encoding_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (folder / name).write_text("port = 8000\n", encoding="utf-16")  # as PowerShell 5 does
    assert "is not saved in UTF-8" in refusal(monkeypatch)


def test_byte_order_mark_is_stripped() -> None:
    assert make_settings(root_path="\ufeff/parcels\n").root_path == "/parcels"
{% if cookiecutter.__settings %}


@pytest.mark.parametrize("entries", ["", "[]"])
def test_service_needs_a_key_to_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch, entries: str
) -> None:
    message = refusal(monkeypatch, API_KEYS=entries)
    assert f"API_KEYS: no key is configured. Create one with: {CREATE_KEY}" in message
    assert f"There is no {folder / '.env'}" in message
    (folder / ".env").write_text("")
    assert "There is no" not in refusal(monkeypatch, API_KEYS=entries)
{% endif %}


def test_entry_has_defaults() -> None:
    entry = KeyEntry.model_validate(ENTRY)
    assert entry.id == keys.key_id(DIGEST)
    assert not entry.scopes
    assert entry.expires is None
    assert entry.networks == ()
    assert entry.enabled
    assert entry.to_json()["consumer"] == "web"
    assert KeyEntry.model_validate(entry.to_json()) == entry


def test_entry_is_read_as_it_is_written() -> None:
    fields = {
        "id": "web-1",
        "name": "billing, staging",
        "hint": "aB3d",
        "consumer": "web",
        "sha256": DIGEST,
        "scopes": ["admin", "orders:read"],
        "expires": "2030-01-31",
        "networks": ["192.0.2.0/24", "2001:db8::/32"],
        {% if cookiecutter.__limited %}
        "rate_limit": "10/second",
        {% endif %}
        "enabled": False,
    }
    entry = KeyEntry.model_validate(fields)
    assert entry.expires == datetime(2030, 2, 1, tzinfo=UTC)
    assert entry.to_json() == fields
    for written, read in (("192.0.2.7", "192.0.2.7/32"), ("::ffff:192.0.2.0/120", "192.0.2.0/24")):
        [network] = KeyEntry.model_validate(ENTRY | {"networks": [written]}).networks
        assert str(network) == read


def test_entries_may_be_one_object_or_toml(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", json.dumps(ENTRY))
    assert [entry.consumer for entry in load_settings().api_keys] == ["web"]
    monkeypatch.delenv("API_KEYS")
    table = f'consumer = "toml"\nsha256 = "{DIGEST}"\nexpires = 2030-01-31\n'
    for heading in ("[[api_keys]]", "[api_keys]"):
        (folder / "config.toml").write_text(f"{heading}\n{table}")
        [entry] = load_settings().api_keys
        assert (entry.consumer, entry.expires) == ("toml", datetime(2030, 2, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"sha256": "0" * 63}, "sha256: a hash is 64 hexadecimal digits"),
        ({"sha256": "the key itself"}, "sha256: a hash is 64 hexadecimal digits"),
        ({"sha256": None}, "sha256: use a quoted string"),
        ({"scopes": ["two words"]}, "scopes, 0: 'two words' is not a scope"),
        ({"scopes": "admin"}, 'scopes: use a list, such as ["admin"]'),
        ({"expires": "31.01.2030"}, "such as 2030-12-31"),
        ({"expires": "2030-02-30"}, "such as 2030-12-31"),
        ({"expires": "2030-01-31T12:00:00"}, "no UTC offset"),
        ({"expires": 1800000000}, "such as 2030-12-31"),
        ({"networks": ["192.0.2.1/24"]}, "networks, 0: use an address or a network"),
        ({"networks": [1]}, "networks, 0: use an address or a network"),
        ({"networks": [True]}, "networks, 0: use an address or a network"),
        ({"networks": ["fe80::1%two words"]}, "networks, 0: use an address or a network"),
        ({"networks": "192.0.2.0/24"}, "networks: use a list"),
        ({"id": "two words"}, "id: use 1 to 64 letters"),
        ({"hint": "long one"}, "hint: use four letters"),
        ({"enabled": "perhaps"}, "enabled: use true or false"),
        {% if cookiecutter.__limited %}
        ({"rate_limit": "often"}, "such as 600/minute"),
        ({"rate_limit": 600}, "rate_limit: use a quoted string"),
        {% endif %}
        ({"scope": "admin"}, "scope: entries have no such field"),
    ],
    ids=str,
)
def test_invalid_entry_is_named_by_its_consumer(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], problem: str
) -> None:
    entries = [{"consumer": "fine", "sha256": "0" * 64}, ENTRY | fields]
    message = refusal(monkeypatch, API_KEYS=json.dumps(entries))
    assert message.startswith("API_KEYS, 1: consumer 'web': ")
    assert problem in message


def test_key_in_an_entry_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for fields in ({"sha256": KEY}, {"consumer": KEY}, {"consumer": DIGEST}, {KEY: DIGEST}):
        assert "API_KEYS, 0: " in refusal(monkeypatch, API_KEYS=json.dumps([ENTRY | fields]))


@pytest.mark.parametrize("consumer", ["", " web", "line\nbreak", 7, None], ids=repr)
def test_consumer_needs_a_proper_name(monkeypatch: pytest.MonkeyPatch, consumer: object) -> None:
    message = refusal(monkeypatch, API_KEYS=json.dumps([ENTRY | {"consumer": consumer}]))
    assert message.startswith("API_KEYS, 0: ")


def test_consumers_cannot_share_a_key_or_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"consumer": "ci", "sha256": DIGEST.upper()}
    message = refusal(monkeypatch, API_KEYS=json.dumps([ENTRY, other]))
    assert "consumers 'web' and 'ci' have the same key" in message
    entries = [ENTRY | {"id": "x"}, {"consumer": "ci", "sha256": "0" * 64, "id": "x"}]
    message = refusal(monkeypatch, API_KEYS=json.dumps(entries))
    assert "consumers 'web' and 'ci' have the same key id x" in message


def test_no_representation_shows_a_secret() -> None:
    entry = KeyEntry.model_validate(ENTRY)
    {% if cookiecutter.__database and cookiecutter.__limited %}
    settings = make_settings(
        api_keys=(entry,),
        database_url=f"postgresql://user:{HIDDEN}@db/keys",
        rate_limit_storage_url=f"redis://:{HIDDEN}@cache",
    )
    {% elif cookiecutter.__database %}
    settings = make_settings(api_keys=(entry,), database_url=f"postgresql://u:{HIDDEN}@db/keys")
    {% elif cookiecutter.__limited %}
    settings = make_settings(api_keys=(entry,), rate_limit_storage_url=f"redis://:{HIDDEN}@cache")
    {% else %}
    settings = make_settings(api_keys=(entry,))
    {% endif %}
    shown = f"{settings} {settings!r} {settings.api_keys} {settings.api_keys!r}"
    assert DIGEST not in shown
    {% if cookiecutter.__database or cookiecutter.__limited %}
    assert HIDDEN not in shown
    {% endif %}
{% if cookiecutter.__database %}


@pytest.mark.parametrize(
    "url", [f"mysql://user:{HIDDEN}@db/keys", f"postgresql://user:{HIDDEN}@@db/keys", HIDDEN]
)
def test_invalid_database_url_is_not_repeated(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert HIDDEN not in refusal(monkeypatch, DATABASE_URL=url)
{% endif %}
{% if cookiecutter.__limited %}


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        f"redis://:{HIDDEN}@cache:6380/2",
        f"rediss://user:{HIDDEN}@cache.example.com/0",
        "redis://[::1]/0",
        "rediss://cache?ssl_ca_certs=/run/secrets/ca.pem",
        "rediss://cache?ssl_cert_reqs=none&ssl_check_hostname=false",
    ],
)
def test_storage_url_names_a_redis(url: str) -> None:
    settings = make_settings(rate_limit_storage_url=url)
    assert settings.rate_limit_storage_url.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        "cache:6379",
        "http://cache:6379",
        "redis://",
        "redis://cache:port",
        f"redis://:{HIDDEN}#@cache",
        f"redis://:{HIDDEN}/@cache",
        "redis://cache/zero",
        "redis://cache?socket_timeout=60",
        "redis://cache:65536",
        "redis://cache:0",
        "redis://[1:2]",
        "redis://cache?ssl_ca_certs=/run/secrets/ca.pem",
        "rediss://cache?ssl_ca_cert=/run/secrets/ca.pem",
        "rediss://cache?ssl_cert_reqs=never",
        "memory://cache",
    ],
)
def test_invalid_storage_url_is_not_repeated(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    message = refusal(monkeypatch, RATE_LIMIT_STORAGE_URL=url)
    assert message.startswith(f"RATE_LIMIT_STORAGE_URL: {STORAGE_RULE}")
    assert HIDDEN not in message
{% endif %}


def test_misspelt_settings_are_warned_about(folder: Path) -> None:
    class OwnSettings(Settings):
        greeting_text: str = "Hello"

    package = keys.PREFIX.upper()
    (folder / ".env").write_text(
        "LOG_LEVLE=debug\nGREETING_TXT=Hi\nPORT=8000\nPOSTGRES_PORT=5432\nTZ=UTC\n"
        f"{package}_LOG_LEVEL=debug\n"
    )
    (folder / "config.toml").write_text('max_bodysize = 1\nroot_path = "/x"\ntitle = "x"\n')
    warnings = find_misspelt_names(OwnSettings)
    assert [re.sub(r"^.*[/\\]", "", warning) for warning in warnings] == [
        ".env: LOG_LEVLE is not a setting: did you mean LOG_LEVEL?",
        ".env: GREETING_TXT is not a setting: did you mean GREETING_TEXT?",
        f".env: {package}_LOG_LEVEL is not a setting: did you mean LOG_LEVEL?",
        "config.toml: max_bodysize is not a setting: did you mean MAX_BODY_SIZE?",
    ]


def test_settings_are_found_by_each_of_their_names() -> None:
    class OwnSettings(Settings):
        model_config = SettingsConfigDict(env_nested_delimiter="__")

        mail: dict[str, str] | None = None
        bucket: str = Field(default="", validation_alias="S3__BUCKET")

    names = {"MAIL": "mail", "mail__host": "mail", "S3__BUCKET": "bucket", "MAILBOX": None}
    names["MAIL__HOST__NAME"] = "mail"
    assert {name: find_setting(OwnSettings, name) for name in names} == names


@pytest.mark.parametrize(
    "option", [{"env_prefix": "MY_"}, {"case_sensitive": True}, {"env_file": ".env.local"}], ids=str
)
def test_option_that_commands_do_not_share_is_refused(option: SettingsConfigDict) -> None:
    with pytest.raises(ConfigurationError, match="would not read the same settings"):

        class OwnSettings(Settings):
            model_config = option


@pytest.mark.parametrize(
    ("fields", "warned"),
    [
        ({"fastapi_env": "development", "host": "0.0.0.0"}, True),
        ({"fastapi_env": "development", "host": "service.internal"}, True),
        ({"fastapi_env": "development", "host": "0.0.0.0", "docs_public": False}, False),
        ({"fastapi_env": "development", "host": "localhost"}, False),
        ({"fastapi_env": "development", "host": "::1"}, False),
        ({"fastapi_env": "production", "host": "0.0.0.0"}, False),
    ],
    ids=str,
)
def test_open_docs_are_warned_about(fields: dict[str, Any], warned: bool) -> None:
    warnings = find_warnings(make_settings(**fields))
    assert [warning for warning in warnings if "/docs" in warning] == warnings
    assert bool(warnings) == warned


{% if cookiecutter.__settings %}
def test_too_long_lifetimes_are_warned_about() -> None:
    entries = [{**ENTRY, "id": "endless"}]
    for key_id, digit, expires in (("long", "b", "2099-01-31"), ("old", "c", "2020-01-31")):
        entries.append({**ENTRY, "id": key_id, "sha256": digit * 64, "expires": expires})
    assert find_warnings(make_settings(api_keys=entries)) == []
    [warning] = find_warnings(make_settings(api_keys=entries, max_key_lifetime="90d"))
    assert warning == "Keys that live for longer than MAX_KEY_LIFETIME: endless, long"


{% endif %}
@pytest.mark.parametrize("lifetime", ["0", "90", "-1d", "long"])
def test_max_lifetime_is_a_duration(lifetime: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        make_settings(max_key_lifetime=lifetime)


@pytest.mark.anyio
async def test_routes_use_the_settings_of_the_app() -> None:
    app = FastAPI()
    app.state.settings = make_settings(port=8123)

    @app.get("/port")
    async def port(settings: SettingsDep) -> int:
        return settings.port

    response = await call_asgi(app, "/port")
    assert response.messages[1]["body"] == b"8123"


def wrong_defaults(folder: Path, written: dict[str, str]) -> dict[str, Any]:
    """Return the settings whose default is not what these lines of an `.env` stand for."""
    lines = [f"{name}={value}" for name, value in written.items()]
    (folder / "defaults.env").write_text("\n".join(lines), encoding="utf-8")
    source: dict[str, Any] = {"_env_file": folder / "defaults.env"}
    defaults, read = ALL(), ALL(**source)
    empty = {find_setting(ALL, name) for name, value in written.items() if not value}
    return {
        name: default
        for name, default in defaults
        if (default if name in empty else default != getattr(read, name))
    }


def unlisted(fields: Iterable[str | None]) -> set[str]:
    """Return the variables of the settings that are not among these fields."""
    return {field.upper() for field in FIELDS.keys() - set(fields)}


def read_file(name: str) -> str:
    """Return the text of a file of the project, where it exists."""
    if not (ROOT / name).exists():
        pytest.skip(f"there is no {name}")
    return (ROOT / name).read_text(encoding="utf-8")


def test_env_example_has_every_setting(folder: Path) -> None:
    found = dict(re.findall("^#? ?([A-Z][A-Z0-9_]*)=(.*)$", read_file(".env.example"), re.M))
    fields = {name: find_setting(ALL, name) for name in found}
    assert unlisted(fields.values()) == set(), "missing in .env.example"
    assert [name for name, field in fields.items() if not field] == [], "not a setting"
    assert wrong_defaults(folder, found) == {}, "another default in .env.example"


def test_env_example_repeats_docstrings() -> None:
    for block in filter(str.strip, read_file(".env.example").split("\n\n")):
        lines = block.strip().splitlines()
        name = lines[-1].removeprefix("# ").partition("=")[0].lower()
        if name in FIELDS and len(lines) > 1:
            comment = " ".join(line.removeprefix("# ") for line in lines[:-1])
            assert comment == " ".join((FIELDS[name].description or "").split())


def test_every_setting_has_a_docstring() -> None:
    fields = FIELDS.items()
    assert [name for name, field in fields if not field.description] == []


def find_tables() -> list[dict[str, str]]:
    """Return the second cell of each row that is about a variable, for each table about settings."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    tables = []
    for page in filter(Path.exists, pages):
        for table in re.findall(r"(?:^\|.*\n)+", page.read_text(encoding="utf-8"), re.M):
            row = r"^\| *`([A-Z][A-Z0-9_]*)` *\| *([^|]*?) *\|"
            tables.append(dict(re.findall(row, table, re.M)))
    return [rows for rows in tables if any(find_setting(ALL, name) for name in rows)]


def test_readme_has_every_setting(folder: Path) -> None:
    rows = {name: cell for table in find_tables() for name, cell in table.items()}
    if not rows:
        pytest.skip("there is no table of settings")
    fields = {name: find_setting(ALL, name) for name in rows}
    sources = {"ENV_FILE", "SECRETS_DIR", "CONFIG_FILE"}
    assert unlisted(fields.values()) == set(), "missing in the table of README.md"
    assert [name for name in rows.keys() - sources if not fields[name]] == [], "not a setting"
    # A default that is not code is explained in words.
    written = {name: cell.split("`")[1] for name, cell in rows.items() if cell.startswith("`")}
    assert wrong_defaults(folder, written) == {}, "another default in the table of README.md"


def test_tests_see_no_settings_of_this_machine() -> None:
    assert {name for name in os.environ if find_setting(ALL, name)} <= REQUIRED.keys()


def test_readme_has_every_event() -> None:
    readme, package = read_file("README.md"), Path(keys.__file__).parents[1]
    files = [package / "protocols.py", package / "server.py", *(package / "auth").glob("*.py")]
    code = "".join(file.read_text(encoding="utf-8") for file in files)
    events = set(re.findall(r'log_state\(\s*\w+,\s*[\w.]+,\s*"(\w+)"', code))
    assert events
    missing = {event for event in events if f"`{event}`" not in readme}
    if missing == events:
        pytest.skip("README.md is not about events")
    assert missing == set()
