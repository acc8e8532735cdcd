"""What the commands of the program share: options, and errors of one line."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from . import keys
from .settings import ENV_FILE, redact

# The width from which a table has all of its columns.
WIDE = 120
DAY_LENGTH = len("2030-12-31")

NewConsumer = Annotated[
    str, typer.Argument(metavar="CONSUMER", help="The holder of the key, such as billing-web.")
]
Name = Annotated[str | None, typer.Option(metavar="TEXT", help="What the key is for.")]
Scopes = Annotated[
    list[str] | None, typer.Option(metavar="SCOPE", help="What the key may do; repeatable.")
]
Expires = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="The last day (UTC), such as 2030-12-31, a moment, or 90d."),
]
Networks = Annotated[
    list[str] | None,
    typer.Option(metavar="NETWORK", help="Where the key may be used, 192.0.2.0/24; repeatable."),
]
{% if cookiecutter.__limited %}
RateLimit = Annotated[
    str | None, typer.Option(metavar="LIMIT", help="Its own limit, such as 50/second.")
]
{% endif %}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class CommandError(typer.TyperException):
    """A command failed: one line for the person who ran it, and the exit status."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Command(TyperCommand):
    """A command whose errors begin with its name. A ValueError is a mistake of who runs it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments.

        Raises:
            CommandError: what is wrong with them.
        """
        with _errors_of(ctx.command_path):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            CommandError: what was mistaken, or what failed.
        """
        with _errors_of(ctx.command_path):
            return super().invoke(ctx)


@contextmanager
def _errors_of(command: str) -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        raise CommandError(f"{command}: {error.format_message()}", error.exit_code) from None
    except ValueError as error:
        raise CommandError(f"{command}: {error}", 2) from None
    except SystemExit as error:
        if not isinstance(error.code, str):
            raise  # the server ends with a status of its own
        raise CommandError(f"{command}: {error.code}", 1) from None


def read_end(text: str | None) -> str | None:
    """Return the end that an option stands for; a duration such as `90d` begins now."""
    try:
        duration = keys.parse_duration(text or "")
    except ValueError:
        return text
    return keys.format_expires(datetime.now(UTC).replace(microsecond=0) + duration)


def print_table(
    columns: dict[str, str], rows: Iterable[dict[str, Any]], *, narrow: Collection[str]
) -> None:
    """Print keys as a table: all columns where they fit, those of `narrow` anywhere.

    Ids and days stay whole; consumers, names and scopes are folded where they have to be.
    """
    from rich.console import Console  # not every command needs it
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, padding=(0, 2, 0, 0))
    fields = [field for field in columns if console.width >= WIDE or field in narrow]
    for field in fields:
        folded = field in ("consumer", "name", "scopes")
        table.add_column(columns[field], overflow="fold", no_wrap=not folded)
    for row in rows:
        # As text: a name may look like markup.
        table.add_row(*(Text(_to_cell(field, row[field])) for field in fields))
    console.print(table)


def _to_cell(field: str, value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, int):
        return str(value)
    days_only = field in ("created", "expires", "last_used")
    return (value or "")[: DAY_LENGTH if days_only else None]


def describe_env_file() -> str:
    """Return which `.env` was read: a command in the wrong folder finds none."""
    file = Path(ENV_FILE).absolute()
    return f"Settings were read from {file}" if file.exists() else f"There is no {file}"


def run(app: typer.Typer, program: str, arguments: list[str] | None = None) -> None:
    """Run the program and end the process.

    Raises:
        SystemExit: always; 0 when the command succeeded, 2 after a mistake, 1 after a failure.
    """
    try:
        status = app(args=arguments, prog_name=program, standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message()  # that of a command begins with its name
        if group := getattr(error, "ctx", None):
            message = f"{group.command_path}: {message} Try: {group.command_path} --help"
        typer.echo(" ".join(redact(message).split()), err=True)
        raise SystemExit(error.exit_code) from None
    except typer.Abort:
        typer.echo(f"{program}: interrupted", err=True)
        raise SystemExit(130) from None
    raise SystemExit(status if isinstance(status, int) else 0)
