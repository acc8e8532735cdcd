"""What the hooks add to a project: a key of its own, a git repository, the next steps."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TEMPLATE, render, run, run_python

KEY = re.compile(r"my_service_[0-9A-Za-z]{51}")


def generate(
    output: Path, *options: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run cookiecutter as a user does."""
    output.mkdir(exist_ok=True)
    command = (sys.executable, "-m", "cookiecutter", "--no-input", str(TEMPLATE), *options)
    return run(*command, cwd=output, env={**os.environ, **(env or {})})


def without_git(folder: Path) -> dict[str, str]:
    """Return an environment whose PATH has no git."""
    folder.mkdir()
    return {"PATH": str(folder)}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return a folder for projects."""
    return tmp_path / "output"


def test_the_env_file_holds_the_digest_of_the_key_that_is_shown_once(output: Path) -> None:
    [key] = KEY.findall(generate(output).stdout)
    project = output / "my-service"
    minted = run_python("src/my_service/keys.py", "digest", cwd=project)
    assert minted.returncode == 2  # nothing on stdin
    digest = run(sys.executable, "src/my_service/keys.py", "digest", cwd=project, stdin=key).stdout
    settings = (project / ".env").read_text(encoding="utf-8")
    [entries] = re.findall(r"^API_KEYS='(.*)'$", settings, re.MULTILINE)
    assert json.loads(entries) == [
        {"consumer": "developer", **json.loads(digest), "scopes": ["admin"]}
    ]
    assert "FASTAPI_ENV=development" in settings
    assert key not in settings


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_owner_can_read_the_env_file(output: Path) -> None:
    generate(output)
    assert stat.S_IMODE((output / "my-service/.env").stat().st_mode) == 0o600


def test_key_and_digest_are_left_nowhere_else(
    output: Path, tmp_path: Path, cookiecutter_home: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    key = KEY.findall(generate(output, env={"TMPDIR": str(temporary)}).stdout)[0]
    project = output / "my-service"
    digest = re.findall(r"[0-9a-f]{64}", (project / ".env").read_text())[0]
    ignored = run("git", "check-ignore", ".env", cwd=project)
    assert ignored.stdout.strip() == ".env"
    for folder in (project, temporary, cookiecutter_home):
        for file in folder.rglob("*"):
            if file.is_file() and file != project / ".env":
                content = file.read_bytes()
                assert key.encode() not in content, file
                assert digest.encode() not in content, file


def test_two_projects_have_two_keys(tmp_path: Path) -> None:
    assert KEY.findall(generate(tmp_path / "a").stdout) != KEY.findall(
        generate(tmp_path / "b").stdout
    )


def test_without_hooks_only_the_env_file_and_git_are_missing(tmp_path: Path) -> None:
    with_hooks, without = render(tmp_path / "a"), render(tmp_path / "b", hooks=False)

    def files(project: Path) -> dict[Path, bytes]:
        found = (path for path in project.rglob("*") if path.is_file() and ".git" not in path.parts)
        return {path.relative_to(project): path.read_bytes() for path in found}

    expected = files(with_hooks)
    del expected[Path(".env")]
    assert files(without) == expected
    assert not (without / ".git").exists()


def test_a_project_can_be_replayed(output: Path) -> None:
    generate(output, "key_location=cookie")
    shutil.rmtree(output / "my-service")
    replayed = run_python("-m", "cookiecutter", "--replay", TEMPLATE, cwd=output)
    assert replayed.returncode == 0, replayed.stderr
    assert "class Location" in (output / "my-service/src/my_service/locations.py").read_text()
    assert KEY.search(replayed.stdout)


def test_answers_may_come_from_a_configuration_file(output: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    answers = {"key_location": "query", "project_name": "Parcel", "author_name": "Ada"}
    folders = {"cookiecutters_dir": str(tmp_path / "c"), "replay_dir": str(tmp_path / "r")}
    config.write_text(json.dumps({"default_context": answers, **folders}))
    finished = generate(output, env={"COOKIECUTTER_CONFIG": str(config)})
    assert "/users/me?api_key=parcel_" in finished.stdout
    assert "Ada" in (output / "parcel/LICENSE").read_text()


def test_the_folder_is_a_git_repository_on_main_without_a_commit(output: Path) -> None:
    generate(output)
    head = run("git", "symbolic-ref", "HEAD", cwd=output / "my-service")
    assert head.stdout.strip() == "refs/heads/main"
    assert run("git", "rev-parse", "HEAD", cwd=output / "my-service").returncode != 0


def test_inside_another_work_tree_git_is_left_alone(output: Path) -> None:
    output.mkdir()
    run("git", "init", "--quiet", cwd=output)
    assert KEY.search(generate(output).stdout)
    assert not (output / "my-service/.git").exists()


def test_git_may_be_missing(output: Path, tmp_path: Path) -> None:
    finished = generate(output, env=without_git(tmp_path / "empty"))
    assert finished.returncode == 0, finished.stderr
    assert KEY.search(finished.stdout)
    assert not (output / "my-service/.git").exists()


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for git is a shell script")
def test_git_may_fail(output: Path, tmp_path: Path) -> None:
    broken = tmp_path / "git"
    broken.write_text("#!/bin/sh\nexit 128\n")
    broken.chmod(0o755)
    finished = generate(output, env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"})
    assert finished.returncode == 0, finished.stderr
    assert KEY.search(finished.stdout)


def test_git_needs_no_identity(output: Path, tmp_path: Path) -> None:
    nobody = {"HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    finished = generate(output, env=nobody)
    assert finished.returncode == 0, finished.stderr
    assert (output / "my-service/.git").is_dir()


def test_when_no_key_can_be_minted_the_project_stays_and_the_way_on_is_told(
    tmp_path: Path, output: Path
) -> None:
    template = tmp_path / "template"
    shutil.copytree(TEMPLATE, template, ignore=shutil.ignore_patterns(".*", "build", "tests"))
    [keys] = template.glob("*/src/*/keys.py")
    keys.write_text("raise SystemExit('no')")
    output.mkdir()
    finished = run_python("-m", "cookiecutter", "--no-input", template, cwd=output)
    assert finished.returncode == 0, finished.stderr
    assert "python3 src/my_service/keys.py new developer" in finished.stdout
    assert not (output / "my-service/.env").exists()
