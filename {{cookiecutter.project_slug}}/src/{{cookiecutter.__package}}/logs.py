"""What is written about a request: which one it is, who sent it, and never a key."""

import json
import logging
import re
import string
from contextvars import ContextVar
from datetime import UTC, datetime
from random import getrandbits
from typing import Any
{% if cookiecutter.__query %}
from urllib.parse import quote, unquote_plus
{% else %}
from urllib.parse import quote
{% endif %}

from starlette.types import Scope

from . import keys
{% if cookiecutter.__query %}
from .locations import QUERY
{% endif %}
from .settings import Settings

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s%(sender)s"

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_ACCESS = ("client", "method", "path", "http_version", "status")

# The ASGI scope of the request that this task answers; authentication leaves the consumer in it.
current_scope: ContextVar[Scope] = ContextVar("current_scope")


class KeylessFormatter(logging.Formatter):
    """Formats a record for people, and takes keys out of the finished text and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of `record` with its sender; of a key in it only the prefix is left."""
        sender = _sender()
        if "consumer" in sender:
            sender["consumer"] = repr(sender["consumer"])
        record.sender = "".join(f" {name}={value}" for name, value in sender.items())
        return keys.redact(super().format(record))


class KeylessJSONFormatter(logging.Formatter):
    """Formats a record as one line of JSON without keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Return what is known of `record` and its sender; of a key in it only the prefix is left."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_sender(),
        }
        arguments = record.args or ()
        if record.name == "uvicorn.access" and len(arguments) == len(_ACCESS):
            line |= zip(_ACCESS, arguments, strict=True)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return keys.redact(json.dumps(line, default=str))


def _sender() -> dict[str, str]:
    scope = current_scope.get({})
    consumer = scope.get("consumer")
    sender = {}
    if consumer is not None:
        sender = {"consumer": consumer.name, "location": consumer.location}
    if "request_id" in scope:
        sender["request_id"] = scope["request_id"]
    return sender


def configure_logging(settings: Settings) -> None:
    """Write logs, those of uvicorn too: for people in development, for programs in production."""
    logging.basicConfig()
    formatter = KeylessFormatter(FORMAT) if settings.development else KeylessJSONFormatter()
    for name in (None, "uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.setLevel(settings.log_level.upper())
        for handler in logger.handlers:
            handler.setFormatter(formatter)
    {% if cookiecutter.__database %}
    # In detail it would write what is looked up: digests.
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    {% endif %}


def identify(scope: Scope) -> None:
    """Leave an id of the request in its scope, for its log lines and its answer.

    It is that of `X-Request-ID` if this is 1 to 128 letters, digits, dots, dashes and underscores
    without a key in it; otherwise it is a new one.
    """
    request_id = ""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value.decode()
    if not request_id or keys.redact(request_id) != request_id:
        request_id = f"{getrandbits(128):032x}"
    scope["request_id"] = request_id


def keep_keys_out_of_url(scope: Scope) -> None:
    """Take keys out of the URL of a request, before a log, a trace or a redirect repeats it.

    {% if cookiecutter.__query %}
    The values of `{{ cookiecutter.__query_name }}` go to `scope["query_keys"]`, where authentication finds them.
    {% endif %}
    A key that was sent where it does not belong is cut to its prefix: its format gives it away.
    """
    path = keys.redact(scope["path"])
    if path != scope["path"]:
        scope["path"] = path
        scope["raw_path"] = quote(path).encode()
    {% if cookiecutter.__query %}
    scope["query_keys"] = []
    {% endif %}
    if not scope["query_string"]:
        return
    query = scope["query_string"].decode("latin-1")
    {% if cookiecutter.__query %}
    kept = []
    for field in query.split("&"):
        name, _, value = field.partition("=")
        if unquote_plus(name) == QUERY:
            scope["query_keys"].append(unquote_plus(value))
        else:
            kept.append(field)
    query = "&".join(kept)
    {% endif %}
    # A client may send raw bytes, which the server's access log cannot write.
    query = quote(keys.redact(query), safe=string.punctuation, encoding="latin-1")
    scope["query_string"] = query.encode("ascii")
