"""The program: `{{ cookiecutter.project_slug }} serve`, `{{ cookiecutter.project_slug }} keys …`."""

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from .auth import cli as keys_cli
from .auth.commands import Command, run
from .auth.keys import PROGRAM
{% if cookiecutter.__limited %}
from .auth.limit_settings import MEMORY
{% endif %}
from .log_lines import format_json

{% if cookiecutter.__database %}
EVENT_FIELDS = ("event", "key_id", "consumer", "actor", "successor", "fields")
{% else %}
EVENT_FIELDS = ("event", "key_id", "consumer", "actor")
{% endif %}

app = typer.Typer(
    help="Serve the application, and manage its API keys.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


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
            "%d processes count requests separately, which multiplies RATE_LIMIT for each consumer;"
            " set RATE_LIMIT_STORAGE_URL to count for all of them",
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
    from .migrate import load_migration_settings, migrate_database

    print(migrate_database(load_migration_settings().url))
{% endif %}


class EventHandler(logging.Handler):
    """Writes what happened to keys to stderr, one line of JSON each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write an event."""
        fields = {name: value for name, value in vars(record).items() if name in EVENT_FIELDS}
        print(format_json(record, fields), file=sys.stderr)


@contextmanager
def log_events() -> Iterator[None]:
    """Log events of keys for programs; a person at a terminal sees what the command prints."""
    logger, handler = logging.getLogger(f"{__package__}.auth.key_events"), EventHandler()
    level = logger.level
    if not sys.stderr.isatty():
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _log_events_of_commands(context: typer.Context) -> None:
    context.with_resource(log_events())


app.add_typer(keys_cli.app, name="keys", callback=_log_events_of_commands)


def find_scopes() -> frozenset[str]:
    """Return the scopes that endpoints require, without settings and without a key."""
    from .app import create_app
    from .auth.scopes import find_scopes
    from .settings import Settings

    return find_scopes(create_app(Settings.model_construct()))


def main(arguments: list[str] | None = None) -> None:
    """Run the program; a mistake is one line on stderr and exit status 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack characters
    run(app, PROGRAM, arguments, find_scopes=find_scopes)
