"""Does what only a hook can do: a key of one's own in `.env`, a git repository, the next steps.

Runs in the new project, on the Python that runs cookiecutter (3.10 or newer), with the standard
library only and without the network. Cookiecutter renders this file with Jinja first: answers enter
as JSON data, never as source.
"""

import io
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ANSWERS = json.loads(
    r"""
{{ cookiecutter | tojson }}
"""
)

ENV_FILE = Path(".env")
KEYS = Path("src", ANSWERS["__package"], "keys.py")
PYTHON = "python" if os.name == "nt" else "python3"
MINT = f"{PYTHON} {KEYS.as_posix()} new developer --scope admin"


def made_to_compare() -> bool:
    """Tell whether this is no project to work in.

    To see what an update changes, cruft generates both versions in temporary folders, with hooks:
    a key shown there would open nothing. Cruft, unlike cookiecutter, names no output folder.
    """
    folder = Path.cwd().parent
    temporary = folder.parent == Path(tempfile.gettempdir()).resolve()
    return temporary and folder.name.startswith("tmp") and "_output_dir" not in ANSWERS


def mint_key() -> str | None:
    """Write `.env` with the digest of a new key and return the key, or None where `.env` exists."""
    if ENV_FILE.exists():
        return None
    command = [sys.executable, "-I", str(KEYS), "new", "developer", "--scope", "admin", "--json"]
    minted = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    lines = [
        "# Settings for development on this machine; never commit this file.",
        "FASTAPI_ENV=development",
        f"API_KEYS='{json.dumps([minted['entry']])}'",
    ]
    write_private(ENV_FILE, "\n".join(lines) + "\n")
    return str(minted["key"])


def write_private(path: Path, text: str) -> None:
    """Create a file that from its first moment on only its owner can read; whole or not at all."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except BaseException:
        path.unlink()
        raise


def init_git() -> None:
    """Make the project a git repository, unless it is inside one or git has a reason not to."""
    if git("rev-parse", "--is-inside-work-tree") or not git("init", "--quiet"):
        return
    # `git init --initial-branch` needs git 2.28.
    git("symbolic-ref", "HEAD", "refs/heads/main")


def git(*arguments: str) -> bool:
    """Run git and tell whether it was there and content."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def call(key: str) -> str:
    """Return the command that asks the running service whose key this is."""
    url = "http://127.0.0.1:8000/users/me"
    location = ANSWERS["key_location"]
    if location == "cookie":
        return f"curl --cookie {shlex.quote(ANSWERS['__cookie_name'] + '=' + key)} {url}"
    if location == "query":
        return f"curl {shlex.quote(url + '?' + ANSWERS['__query_name'] + '=' + key)}"
    return f"curl --header {shlex.quote(ANSWERS['key_name'] + ': ' + key)} {url}"


def quote(path: Path) -> str:
    """Return a path as the shell of this system wants it."""
    return f'"{path}"' if os.name == "nt" else shlex.quote(str(path))


def main() -> None:
    """Finish the project and say what to do next; the key is shown here and nowhere else."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if made_to_compare():
        return
    existed = ENV_FILE.exists()
    key = None
    try:
        key = mint_key()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"\nNo key was made ({error}). Mint one in the project, it says what to do with it:")
        print(f"\n    {MINT}")
    init_git()
    if existed:
        print("\n.env was there already: it is untouched, and its keys stay valid.")
    print(f"\nStart the service:\n\n    cd {quote(Path.cwd())}\n    make run")
    if key:
        print(
            "\nThen call it from another terminal. Your development key is shown here, this once;"
        )
        print(f".env holds its digest only:\n\n    {call(key)}\n")


if __name__ == "__main__":
    main()
