"""Generated projects pass their own tests, on every Python that services support."""

import os
import sys
from pathlib import Path

import pytest
from support.combinations import FEW, Answers, name
from support.commands import find_python, run, run_python
from support.generation import Bake
from support.suites import SUITE, SUPPORTED
from support.template import LONGEST_SLUG, TEMPLATE


@pytest.fixture(scope="session", params=[f"Python {version}" for version in SUPPORTED])
def other_python(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the Python of an environment with what services declare, at the versions used here."""
    version = request.param.removeprefix("Python ")
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        pytest.skip(f"Python {version} is the one that runs all the other tests")
    if not (python := find_python(version)):
        pytest.skip(f"Python {version} is not on this machine")
    environment = tmp_path_factory.mktemp("environment")
    declared = bake(key_store="database", rate_limit="yes") / "pyproject.toml"
    create = ["venv", "--python", python, str(environment)]
    install = ["pip", "install", "--compile-bytecode", "--python", str(environment)]
    install += ["--constraint", str(TEMPLATE / "requirements.txt")]
    install += ["--requirement", str(declared), "--group", f"{declared}:dev"]
    for command in (create, install):
        finished = run_python("-m", "uv", *command, cwd=TEMPLATE)
        assert finished.returncode == 0, finished.stderr
    return environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"


# What some continuous integration says about its terminal.
TERMINAL = {"COLUMNS": "40", "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TERM": "dumb"}


@pytest.mark.parametrize("answers", FEW, ids=name)
def test_its_own_tests_pass(answers: Answers, bake: Bake, tmp_path: Path) -> None:
    finished = run_python(*SUITE, "--basetemp", tmp_path, cwd=bake(**answers))
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_its_own_tests_pass_under_the_longest_name(bake: Bake, tmp_path: Path) -> None:
    answers = {"key_location": "fallback", "key_store": "database", "rate_limit": "yes"}
    project = bake(project_slug=LONGEST_SLUG, **answers)
    finished = run_python(
        *SUITE, "--basetemp", tmp_path, cwd=project, env={**os.environ, **TERMINAL}
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_its_own_tests_pass_on(other_python: Path, bake: Bake, tmp_path: Path) -> None:
    answers = {"key_store": "database", "rate_limit": "yes"}
    project = bake(key_location="fallback", protection="endpoints", **answers)
    finished = run(other_python, *SUITE, "--basetemp", tmp_path, cwd=project)
    assert finished.returncode == 0, finished.stdout + finished.stderr
