"""Does what only a hook can do: a development key in `.env`, a git repository, the next steps.

Runs in the new project, on the Python that runs cookiecutter (3.10 or newer), with the standard
library only and without the network. Cookiecutter renders this file with Jinja first: answers enter
as JSON data, never as source.
"""

import os
import sys

# Cookiecutter runs this file from the temporary folder, where another user may have put a json.py.
sys.path[0] = os.path.dirname(os.__file__)

import io
import json
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ANSWERS = json.loads(
    r"""
{{ cookiecutter | tojson }}
"""
)

ENV_FILE = Path(".env")
KEYS = Path("src", ANSWERS["__package"], "auth", "keys.py")
SERVICE = "http://127.0.0.1:8000"
DATABASE = bool(ANSWERS.get("__database"))
SCOPES = ["admin", "keys:read", "keys:write"] if DATABASE else ["admin"]


def made_to_compare() -> bool:
    """Tell whether cruft generates this project only for a comparison.

    To find what an update changes, cruft generates both versions with hooks in temporary folders,
    where a key would be useless. Unlike cookiecutter, cruft names no output folder.
    """
    if "_output_dir" in ANSWERS:
        return False
    import tempfile  # rarely needed, and slow to import

    parent = Path.cwd().parent
    temporary = Path(tempfile.gettempdir()).resolve()
    return parent.parent == temporary and bool(re.fullmatch(r"tmp[a-z0-9_]{8}", parent.name))


def remove_empty_folders() -> None:
    """Remove the folders that have no files for these answers.

    Cookiecutter cannot skip a folder, so such a folder is called `__pycache__`: where hooks do
    not run, git, wheels and images ignore it.
    """
    for parent in (Path(), Path("src", ANSWERS["__package"])):
        with suppress(OSError):  # missing, or Python has written files to it
            (parent / "__pycache__").rmdir()


def init_git() -> None:
    """Make the project a git repository, unless it is inside one or git refuses."""
    # In a repository of another user, git finds none and would create one inside it.
    inside = any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents))
    if inside or "GIT_DIR" in os.environ:
        return
    # Before version 2.28, git ignores `init.defaultBranch`.
    if git("-c", "init.defaultBranch=main", "init", "--quiet") and first_branch() != "main":
        git("symbolic-ref", "HEAD", "refs/heads/main")


def first_branch() -> str:
    """Return the branch of the new repository, without another process."""
    return Path(".git", "HEAD").read_text(encoding="utf-8").strip().rpartition("/")[2]


def git(*arguments: str) -> bool:
    """Run git, and tell whether it is installed and succeeded."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def generate_key() -> tuple[str, str]:
    """Return a new key and the settings that accept it, made by the generated code.

    Raises:
        RuntimeError: the code fails, because the template was changed.
    """
    code: dict[str, Any] = {"__name__": "keys"}
    try:
        exec(compile(KEYS.read_bytes(), str(KEYS), "exec"), code)
        key: str = code["generate_key"]()
        digest: str = code["hash_key"](key)
        entry = {
            "id": code["key_id"](digest),
            "name": "development key",
            "hint": code["key_hint"](key),
            "consumer": "developer",
            "sha256": digest,
            "scopes": SCOPES,
        }
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
    """Create a file that only its owner can read, from the start.

    It is removed if it cannot be written completely, or if the step that needs it fails.
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
    """Quote a text as one word for the shell: PowerShell on Windows."""
    if os.name != "nt":
        return shlex.quote(text)
    if re.fullmatch(r"[\w.:/\\-]+", text):
        return text
    return "'" + re.sub("(['\u2018\u2019\u201a\u201b])", r"\1\1", text) + "'"


def program(*steps: str) -> list[str]:
    """Return the commands that run the service's program, with uv or else with pip."""
    name = ANSWERS["project_slug"]
    if shutil.which("uv"):
        return [f"uv run {name} {step}" for step in steps]
    windows = os.name == "nt"
    folder = ".venv\\Scripts\\" if windows else ".venv/bin/"
    return [
        f"{'python' if windows else 'python3'} -m venv .venv",
        f"{folder}python -m pip install --upgrade pip",  # groups need 25.1
        f"{folder}pip install --editable . --group dev",
        *(f"{folder}{name} {step}" for step in steps),
    ]


def block(commands: list[str]) -> str:
    """Return commands as a block that begins in the project's folder."""
    return "".join(f"    {line}\n" for line in (f"cd {quote(str(Path.cwd()))}", *commands))


def call(key: str) -> str:
    """Return the command that calls the service with the key.

    It passes the key on standard input, where the process list does not show it.
    """
    url = f"{SERVICE}/users/me"
    config = {
        "header": f'header = "{ANSWERS["key_name"]}: {key}"',
        "bearer": f'header = "Authorization: Bearer {key}"',
        "cookie": f'cookie = "{ANSWERS["__cookie_name"]}={key}"',
        "query": f'url = "{url}?{ANSWERS["__query_name"]}={key}"',
        "fallback": f'header = "{ANSWERS["key_name"]}: {key}"',
    }
    location = ANSWERS["key_location"]
    curl = "curl --config -" if location == "query" else f"curl --config - {url}"
    if os.name == "nt":
        return f"{quote(config[location])} | {curl.replace('curl', 'curl.exe', 1)}"
    return f"echo {quote(config[location])} | {curl}"


def how_to_start() -> str:
    """Return what to open, and the commands that start the service."""
    steps = ["migrate", "keys import", "serve"] if DATABASE else ["serve"]
    commands = ["make run"] if shutil.which("make") else program(*steps)
    return f"Start the service and open {SERVICE}/docs\n\n{block(commands)}"


def how_to_call(key: str) -> str:
    """Return how to use the key, which is shown nowhere else."""
    use = 'Paste it at "Authorize" in the docs'
    if ANSWERS["__cookie"]:
        use = f"Sign in with it at {SERVICE}/sign-in"
    return f"""
This development key is shown only once; .env holds its SHA-256 hash:

    {key}

{use}, or call the service
from another terminal:

    {call(key)}
"""


def how_to_create_a_key(reason: str) -> str:
    """Return the next steps where no key was created."""
    create = " ".join(["keys create developer", *(f"--scope {scope}" for scope in SCOPES)])
    *first, serve = program("migrate", create, "serve") if DATABASE else program(create, "serve")
    add = "" if DATABASE else "add the printed entry to API_KEYS and "
    return f"""
No key was created ({reason}).
The rest of the project is complete. Create a key:

{block(["cp .env.example .env", *first])}
In .env, {add}set FASTAPI_ENV=development.
Then start the service:

    {serve}
"""


def main() -> None:
    """Finish the project, and print the key once and the next steps."""
    remove_empty_folders()
    if made_to_compare():
        return
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: cleaning up
    try:
        init_git()
        if os.path.lexists(ENV_FILE):
            print("\n.env existed before: it is unchanged, and its keys are still valid.")
            print(f"\n{how_to_start()}")
            return
        key, settings = generate_key()
        with private_file(ENV_FILE, settings):
            print(f"\n{how_to_start()}{how_to_call(key)}", flush=True)
    # With a hook that fails, cookiecutter would remove the project.
    except KeyboardInterrupt:
        print(how_to_create_a_key("interrupted"), file=sys.stderr)
    except (OSError, RuntimeError) as error:
        print(how_to_create_a_key(str(error)), file=sys.stderr)


if __name__ == "__main__":
    main()
