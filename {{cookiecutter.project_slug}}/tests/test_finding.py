"""`keys find` names the consumer of a key from stdin, and `keys list` filters."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from {{ cookiecutter.__package }} import cli
from {{ cookiecutter.__package }}.auth import finding, keys

{% if cookiecutter.__database %}
from .helpers import EXPIRED_KEY, UNKNOWN_KEY, WEB_KEY, make_database, make_entry
{% else %}
from .helpers import EXPIRED_KEY, UNKNOWN_KEY, WEB_KEY, make_entry
{% endif %}

DISABLED_KEY = keys.generate_key()
ENTRIES = (
    make_entry(WEB_KEY, name="laptop"),
    make_entry(EXPIRED_KEY, consumer="old", expires="2020-01-31"),
    make_entry(DISABLED_KEY, consumer="paused", enabled=False),
)

Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a `keys` command with a text on stdin, and return what it prints."""
{% if cookiecutter.__database %}
    monkeypatch.setenv("DATABASE_URL", make_database(ENTRIES))
{% else %}
    monkeypatch.setenv("API_KEYS", json.dumps([entry.to_json() for entry in ENTRIES]))
{% endif %}

    def run(*arguments: str, text: str = "", status: int = 0) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        with pytest.raises(SystemExit) as stopped:
            cli.main(["keys", *arguments])
        printed = capsys.readouterr()
        assert stopped.value.code == status, printed.err
        return printed.err if status else printed.out

    return run


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (WEB_KEY, "Key ID 'laptop' of web: valid"),
        (EXPIRED_KEY, "Key ID of old: expired since 2020-01-31"),
        (DISABLED_KEY, "Key ID of paused: disabled"),
        (
            UNKNOWN_KEY,
            f"unknown: it is well formed, ends in {keys.key_hint(UNKNOWN_KEY)}, and is not stored",
        ),
        (WEB_KEY[:-8] + f"{int(WEB_KEY[-8:], 16) ^ 1:08x}", "mistyped: its checksum is wrong"),
        ("wrong", "not a key of this service"),
    ],
    ids=["valid", "expired", "disabled", "unknown", "mistyped", "foreign"],
)
def test_find_names_the_consumer(run: Run, key: str, found: str) -> None:
    printed = run("find", text=f"  {key}\n")
    assert printed.replace(keys.key_id(keys.hash_key(key)), "ID") == f"{found}\n"
    state: str = json.loads(run("find", "--json", text=key))["state"]
    assert state in found
{% if cookiecutter.__database %}


def test_find_says_when_a_key_was_revoked(run: Run) -> None:
    key_id = keys.key_id(keys.hash_key(WEB_KEY))
    run("revoke", key_id)
    assert f"Key {key_id} 'laptop' of web: revoked since 20" in run("find", text=WEB_KEY)
{% endif %}


@pytest.mark.parametrize("text", ["", "two words", "two\nlines"], ids=["none", "words", "lines"])
def test_find_takes_one_key(run: Run, text: str) -> None:
    assert "write one key to stdin" in run("find", text=text, status=2)


def test_find_reads_bytes_of_any_kind(run: Run) -> None:
    with_byte_order_mark = f"\ufeff{WEB_KEY}\n"
    assert "'laptop' of web: valid" in run("find", text=with_byte_order_mark)
    # Python reads a byte that is not text as a lone surrogate.
    assert run("find", text="\udcff\n") == "not a key of this service\n"


def test_find_needs_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ValueError, match="write one key to stdin"):
        finding.read_key()


def test_find_takes_no_key_as_argument(run: Run) -> None:
    message = run("find", WEB_KEY, status=2)
    assert WEB_KEY not in message


@pytest.mark.parametrize(
    ("options", "consumers"),
    [
        (["--consumer", "old"], {"old"}),
        (["--state", "disabled"], {"paused"}),
        (["--state", "valid", "--consumer", "old"], set()),
        ([], {"web", "old", "paused"}),
    ],
    ids=["consumer", "state", "both", "all"],
)
def test_list_selects(run: Run, options: list[str], consumers: set[str]) -> None:
    rows: list[Any] = json.loads(run("list", "--json", *options))
    assert {row["consumer"] for row in rows} == consumers


def test_list_names_the_states(run: Run) -> None:
    refused = run("list", "--state", "broken", status=2)
    assert "'broken' is not" in refused
    assert "valid" in refused
    assert "disabled" in refused
