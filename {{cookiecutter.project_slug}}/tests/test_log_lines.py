"""Log lines hold no key, cannot be forged, and are written for uncaught errors too."""

import errno
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping

import pytest

from {{ cookiecutter.__package }}.auth import keys
from {{ cookiecutter.__package }}.log_lines import (
    format_access,
    format_json,
    format_text,
    get_message,
    install_redaction,
    one_line,
    quoted,
)

KEY = keys.generate_key()
REDACTED = f"{keys.PREFIX}_..."
FIELDS = {"consumer": "billing web", "request_id": "8f3a"}


class _Formatter(logging.Formatter):
    def __init__(self, write: Callable[..., str]) -> None:
        super().__init__()
        self.write = write

    def format(self, record: logging.LogRecord) -> str:
        return self.write(record, FIELDS)


@pytest.fixture(params=[format_text, format_json])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Return what the root logger writes, with redaction installed and removed again."""
    hooks = (sys.excepthook, sys.unraisablehook, threading.excepthook)
    handle_error = logging.Handler.handleError
    root, text = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(_Formatter(request.param))
    root.addHandler(handler)
    install_redaction()
    yield text
    root.removeHandler(handler)
    logging.captureWarnings(False)
    logging.Handler.handleError = handle_error  # type: ignore[method-assign]
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks


@pytest.fixture
def apart(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep lines from pytest, whose report has to be UTF-8 for pytest-xdist."""
    handlers = [
        handler for handler in logging.root.handlers if isinstance(handler.formatter, _Formatter)
    ]
    logger = logging.getLogger("service")
    monkeypatch.setattr(logger, "handlers", handlers)
    monkeypatch.setattr(logger, "propagate", False)


def assert_redacted(text: str) -> None:
    assert REDACTED in text
    assert KEY[len(REDACTED) :][:8] not in text


