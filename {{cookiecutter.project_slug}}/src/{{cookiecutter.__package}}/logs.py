"""What is written about a request: who sent it, and never a key."""

import logging
import string
from contextvars import ContextVar
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

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s%(sender)s"

# The ASGI scope of the request that this task answers; authentication leaves the consumer in it.
current_scope: ContextVar[Scope] = ContextVar("current_scope")


class KeylessFormatter(logging.Formatter):
    """Formats a record with its sender, and takes keys out of the finished text and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of `record`, of which any key is cut to its prefix."""
        consumer = current_scope.get({}).get("consumer")
        record.sender = ""
        if consumer is not None:
            record.sender = f" consumer={consumer.name!r} location={consumer.location}"
        return keys.redact(super().format(record))


def configure_logging(level: str) -> None:
    """Write logs of at least `level`, those of uvicorn too, without keys and with their sender."""
    logging.basicConfig()
    for name in (None, "uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.setLevel(level.upper())
        for handler in logger.handlers:
            handler.setFormatter(KeylessFormatter(FORMAT))


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
