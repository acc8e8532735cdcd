"""What the commands of the program share: options, and errors of one line."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from . import keys
from .settings import redact

# The width from which a table has all of its columns.
WIDE = 120
# How many rows a table has at most; a longer list is several tables.
TABLE = 200
# The exit status of a review that found something. It differs from those of failures.
FOUND = 3
DAY_LENGTH = len("2030-12-31")

NewConsumer = Annotated[
    str, typer.Argument(metavar="CONSUMER", help="The consumer of the key, such as billing-web.")
]
Name = Annotated[str | None, typer.Option(metavar="TEXT", help="What the key is for.")]
Scopes = Annotated[
    list[str] | None, typer.Option(metavar="SCOPE", help="What the key may do; repeatable.")
]
NewScopes = Annotated[
    list[str] | None,
    typer.Option(
        "--new-scope", metavar="SCOPE", help="A scope that no endpoint requires; repeatable."
    ),
]
Expires = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="The last day (UTC), such as 2030-12-31, a time, or 90d."),
]
Networks = Annotated[
    list[str] | None,
    typer.Option(metavar="NETWORK", help="Network of clients, such as 192.0.2.0/24; repeatable."),
]
{% if cookiecutter.__limited %}
RateLimit = Annotated[
    str | None, typer.Option(metavar="LIMIT", help="Limit of this key, such as 50/second.")
]
{% endif %}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class CommandError(typer.TyperException):
    """A command failed: one line for the person who ran it, and the exit status."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Command(TyperCommand):
    """A command whose errors begin with its name. A ValueError is a mistake in its arguments."""

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
            CommandError: the mistake or the failure.
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


def read_scopes(
    context: typer.Context, scopes: list[str] | None, new: list[str] | None
) -> list[str] | None:
    """Return the scopes that options name, or None when none does.

    Raises:
        ValueError: no endpoint requires one of `scopes`.
    """
    asked = find_asked_scopes(context) if scopes else None
    for scope in scopes or ():
        keys.check_scope(scope)
        if asked is not None and scope not in asked:
            near = get_close_matches(scope, asked, 1)
            hint = f"did you mean {near[0]}?" if near else f"they require {_join(asked)}."
            raise ValueError(
                f"no endpoint requires the scope {scope}: {hint} --new-scope {scope} grants it"
                " anyway"
            )
    return None if scopes is None and new is None else [*(scopes or ()), *(new or ())]


def find_asked_scopes(context: typer.Context) -> Collection[str] | None:
    """Return the scopes that endpoints require; None if the application cannot be created."""
    find: Callable[[], Collection[str]] = context.obj
    try:
        return find()
    except Exception as error:
        # Key commands have to work even if the application does not.
        reason = redact(f"{type(error).__name__}: {error}")
        typer.echo(f"Scopes are not checked: the application has an error: {reason}", err=True)
        return None


def _join(scopes: Collection[str]) -> str:
    return ", ".join(sorted(scopes)) or "none"


def read_end(text: str | None) -> str | None:
    """Return the expiry that an option gives; a duration such as `90d` begins now.

    Raises:
        ValueError: the text is neither an expiry nor a duration.
    """
    if text is None:
        return None
    try:
        duration = keys.parse_duration(text)
    except ValueError:
        return _check_expires(text)
    return keys.format_expires(datetime.now(UTC).replace(microsecond=0) + duration)


def _check_expires(text: str) -> str:
    try:
        keys.parse_expires(text)
    except ValueError as error:
        hint = "a duration such as 90d, 12h or 30m works too"
        raise ValueError(f"expires: {error}; {hint}") from None
    return text


def print_table(
    columns: dict[str, str], rows: Iterable[dict[str, Any]], *, narrow: Collection[str]
) -> None:
    """Print keys as a table: all columns where they fit, otherwise those of `narrow`.

    Ids and days stay whole; consumers, names and scopes are wrapped if necessary.
    """
    from rich.console import Console  # not every command needs it
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, padding=(0, 2, 0, 0))
    fields = [field for field in columns if console.width >= WIDE or field in narrow]
    for field in fields:
        folded = field in ("consumer", "name", "scopes", "findings")
        table.add_column(columns[field], overflow="fold", no_wrap=not folded)
    for row in rows:
        # `Text` shows a name as it is, even if it looks like markup.
        table.add_row(*(Text(_to_cell(field, row[field])) for field in fields))
    console.print(table)


def print_list(items: Iterable[dict[str, Any]]) -> bool:
    """Print a JSON list item by item, as it may be long, and tell whether it has any items."""
    separator = "["
    for item in items:
        print(separator, json.dumps(item), sep="", end="")
        separator = ",\n"
    print("[]" if separator == "[" else "]")
    return separator != "["


def print_review(rows: Iterator[dict[str, Any]], *, as_json: bool) -> None:
    """Print the keys of a review, each with its findings.

    Raises:
        typer.Exit: there are findings; the status is `FOUND`.
    """
    columns = {
        "id": "Id",
        "consumer": "Consumer",
        "expires": "Expires",
{% if cookiecutter.__database %}
        "last_used": "Last used",
{% endif %}
        "findings": "Findings",
    }
    found = print_list(rows) if as_json else False
    while page := list(islice(rows, TABLE)):
        print_table(columns, page, narrow=columns)
        found = True
    if found:
        raise typer.Exit(FOUND)
    if not as_json:
        print("No key needs attention.")


def _to_cell(field: str, value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(value.values())
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, int):
        return str(value)
    days_only = field in ("created", "expires", "last_used")
    return (value or "")[: DAY_LENGTH if days_only else None]


def run(
    app: typer.Typer,
    program: str,
    arguments: list[str] | None = None,
    *,
    find_scopes: Callable[[], Collection[str]],
) -> None:
    """Run the program and end the process. `find_scopes` returns what endpoints require.

    Raises:
        SystemExit: always; 0 when the command succeeded, 2 after a mistake, 1 after a failure.
    """
    try:
        status = app(args=arguments, prog_name=program, standalone_mode=False, obj=find_scopes)
    except typer.TyperException as error:
        message = error.format_message()  # the message of a command begins with its name
        if group := getattr(error, "ctx", None):
            message = f"{group.command_path}: {message} Try: {group.command_path} --help"
        typer.echo(" ".join(redact(message).split()), err=True)
        raise SystemExit(error.exit_code) from None
    except typer.Abort:
        typer.echo(f"{program}: interrupted", err=True)
        raise SystemExit(130) from None
    raise SystemExit(status if isinstance(status, int) else 0)
