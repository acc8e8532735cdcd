"""In the hands of its owner: after ordinary edits a project is as good as it was generated."""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, count
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from support.combinations import CHOICES, CORE, FULL, Answers, name
from support.edits import OWNERS, settings
from support.edits.project import Edit, Project
from support.generation import Bake
from support.keys import new_key
from support.server_process import free_port, run_server
from support.suites import OWNERS_SUITE
from support.template import TEMPLATE

SUITE = [*OWNERS_SUITE, "-q"]
# What no edit can reach: modules without the application, which take most of the time.
UNREACHED = [
    f"--ignore=tests/test_{name}.py"
    for name in (
        *("cache", "counters", "key_commands", "keys", "limits", "log_lines", "management"),
        *("protocols", "queries", "redaction", "redis_counter", "server", "throttle"),
    )
]
# Several processes that migrate at the same time: seconds, and the same whatever is edited.
UNREACHED += [
    f"--deselect=tests/test_migrations.py::{name}"
    for name in (
        "test_concurrent_migrations_wait_for_the_first",
        "test_waiting_for_a_migration_is_announced",
    )
]
CONTRACT = TEMPLATE / "tests/support/edits/contract.py"
# Both protections, both stores and several locations for each owner.
QUESTIONS = ("key_location", "protection", "key_store", "rate_limit")
PROJECTS = {
    "ada": ["query whole_app settings no", "cookie endpoints database yes"],
    "ben": ["query endpoints settings no", "fallback whole_app database no"],
    "cleo": ["bearer endpoints settings yes", "cookie whole_app database no"],
    "dan": ["header whole_app database yes", "fallback endpoints settings yes"],
    "eve": ["bearer whole_app database no", "header endpoints settings no"],
}
EDITED = [
    (owner, dict(zip(QUESTIONS, answers.split(), strict=True)))
    for owner, projects in PROJECTS.items()
    for answers in projects
]
# A plugin that warns before a test is collected, as pytest-asyncio does, and another order.
PLUGIN = """
import random
import warnings

import pytest


def pytest_configure():
    warnings.warn(pytest.PytestDeprecationWarning("an option is unset"), stacklevel=2)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    random.Random(7).shuffle(items)
"""
# What some owners run their tests with, by the owner and the key store of the project.
PLUGINS = {
    ("ada", "settings"): [
        *("-p", "asyncio", "--asyncio-mode=auto", "-p", "randomly"),
        *("-p", "pytest_cov", "--cov=my_service"),
    ],
    ("eve", "database"): ["-p", "asyncio", "-p", "owners_plugin"],
}
if FULL:
    PLUGINS["ben", "database"] = ["-p", "xdist", "-n", "2"]
# How people and platforms have variables, most of them for other programs.
VARIABLES = {
    "API_KEYS": "[",
    "COOKIE_SECURE": "false",
    "CORS_ORIGINS": '["https://app.example.com"]',
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "DOCS_ENABLED": "true",
    "FASTAPI_ENV": "development",
    "LOG_LEVEL": "DEBUG",
    "MAX_BODY_SIZE": "1",
    "PORT": "tcp://10.0.0.1:8000",
    "RATE_LIMIT": "1/minute",
    "ROOT_PATH": "/",
    "max_body_size": "2",
}
LIST_SETTINGS = "from my_service.settings import Settings; print(*Settings.model_fields)"
Check = Callable[[Project], str]
MakeProject = Callable[[Answers, list[Edit]], Project]


@pytest.fixture
def make_project(bake: Bake, tmp_path: Path) -> MakeProject:
    """Return a function that makes a fresh clone of a project, to edit."""
    numbers = count()

    def make(answers: Answers, edits: list[Edit]) -> Project:
        folder = tmp_path / str(next(numbers)) / "my-service"
        shutil.copytree(bake(**answers), folder, ignore=shutil.ignore_patterns(".git", ".env"))
        project = Project(folder, answers)
        for edit in edits:
            edit.change(project)
        project.format()
        return project

    return make


def run_check(project: Project) -> str:
    """Do what `make check` does, and return the output of what fails."""
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        status, output = project.run("-m", *command)
        if status:
            return output
    return ""


def run_contract(project: Project) -> str:
    """Check the rows of the contract, and return what does not hold."""
    status, output = project.run(CONTRACT, ENV_FILE=os.devnull)
    return output if status else ""


