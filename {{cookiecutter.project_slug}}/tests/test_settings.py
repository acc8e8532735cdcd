"""The service starts with valid settings only, and tells what is wrong without telling a secret."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.__package }} import keys
from {{ cookiecutter.__package }}.settings import (
    KeyEntry,
    Settings,
    load_settings,
)

from .helpers import make_settings

KEY = keys.mint()
DIGEST = keys.digest(KEY)
ENTRY = {"consumer": "web", "sha256": DIGEST}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder without `.env`, with no setting in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path


def refusal(entries: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what the service says when it does not start with these API_KEYS."""
    monkeypatch.setenv("API_KEYS", entries if isinstance(entries, str) else json.dumps(entries))
    with pytest.raises(SystemExit) as stopped:
        load_settings()
    message = str(stopped.value)
    assert stopped.value.__context__ is None
    assert DIGEST not in message
    assert KEY not in message
    return message


def test_an_entry_holds_a_digest_and_perhaps_scopes_and_an_expiry() -> None:
    fields = ENTRY | {"scopes": ["admin"], "expires": "2027-01-31"}
    entry = KeyEntry.model_validate(fields)
    assert entry.scopes == {"admin"}
    assert entry.expires == date(2027, 1, 31)
    assert KeyEntry.model_validate(ENTRY).expires is None


def test_production_is_the_default() -> None:
    settings = make_settings()
    assert not settings.development
    assert not settings.docs_enabled
    {% if cookiecutter.__cookie %}
    assert settings.cookie_secure
    {% endif %}
    assert settings.cors_origins == ()
    assert settings.max_body_size == 1024 * 1024
    assert settings.host == "127.0.0.1"
    assert settings.workers == 1
    {% if cookiecutter.__database %}
    assert settings.key_cache_seconds == 30
    assert settings.key_grace_seconds == 3600
    {% endif %}


def test_development_turns_on_what_production_leaves_out() -> None:
    settings = make_settings(fastapi_env="development")
    assert settings.development
    assert settings.docs_enabled
    {% if cookiecutter.__cookie %}
    assert not settings.cookie_secure
    {% endif %}


def test_the_first_source_that_knows_a_setting_wins(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = empty_folder / "secrets"
    secrets.mkdir()
    config = empty_folder / "service.toml"
    monkeypatch.setitem(Settings.model_config, "secrets_dir", secrets)
    monkeypatch.setitem(Settings.model_config, "toml_file", config)

    config.write_text(
        f'log_level = "error"\n[[api_keys]]\nconsumer = "toml"\nsha256 = "{DIGEST}"\n'
        "expires = 2027-01-31\n"
    )
    assert load_settings().api_keys[0].expires == date(2027, 1, 31)
    (secrets / "api_keys").write_text(json.dumps([ENTRY | {"consumer": "secret"}]))
    assert load_settings().api_keys[0].consumer == "secret"
    (empty_folder / ".env").write_text(f"API_KEYS='{json.dumps([ENTRY | {'consumer': '.env'}])}'")
    assert load_settings().api_keys[0].consumer == ".env"
    monkeypatch.setenv("API_KEYS", json.dumps([ENTRY | {"consumer": "environment"}]))
    assert load_settings().api_keys[0].consumer == "environment"
    assert load_settings().log_level == "error"


{% if not cookiecutter.__database %}
@pytest.mark.parametrize("entries", ["", "[]"])
def test_without_a_key_the_service_does_not_start_and_says_how_to_make_one(
    entries: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = refusal(entries, monkeypatch)
    assert f"python -m {keys.__name__} new NAME" in message


{% endif %}
@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"sha256": DIGEST[:-1]}, "64 hexadecimal digits"),
        ({"sha256": KEY}, "64 hexadecimal digits"),
        ({"sha256": None}, "valid string"),
        ({"scopes": ["two words"]}, "a scope is"),
        ({"scopes": "admin"}, "frozenset"),
        ({"expires": "31.01.2027"}, "YYYY-MM-DD"),
        ({"expires": "2027-02-30"}, "YYYY-MM-DD"),
        ({"expires": 1800000000}, "YYYY-MM-DD"),
        {% if cookiecutter.__limited %}
        ({"rate_limit": "often"}, "such as 600/minute"),
        ({"rate_limit": 600}, "valid string"),
        {% endif %}
        ({"key": KEY}, "Extra inputs are not permitted"),
        ({KEY: DIGEST}, "Extra inputs are not permitted"),
    ],
)
def test_an_invalid_entry_is_named_by_its_consumer(
    fields: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [{"consumer": "fine", "sha256": "0" * 64}, ENTRY | fields]
    message = refusal(entries, monkeypatch)
    assert "API_KEYS, 1: consumer 'web'" in message
    assert problem in message
    assert "\n" not in message


@pytest.mark.parametrize("consumer", ["", " web", "line\nbreak", KEY, DIGEST, 7, None])
def test_a_consumer_without_a_proper_name_is_named_by_its_place(
    consumer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "API_KEYS, 0" in refusal([ENTRY | {"consumer": consumer}], monkeypatch)


def test_all_problems_are_told_and_digests_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "loud")
    message = refusal([ENTRY | {"sha256": "short", DIGEST: 1}], monkeypatch)
    assert message == (
        "The settings are not valid. API_KEYS, 0: consumer 'web': sha256: a digest is 64 hexadecimal"
        f" digits, as printed by: python -m {keys.__name__} new NAME;"
        " ...: Extra inputs are not permitted;"
        " LOG_LEVEL: Input should be 'debug', 'info', 'warning', 'error' or 'critical'"
    )


def test_two_consumers_cannot_share_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refusal([ENTRY, {"consumer": "ci", "sha256": DIGEST.upper()}], monkeypatch)
    assert "consumers 'web' and 'ci' have the same key" in message


@pytest.mark.parametrize("entries", ["not json", "{", "7", '{"consumer": "web"}', '["web"]'])
def test_anything_but_a_list_of_entries_is_refused(
    entries: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "api_keys" in refusal(entries, monkeypatch).lower()


def test_a_broken_file_is_told_without_its_content(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = empty_folder / "service.toml"
    config.write_text(f"api_keys = {DIGEST}")
    monkeypatch.setitem(Settings.model_config, "toml_file", config)
    message = refusal([ENTRY], monkeypatch)
    assert "a config file in TOML" in message


{% if cookiecutter.__limited %}
def test_a_limit_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_LIMIT", "often")
    monkeypatch.setenv("FAILED_ATTEMPTS_LIMIT", "0/minute")
    message = refusal([ENTRY], monkeypatch)
    rule = (
        "a limit is a number of requests up to 1000000 and a time up to 31 days,"
        " such as 600/minute or 5000/2 hours"
    )
    assert message == (
        f"The settings are not valid. RATE_LIMIT: {rule}; FAILED_ATTEMPTS_LIMIT: {rule}"
    )


{% endif %}
def test_no_representation_of_the_settings_shows_a_digest() -> None:
    settings = make_settings(api_keys=(KeyEntry.model_validate(ENTRY),))
    assert DIGEST not in f"{settings} {settings!r} {settings.api_keys} {settings.api_keys!r}"
