"""Services are kept current with cruft, and what belongs to their owners is kept."""

import json
import re
import shlex
from pathlib import Path

import pytest
from support.commands import run, run_python
from support.files import contents
from support.generation import generate
from support.template import TEMPLATE, copy_template

IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")


def commit(folder: Path, message: str) -> None:
    """Commit everything in a folder."""
    run("git", "add", "--all", cwd=folder)
    finished = run("git", *IDENTITY, "commit", "--quiet", "--message", message, cwd=folder)
    assert finished.returncode == 0, finished.stderr


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Return a repository of this template with one commit."""
    copy = copy_template(tmp_path / "template")
    run("git", "init", "--quiet", cwd=copy)
    commit(copy, "First")
    return copy


def lasting_contents(project: Path) -> dict[str, bytes]:
    """Return the files of a project that do not differ from bake to bake."""
    differing = (".env", ".cruft.json")
    return {name: text for name, text in contents(project).items() if name not in differing}


def read_update(readme: Path) -> list[str]:
    """Return the arguments of cruft in the command of a README that applies an update."""
    text = readme.read_text(encoding="utf-8")
    [command] = re.findall(r"^uvx cruft (update .*)$", text, re.MULTILINE)
    return shlex.split(command, comments=True)


def test_cruft_makes_the_same_files_as_cookiecutter(tmp_path: Path, template: Path) -> None:
    finished = run_python(
        "-m",
        "cruft",
        "create",
        template,
        "--no-input",
        "--output-dir",
        tmp_path / "a",
        cwd=tmp_path,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert lasting_contents(tmp_path / "a/my-service") == lasting_contents(generate(tmp_path / "b"))


def test_an_update_keeps_the_owners_edits_and_keys(tmp_path: Path, template: Path) -> None:
    created = run_python("-m", "cruft", "create", template, "--no-input", cwd=tmp_path)
    assert created.returncode == 0, created.stdout + created.stderr
    project = tmp_path / "my-service"
    owners_env = (project / ".env").read_bytes()
    about = project / "src/my_service/routes/about.py"
    about.write_text(about.read_text() + "\n\nANSWER = 42\n")
    commit(project, "Mine")

    [health] = template.glob("*/src/*/routes/health.py")
    health.write_text(health.read_text().replace("The process runs.", "The process is alive."))
    commit(template, "Second")
    command = read_update(project / "README.md")
    assert command == read_update(TEMPLATE / "README.md")
    updated = run_python("-m", "cruft", *command, cwd=project)

    assert updated.returncode == 0, updated.stdout + updated.stderr
    assert not re.search(r"my_service_\w{51}", updated.stdout)
    assert "ANSWER = 42" in about.read_text()
    assert "The process is alive." in (project / "src/my_service/routes/health.py").read_text()
    assert (project / ".env").read_bytes() == owners_env
    assert list(project.rglob("*.rej")) == []
    changed = run("git", "status", "--porcelain", cwd=project).stdout.split()
    assert changed == ["M", ".cruft.json", "M", "src/my_service/routes/health.py"]


def test_nothing_that_cruft_keeps_is_a_secret(tmp_path: Path, template: Path) -> None:
    finished = run_python("-m", "cruft", "create", template, "--no-input", cwd=tmp_path)
    [key] = set(re.findall(r"my_service_\w{51}", finished.stdout))
    project = tmp_path / "my-service"
    kept = (project / ".cruft.json").read_text()
    assert json.loads(kept)["context"]["cookiecutter"]["project_slug"] == "my-service"
    assert key not in kept
    assert re.findall(r"[0-9a-f]{64}", (project / ".env").read_text())[0] not in kept
