"""Hostile surroundings: existing files are kept, and no file is half-written."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import run, run_python
from support.generation import run_cookiecutter
from support.keys import PRINTED_KEY
from support.template import TEMPLATE, copy_template
from support.waiting import until


def last_hook() -> str:
    """Return the code of the hook that runs last, which does nothing yet."""
    source = (TEMPLATE / "hooks/post_gen_project.py").read_text(encoding="utf-8")
    code, _, _ = source.partition("\nif __name__")
    return code.replace("{{ cookiecutter | tojson }}", '{"__package": "parcel"}')


def test_an_existing_folder_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "my-service").mkdir()
    (tmp_path / "my-service/precious.txt").write_text("mine")
    finished = run_cookiecutter(tmp_path)
    assert finished.returncode != 0
    assert "already exists" in finished.stdout + finished.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["my-service", "precious.txt"]


def test_overwriting_keeps_the_env_file_and_creates_no_key(tmp_path: Path) -> None:
    run_cookiecutter(tmp_path)
    project = tmp_path / "my-service"
    before = (project / ".env").read_bytes()
    (project / "README.md").write_text("mine")
    again = run_cookiecutter(tmp_path, "--overwrite-if-exists")
    assert again.returncode == 0, again.stderr
    assert (project / ".env").read_bytes() == before
    assert (project / "README.md").read_text() != "mine"
    assert not PRINTED_KEY.search(again.stdout)
    assert "it is unchanged" in again.stdout


def test_a_refused_answer_leaves_an_existing_project_alone(tmp_path: Path) -> None:
    run_cookiecutter(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = run_cookiecutter(tmp_path, "--overwrite-if-exists", "key_name=Cookie")
    assert again.returncode != 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_where_nothing_can_be_written_the_reason_is_told(tmp_path: Path) -> None:
    output = tmp_path / "read-only"
    output.mkdir(mode=0o555)
    if os.access(output, os.W_OK):  # root writes everywhere, but not there
        output = Path("/proc")
    finished = run_python("-m", "cookiecutter", "--no-input", "-o", output, TEMPLATE, cwd=tmp_path)
    assert finished.returncode != 0
    assert str(output / "my-service") in finished.stderr
    assert not (output / "my-service").exists()


@pytest.mark.parametrize("name", ["with space", "with#hash", "mit ümlaut 漢字", "it's $HOME"])
def test_the_printed_commands_work_in_any_folder(tmp_path: Path, name: str) -> None:
    finished = run_cookiecutter(tmp_path / name)
    assert finished.returncode == 0, finished.stderr
    [change_folder] = re.findall(r"^    (cd .*)$", finished.stdout, re.MULTILINE)
    shown = run("sh", "-c", f"{change_folder} && ls", cwd=tmp_path)
    assert "pyproject.toml" in shown.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locales")
@pytest.mark.parametrize(
    "change",
    [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_any_locale_will_do(tmp_path: Path, change: dict[str, str]) -> None:
    finished = run_cookiecutter(tmp_path / "mit ümlaut 漢字", "author_name=Ada", env=change)
    assert finished.returncode == 0, finished.stderr
    assert PRINTED_KEY.search(finished.stdout)
    assert f"cd '{tmp_path}/mit ümlaut 漢字/my-service'" in finished.stdout


def test_a_console_that_cannot_show_the_folder_shows_the_key(tmp_path: Path) -> None:
    finished = run_cookiecutter(tmp_path / "漢字", env={"PYTHONIOENCODING": "cp1252"})
    assert finished.returncode == 0, finished.stderr
    assert PRINTED_KEY.search(finished.stdout)


def test_no_module_in_the_temporary_folder_is_run(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for module in ("contextlib", "hashlib", "json", "pathlib", "re", "secrets", "subprocess"):
        (temporary / f"{module}.py").write_text("raise SystemExit('hijacked')")
    finished = run_cookiecutter(tmp_path / "output", env={"TMPDIR": str(temporary)})
    assert finished.returncode == 0, finished.stderr
    assert PRINTED_KEY.search(finished.stdout)


def test_no_module_on_the_path_of_the_environment_makes_the_key(tmp_path: Path) -> None:
    (tmp_path / "secrets.py").write_text("def choice(letters): return letters[0]")
    finished = run_cookiecutter(tmp_path / "output", env={"PYTHONPATH": str(tmp_path)})
    [key] = set(PRINTED_KEY.findall(finished.stdout))
    assert "0" * 43 not in key


def test_a_home_is_not_needed(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    command = (sys.executable, "-m", "cookiecutter", "--no-input", TEMPLATE)
    finished = run(*command, cwd=tmp_path, env=environment)
    assert finished.returncode == 0, finished.stderr
    assert PRINTED_KEY.search(finished.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_hook_shows_how_to_create_a_key(tmp_path: Path, sent: signal.Signals) -> None:
    template = copy_template(tmp_path / "template")
    [keys] = template.glob("*/src/*/auth/keys.py")
    started = tmp_path / "started"
    keys.write_text(f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(60)")
    output = tmp_path / "output"
    output.mkdir()
    # Tests in the background of a shell ignore Ctrl-C, and all that they start would, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [sys.executable, "-m", "cookiecutter", "--no-input", str(template)],
        cwd=output,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        until(started.exists)
        if sys.platform != "win32":
            os.killpg(process.pid, sent)  # as a terminal does
        said, _ = process.communicate()
    assert process.returncode != 0
    assert "No key was created (interrupted)" in said
    assert "Traceback" not in said
    assert not (output / "my-service/.env").exists()

    again = run_cookiecutter(output, "--overwrite-if-exists")
    assert again.returncode == 0, again.stderr
    assert PRINTED_KEY.search(again.stdout)


@pytest.mark.parametrize(
    "interrupted",
    [
        "os.fdopen = interrupt\nwith private_file(ENV_FILE, 'half'): pass",
        "with private_file(ENV_FILE, 'whole'): interrupt()",
    ],
    ids=["while it is written", "before its key is shown"],
)
def test_no_env_file_is_left_when_the_hook_is_interrupted(tmp_path: Path, interrupted: str) -> None:
    code = "\ndef interrupt(*_, **__): raise KeyboardInterrupt\n" + interrupted
    finished = run_python("-c", last_hook() + code, cwd=tmp_path)
    assert "KeyboardInterrupt" in finished.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        (r"C:\Projects\my-service", r"C:\Projects\my-service"),
        (r"C:\My Projects\my-service", r"'C:\My Projects\my-service'"),
        ("X-API-Key: parcel_0", "'X-API-Key: parcel_0'"),
        ("http://127.0.0.1:8000/?a=b", "'http://127.0.0.1:8000/?a=b'"),
    ],
)
def test_on_windows_commands_are_quoted_for_its_shells(text: str, quoted: str) -> None:
    show = f"\nos.name = 'nt'\nprint(quote({text!r}))"
    shown = run_python("-c", last_hook() + show, cwd=TEMPLATE)
    assert shown.stdout.strip() == quoted, shown.stderr


def test_hooks_call_nothing_that_windows_lacks(tmp_path: Path) -> None:
    # The types of the standard library know what each system and each Python has.
    target = ("--platform", "win32", "--python-version", "3.10", "--cache-dir", str(tmp_path))
    finished = run_python("-m", "mypy", "--strict", *target, "hooks", cwd=TEMPLATE)
    assert finished.returncode == 0, finished.stdout
