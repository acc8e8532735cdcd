"""Bakes projects from the template, each set of answers once a run."""

import json
import os
import shutil
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from support.combinations import CHOICES, COMBINATIONS, CORE, SPREAD, name
from support.commands import run_python
from support.generation import Bake, generate_once, publish
from support.waiting import until

# What runs the tests of generated projects.
LONGEST = {"test_as_a_user", "test_edits", "test_generated_suites"}

pytest_plugins = [
    "support.attack_servers",
    "support.browsing",
    "support.postgresql",
    "support.redis_server",
    "support.small_template",
]


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Return how many processes run tests: three more than cores, as tests often wait."""
    return (yield) + 3


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each process begin with some of the longest tests: at the end, one would run alone."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    longest = [item for item in items if item.path.stem in LONGEST]
    others = [item for item in items if item.path.stem not in LONGEST]
    share = -(-len(others) // processes)
    items[:] = [
        item
        for number in range(processes)
        for item in longest[number::processes] + others[number * share :][:share]
    ]


@pytest.fixture(scope="session", autouse=True)
def cookiecutter_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep the user's own cookiecutter configuration and replay files out of the tests."""
    home = tmp_path_factory.mktemp("cookiecutter-home")
    patch = pytest.MonkeyPatch()
    config = home / "config.yaml"
    config.write_text(
        json.dumps(
            {"cookiecutters_dir": str(home / "cookiecutters"), "replay_dir": str(home / "replay")}
        )
    )
    patch.setenv("COOKIECUTTER_CONFIG", str(config))
    return home


@pytest.fixture(scope="session", autouse=True)
def no_bytecode() -> None:
    """Keep Python from writing into generated projects, which several tests share."""
    sys.dont_write_bytecode = True
    pytest.MonkeyPatch().setenv("PYTHONDONTWRITEBYTECODE", "1")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep what mypy remembers out of the projects."""
    folder = tmp_path_factory.mktemp("mypy-cache")
    pytest.MonkeyPatch().setenv("MYPY_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def types_of_dependencies(bake: Bake, mypy_cache: Path, shared_folder: Path) -> None:
    """Let mypy read the dependencies of services once for all processes of this run."""
    kept = shared_folder / "mypy-cache"
    try:
        (shared_folder / "mypy-started").mkdir()
    except FileExistsError:
        until(kept.exists, 300)
        shutil.copytree(kept, mypy_cache, dirs_exist_ok=True)
    else:
        run_python("-m", "mypy", cwd=bake(**COMBINATIONS[-1]))
        publish(mypy_cache, kept)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return a folder for projects."""
    return tmp_path / "output"


@pytest.fixture(scope="session")
def bake(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Iterator[Bake]:
    """Return a project for these answers; it is shared, so read it and don't edit it."""
    projects: dict[str, Path] = {}
    generated = shared_folder / "generated"
    generated.mkdir(exist_ok=True)

    def bake_once(**answers: str) -> Path:
        # What is the default anyway makes no other project.
        changed = {
            question: answers[question]
            for question in sorted(answers)
            if answers[question] != CHOICES.get(question, [""])[0]
        }
        key = json.dumps(changed)
        if key not in projects:
            projects[key] = generate_once(generated, tmp_path_factory.mktemp("bake"), **changed)
        return projects[key]

    yield bake_once
    compiled = [file for project in projects.values() for file in project.rglob("*.pyc")]
    assert compiled == [], "a test runs a project without PYTHONDONTWRITEBYTECODE"


@pytest.fixture(scope="session", params=COMBINATIONS, ids=name)
def project(request: pytest.FixtureRequest, bake: Bake) -> Path:
    """Return the project of each combination of answers in turn."""
    return bake(**request.param)


@pytest.fixture(scope="session", params=SPREAD, ids=name)
def spread_project(request: pytest.FixtureRequest, bake: Bake) -> Path:
    """Return a project for each core combination, with the other answers spread within them."""
    return bake(**request.param)


@pytest.fixture(scope="session", params=CORE, ids=name)
def core_project(request: pytest.FixtureRequest, bake: Bake) -> Path:
    """Return the project of each core combination in turn."""
    return bake(**request.param)