def run_suite(project: Project, only: Sequence[str] = (), *, plugins: Sequence[str] = ()) -> str:
    """Run the project's own tests, or those of some files, and return the output if any fails.

    With plugins, they run among variables and files that they must not read.
    """
    files = [file for file in only if (project.folder / file).exists()]
    if only and not files:
        return ""
    variables = surround(project) if plugins else {}
    options = ["--basetemp", str(project.folder.parent / "tmp"), *plugins]
    status, output = project.run(*SUITE, *options, *(files or UNREACHED), **variables)
    if (project.folder / "keys.db").exists():
        return f"{output}\nThe tests made keys.db."
    return output if status else ""


def surround(project: Project) -> dict[str, str]:
    """Put files into a project that its tests must not read, and return such variables."""
    nonsense = project.answers["key_store"] == "database"
    _, names = project.run("-c", LIST_SETTINGS)
    project.write("src/owners_plugin.py", PLUGIN)
    project.write(".env", "API_KEYS=[\nMAX_BODY_SIZE=one\nLOG_LEVEL=loud\n")
    project.write("config.toml", "port = = 1\n" if nonsense else "max_body_size = 1\n")
    project.write("secrets/rate_limit", "1/minute")
    variables = dict.fromkeys(names.upper().split(), "nonsense") if nonsense else VARIABLES
    return variables | {"SECRETS_DIR": "secrets"}


def failed_files(output: str) -> list[str]:
    """Return the files whose tests failed."""
    return sorted(set(re.findall(r"^(?:FAILED|ERROR) (\S+?\.py)", output, re.MULTILINE)))


@pytest.mark.parametrize(
    ("owner", "answers"), EDITED, ids=[f"{owner}-{name(answers)}" for owner, answers in EDITED]
)
@pytest.mark.usefixtures("types_of_dependencies")
def test_edited_project_is_as_good(owner: str, answers: Answers, make_project: MakeProject) -> None:
    edits = [edit for edit in OWNERS[owner] if edit.fits(answers)]
    project = make_project(answers, edits)
    suite = partial(run_suite, plugins=PLUGINS.get((owner, answers["key_store"]), ()))
    problems = []
    for title, check in (("check", run_check), ("contract", run_contract), ("suite", suite)):
        if output := check(project):
            again = partial(suite, only=failed_files(output)) if check is suite else check
            alone = [edit.name for edit in edits if again(make_project(answers, [edit]))]
            by = ", ".join(alone) or "the edits together"
            problems.append(f"{title}, broken by {by}: {output}")
    assert not problems, "\n".join(problems)


def test_edited_projects_are_all_core_combinations() -> None:
    assert all(any(each.items() <= answers.items() for _, answers in EDITED) for each in CORE)


def test_plugins_are_those_of_edited_projects() -> None:
    assert PLUGINS.keys() <= {(owner, answers["key_store"]) for owner, answers in EDITED}


def test_every_edit_meets_both_protections_both_stores_and_several_locations() -> None:
    for edit in chain(*OWNERS.values()):
        met = [answers for owner, answers in EDITED if edit in OWNERS[owner] and edit.fits(answers)]
        for question, number in {"protection": 2, "key_store": 2, "key_location": 2}.items():
            wanted = min(number, len(edit.only.get(question, CHOICES[question])))
            found = {answers[question] for answers in met}
            assert len(found) >= wanted, f"{edit.name} meets {question} {found} only"


def test_suite_names_where_a_new_setting_is_missing(make_project: MakeProject) -> None:
    project = make_project(CORE[0], [Edit(settings.declare_setting)])
    status, output = project.run(*SUITE, "tests/test_settings.py")
    assert status == 1
    for expected in ("PRICE_PER_PARCEL", ".env.example", "README.md"):
        assert expected in output


@pytest.mark.parametrize(("command", "docs"), [("dev", 200), ("run", 404)])
def test_fastapi_starts_the_service(command: str, docs: int, make_project: MakeProject) -> None:
    project = make_project({"protection": "endpoints", "key_location": "header"}, [])
    key, digest = new_key(project.folder)
    port = free_port()
    env = {name: value for name, value in os.environ.items() if name != "FASTAPI_ENV"}
    env["PYTHONPATH"] = str(project.folder / "src")
    env["API_KEYS"] = json.dumps([{"consumer": "web", "sha256": digest}])
    program = [sys.executable, "-m", "fastapi", command, "--port", str(port)]
    with run_server(*program, port=port, cwd=project.folder, env=env):
        for path, headers, status in (
            ("/docs", {}, docs),
            ("/users/me", {}, 401),
            ("/users/me", {"X-API-Key": key}, 200),
        ):
            request = Request(f"http://127.0.0.1:{port}{path}", headers=headers)
            assert get_status(request) == status


def get_status(request: Request) -> int:
    """Return the status of the response to a request."""
    try:
        with urlopen(request, timeout=60) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code
