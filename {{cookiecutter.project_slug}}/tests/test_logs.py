"""What is written about a request names its consumer, and never its key."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

import pytest
from fastapi import FastAPI
from starlette.types import Scope

from {{ cookiecutter.__package }} import keys
from {{ cookiecutter.__package }}.auth import Consumer
from {{ cookiecutter.__package }}.logs import (
    configure_logging,
    current_scope,
    keep_keys_out_of_url,
)

from .conftest import WithKey
{% if cookiecutter.__query %}
from .helpers import QUERY_NAME, UNKNOWN_KEY, WEB_KEY, ask, make_settings, to_asgi
{% else %}
from .helpers import UNKNOWN_KEY, WEB_KEY, ask, make_settings, to_asgi
{% endif %}


def clean(path: str, query: str) -> tuple[str, str]:
    """Return path and query of a URL without the keys in them."""
    scope: Scope = {"path": path, "query_string": query.encode("latin-1")}
    keep_keys_out_of_url(scope)
    return str(scope["path"]), scope["query_string"].decode("ascii")


class Log(NamedTuple):
    """A logger, and what a handler of it wrote."""

    logger: logging.Logger
    text: io.StringIO


@pytest.fixture(params=["root", "uvicorn", "uvicorn.error", "uvicorn.access"])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    """Return each logger that the server or the owner may have given a handler."""
    logger, text = logging.getLogger(request.param), io.StringIO()
    handler, level = logging.StreamHandler(text), logger.level
    logger.addHandler(handler)
    configure_logging(make_settings(fastapi_env="development"))
    yield Log(logger, text)
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_log_line_names_the_consumer_and_the_location(log: Log) -> None:
    token = current_scope.set({"consumer": Consumer("web", frozenset(), "header")})
    log.logger.info("GET /whoami")
    current_scope.reset(token)
    assert log.text.getvalue().endswith("GET /whoami consumer='web' location=header\n")


def test_in_production_a_log_line_is_json(log: Log) -> None:
    configure_logging(make_settings())
    scope: Scope = {
        "consumer": Consumer('web "2"', frozenset(), "header"),
        "request_id": "8f3a",
    }
    token = current_scope.set(scope)
    log.logger.info("two\nlines of %s", "text")
    current_scope.reset(token)
    line = json.loads(log.text.getvalue())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": log.logger.name,
        "message": "two\nlines of text",
        "consumer": 'web "2"',
        "location": "header",
        "request_id": "8f3a",
    }
    assert log.text.getvalue().count("\n") == 1


def test_in_production_the_access_log_has_fields() -> None:
    logger, text = logging.getLogger("uvicorn.access"), io.StringIO()
    handler = logging.StreamHandler(text)
    logger.addHandler(handler)
    configure_logging(make_settings())
    path = PurePosixPath(f"/{WEB_KEY}")  # whatever comes along is written
    logger.info('%s - "%s %s HTTP/%s" %d', "192.0.2.7:49152", "GET", path, "1.1", 404)
    logger.removeHandler(handler)
    line = json.loads(text.getvalue())
    assert line["status"] == 404
    assert line["method"] == "GET"
    assert line["path"] == f"/{keys.PREFIX}_..."
    assert line["message"].endswith(f'"GET /{keys.PREFIX}_... HTTP/1.1" 404')


def test_a_log_line_without_a_consumer_stands_for_itself(log: Log) -> None:
    log.logger.info("GET /whoami")
    assert log.text.getvalue().endswith(f" INFO {log.logger.name}: GET /whoami\n")
{% if cookiecutter.__database %}


@pytest.mark.anyio
async def test_what_is_looked_up_is_not_written_however_much_else_is(
    log: Log, app: FastAPI, with_key: WithKey
) -> None:
    configure_logging(make_settings(log_level="debug"))
    for key in (WEB_KEY, UNKNOWN_KEY):
        await ask(app, "/whoami", **to_asgi(with_key(key)))
        assert keys.digest(key) not in log.text.getvalue()
{% endif %}


@pytest.mark.parametrize(("level", "written"), [("info", True), ("warning", False)])
def test_only_what_is_important_enough_is_written(log: Log, level: str, written: bool) -> None:
    configure_logging(make_settings(log_level=level))
    log.logger.info("GET /whoami")
    assert bool(log.text.getvalue()) == written


def test_in_production_a_traceback_is_in_the_line(log: Log) -> None:
    configure_logging(make_settings())
    try:
        raise ValueError("of a kind")
    except ValueError:
        log.logger.exception("failed")
    assert json.loads(log.text.getvalue())["exception"].endswith("ValueError: of a kind")


@pytest.mark.parametrize("environment", ["development", "production"])
def test_no_key_reaches_a_log_in_a_message_an_argument_or_a_traceback(
    log: Log, environment: str
) -> None:
    configure_logging(make_settings(fastapi_env=environment))
    try:
        raise ValueError(WEB_KEY)
    except ValueError:
        log.logger.exception("%s " + UNKNOWN_KEY, WEB_KEY)
    written = log.text.getvalue()
    assert "Traceback" in written
    assert written.count(f"{keys.PREFIX}_...") == 3
    assert WEB_KEY not in written
    assert UNKNOWN_KEY not in written


@pytest.mark.anyio
async def test_the_sender_of_a_request_is_known_to_its_log_lines(
    app: FastAPI, with_key: WithKey
) -> None:
    await ask(app, "/whoami", **to_asgi(with_key(WEB_KEY)))
    consumer = current_scope.get()["consumer"]
    assert consumer.name == "web"
    assert with_key.__name__ == f"in_{consumer.location}"


def test_a_log_line_names_the_request(log: Log) -> None:
    token = current_scope.set({"request_id": "8f3a"})
    log.logger.info("GET /whoami")
    current_scope.reset(token)
    assert log.text.getvalue().endswith("GET /whoami request_id=8f3a\n")


def test_a_key_in_the_path_is_cut_to_its_prefix() -> None:
    scope: Scope = {"path": f"/é/{WEB_KEY}/x", "query_string": b""}
    keep_keys_out_of_url(scope)
    assert scope["path"] == f"/é/{keys.PREFIX}_.../x"
    assert scope["raw_path"] == f"/%C3%A9/{keys.PREFIX}_.../x".encode()


def test_a_path_without_a_key_stays_as_it_was_sent() -> None:
    raw = b"/{{ cookiecutter.__package }}/a%2Fb"
    scope: Scope = {
        "path": "/{{ cookiecutter.__package }}/a/b",
        "raw_path": raw,
        "query_string": b"",
    }
    keep_keys_out_of_url(scope)
    assert scope["raw_path"] == raw


def test_telemetry_exports_no_exception_as_it_was_raised(app: FastAPI) -> None:
    assert app._telemetry["logs"] is False


def test_other_paths_and_queries_stay_as_they_are() -> None:
    query = "q=a%20b&q=c+d&empty=&flag&x=%2F&{{ cookiecutter.__package }}_page=1"
    assert clean("/{{ cookiecutter.__package }}/é", query) == (
        "/{{ cookiecutter.__package }}/é",
        query,
    )


@pytest.mark.parametrize("name", ["token", "t%6fken", ""])
def test_a_key_where_it_does_not_belong_is_cut_to_its_prefix(name: str) -> None:
    encoded = f"%{ord(WEB_KEY[0]):02X}{WEB_KEY[1:]}"
    for key in (WEB_KEY, encoded):
        _, query = clean("/", f"a=1&{name}={key}&b=2")
        assert query.startswith("a=1&")
        assert query.endswith(f"={keys.PREFIX}_...&b=2")


def test_raw_bytes_in_a_query_are_encoded_for_the_access_log() -> None:
    assert clean("/", "q=é") == ("/", "q=%E9")
{% if cookiecutter.__query %}


@pytest.mark.parametrize(
    ("query", "rest", "sent"),
    [
        (f"{QUERY_NAME}=secret", "", ["secret"]),
        (f"a=1&{QUERY_NAME}=s&b=2&{QUERY_NAME}=t", "a=1&b=2", ["s", "t"]),
        (f"%{ord(QUERY_NAME[0]):x}{QUERY_NAME[1:]}=s%65cret", "", ["secret"]),
        (f"{QUERY_NAME}=", "", [""]),
        (QUERY_NAME, "", [""]),
        (f"{QUERY_NAME.upper()}X=1", f"{QUERY_NAME.upper()}X=1", []),
    ],
)
def test_the_key_is_taken_out_of_the_query(query: str, rest: str, sent: list[str]) -> None:
    scope = {"path": "/", "query_string": query.encode()}
    keep_keys_out_of_url(scope)
    assert scope["query_string"] == rest.encode()
    assert scope["query_keys"] == sent


@pytest.mark.anyio
async def test_a_redirect_does_not_repeat_the_key(app: FastAPI) -> None:
    answer = await ask(app, "/whoami/", query=f"a=1&{QUERY_NAME}={WEB_KEY}")
    assert answer.status == 307
    assert answer.headers["location"] == "http://service.test/whoami?a=1"


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/whoami", "/health/live", "/nowhere"])
async def test_browsers_tell_no_other_site_the_url(app: FastAPI, path: str) -> None:
    for query in ("", f"{QUERY_NAME}={WEB_KEY}"):
        answer = await ask(app, path, query=query)
        assert answer.headers["referrer-policy"] == "no-referrer"
{% endif %}
