"""Tells whether everything that is generated or measured is current: `make release-check`.

With the name of a folder, it notes that the contents of this folder were just made.
"""

import json
import re
import sys
from collections.abc import Iterator
from hashlib import sha256

from support.commands import run, run_python
from support.template import PROJECT, TEMPLATE

# What each of these comes from; the command that writes it also writes down their fingerprint.
SOURCES = {
    "docs/pictures": ["cookiecutter.json", "hooks", PROJECT, "tests/support/pictures.py"],
    "benchmarks": ["cookiecutter.json", f"{PROJECT}/src", "benchmarks/requirements.txt"],
}
COMMANDS = {"docs/pictures": "make pictures", "benchmarks": "make bench"}
FILE = "sources.sha256"
# Tests of what is written by hand or by `make example` and `make requirements`.
TESTS = [
    "tests/test_repository.py",
    "tests/test_example.py",
    "tests/test_benchmarks.py::test_the_committed_reports_are_of_one_whole_run",
    "tests/test_benchmarks.py::test_the_readme_has_the_figures_of_that_run",
]


def fingerprint(folder: str) -> str:
    """Return the SHA-256 of the committed and changed files that a folder's contents come from."""
    listed = run("git", "ls-files", "-z", "--", *SOURCES[folder], cwd=TEMPLATE).stdout
    digest = sha256()
    for name in sorted(filter(None, listed.split("\0"))):
        digest.update(name.encode())
        digest.update(sha256((TEMPLATE / name).read_bytes()).digest())
    return digest.hexdigest()


def write_fingerprint(folder: str) -> None:
    """Note what the contents of a folder were just made from."""
    text = f"{fingerprint(folder)}  sources of {folder}\n"
    (TEMPLATE / folder / FILE).write_text(text, encoding="utf-8")


def find_stale() -> Iterator[str]:
    """Yield what has to be made anew."""
    for folder, command in COMMANDS.items():
        file = TEMPLATE / folder / FILE
        noted = file.read_text(encoding="utf-8").split()[0] if file.exists() else ""
        if noted != fingerprint(folder):
            yield f"{folder}: its sources changed, run: {command}"


def find_open_ends() -> Iterator[str]:
    """Yield what the changelog lacks."""
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    version = questions["__template_version"]
    changelog = (TEMPLATE / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[?([^\]\s]+)\]?(?: - (\S+))?$", changelog, re.MULTILINE)
    if not newest or newest[1] != version:
        yield f"CHANGELOG.md: the newest section is not {version}, the version in cookiecutter.json"
    elif not re.fullmatch(r"\d{4}-\d\d-\d\d", newest[2] or ""):
        yield f"CHANGELOG.md: {version} has no date"


def find_failures() -> Iterator[str]:
    """Yield the tests that fail."""
    finished = run_python("-m", "pytest", "-q", *TESTS, cwd=TEMPLATE)
    if finished.returncode:
        yield finished.stdout.strip()


def main(made: list[str]) -> None:
    """Note what was made, or print what is not current and fail if anything is."""
    for folder in made:
        write_fingerprint(folder)
    if made:
        return
    found = [*find_stale(), *find_open_ends(), *find_failures()]
    print("\n".join(found) or "Everything is current.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main(sys.argv[1:])
