"""Generated projects pass their own tests, on every Python that services support."""

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


def assert_suite_passes(project: Path, folder: Path, python: str | Path = sys.executable) -> None:
    """Run the tests of a project, and fail with their output if any of them does."""
    finished = run(python, *SUITE, "--basetemp", folder, cwd=project)
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize("answers", FEW, ids=name)
def test_its_own_tests_pass(answers: Answers, bake: Bake, tmp_path: Path) -> None:
    # The longest name, where the lines of the code are longest too.
    slug = {"project_slug": LONGEST_SLUG} if answers["key_location"] == "fallback" else {}
    assert_suite_passes(bake(**answers, **slug), tmp_path)


def test_its_own_tests_pass_on(other_python: Path, bake: Bake, tmp_path: Path) -> None:
    # What differs by Python is in asyncio, sqlite and the parsing of protocols.
    assert_suite_passes(bake(key_store="database", rate_limit="yes"), tmp_path, other_python)
