"""In a fresh environment, with what a service declares and nothing else, its commands work."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from support.commands import program, run
from support.curl import curl_status, printed_curl
from support.generation import generate_by_command
from support.server_process import free_port, run_server

# What depends on the most libraries.
LARGEST = {"protection": "endpoints", "key_store": "database", "rate_limit": "yes"}

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or not shutil.which("make"), reason="no POSIX make on this machine"
)


def machine(folder: Path, *, with_uv: bool) -> dict[str, str]:
    """Return the environment variables of a machine that has or lacks uv."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    if with_uv:
        (programs / "uv").symlink_to(program("uv"))
    others = [place for place in os.get_exec_path() if not (Path(place) / "uv").exists()]
    foreign = ("VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE", "MYPY_CACHE_DIR", "MAKEFLAGS", "MAKELEVEL")
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return kept | {"PATH": os.pathsep.join([str(programs), *others])}


@pytest.mark.parametrize(
    ("answers", "with_uv", "resolution"),
    [
        ({"license": "Proprietary"}, True, "highest"),
        (LARGEST, False, "lowest-direct"),
    ],
    ids=["the newest versions, with uv", "the oldest versions, without uv"],
)
def test_a_fresh_clone_is_tested_and_served(
    answers: dict[str, str], with_uv: bool, resolution: str, tmp_path: Path
) -> None:
    env = machine(tmp_path, with_uv=with_uv) | {"UV_RESOLUTION": resolution}
    output = tmp_path / "folder with spaces"
    output.mkdir()
    project, printed = generate_by_command(output, **answers)
    curl = printed_curl(printed)
    # What is right with the newest versions may have other types with the oldest ones.
    for target in ("test", "check") if resolution == "highest" else ("test",):
        finished = run("make", target, cwd=project, env=env)
        assert finished.returncode == 0, finished.stdout + finished.stderr
    assert (project / ".uv").exists() != with_uv
    port = free_port()
    with run_server("make", "run", f"PORT={port}", port=port, cwd=project, env=env):
        assert curl_status(curl, port) == "200"
