"""Rate limits of a generated service with a real Redis: exact counts, and every kind of failure."""

import json
import os
import sys
from pathlib import Path

import pytest
from support.commands import run_python
from support.generation import Bake
from support.redis_server import PASSWORD, Redis, find_redis
from support.server_process import free_port

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no Redis for Windows")

TESTS = Path(__file__).parent


# In a process of its own: these tests need an event loop, and import the package of the service.
@pytest.mark.parametrize("file", ["counting.py", "failing.py"])
def test_limits_keep_their_promises_with_redis(bake: Bake, file: str) -> None:
    find_redis()
    project = bake(rate_limit="yes")
    path = os.pathsep.join(map(str, (project / "src", TESTS)))
    folder = TESTS / "support" / "redis_tests"
    options: list[str | Path] = ["-q", "-W", "error", "-p", "no:cacheprovider", "-c", os.devnull]
    options += ["-p", "no:asyncio", "-p", "no:randomly"]
    finished = run_python(
        *("-m", "pytest", *options, "--rootdir", folder, "--confcutdir", folder, folder / file),
        cwd=project,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "skipped" not in finished.stdout


@pytest.mark.parametrize("workers", ["1", "2"])
def test_wrong_password_ends_serve_with_one_line(
    bake: Bake, redis: Redis, tmp_path: Path, workers: str
) -> None:
    project = bake(rate_limit="yes")
    settings = {
        "API_KEYS": json.dumps([{"consumer": "web", "sha256": "0" * 64}]),
        "LOG_LEVEL": "error",
        "PORT": str(free_port()),
        "PYTHONPATH": str(project / "src"),
        "RATE_LIMIT_STORAGE_URL": redis.url.replace(PASSWORD, f"not-{PASSWORD}"),
        "WORKERS": workers,
    }
    # Not in the project: its `.env` is for development, where the server waits for changed code.
    served = run_python("-m", "my_service", "serve", cwd=tmp_path, env={**os.environ, **settings})
    assert served.returncode == 3, served.stderr
    messages = [json.loads(line)["message"] for line in served.stderr.splitlines()]
    reason = (
        "RATE_LIMIT_STORAGE_URL: Redis responded with an error"
        " (WRONGPASS: it refused the user name or the password)"
    )
    # Where several processes serve, their parent says of one that it failed to start.
    assert {line for line in messages if not line.startswith("Child process [")} == {reason}
    assert "Traceback" not in served.stderr
    assert PASSWORD not in served.stderr
