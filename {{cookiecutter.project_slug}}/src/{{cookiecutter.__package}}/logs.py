"""Logs: for people in development, as JSON in production, and never with a key."""

import logging
from typing import Any

from .auth.actor import current_context
from .log_lines import format_access, format_json, format_text, install_redaction
from .settings import Settings

# What every record has; the rest was passed as `extra`.
_PLAIN = {*vars(logging.makeLogRecord({}))}
_STANDARD = {*_PLAIN, "message", "asctime", "color_message"}


class RedactingFormatter(logging.Formatter):
    """Formats a record for people: one line with the fields of its request, without keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of `record`."""
        fields = _extra_fields(record) | _request_fields()
        return format_text(record, {name: str(value) for name, value in fields.items()})


class RedactingJSONFormatter(logging.Formatter):
    """Formats a record for programs: one line of JSON with the fields of its request, without keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as JSON."""
        fields = _extra_fields(record) | _request_fields()
        write = format_access if record.name == "uvicorn.access" else format_json
        return write(record, fields)


def configure_logging(settings: Settings) -> None:
    """Write logs, those of uvicorn too: for people in development, for programs in production."""
    logging.basicConfig()
    formatter = RedactingFormatter() if settings.development else RedactingJSONFormatter()
    for name in (None, "uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.setLevel(settings.log_level.upper())
        for handler in logger.handlers:
            handler.setFormatter(formatter)
    install_redaction()
{% if cookiecutter.__database %}
    # Its debug lines hold what is looked up: hashes.
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    # Its warnings are about queries that were cancelled because the database hangs.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
{% endif %}


def _request_fields() -> dict[str, Any]:
    """Return what is known about the request that the running task handles."""
    context = current_context.get()
    if context is None:
        return {}
    fields: dict[str, Any] = {"request_id": context.request_id}
    if context.key is not None:
        fields |= {"consumer": context.key.consumer, "key_id": context.key.id}
    if context.consumer is not None:
        fields["location"] = context.consumer.location
    if context.refusal is not None:
        fields |= {"reason": str(context.refusal.reason), **context.refusal.details}
    return fields


def _extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    # Few records have any, and comparing all the names takes long.
    if len(vars(record)) == len(_PLAIN):
        return {}
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}
