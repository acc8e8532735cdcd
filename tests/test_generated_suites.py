"""Generated projects pass their own tests, on every Python that services support."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from support.combinations import FEW, FULL, Answers, name
from support.commands import find_python, run, run_python
from support.generation import Bake
from support.suites import SUITE, SUPPORTED
from support.template import LONGEST_SLUG, TEMPLATE

# What differs by Python: asyncio, sqlite, and servers and programs as processes.
DIFFERING = [
    f"tests/test_{name}.py"
    for name in (
        *("api", "cache", "cli", "counters", "database", "dependencies", "keys", "logs"),
        *("migrations", "protocols", "queries", "server", "service", "settings", "store"),
        *("uses", "websockets"),
    )
]


def is_newest(version: str) -> bool:
    """Tell whether this machine has no newer Python that services support."""
    newer = SUPPORTED[SUPPORTED.index(version) + 1 :]
    return not any(map(find_python, newer))


@pytest.fixture(scope="session", params=[f"Python {version}" for version in SUPPORTED])
def other_python(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Return a version of Python, and the one of an environment with what services declare.

    The environment has the versions that are used here.
    """
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
    programs = environment / ("Scripts" if sys.platform == "win32" else "bin")
    return version, programs / "python"


def assert_suite_passes(
    project: Path,
    folder: Path,
    *options: str,
    python: str | Path = sys.executable,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Run the tests of a project, or some, and fail with their output if any of them does."""
    env = {**os.environ, **variables}
    finished = run(python, *SUITE, "--basetemp", folder, *options, cwd=project, env=env)
    assert finished.returncode == 0, finished.stdout + finished.stderr


# What some continuous integration says about its terminal.
TERMINAL = {"COLUMNS": "40", "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TERM": "dumb"}
# What owners set to see more of a test that fails.
LOG_ALL = ["--override-ini", "log_level=DEBUG"]


@pytest.mark.parametrize("answers", FEW, ids=name)
def test_its_own_tests_pass(answers: Answers, bake: Bake, tmp_path: Path) -> None:
    if answers["key_location"] == "fallback":
        # With the longest name, the lines of the code are longest too.
        project = bake(**answers, project_slug=LONGEST_SLUG)
        assert_suite_passes(project, tmp_path, *LOG_ALL, variables=TERMINAL)
    else:
        assert_suite_passes(bake(**answers), tmp_path)


def test_its_own_tests_pass_on(other_python: tuple[str, Path], bake: Bake, tmp_path: Path) -> None:
    version, python = other_python
    tests = [] if FULL or is_newest(version) else DIFFERING
    project = bake(key_store="database", rate_limit="yes")
    assert_suite_passes(project, tmp_path, *tests, python=python)
