"""Does what only a hook can do: a key of one's own in `.env`, a git repository, the next steps.

Runs in the new project, on the Python that runs cookiecutter (3.10 or newer), with the standard
library only and without the network. Cookiecutter renders this file with Jinja first: answers enter
as JSON data, never as source.
"""

import os
import sys

# Cookiecutter puts this file into the temporary folder, where anybody may have put a json.py.
sys.path[0] = os.path.dirname(os.__file__)

import io
import json
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ANSWERS = json.loads(
    r"""
{{ cookiecutter | tojson }}
"""
)

ENV_FILE = Path(".env")
KEYS = Path("src", ANSWERS["__package"], "keys.py")
SERVICE = "http://127.0.0.1:8000"


def made_to_compare() -> bool:
    """Tell whether nobody will work in this project.

    To see what an update changes, cruft generates both versions, hooks and all, in temporary
    folders; a key shown there would open nothing. Unlike cookiecutter it names no output folder.
    """
    if "_output_dir" in ANSWERS:
        return False
    import tempfile  # rarely needed, and slow to import

    parent = Path.cwd().parent
    temporary = Path(tempfile.gettempdir()).resolve()
    return parent.parent == temporary and bool(re.fullmatch(r"tmp[a-z0-9_]{8}", parent.name))


def init_git() -> None:
    """Make the project a git repository, unless it is inside one or git has a reason not to."""
    # In a repository of somebody else git refuses to answer, and would make another one inside it.
    inside = any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents))
    if inside or "GIT_DIR" in os.environ:
        return
    # Before version 2.28, git has a name of its own for the first branch.
    if git("-c", "init.defaultBranch=main", "init", "--quiet") and first_branch() != "main":
        git("symbolic-ref", "HEAD", "refs/heads/main")


def first_branch() -> str:
    """Return the branch of the new repository; asking git would be another process."""
    return Path(".git", "HEAD").read_text(encoding="utf-8").strip().rpartition("/")[2]


def git(*arguments: str) -> bool:
    """Run git and tell whether it was there and content."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def mint() -> tuple[str, str]:
    """Return a new key and the settings that let it in; the generated code itself makes them.

    Raises:
        RuntimeError: the code does not do it, because somebody changed the template.
    """
    code: dict[str, Any] = {"__name__": "keys"}
    try:
        exec(compile(KEYS.read_bytes(), str(KEYS), "exec"), code)
        key: str = code["mint"]()
        entry = {"consumer": "developer", "sha256": code["digest"](key), "scopes": ["admin"]}
    except (Exception, SystemExit) as error:
        raise RuntimeError(f"{KEYS}: {type(error).__name__}: {error}") from error
    lines = [
        "# Settings for development on this machine; never commit this file.",
        "FASTAPI_ENV=development",
        f"API_KEYS='{json.dumps([entry])}'",
    ]
    return key, "\n".join(lines) + "\n"


@contextmanager
def private_file(path: Path, text: str) -> Iterator[None]:
    """Create a file that from its first moment on only its owner can read.

    It is removed again when it cannot be written whole, or when what comes with it fails.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        yield
    except BaseException:
        path.unlink()
        raise


def quote(text: str) -> str:
    """Return a text as the shells of this system take it for one word."""
    if os.name != "nt":
        return shlex.quote(text)
    return text if re.fullmatch(r"[\w.:/\\-]+", text) else f'"{text}"'


def curl(key: str) -> str:
    """Return the command that asks the running service whose key this is."""
    url = f"{SERVICE}/users/me"
    location = ANSWERS["key_location"]
    if location == "cookie":
        return f"curl --cookie {quote(ANSWERS['__cookie_name'] + '=' + key)} {url}"
    if location == "query":
        return f"curl {quote(url + '?' + ANSWERS['__query_name'] + '=' + key)}"
    return f"curl --header {quote(ANSWERS['key_name'] + ': ' + key)} {url}"


def how_to_start() -> str:
    """Return the commands that start the service."""
    return f"Start the service:\n\n    cd {quote(str(Path.cwd()))}\n    make run\n"


def how_to_call(key: str) -> str:
    """Return what opens the running service; the key in it is shown nowhere else."""
    browser = f"The docs, {SERVICE}/docs, need the key too: README.md shows how to open them."
    if ANSWERS["__cookie"]:
        browser = f"Or sign in with a browser: {SERVICE}/sign-in"
    elif ANSWERS["protection"] == "endpoints":
        browser = f"Or open its docs: {SERVICE}/docs"
    return f"""
Then call it from another terminal. Keep this key: it is your key for development, it is
shown only this once, and .env holds nothing but its digest.

    {curl(key)}

{browser}
"""


def how_to_mint(reason: str) -> str:
    """Return how to go on where no key was made."""
    if ANSWERS["key_store"] == "database":
        return f"""
No key was made ({reason}). Everything else is there. Start the service and mint a
key while it runs, as README.md shows:

    cd {quote(str(Path.cwd()))}
    make run
"""
    return f"""
No key was made ({reason}). Everything else is there. Mint a key, and put the entry
that is printed into .env, as .env.example shows. Then start the service with make run.

    cd {quote(str(Path.cwd()))}
    {quote(sys.executable)} {quote(str(KEYS))} new developer --scope admin
"""


def main() -> None:
    """Finish the project and say what to do next; the key is shown here and nowhere else."""
    if made_to_compare():
        return
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: cleaning up
    try:
        init_git()
        if os.path.lexists(ENV_FILE):
            print("\n.env was there already: it is untouched, and its keys stay valid.")
            print(f"\n{how_to_start()}")
            return
        key, settings = mint()
        with private_file(ENV_FILE, settings):
            print(f"\n{how_to_start()}{how_to_call(key)}", flush=True)
    # With a hook that fails, cookiecutter would remove the project.
    except KeyboardInterrupt:
        print(how_to_mint("interrupted"), file=sys.stderr)
    except (OSError, RuntimeError) as error:
        print(how_to_mint(str(error)), file=sys.stderr)


if __name__ == "__main__":
    main()
