"""Serves the application as its settings say: `python -m {{ cookiecutter.__package }}`."""

from pathlib import Path

import uvicorn

from .logs import configure_logging
from .settings import load_settings

# How long requests in flight may take to finish once the process is told to stop.
SHUTDOWN_SECONDS = 25


def main() -> None:
    """Serve until a signal says stop; in development, start anew when the code changes."""
    settings = load_settings()
    configure_logging(settings)
    package = Path(__file__).parent
    uvicorn.run(
        f"{package.name}.main:app",
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        root_path=settings.root_path,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        reload=settings.development,
        reload_dirs=str(package) if settings.development else None,
        log_config=None,
    )


if __name__ == "__main__":
    main()
