"""The program: `{{ cookiecutter.project_slug }} serve`, `{{ cookiecutter.project_slug }} keys …`."""

import io
{% if cookiecutter.__limited %}
import logging
{% endif %}
import sys

import typer

from .auth import cli as keys_cli
from .auth.commands import Command, run
{% if cookiecutter.__limited %}
from .auth.limit_settings import MEMORY
{% endif %}

PROGRAM = "{{ cookiecutter.project_slug }}"

app = typer.Typer(
    help="Serve the application, and manage its API keys.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(keys_cli.app, name="keys")


@app.command(cls=Command)
def serve() -> None:
    """Serve the application."""
    # Imported here: the other commands start sooner without the web framework.
    from .logs import configure_logging
    from .server import run_server
    from .settings import load_settings

    settings = load_settings()
    configure_logging(settings)
{% if cookiecutter.__limited %}
    in_memory = settings.rate_limit_storage_url.get_secret_value() == MEMORY
    if settings.workers > 1 and in_memory:
        logging.getLogger(__name__).warning(
            "Each of the %d processes counts requests for itself, so a consumer may send that many"
            " times RATE_LIMIT; set RATE_LIMIT_STORAGE_URL to count for all",
            settings.workers,
        )
{% endif %}
    run_server(
        f"{__package__}.main:app",
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        root_path=settings.root_path,
        max_connections=settings.max_connections,
        max_message_size=settings.max_body_size,
        reload=settings.development,
    )
{% if cookiecutter.__database %}


@app.command(cls=Command)
def migrate() -> None:
    """Create or update the tables."""
    from .migrate import migrate_database
    from .settings import load_settings

    print(migrate_database(load_settings()))
{% endif %}


def main(arguments: list[str] | None = None) -> None:
    """Run the program; a mistake is one line on stderr and exit status 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know every name
    run(app, PROGRAM, arguments)
