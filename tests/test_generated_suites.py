"""Generated projects pass their own tests, on every Python that services support."""

import os
import sys
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path

import pytest
from support.combinations import FEW, FULL, QUICK, Answers, name
from support.commands import find_python, run, run_python
from support.generation import Bake
from support.suites import SUITE, SUPPORTED
from support.template import LONGEST_SLUG, TEMPLATE

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
# Services with keys in settings run their tests in `test_as_a_user.py` and `test_edits.py`.
SUITES = FEW if QUICK or FULL else [each for each in FEW if each["key_store"] == "database"]
# Other Pythons take one project each, the newest the one with the most code. This one takes the
# rest, and the edited projects of `test_edits.py`.
OTHERS = [] if QUICK else [each for each in SUPPORTED if each != THIS and find_python(each)][::-1]
RUNS = list(zip(SUITES, chain(OTHERS, repeat(THIS)), strict=False))
# What some continuous integration says about its terminal.
TERMINAL = {"COLUMNS": "40", "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TERM": "dumb"}
# What owners set to see more of a test that fails.
LOG_ALL = ["--override-ini", "log_level=DEBUG"]
MakeEnvironment = Callable[[str], Path]


@pytest.fixture(scope="session")
def make_environment(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> MakeEnvironment:
    """Return a function that installs what services declare, and returns the Python that has it.

    The environment has the versions that are used here.
    """

    def make(version: str) -> Path:
        python = find_python(version)
        assert python
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
        return programs / "python"

    return make


def assert_suite_passes(
    project: Path, folder: Path, python: str | Path, *options: str, **variables: str
) -> None:
    """Run the tests of a project, and fail with their output if any of them does."""
    env = {**os.environ, **variables}
    finished = run(python, *SUITE, "--basetemp", folder, *options, cwd=project, env=env)
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize(
    ("answers", "version"), RUNS, ids=[f"{name(answers)}-{version}" for answers, version in RUNS]
)
def test_its_own_tests_pass(
    answers: Answers,
    version: str,
    bake: Bake,
    make_environment: MakeEnvironment,
    tmp_path: Path,
) -> None:
    python = sys.executable if version == THIS else make_environment(version)
    if answers["key_location"] == "fallback":
        # With the longest name, the lines of the code are longest too.
        project = bake(**answers, project_slug=LONGEST_SLUG)
        assert_suite_passes(project, tmp_path, python, *LOG_ALL, **TERMINAL)
    else:
        assert_suite_passes(bake(**answers), tmp_path, python)


@pytest.mark.parametrize("version", SUPPORTED)
def test_this_machine_has_each_python(version: str) -> None:
    if not find_python(version):
        pytest.skip(f"Python {version} is not on this machine, so no suite ran on it")
