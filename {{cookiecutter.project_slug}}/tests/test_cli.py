"""The program refuses mistakes in one line and does nothing."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.__package }} import (
    cli,
    logs,
    server,
)
from {{ cookiecutter.__package }}.auth import keys

KEY = keys.generate_key()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run each test in an empty folder, where nothing can be served."""

    def fail(*_: Any) -> None:
        pytest.fail("the application is served")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "run_server", fail)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, str, str]:
    """Run the program, and return its exit status and what it prints to stdout and stderr."""
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(arguments))
    printed = capsys.readouterr()
    return stopped.value.code, printed.out, printed.err


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        ([], ": Missing command. Try: {program} --help"),
        (["nosuch"], ": No such command 'nosuch'. Try: {program} --help"),
        (["--port", "1"], ": No such option: --port Try: {program} --help"),
        (["serve", "now"], " serve: Got unexpected extra argument(s) (now)"),
        (["serve", "--port", "1"], " serve: No such option: --port"),
        (["keys"], " keys: Missing command. Try: {program} keys --help"),
        (["keys", "nosuch"], " keys: No such command 'nosuch'. Try: {program} keys --help"),
        (["keys", "create"], " keys create: Missing argument 'CONSUMER'."),
        (["keys", "create", "a", "b"], " keys create: Got unexpected extra argument(s) (b)"),
        (["keys", "create", "a", "--n"], " keys create: No such option: --n"),
        (["keys", "create", "--name"], " keys create: Option '--name' requires an argument."),
        (["keys", "list", "a\nb"], " keys list: Got unexpected extra argument(s) (a"),
{% if cookiecutter.__database %}
        (["keys", "import", "file.json"], " keys import: Got unexpected extra argument(s)"),
        (["migrate", "head"], " migrate: Got unexpected extra argument(s) (head)"),
{% endif %}
    ],
    ids=str,
)
def test_mistake_is_one_line_with_the_command(
    capsys: pytest.CaptureFixture[str], folder: Path, arguments: list[str], mistake: str
) -> None:
    status, printed, message = run(capsys, *arguments)
    assert (status, printed, message.count("\n")) == (2, "", 1)
    assert message.startswith(keys.PROGRAM + mistake.format(program=keys.PROGRAM))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("secret", [KEY, keys.hash_key(KEY)], ids=["key", "hash"])
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["serve"],
        ["keys"],
        ["keys", "create"],
        ["keys", "create", "web", "--name"],
        ["keys", "create", "web", "--expires"],
        ["keys", "create", "web", "--network"],
        ["keys", "create", "web", "--unknown"],
        ["keys", "list"],
    ],
    ids=" ".join,
)
def test_no_message_repeats_a_key_or_a_hash(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    secret: str,
) -> None:
    entry = {"consumer": "web", "sha256": "a" * 64}
    monkeypatch.setenv("API_KEYS", json.dumps([entry]))
    status, printed, message = run(capsys, *arguments, secret)
    assert (status, printed, message.count("\n")) == (2, "", 1)
    assert secret not in message


@pytest.mark.parametrize("arguments", [[], ["serve"], ["keys"], ["keys", "create"]], ids=" ".join)
def test_help_does_nothing_but_help(
    capsys: pytest.CaptureFixture[str], folder: Path, arguments: list[str]
) -> None:
    status, printed, message = run(capsys, *arguments, "--help")
    assert (status, message) == (0, "")
    assert printed.startswith(f"Usage: {' '.join([keys.PROGRAM, *arguments])}")
    assert list(folder.iterdir()) == []


def test_service_logs_each_event_of_a_key_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, handlers = logging.getLogger(f"{cli.__package__}.auth.key_events"), []
    monkeypatch.setenv("API_KEYS", json.dumps([{"consumer": "web", "sha256": "a" * 64}]))
    monkeypatch.setattr(logs, "configure_logging", lambda settings: None)
    monkeypatch.setattr(server, "run_server", lambda *_, **__: handlers.extend(logger.handlers))
    assert run(capsys, "serve")[0] == 0
    assert handlers == []  # the handlers of the root logger write events


@pytest.mark.parametrize("command", [["serve"], ["keys", "list"]], ids=" ".join)
def test_a_setting_that_is_not_valid_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("API_KEYS", json.dumps([{"consumer": "web", "sha256": KEY}]))
    status, printed, message = run(capsys, *command)
    assert (status, printed, message.count("\n")) == (1, "", 1)
    assert message.startswith(f"{' '.join([keys.PROGRAM, *command])}: The settings are not valid. ")
    assert KEY not in message


def test_the_package_is_the_program(folder: Path) -> None:
    command = [sys.executable, "-m", Path(cli.__file__).parent.name, "keys", "--help"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    finished = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert finished.stdout.startswith(f"Usage: {keys.PROGRAM} keys")
    assert list(folder.iterdir()) == []


def test_key_commands_import_no_web_framework(folder: Path) -> None:
    code = f"import sys, {cli.__name__}; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert not {"fastapi", "uvicorn", "alembic", "rich.table"} & {*finished.stdout.split()}
