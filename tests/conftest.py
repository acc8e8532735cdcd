"""Bakes projects from the template, each set of answers once a run."""

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from support.combinations import COMBINATIONS, CORE, SPREAD, name
from support.generation import Bake, generate_once

pytest_plugins = [
    "support.attack_servers",
    "support.browsing",
    "support.postgresql",
    "support.redis_server",
    "support.small_template",
]


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Return how many processes run tests: two more than cores, as tests wait half of the time."""
    return (yield) + 2


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
    pytest.MonkeyPatch().setenv("PYTHONDONTWRITEBYTECODE", "1")


@pytest.fixture(scope="session", autouse=True)
def shared_mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let mypy read each dependency once for this process, not once a project."""
    pytest.MonkeyPatch().setenv("MYPY_CACHE_DIR", str(tmp_path_factory.mktemp("mypy-cache")))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return a folder for projects."""
    return tmp_path / "output"


@pytest.fixture(scope="session")
def bake(tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Return a project for these answers; it is shared, so read it and don't edit it."""
    projects: dict[str, Path] = {}
    base = tmp_path_factory.getbasetemp()
    generated = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "generated"
    generated.mkdir(exist_ok=True)

    def bake_once(**answers: str) -> Path:
        key = json.dumps(answers, sort_keys=True)
        if key not in projects:
            projects[key] = generate_once(generated, tmp_path_factory.mktemp("bake"), **answers)
        return projects[key]

    return bake_once


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
