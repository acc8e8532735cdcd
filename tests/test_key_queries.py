"""With many keys in PostgreSQL, each query of `keys` uses an index, and memory stays small."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from support.commands import run_python
from support.explain_queries import FILL
from support.generation import Bake
from support.keys import new_key
from support.live import manage
from support.postgresql import Postgres

SCRIPT = Path(__file__).parent / "support/explain_queries.py"
MILLION = 1_000_000
MAX_MIB = 150
# What people run, and whether it succeeds.
COMMANDS = [
    ("keys --help", True),
    ("keys create web", True),
    ("keys list --consumer consumer7", True),
    ("keys find", True),
    ("keys show id7", True),
    ("keys revoke id0", False),
    ("keys revoke --consumer cnosumer7", False),
    ("keys revoke id8 --with-successors", True),
    ("keys purge --expired-before 30d", True),
    ("keys list --json", True),
    ("keys export", True),
]


def test_no_query_reads_the_whole_table(bake: Bake, postgres: Postgres, tmp_path: Path) -> None:
    project = bake(key_store="database")
    url = postgres.database()
    env = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(project / "src")}
    manage("migrate", cwd=tmp_path, env=env)
    printed = run_python(SCRIPT, "my_service", url, cwd=tmp_path, env=env)
    assert printed.returncode == 0, printed.stderr
    found = json.loads(printed.stdout)
    assert len(found) == 15
    for query, plans in found.items():
        assert plans, query
        for plan in plans:
            assert "Index" in plan, (query, plan)
            assert "Seq Scan" not in plan, (query, plan)


def measure(command: str, key: str, *, folder: Path, env: dict[str, str]) -> tuple[int, float, int]:
    """Run a command; return its exit status, its seconds and the MiB of memory that it took."""
    if sys.platform == "win32":
        pytest.skip("Windows has no wait4")
    arguments = [sys.executable, "-m", "my_service", *command.split()]
    (folder / "key").write_text(key)
    started = time.monotonic()
    with (folder / "key").open() as stdin, (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            arguments, cwd=folder, env=env, stdin=stdin, stdout=out, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, time.monotonic() - started, usage.ru_maxrss // 1024


@pytest.mark.skipif(not os.environ.get("FULL"), reason="takes minutes: FULL=1 asks for it")
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux counts it")
def test_million_keys_take_little_memory(bake: Bake, postgres: Postgres, tmp_path: Path) -> None:
    project = bake(key_store="database")
    url = postgres.database()
    env = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(project / "src")}
    manage("migrate", cwd=tmp_path, env=env)
    with psycopg.connect(url) as connection:
        connection.execute(FILL.replace(":count", str(MILLION)).encode())
        connection.execute("ANALYZE api_keys")
    key, _ = new_key(project)
    for command, succeeds in COMMANDS:
        status, seconds, mebibytes = measure(command, key, folder=tmp_path, env=env)
        print(f"{command}: {seconds:.2f} s, {mebibytes} MiB")
        assert (status == 0) is succeeds, command
        assert mebibytes < MAX_MIB, command
