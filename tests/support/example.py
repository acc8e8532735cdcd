"""Writes docs/example, the tree and the key files of one service: `make example`."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from support.files import contents
from support.generation import generate
from support.template import TEMPLATE

EXAMPLE = TEMPLATE / "docs/example"
ANSWERS = {"key_store": "database", "rate_limit": "yes"}
PACKAGE = "src/my_service"
KEY_FILES = [
    f"{PACKAGE}/app.py",
    f"{PACKAGE}/settings.py",
    f"{PACKAGE}/routes/users.py",
    f"{PACKAGE}/routes/admin.py",
    f"{PACKAGE}/auth/__init__.py",
    f"{PACKAGE}/auth/keys.py",
    "tests/test_contract.py",
    "docs/security.md",
    "AGENTS.md",
    "compose.yaml",
    "roles.sql",
    ".env.example",
]


def make_example(project: Path) -> dict[str, str]:
    """Return the files of the example, from a service that was generated without hooks.

    Without hooks there is no key and no `.env`: the same answers always give the same files.
    """
    files = contents(project)
    example = {f"my-service/{name}": files[name].decode() for name in KEY_FILES}
    return {"README.md": describe(files), **example}


def describe(files: dict[str, bytes]) -> str:
    """Return the page with the tree."""
    answers = ", ".join(f"`{question}={answer}`" for question, answer in ANSWERS.items())
    links = "\n".join(f"- [{name}](my-service/{name})" for name in KEY_FILES)
    tree = "\n".join(sorted(files))
    return f"""# An example

A service generated with {answers}, and the defaults for all other
prompts. `make example` writes this folder.

## Key files

{links}

## All files

```text
{tree}
```
"""


def main() -> None:
    """Write the example."""
    with TemporaryDirectory() as folder:
        files = make_example(generate(Path(folder), hooks=False, **ANSWERS))
    shutil.rmtree(EXAMPLE, ignore_errors=True)
    for name, text in files.items():
        (EXAMPLE / name).parent.mkdir(parents=True, exist_ok=True)
        (EXAMPLE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
