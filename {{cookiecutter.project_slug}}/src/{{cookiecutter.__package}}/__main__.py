"""Serves the application as its settings say: `python -m {{ cookiecutter.__package }}`."""

{% if cookiecutter.__limited %}
import logging
{% endif %}
{% if cookiecutter.__database %}
import sys
{% endif %}
from pathlib import Path

import uvicorn

from .logs import configure_logging
{% if cookiecutter.__limited %}
from .settings import IN_MEMORY, load_settings
{% else %}
from .settings import load_settings
{% endif %}

# How long requests in flight may take to finish once the process is told to stop.
SHUTDOWN_SECONDS = 25


def main() -> None:
    """Serve until a signal says stop; in development, start anew when the code changes."""
    settings = load_settings()
    configure_logging(settings)
    package = Path(__file__).parent
    {% if cookiecutter.__limited %}
    in_memory = settings.rate_limit_storage_url.get_secret_value() == IN_MEMORY
    if settings.workers > 1 and in_memory:
        logging.getLogger(package.name).warning(
            "Each of the %d processes counts requests for itself, which allows that many times"
            " RATE_LIMIT; set RATE_LIMIT_STORAGE_URL to count for all",
            settings.workers,
        )
    {% endif %}
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
        {% if cookiecutter.__database %}
        # Psycopg cannot use the loop that Windows has by default.
        loop="asyncio:SelectorEventLoop" if sys.platform == "win32" else "auto",
        {% endif %}
        log_config=None,
    )


if __name__ == "__main__":
    main()
