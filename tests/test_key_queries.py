"""With many keys in PostgreSQL, each query of `keys` uses an index."""

import json
import os
from pathlib import Path

from support.commands import run_python
from support.generation import Bake
from support.live import manage
from support.postgresql import Postgres

SCRIPT = Path(__file__).parent / "support/explain_queries.py"


def test_no_query_reads_the_whole_table(bake: Bake, postgres: Postgres, tmp_path: Path) -> None:
    project = bake(key_store="database")
    url = postgres.database()
    env = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(project / "src")}
    manage("migrate", cwd=tmp_path, env=env)
    printed = run_python(SCRIPT, "my_service", url, cwd=tmp_path, env=env)
    assert printed.returncode == 0, printed.stderr
    plans = json.loads(printed.stdout)
    assert len(plans) == 8
    for query, plan in plans.items():
        assert "Index" in plan, (query, plan)
        assert "Seq Scan" not in plan, (query, plan)
