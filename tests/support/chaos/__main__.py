"""Inject every fault into a busy service and write down what was seen: `make chaos`."""

import sys
import tempfile
import time
from pathlib import Path

from support.chaos.faults import FAULTS
from support.chaos.report import Row, write_page
from support.chaos.run import inject, soak
from support.chaos.scenarios import SCENARIOS
from support.chaos.world import ANSWERS, make_world
from support.generation import generate
from support.postgresql import run_postgres
from support.redis_server import run_redis


def main() -> None:
    """Run everything, in ten minutes at most."""
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    rows: list[Row] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user
        project = generate(folder / "output", hooks=False, **ANSWERS)
        generate(folder / "output/rolled", hooks=False, deployment="kubernetes")
        with run_postgres() as postgres, run_redis(folder) as redis:
            with make_world(project, folder, postgres, redis) as world, world.traffic() as traffic:
                rows += [soak(world, traffic, 2 if only else 30)]
                for fault in FAULTS:
                    if only in fault.name:
                        rows.append(inject(fault, world, traffic))
                        print(rows[-1].text(), flush=True)
            for scenario in SCENARIOS:
                if only in scenario.name:
                    rows.append(scenario.run(project, folder, postgres, redis))
                    print(rows[-1].text(), flush=True)
    if not only:
        write_page(rows, time.monotonic() - started)
    sys.exit(any(row.broken for row in rows))


if __name__ == "__main__":
    main()