def test_malformed_logging_call_is_redacted(
    log: io.StringIO,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The handlers that pytest adds for the call raise such errors.
    own = [
        handler for handler in logging.root.handlers if isinstance(handler.formatter, _Formatter)
    ]
    monkeypatch.setattr(logging.root, "handlers", own)
    for name in ("service", "uvicorn.error"):
        logging.getLogger(name).error("key is", KEY)  # type: ignore[arg-type, unused-ignore]
    assert_redacted(log.getvalue())
    assert log.getvalue().count("key is") == 2
    assert KEY not in "".join(capsys.readouterr())


def test_error_of_a_foreign_handler_is_redacted(
    log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("foreign")
    logger.propagate = False
    handler = logging.StreamHandler(io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    logger.addHandler(handler)
    logger.error("key is", KEY)
    logger.error("é %s", KEY)
    logger.removeHandler(handler)
    logger.propagate = True
    written = capsys.readouterr().err
    assert_redacted(written)
    assert written.count("Could not log a record of ") == 2
    assert all(line.startswith(("Could not", "  ")) for line in written.splitlines())


class _FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_of_the_log_raises_nothing(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, logger = _FullDisk(), logging.getLogger("service")
    monkeypatch.setattr(sys, "stderr", disk)
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(disk)])
    monkeypatch.setattr(logger, "propagate", False)
    logger.error("the disk is full")


def test_uncaught_process_exception_is_redacted(log: io.StringIO) -> None:
    try:
        try:
            raise KeyError(KEY)
        except KeyError as error:
            error.add_note(f"note: {KEY}")
            raise RuntimeError(f"wrong key {KEY}") from error
    except RuntimeError as error:
        sys.excepthook(RuntimeError, error, error.__traceback__)
    assert "Uncaught exception" in log.getvalue()
    assert log.getvalue().count(REDACTED) == 3
    assert_redacted(log.getvalue())


@pytest.mark.parametrize("error", [ValueError(KEY), SystemExit(KEY)], ids=["error", "exit"])
def test_uncaught_thread_exception_is_redacted(
    log: io.StringIO, error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    if isinstance(error, SystemExit):
        assert log.getvalue() == ""
    else:
        assert "Uncaught exception in worker" in log.getvalue()
        assert_redacted(log.getvalue())
    assert KEY not in "".join(capsys.readouterr())


def test_uncaught_exceptions_are_logged_in_spite_of_dict_config(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(install_redaction.__module__), "disabled", True)
    install_redaction()
    error = ValueError("lost")
    sys.excepthook(type(error), error, None)
    assert "Uncaught exception" in log.getvalue()


def test_exception_of_a_finalizer_is_redacted(log: io.StringIO) -> None:
    class Fails:
        def __del__(self) -> None:
            raise ValueError(KEY)

    Fails()
    assert_redacted(log.getvalue())


def test_warning_is_redacted(log: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(f"deprecated: {KEY}", stacklevel=1)
    assert_redacted(log.getvalue())


PROGRAM = """
import logging, os, threading, warnings
from {{ cookiecutter.__package }}.log_lines import format_json, install_redaction
class Formatter(logging.Formatter):
    def format(self, record):
        return format_json(record, {})
logging.basicConfig()
logging.getLogger().handlers[0].setFormatter(Formatter())
install_redaction()
key = os.environ["KEY"]
logging.error("key is", key)
warnings.warn(key)
def fail():
    raise ValueError(key)
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""


def test_nothing_that_a_process_writes_holds_a_key() -> None:
    environment = {**os.environ, "KEY": KEY, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-W", "default", "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert_redacted(run.stderr)
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["ERROR", "WARNING", "ERROR", "CRITICAL"]


HOSTILE = [
    "two\nlines",
    "return\rover",
    "next\x85line",
    "terminal\x1b[31m\x9b2J\x9d0;title\x07",
    "line\u2028and\u2029paragraph",
    "\u202eright to left",
    "zero\u200bwidth\ufeff",
    "del\x7f\x08\x00",
    "x\n2030-01-01 00:00:00,000 INFO uvicorn.access: forged",
]


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_text_breaks_or_forges_a_line(log: io.StringIO, text: str) -> None:
    FIELDS["consumer"] = text
    logging.getLogger("service").error("got %s", text)
    FIELDS["consumer"] = "billing web"
    line = log.getvalue().removesuffix("\n")
    assert line.isprintable()
    assert len(line.splitlines()) == 1


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_exception_forges_a_line(log: io.StringIO, text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("service").exception("failed")
    first, *others = log.getvalue().removesuffix("\n").split("\n")
    assert "failed" in first
    assert all(line.startswith("  ") for line in others)
    assert all(line.isprintable() for line in [first, *others])


def test_forged_client_address_is_quoted(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = '192.0.2.1:1 - "GET /admin HTTP/1.1" 200\n'
    access = logging.getLogger("uvicorn.access")
    monkeypatch.setattr(access, "disabled", False)  # the owner may not want it
    access.error('%s - "%s %s HTTP/%s" %d', forged, "GET", "/", "1.1", 401)
    line = log.getvalue()
    message = json.loads(line)["message"] if line.startswith("{") else line
    assert '"192.0.2.1:1 - \\"GET /admin HTTP/1.1\\" 200\\n" - "GET / HTTP/1.1" 401' in message
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    "value", ["192.0.2.1:49152", "::1", "[fe80::1%eth0]:80", "billing-web", "8f3a"]
)
def test_plain_word_is_not_quoted(value: str) -> None:
    assert quoted(value) == value


@pytest.mark.parametrize("value", ["", "a b", 'a"', "a=b", "x location=header", "é", "a" * 129])
def test_other_values_are_quoted(value: str) -> None:
    assert json.loads(quoted(value)) == value


def test_text_line_names_its_fields() -> None:
    record = logging.LogRecord("service", logging.INFO, __file__, 1, "%s done", ("it",), None)
    line = format_text(record, FIELDS)
    expected = (
        r'.{10} .{12}[+-]\d\d:\d\d INFO service: it done consumer="billing web" request_id=8f3a'
    )
    assert re.fullmatch(expected, line)
    assert json.loads(format_json(record, FIELDS))["consumer"] == "billing web"


@pytest.mark.parametrize(
    ("message", "args"), [("%s", ("é",)), ("100%", ()), ("%(a)s", ({"a": "b"},)), ("key", ("x",))]
)
def test_message_is_the_same_as_in_logging(message: str, args: tuple[object]) -> None:
    record = logging.LogRecord("service", logging.INFO, __file__, 1, message, args, None)
    try:
        expected = record.getMessage()
    except TypeError:
        expected = "'key' with unexpected arguments ('x',)"
    assert get_message(record) == expected


def test_printable_text_stays_as_it_is() -> None:
    assert one_line("Bäckerei 漢字 \N{PARTY POPPER}") == "Bäckerei 漢字 \N{PARTY POPPER}"
    assert one_line("a\n\x9b\u2028\U000e0001") == "a\\n\\x9b\\u2028\\U000e0001"
    # It is not among the logged texts: pytest-xdist cannot send what pytest captures of it.
    assert one_line("surrogate\udc80") == "surrogate\\udc80"


def make_record(**extra: object) -> logging.LogRecord:
    """Return a record of the logger `service`."""
    record = logging.LogRecord("service", logging.INFO, __file__, 1, "done", (), None)
    vars(record).update(extra)
    return record


def test_fields_do_not_replace_those_of_the_line() -> None:
    forged = dict.fromkeys(("time", "level", "logger", "message"), "forged")
    line = json.loads(format_json(make_record(), {**forged, "order_id": 7}))
    assert line.pop("time") != "forged"
    assert line == {"level": "INFO", "logger": "service", "message": "done", "order_id": 7}


def test_non_json_fields_are_written_as_text() -> None:
    for value in (float("nan"), {("a", 1): 2}, object):
        line = format_json(make_record(), {"value": value, "order_id": 7})
        assert json.loads(line)["value"] == str(value)
    circle: list[object] = []
    circle.append(circle)
    assert json.loads(format_json(make_record(), {"value": circle}))["value"] == "[[...]]"


FORGERIES = {
    "line ends": "a\r\nb\nc\x0bd\x0ce",
    "separators": "a\x1cb\x1dc\x1ed\x85e\u2028f\u2029g",
    "terminal": "\x1b[2J\x1b]0;title\x07\x9b31m\x7f\x08\x00",
    "bidirectional": "a\u202eb\u2066c\u2069d\u200ee\ufefff\u200bg",
    "delete": "a\x7fb",
    "surrogate": "a\udc80b",
    "fields": 'web" request_id=forged consumer="admin',
    "JSON": '"}\n{"level": "INFO", "message": "forged"}',
    "request": '192.0.2.1:80 - "GET /admin HTTP/1.1" 200',
}
ACCESS = '%s - "%s %s HTTP/%s" %d'
MESSAGES = [
    ("service", "seen: %s", ()),
    ("uvicorn.access", ACCESS, ("GET", "/", "1.1", 401)),
    ("uvicorn.error", '%s - "WebSocket %s" [accepted]', ("/feed",)),
]


@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.parametrize(("logger", "message", "args"), MESSAGES, ids=["own", "access", "socket"])
@pytest.mark.parametrize("write", [format_text, format_json])
def test_hostile_text_stays_within_its_line(
    write: Callable[..., str], logger: str, message: str, args: tuple[object, ...], kind: str
) -> None:
    text = FORGERIES[kind]
    record = logging.LogRecord(logger, logging.INFO, "", 0, message, (text, *args), None)
    line = write(record, {"client": text, "consumer": text, "request_id": "own"})
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    if write is format_json:
        fields = json.loads(line)
        assert (fields["client"], fields["request_id"]) == (text, "own")
        written = fields["message"]
    else:
        assert line.endswith(" request_id=own")
        written = line.partition(f" {logger}: ")[2]
    if args:
        # The client of the line is the whole text, not the one that it pretends to be.
        assert written.startswith('"')
        assert not re.match(r'[0-9.]+:[0-9]+ - "', written)


CLIENT = "192.0.2.1:49152"


def make_access_record(*args: object) -> logging.LogRecord:
    """Return a record as uvicorn creates it for each request."""
    return logging.LogRecord("uvicorn.access", logging.INFO, "", 0, ACCESS, args, None)


def format_slowly(record: logging.LogRecord, fields: Mapping[str, object]) -> str:
    """Return an access line as `format_json` writes it."""
    names = ("client", "method", "path", "http_version", "status")
    assert isinstance(record.args, tuple)
    return format_json(record, {**fields, **dict(zip(names, record.args, strict=True))})


def test_access_line_has_each_argument_as_a_field() -> None:
    record = make_access_record(CLIENT, "GET", "/items?a=b", "1.1", 404)
    line = format_access(record, FIELDS)
    assert list(json.loads(line).items()) == [
        ("time", json.loads(format_json(record, {}))["time"]),
        ("level", "INFO"),
        ("logger", "uvicorn.access"),
        ("message", f'{CLIENT} - "GET /items?a=b HTTP/1.1" 404'),
        *FIELDS.items(),
        ("client", CLIENT),
        ("method", "GET"),
        ("path", "/items?a=b"),
        ("http_version", "1.1"),
        ("status", 404),
    ]


@pytest.mark.parametrize("place", ["client", "method", "path", "version", "consumer", "name"])
@pytest.mark.parametrize("kind", [*FORGERIES, "harmless"])
def test_access_line_is_that_of_other_records(place: str, kind: str) -> None:
    text = FORGERIES.get(kind, "harmless")
    arguments = {"client": CLIENT, "method": "GET", "path": "/", "version": "1.1"}
    fields = dict(FIELDS)
    if place in arguments:
        arguments[place] = text
    elif place == "consumer":
        fields[place] = text
    else:
        fields[text] = "value"
    record = make_access_record(*arguments.values(), 200)
    assert format_access(record, fields) == format_slowly(record, fields)


@pytest.mark.parametrize("place", range(5))
def test_access_line_holds_no_key_in_any_place(place: int) -> None:
    arguments: list[object] = [CLIENT, "GET", "/", "1.1", 200]
    fields = dict(FIELDS)
    if place == 4:
        fields["consumer"] = KEY
    else:
        arguments[place] = f"{arguments[place]}{KEY}"
    record = make_access_record(*arguments)
    assert_redacted(format_access(record, fields))
    assert format_access(record, fields) == format_slowly(record, fields)


def test_access_line_with_other_arguments_is_complete() -> None:
    line = json.loads(format_access(make_access_record(CLIENT, "GET", "/", "1.1", "odd"), FIELDS))
    assert (line["status"], line["path"]) == ("odd", "/")
    line = json.loads(format_access(make_access_record("one"), FIELDS))
    assert (line["consumer"], line["logger"]) == ("billing web", "uvicorn.access")
    record = make_access_record(CLIENT, "GET", "/", "1.1", 200)
    odd: list[dict[str, object]] = [{"path": "own"}, {"time": "own"}, {"order": 7}]
    for fields in odd:
        assert format_access(record, fields) == format_slowly(record, fields)
    record.exc_info, record.stack_info = (ValueError, ValueError("rare"), None), "Stack: here"
    assert format_access(record, FIELDS) == format_slowly(record, FIELDS)
    record.msg = "other %s %s %s %s %s"
    assert "other" in format_access(record, FIELDS)


def test_time_has_milliseconds_and_the_right_second() -> None:
    record = make_record()
    for created, time in ((0.5, "1970-01-01T00:00:00.500"), (86400.25, "1970-01-02T00:00:00.250")):
        record.created, record.msecs = created, created % 1 * 1000
        for write in (format_json, format_access):
            assert json.loads(write(record, {}))["time"] == f"{time}+00:00"
