"""Serves a contestant as it is meant to be served, with its access log: a service of this template
with its own `serve`, and others with uvicorn.

python shipped.py PORT WORKERS
"""

import importlib
import os
import sys
from pathlib import Path

import uvicorn
from contestants import LIMITED, SERVICES, folder_of


def main(port: int, workers: int) -> None:
    """Serve until a signal comes."""
    name = os.environ["CONTESTANT"]
    answers = SERVICES.get("ours: header, rate limit" if name in LIMITED else name)
    if answers is None:
        uvicorn.run("served:app", port=port, workers=workers)
        return
    folder = folder_of(answers)
    package = folder.replace("-", "_")
    sys.path.insert(0, str(Path(os.environ["PROJECTS"], folder, "src")))
    os.environ["BENCH_KEY"] = importlib.import_module(f"{package}.auth.keys").generate_key()
    server = importlib.import_module(f"{package}.server")
    server.run_server("served:app", host="127.0.0.1", port=port, workers=workers)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
