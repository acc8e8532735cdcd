"""Hostile surroundings: what is there is kept, and nothing is left half-written."""

import os
import re
import sys
from pathlib import Path, PureWindowsPath

import pytest
from conftest import TEMPLATE, run, run_python
from test_hooks import KEY, generate


def test_an_existing_folder_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "my-service").mkdir()
    (tmp_path / "my-service/precious.txt").write_text("mine")
    finished = generate(tmp_path)
    assert finished.returncode != 0
    assert "already exists" in finished.stdout + finished.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["my-service", "precious.txt"]


def test_overwriting_keeps_the_env_file_and_mints_no_key(tmp_path: Path) -> None:
    generate(tmp_path)
    project = tmp_path / "my-service"
    before = (project / ".env").read_bytes()
    (project / "README.md").write_text("mine")
    again = generate(tmp_path, "--overwrite-if-exists")
    assert again.returncode == 0, again.stderr
    assert (project / ".env").read_bytes() == before
    assert (project / "README.md").read_text() != "mine"
    assert not KEY.search(again.stdout)
    assert "it is untouched" in again.stdout


def test_a_refused_answer_leaves_an_existing_project_alone(tmp_path: Path) -> None:
    generate(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = generate(tmp_path, "--overwrite-if-exists", "key_name=Cookie")
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
    finished = generate(tmp_path / name)
    assert finished.returncode == 0, finished.stderr
    [change_folder] = re.findall(r"^    (cd .*)$", finished.stdout, re.MULTILINE)
    shown = run("sh", "-c", f"{change_folder} && ls", cwd=tmp_path)
    assert "pyproject.toml" in shown.stdout


@pytest.mark.parametrize(
    "change",
    [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_any_locale_will_do(tmp_path: Path, change: dict[str, str]) -> None:
    finished = generate(tmp_path / "folder", "author_name=Ada", env=change)
    assert finished.returncode == 0, finished.stderr
    assert KEY.search(finished.stdout)


def test_a_home_is_not_needed(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    command = (sys.executable, "-m", "cookiecutter", "--no-input", TEMPLATE)
    finished = run(*command, cwd=tmp_path, env=environment)
    assert finished.returncode == 0, finished.stderr
    assert KEY.search(finished.stdout)


def test_an_interrupted_hook_leaves_no_half_written_env_file(tmp_path: Path) -> None:
    generate(tmp_path)
    project = tmp_path / "my-service"
    (project / ".env").unlink()
    source = (TEMPLATE / "hooks/post_gen_project.py").read_text(encoding="utf-8")
    hook = source.replace("{{ cookiecutter | tojson }}", '{"__package": "x"}').partition(
        "\nif __name__"
    )[0]
    interrupted = hook + (
        "\ndef interrupt(*_, **__):\n    raise KeyboardInterrupt\n"
        "os.fdopen = interrupt\n"
        "write_private(ENV_FILE, 'half')\n"
    )
    finished = run_python("-c", interrupted, cwd=project)
    assert "KeyboardInterrupt" in finished.stderr
    assert not (project / ".env").exists()


def test_every_path_of_the_template_is_legal_on_windows() -> None:
    listed = run("git", "ls-files", "-z", cwd=TEMPLATE).stdout.split("\0")
    for path in filter(None, listed):
        assert not re.search(r'[<>:"|?*\\\x00-\x1f]', path), path
        for part in PureWindowsPath(path).parts:
            assert not part.endswith((".", " ")), path
            assert not re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", part.lower()), path


def test_on_windows_the_printed_folder_is_quoted_for_its_shells() -> None:
    source = (TEMPLATE / "hooks/post_gen_project.py").read_text(encoding="utf-8")
    hook = source.replace("{{ cookiecutter | tojson }}", '{"__package": "parcel"}')
    show = (
        "\nfrom pathlib import PureWindowsPath"
        "\nos.name = 'nt'"
        "\nprint(quote(PureWindowsPath('C:/My Projects/parcel')))"
    )
    shown = run_python("-c", hook.partition("\nif __name__")[0] + show, cwd=TEMPLATE)
    assert shown.stdout.strip() == '"C:\\My Projects\\parcel"', shown.stderr
