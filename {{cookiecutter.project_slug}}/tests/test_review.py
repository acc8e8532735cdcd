"""`keys review` and the start of the service find keys that need attention."""

import json
import logging
{% if cookiecutter.__database %}
import os
{% endif %}
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from {{ cookiecutter.__package }} import cli
from {{ cookiecutter.__package }}.auth import keys, review
from {{ cookiecutter.__package }}.auth.settings import (
    KeyEntry,
)

{% if cookiecutter.__database %}
from .helpers import LIVE, READY, base_url, make_app, make_database
from .stores import Table
{% else %}
from .helpers import LIVE, READY, base_url, make_app
{% endif %}

Run = Callable[..., tuple[Any, str, str]]


def entry(key_id: str, days: int | None = None, **fields: Any) -> KeyEntry:
    """Return the entry of a key with this id, which ends in so many days."""
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    digest = keys.hash_key(key_id)
    return KeyEntry(id=key_id, consumer="web", sha256=digest, expires=expires, **fields)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Review these keys, and return the exit status and what is printed."""
    monkeypatch.setattr(cli, "find_scopes", lambda: {"admin"})
    monkeypatch.setenv("COLUMNS", "80")

    def run(*options: str, entries: tuple[KeyEntry, ...] = ()) -> tuple[Any, str, str]:
        if entries:
{% if cookiecutter.__database %}
            monkeypatch.setenv("DATABASE_URL", make_database(entries))
{% else %}
            monkeypatch.setenv("API_KEYS", json.dumps([entry.to_json() for entry in entries]))
{% endif %}
        with pytest.raises(SystemExit) as stopped:
            cli.main(["keys", "review", *options])
        printed = capsys.readouterr()
        return stopped.value.code, printed.out, printed.err

    return run


def find(run: Run, *entries: KeyEntry) -> dict[str, dict[str, str]]:
    """Return the findings about each key."""
    status, printed, _ = run("--json", entries=entries)
    found = {row["id"]: row["findings"] for row in json.loads(printed)}
    assert status == (3 if found else 0)
    return found


def test_ends_and_scopes_are_reviewed(run: Run) -> None:
    found = find(
        run,
        entry("off", -1, enabled=False),
        entry("fine", 100, scopes={"admin"}),
        entry("endless"),
        entry("soon", 13),
        entry("over", -1),
        entry("wide", 100, scopes={"admin", "adimn", "old"}),
    )
{% if cookiecutter.__database %}
    unused = {"never_used": "never used"}
    assert found == {
        "fine": unused,
        "endless": unused | {"no_end": "never expires"},
        "soon": unused | {"ends_soon": "expires within 14 days"},
        "over": {"expired": "has expired"},
        "wide": unused | {"unasked_scopes": "no endpoint requires adimn old"},
    }
{% else %}
    assert found == {
        "endless": {"no_end": "never expires"},
        "soon": {"ends_soon": "expires within 14 days"},
        "over": {"expired": "has expired"},
        "wide": {"unasked_scopes": "no endpoint requires adimn old"},
    }
{% endif %}


def test_table_says_what_was_found(run: Run) -> None:
    wide = entry("wide", 13, scopes={"adimn"}, name="laptop")
    status, printed, _ = run(entries=(wide, entry("over", -1)))
    words = " ".join(printed.split())
    assert status == 3
    assert max(map(len, printed.splitlines())) <= 80
    assert "has expired" in words
    assert "expires within 14 days" in words
    assert wide.sha256 not in printed


def test_broken_application_skips_scope_review(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> frozenset[str]:
        raise AttributeError("mail_server")

    monkeypatch.setattr(cli, "find_scopes", fail)
    status, printed, message = run("--json", entries=(entry("wide", -1, scopes={"adimn"}),))
    assert [list(row["findings"]) for row in json.loads(printed)] == [["expired"]]
    assert status == 3
    assert message.startswith("Scopes are not checked: the application has an error: Attribute")
{% if cookiecutter.__database %}


def test_use_is_reviewed(run: Run) -> None:
    now = datetime.now(UTC)
    assert find(run, entry("idle", 100), entry("used", 100), entry("old", 100)) == {
        name: {"never_used": "never used"} for name in ("idle", "used", "old")
    }
    table = Table(os.environ["DATABASE_URL"])
    table.change("idle", last_used=now - review.IDLE)
    table.change("used", last_used=now)
    table.change("old", last_used=now, successor_id="used")
    table.change("used", created=now - timedelta(days=1))
    assert find(run) == {
        "idle": {"idle": "idle for 90 days"},
        "old": {"used_after_successor": "used after its successor was created"},
    }
    table.change("old", last_used=now - timedelta(days=2))
    table.change("idle", revoked=now)
    assert find(run) == {}
    assert run() == (0, "No key needs attention.\n", "")
{% else %}


def test_review_without_findings_succeeds(run: Run) -> None:
    assert run(entries=(entry("fine", 100),)) == (0, "No key needs attention.\n", "")
{% endif %}


async def start(app: FastAPI) -> None:
    """Run the lifespan of the service."""
    async with app.router.lifespan_context(app):
        pass


@pytest.mark.anyio
async def test_start_names_keys_that_end(caplog: pytest.LogCaptureFixture) -> None:
    ends = [entry("fine", 100), entry("endless"), entry("soon", 13), entry("over", -1)]
    await start(make_app(api_keys=[*ends, entry("off", -1, enabled=False)]))
    named = "Expired keys: over of web. Keys that expire within 14 days: soon of web"
    levels = [record.levelno for record in caplog.records if record.getMessage() == named]
    assert levels == [logging.WARNING]


@pytest.mark.anyio
async def test_start_is_silent_about_other_keys(caplog: pytest.LogCaptureFixture) -> None:
    await start(make_app(api_keys=[entry("fine", 100), entry("endless")]))
    assert not any("of web" in record.getMessage() for record in caplog.records)


def test_a_warning_names_ten_keys() -> None:
    end = datetime(2020, 1, 31, tzinfo=UTC)
    [warning] = review.describe_ends((f"id{number}", "web", end) for number in range(11))
    assert warning.count(" of web") == review.MAX_NAMED
    assert warning.endswith(" and others")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ([entry("over", -1), entry("fine", 100)], 200),
        ([entry("over", -1), entry("off", enabled=False)], 503),
{% if cookiecutter.__database %}
        ([], 200),  # commands create the first key while the service runs
    ],
    ids=["one", "none", "new"],
{% else %}
    ],
    ids=["one", "none"],
{% endif %}
)
async def test_service_without_valid_keys_is_not_ready(
    entries: list[KeyEntry], status: int
) -> None:
    app = make_app(api_keys=entries)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url=base_url(app)) as client:
        response = await client.get(READY)
        assert response.status_code == status
        if status == 503:
            assert "No API key is valid" in response.text
        assert (await client.get(LIVE)).status_code == 200
