"""Log lines without keys and without forgery, and uncaught exceptions as log lines."""

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .auth.keys import redact

if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from threading import ExceptHookArgs

_WORD = re.compile(r"[0-9A-Za-z._:%\[\]/+@-]{1,128}")
_CLIENT_FIRST = '%s - "'  # how uvicorn's lines about requests and WebSockets begin
_ACCESS_MESSAGE = '%s - "%s %s HTTP/%s" %d'
_ACCESS_NAMES = ("client", "method", "path", "http_version", "status")  # of its arguments
_LINE_NAMES = frozenset(("time", "level", "logger", "message", *_ACCESS_NAMES))
_encode = json.JSONEncoder(default=str, allow_nan=False).encode
_quote = json.encoder.encode_basestring_ascii

_logger = logging.getLogger(__name__)


def one_line(text: str) -> str:
    r"""Return `text` with everything that is not printable escaped, such as `\n` and `\x1b`.

    Line ends, C0 and C1 control characters, U+2028, bidirectional and zero-width characters could
    break a line, forge another one or control a terminal (OWASP ASVS 5.0, 16.4.1).
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def quoted(value: str) -> str:
    """Return `value` as it is when it is one plain word, and as a JSON string otherwise.

    So the value of a field cannot look like another field, and a forwarded client address (which
    is whatever `X-Forwarded-For` says) cannot look like an access log entry.
    """
    return value if _WORD.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def get_message(record: logging.LogRecord) -> str:
    """Return the message of a record, even if its arguments do not fit its format.

    `logging.error("key is", key)` is such a call: logging would print the arguments to stderr.
    """
    args = record.args
    if isinstance(args, tuple) and args and str(record.msg).startswith(_CLIENT_FIRST):
        args = (quoted(str(args[0])), *args[1:])
    try:
        return str(record.msg) % args if args else str(record.msg)
    except Exception:
        return f"{record.msg!r} with unexpected arguments {args!r}"


def format_text(record: logging.LogRecord, fields: Mapping[str, str]) -> str:
    """Return a record for people: one line, and a traceback in indented lines below it."""
    time = datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "milliseconds")
    line = f"{time} {record.levelname} {record.name}: {get_message(record)}"
    values = "".join(f" {name}={quoted(value)}" for name, value in fields.items())
    return redact(one_line(line + values) + _indented(_exception(record)))


def format_json(record: logging.LogRecord, fields: Mapping[str, Any]) -> str:
    """Return a record for programs: one line of JSON.

    All that is not printable ASCII is escaped: terminals and log collectors take C1 control
    characters and U+2028 for commands and line ends.
    """
    line: dict[str, Any] = {
        "time": _utc_time(record),
        "level": record.levelname,
        "logger": record.name,
        "message": get_message(record),
    }
    line |= {name: value for name, value in fields.items() if name not in line}
    if exception := _exception(record):
        line["exception"] = exception
    return redact(_to_json(line))


def format_access(record: logging.LogRecord, fields: Mapping[str, Any]) -> str:
    """Return a record of uvicorn's access log for programs, with its arguments as fields.

    There is one for each request, so a line without a key and without odd values is written
    directly, which takes a third of the time.
    """
    line = _format_plain_access(record, fields)
    if line is None:
        arguments = record.args if isinstance(record.args, tuple) else ()
        if len(arguments) == len(_ACCESS_NAMES):
            fields = {**fields, **dict(zip(_ACCESS_NAMES, arguments, strict=True))}
        line = format_json(record, fields)
    return line


def _format_plain_access(record: logging.LogRecord, fields: Mapping[str, Any]) -> str | None:
    """Return what `format_json` would, or None where a text holds a key or anything is odd."""
    if record.msg != _ACCESS_MESSAGE or record.exc_info or record.exc_text or record.stack_info:
        return None
    arguments: Any = record.args
    try:
        client, method, path, version, status = arguments
        message = f'{quoted(client)} - "{method} {path} HTTP/{version}" {status:d}'
        texts = " ".join((message, *fields.values()))
        known = "".join([f", {_quote(name)}: {_quote(value)}" for name, value in fields.items()])
        line = (
            f'"time": "{_utc_time(record)}", "level": {_quote(record.levelname)}'
            f', "logger": {_quote(record.name)}, "message": {_quote(message)}{known}'
            f', "client": {_quote(client)}, "method": {_quote(method)}, "path": {_quote(path)}'
            f', "http_version": {_quote(version)}, "status": {status:d}'
        )
    except (TypeError, ValueError):  # not texts and a number
        return None
    if not _LINE_NAMES.isdisjoint(fields) or redact(texts) != texts:
        return None
    return "{" + line + "}"


def _utc_time(record: logging.LogRecord) -> str:
    return f"{_utc_second(int(record.created))}.{int(record.msecs):03d}+00:00"


@lru_cache(maxsize=1)
def _utc_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def install_redaction() -> None:
    """Write to the log, and so without keys, what Python writes to stderr by itself.

    These are uncaught exceptions of the process, of threads and of finalizers, and warnings. Errors
    of logging itself are written to stderr, redacted. Call this after the handlers have their
    formatters: it replaces hooks that are already set. Sentry sees the exceptions as log records.
    """
    _logger.disabled = False  # `dictConfig` may have disabled it: exceptions would be lost
    logging.captureWarnings(True)
    logging.Handler.handleError = _handle_logging_error  # type: ignore[method-assign]
    sys.excepthook = _log_exception
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_thread_exception


def _log_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    _logger.critical("Uncaught exception", exc_info=(kind, error, trace))


def _log_thread_exception(args: "ExceptHookArgs") -> None:
    if args.exc_type is SystemExit:  # ends a thread quietly, as in threading.excepthook
        return
    name = args.thread.name if args.thread else "an unknown thread"
    error = args.exc_value or args.exc_type()
    _logger.error(
        "Uncaught exception in %s", name, exc_info=(args.exc_type, error, args.exc_traceback)
    )


def _log_unraisable(args: "UnraisableHookArgs") -> None:
    error = args.exc_value or args.exc_type()
    _logger.error(
        "%s: %r",
        args.err_msg or "Exception ignored in",
        args.object,
        exc_info=(args.exc_type, error, args.exc_traceback),
    )


def _handle_logging_error(self: logging.Handler, record: logging.LogRecord) -> None:
    """Write why a record could not be logged, like `logging.Handler.handleError`, but redacted."""
    if not logging.raiseExceptions or sys.stderr is None:
        return
    try:
        where = f"{record.pathname}:{record.lineno}"
        text = f"Could not log a record of {where}: {get_message(record)}"
        text = redact(one_line(text) + _indented(traceback.format_exc()))
    except Exception:
        text = "Could not log a record, and could not write why"
    with suppress(OSError):  # a full disk fails no request
        sys.stderr.write(f"{text}\n")


def _to_json(line: dict[str, Any]) -> str:
    try:
        return _encode(line)
    except (TypeError, ValueError):  # not JSON, such as NaN, a tuple as a name, or a circle
        return json.dumps({name: str(value) for name, value in line.items()})


def _exception(record: logging.LogRecord) -> str:
    """Return the traceback and the stack of a record, as `logging.Formatter` would write them."""
    parts = []
    if record.exc_info and record.exc_info[0]:
        parts += traceback.format_exception(*record.exc_info)
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return "".join(parts).rstrip("\n")


def _indented(text: str) -> str:
    """Return lines that cannot be taken for log lines, each after a line end and two spaces."""
    return "".join(f"\n  {one_line(line)}" for line in text.split("\n") if line)
