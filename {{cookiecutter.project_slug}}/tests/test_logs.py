"""Logs: one line for each record, with what is known about its request."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import httpx2
import pytest
from fastapi import FastAPI

from {{ cookiecutter.__package }}.auth import (
    Consumer,
    CurrentConsumer,
    keys,
)
from {{ cookiecutter.__package }}.auth.actor import (
    current_context,
)
from {{ cookiecutter.__package }}.auth.context import (
    RequestContext,
)
from {{ cookiecutter.__package }}.auth.locations import (
    Location,
)
from {{ cookiecutter.__package }}.auth.records import KeyRecord
from {{ cookiecutter.__package }}.auth.refusals import (
    Reason,
    unauthenticated,
)
from {{ cookiecutter.__package }}.logs import configure_logging

from .helpers import EXPIRED_KEY, UNKNOWN_KEY, WEB_KEY, make_settings, with_key


class Log(NamedTuple):
    """A logger, and what a handler of it wrote."""

    logger: logging.Logger
    text: io.StringIO


def configure(**fields: Any) -> None:
    """Configure logging as production does, with the access log, which the owner may not want."""
    configure_logging(make_settings(**{"log_level": "info", **fields}))
    access = logging.getLogger("uvicorn.access")
    access.disabled = False
    access.setLevel(logging.getLogger("uvicorn").level)


@pytest.fixture(params=["root", "uvicorn", "uvicorn.error", "uvicorn.access"])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    """Return each logger that the server or the owner may have given a handler."""
    logger, text = logging.getLogger(request.param), io.StringIO()
    handler, level = logging.StreamHandler(text), logger.level
    handler.addFilter(lambda record: record.name == logger.name)
    logger.addHandler(handler)
    configure(fastapi_env="development")
    yield Log(logger, text)
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def context() -> Iterator[RequestContext]:
    """Return the context of a request that is being handled."""
    context = RequestContext("8f3a")
    token = current_context.set(context)
    yield context
    current_context.reset(token)


def know_consumer(context: RequestContext, name: str = "web") -> None:
    """Note the consumer of a request, as the authenticator does."""
    context.key = KeyRecord("k1", name)
    context.consumer = Consumer(name, frozenset(), "k1", "header")


def test_line_without_a_request_stands_for_itself(log: Log) -> None:
    log.logger.info("started")
    [line] = log.text.getvalue().splitlines()
    assert f" INFO {log.logger.name}: started" in line
    assert "request_id=" not in line


def test_line_names_request_and_consumer(log: Log, context: RequestContext) -> None:
    know_consumer(context)
    log.logger.info("GET /")
    [line] = log.text.getvalue().splitlines()
    assert f" INFO {log.logger.name}: GET / " in line
    assert " request_id=8f3a consumer=web key_id=k1 location=header" in line


def test_line_names_the_reason_of_a_refusal(log: Log, context: RequestContext) -> None:
    context.refusal = unauthenticated(Reason.UNKNOWN, hint="abcd")
    log.logger.info("GET /")
    assert " request_id=8f3a reason=unknown hint=abcd" in log.text.getvalue()


def test_line_is_json_in_production(log: Log, context: RequestContext) -> None:
    configure()
    know_consumer(context, 'web "2"')
    log.logger.info("two\nlines of %s", "text")
    assert log.text.getvalue().count("\n") == 1
    line = json.loads(log.text.getvalue())
    assert line.pop("time").endswith("+00:00")
    expected = {
        "level": "INFO",
        "logger": log.logger.name,
        "message": "two\nlines of text",
        "request_id": "8f3a",
        "consumer": 'web "2"',
        "key_id": "k1",
        "location": "header",
    }
    assert line.items() >= expected.items()


@pytest.mark.parametrize("environment", ["development", "production"])
def test_extra_is_in_the_line(log: Log, environment: str) -> None:
    configure(fastapi_env=environment)
    log.logger.warning("too late", extra={"order_id": 7, "token": WEB_KEY})
    line = log.text.getvalue()
    assert WEB_KEY not in line
    assert f" order_id=7 token={keys.PREFIX}_..." in line or json.loads(line)["order_id"] == 7


def test_extra_replaces_nothing(log: Log, context: RequestContext) -> None:
    know_consumer(context)
    forged = {"consumer": "admin", "request_id": "x", "level": "x", "time": "x", "logger": "x"}
    log.logger.warning("done", extra=forged)
    text = log.text.getvalue()
    assert "consumer=web" in text
    assert "request_id=8f3a" in text
    assert "consumer=admin" not in text
    configure()
    log.logger.warning("done", extra=forged)
    line = json.loads(log.text.getvalue().removeprefix(text))
    assert "x" not in line.values()
    assert (line["consumer"], line["level"]) == ("web", "WARNING")


def test_access_log_has_fields_in_production() -> None:
    logger, text = logging.getLogger("uvicorn.access"), io.StringIO()
    handler = logging.StreamHandler(text)
    logger.addHandler(handler)
    configure()
    path = PurePosixPath(f"/{WEB_KEY}")  # an argument may be any object
    logger.info('%s - "%s %s HTTP/%s" %d', "192.0.2.7:49152", "GET", path, "1.1", 404)
    logger.removeHandler(handler)
    line = json.loads(text.getvalue())
    assert (line["client"], line["method"], line["status"]) == ("192.0.2.7:49152", "GET", 404)
    assert line["path"] == f"/{keys.PREFIX}_..."
    assert line["message"].endswith(f'"GET /{keys.PREFIX}_... HTTP/1.1" 404')


def test_owner_may_change_the_access_log_as_usual(context: RequestContext) -> None:
    logger, text, own = logging.getLogger("uvicorn.access"), io.StringIO(), io.StringIO()
    handlers = [logging.StreamHandler(text), logging.StreamHandler(own)]

    def add_region(record: logging.LogRecord) -> bool:
        record.region = "eu"
        return record.args != ("192.0.2.7:1", "GET", "/health/live", "1.1", 200)

    logger.addHandler(handlers[0])
    logger.addFilter(add_region)
    configure()
    handlers[1].setFormatter(logging.Formatter("%(levelname)s %(message)s %(region)s"))
    logger.addHandler(handlers[1])
    for path in ("/health/live", "/users/me"):
        logger.info('%s - "%s %s HTTP/%s" %d', "192.0.2.7:1", "GET", path, "1.1", 200)
    logger.removeFilter(add_region)
    for handler in handlers:
        logger.removeHandler(handler)
    assert own.getvalue() == 'INFO 192.0.2.7:1 - "GET /users/me HTTP/1.1" 200 eu\n'
    [line] = map(json.loads, text.getvalue().splitlines())
    assert (line["region"], line["request_id"], line["path"]) == ("eu", "8f3a", "/users/me")


@pytest.mark.parametrize(("level", "written"), [("info", True), ("warning", False)])
def test_level_is_that_of_the_settings(log: Log, level: str, written: bool) -> None:
    configure(log_level=level)
    log.logger.info("GET /")
    assert bool(log.text.getvalue()) == written


def test_traceback_is_in_the_json_line(log: Log) -> None:
    configure()
    try:
        raise ValueError("of a kind")
    except ValueError:
        log.logger.exception("failed")
    assert json.loads(log.text.getvalue())["exception"].endswith("ValueError: of a kind")


@pytest.mark.parametrize("environment", ["development", "production"])
def test_no_key_is_in_a_message_argument_or_traceback(log: Log, environment: str) -> None:
    configure(fastapi_env=environment)
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
async def test_lines_of_a_request_name_its_consumer(
    app: FastAPI, client: httpx2.AsyncClient, log: Log, location: Location
) -> None:
    @app.get("/_tests/log")
    async def write(consumer: CurrentConsumer) -> None:
        log.logger.info("in the endpoint")

    app.router.routes.insert(0, app.router.routes.pop())
    await client.get("/_tests/log", **with_key(location, WEB_KEY))
    key_id = keys.key_id(keys.hash_key(WEB_KEY))
    line = log.text.getvalue().splitlines()[-1]
    assert f" consumer=web key_id={key_id} location={location.name}" in line


@pytest.mark.anyio
@pytest.mark.parametrize("level", ["info", "debug"])
async def test_nothing_that_is_looked_up_is_logged(
    client: httpx2.AsyncClient, log: Log, location: Location, level: str
) -> None:
    configure(log_level=level)
    log.logger.handlers[-1].filters.clear()  # lines of other loggers count too
    for key in (WEB_KEY, UNKNOWN_KEY, EXPIRED_KEY):
        await client.get("/_tests/whoami", **with_key(location, key))
        for secret in (key, keys.hash_key(key)):
            assert secret not in log.text.getvalue()


def test_telemetry_exports_no_raw_exception(app: FastAPI) -> None:
    assert app._telemetry.get("logs") is False
