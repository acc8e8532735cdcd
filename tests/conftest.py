"""Bakes projects from the template, each set of answers once a run."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from combinations import choices, core, cover, name
from cookiecutter.main import cookiecutter

pytest_plugins = ["browsing", "postgresql", "redis_server", "servers"]

TEMPLATE = Path(__file__).parents[1]
CHOICES = choices(TEMPLATE)
COMBINATIONS = cover(CHOICES)
CORE = core(CHOICES)
LONGEST_SLUG = "parcel-tracking-for-the-whole-wide-world-of-ships-and-of-trains"
Bake = Callable[..., Path]
T = TypeVar("T")

RESERVED_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


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


def render(output: Path, *, hooks: bool = True, **answers: str) -> Path:
    """Generate a project with `answers` in `output` and return its folder."""
    return Path(
        cookiecutter(
            str(TEMPLATE),
            no_input=True,
            extra_context=answers,
            output_dir=str(output),
            accept_hooks=hooks,
        )
    )


def generate(output: Path, **answers: str) -> tuple[Path, str]:
    """Generate a project as a person does, and return its folder and the curl command it prints."""
    options = ["--no-input", "--output-dir", str(output), str(TEMPLATE)]
    chosen = [f"{question}={answer}" for question, answer in answers.items()]
    finished = run_python("-m", "cookiecutter", *options, *chosen, cwd=output)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    [project] = output.iterdir()
    [curl] = re.findall(r"^ *(curl .+)$", finished.stdout, re.MULTILINE)
    return project, curl


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return a folder for projects."""
    return tmp_path / "output"


@pytest.fixture(scope="session")
def bake(tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Return a project for these answers; it is shared, so read it and don't edit it."""
    projects: dict[str, Path] = {}

    def bake_once(**answers: str) -> Path:
        key = json.dumps(answers, sort_keys=True)
        if key not in projects:
            projects[key] = render(tmp_path_factory.mktemp("bake"), hooks=True, **answers)
        return projects[key]

    return bake_once


@pytest.fixture(scope="session", params=COMBINATIONS, ids=name)
def project(request: pytest.FixtureRequest, bake: Bake) -> Path:
    """Return the project of each combination of answers in turn."""
    return bake(**request.param)


@pytest.fixture(scope="session", params=CORE, ids=name)
def core_project(request: pytest.FixtureRequest, bake: Bake) -> Path:
    """Return the project of each core combination in turn."""
    return bake(**request.param)


def tree(project: Path) -> list[Path]:
    """Return the files and folders of a generated project, those of git left out."""
    return [path for path in sorted(project.rglob("*")) if ".git" not in path.parts]


def windows_refuses(path: Path) -> bool:
    """Tell whether Windows cannot have a file of this name."""
    return any(
        re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', part) or RESERVED_ON_WINDOWS.fullmatch(part)
        for part in path.parts
    )


def run(
    *command: str | Path, cwd: Path, env: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return it with its output as text."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )


def run_python(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run this environment's Python."""
    return run(sys.executable, *arguments, cwd=cwd)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop of its own, and return what it returns."""
    # Playwright keeps an event loop in the thread of the tests, where another one cannot run.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()


def status(curl: str, port: int) -> str:
    """Run a printed curl command in a shell, against this port, and return the answer's status."""
    if not shutil.which("curl"):
        pytest.skip("curl is not on this machine")
    here = curl.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    finished = run(
        "sh", "-c", f"{here} --silent --output {os.devnull} -w '%{{http_code}}'", cwd=TEMPLATE
    )
    return finished.stdout


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def serving(
    *command: str | Path,
    port: int,
    cwd: Path,
    env: dict[str, str] | None = None,
    user: int | None = None,
) -> Iterator[Path]:
    """Run a server and yield, once it is ready, the file that takes what it prints."""
    output = cwd / f"server-{port}.log"
    with output.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/health/ready", process, output)
            yield output
        finally:
            _stop(process)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except URLError:
            time.sleep(0.05)
    pytest.fail(f"the server did not get ready:\n{output.read_text(encoding='utf-8')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.terminate()
    else:  # the server may be a grandchild: of make, of uv, of its own reloader
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=30)


def missing(what: str) -> NoReturn:
    """Skip a test for which this machine lacks something; where CI runs, it has to be there."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.02)


def find_python(version: str) -> str | None:
    """Return an interpreter of this version when the machine has one."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [str(python) for python in pyenv.glob(f"versions/{version}.*/bin/python")]
    if on_path := shutil.which(f"python{version}"):
        candidates.append(on_path)
    tell = "import sys; print(f'{sys.version_info.major}.{sys.version_info.minor}')"
    for candidate in candidates:
        # What stands on the PATH may be a launcher of something that is not installed.
        if run(candidate, "-c", tell, cwd=TEMPLATE).stdout.strip() == version:
            return candidate
    return None
