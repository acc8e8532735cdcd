"""A new project is a git repository, unless git has a reason against it."""

import os
import shutil
from pathlib import Path

import pytest
from support.commands import run
from support.generation import run_cookiecutter
from support.keys import PRINTED_KEY


def without_git(folder: Path) -> dict[str, str]:
    """Return an environment whose PATH has no git."""
    folder.mkdir()
    return {"PATH": str(folder)}


def with_git(folder: Path, script: str) -> dict[str, str]:
    """Return an environment whose git is a shell script."""
    folder.mkdir()
    git = folder / "git"
    git.write_text(f"#!/bin/sh\n{script}\n")
    git.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


stand_in = pytest.mark.skipif(os.name == "nt", reason="the stand-in for git is a shell script")


def test_the_folder_is_a_git_repository_on_main_without_a_commit(output: Path) -> None:
    run_cookiecutter(output)
    head = run("git", "symbolic-ref", "HEAD", cwd=output / "my-service")
    assert head.stdout.strip() == "refs/heads/main"
    assert run("git", "rev-parse", "HEAD", cwd=output / "my-service").returncode != 0


def test_inside_another_work_tree_git_is_left_alone(output: Path) -> None:
    output.mkdir()
    run("git", "init", "--quiet", cwd=output)
    assert PRINTED_KEY.search(run_cookiecutter(output).stdout)
    assert not (output / "my-service/.git").exists()


def test_inside_a_work_tree_of_somebody_else_git_is_left_alone(output: Path) -> None:
    output.mkdir()
    run("git", "init", "--quiet", cwd=output)
    # With this, git refuses to work in any repository, as if another user had made it.
    assert PRINTED_KEY.search(
        run_cookiecutter(output, env={"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}).stdout
    )
    assert not (output / "my-service/.git").exists()


def test_the_repository_that_the_environment_names_is_left_alone(
    output: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    run("git", "init", "--quiet", other, cwd=tmp_path)
    run("git", "symbolic-ref", "HEAD", "refs/heads/other", cwd=other)
    assert PRINTED_KEY.search(run_cookiecutter(output, env={"GIT_DIR": str(other / ".git")}).stdout)
    assert (other / ".git/HEAD").read_text().strip() == "ref: refs/heads/other"


def test_git_may_be_missing(output: Path, tmp_path: Path) -> None:
    finished = run_cookiecutter(output, env=without_git(tmp_path / "empty"))
    assert finished.returncode == 0, finished.stderr
    assert PRINTED_KEY.search(finished.stdout)
    assert not (output / "my-service/.git").exists()


@stand_in
def test_git_may_fail(output: Path, tmp_path: Path) -> None:
    finished = run_cookiecutter(output, env=with_git(tmp_path / "bin", "exit 128"))
    assert finished.returncode == 0, finished.stderr
    assert PRINTED_KEY.search(finished.stdout)


@stand_in
def test_git_may_be_too_old_to_name_the_first_branch(output: Path, tmp_path: Path) -> None:
    old = f"""
    case "$*" in *-b*) exit 129 ;; esac
    if [ "$1 $2" = "-c init.defaultBranch=main" ]; then shift 2; fi
    exec {shutil.which("git")} "$@"
    """
    other = {"GIT_CONFIG_KEY_0": "init.defaultBranch", "GIT_CONFIG_VALUE_0": "other"}
    run_cookiecutter(
        output, env={**with_git(tmp_path / "bin", old), **other, "GIT_CONFIG_COUNT": "1"}
    )
    head = (output / "my-service/.git/HEAD").read_text()
    assert head.strip() == "ref: refs/heads/main"


def test_git_needs_no_identity(output: Path, tmp_path: Path) -> None:
    anonymous = {"HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    finished = run_cookiecutter(output, env=anonymous)
    assert finished.returncode == 0, finished.stderr
    assert (output / "my-service/.git").is_dir()
