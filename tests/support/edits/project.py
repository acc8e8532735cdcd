"""A generated project in the hands of its owner."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent, indent

from support.combinations import Answers
from support.commands import run_python

APP = "src/my_service/app.py"

# What tests of an owner begin with; `make format` removes the imports that a test does not need.
TEST_HEAD = '''\
"""A test of the owner."""

import json
import logging
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import FastAPI, HTTPException, Request, Security, WebSocket
from fastapi.testclient import TestClient

from my_service.app import create_app
from my_service.auth import Consumer, get_api_key, get_optional_api_key
from .helpers import (
    ADMIN_KEY, ENTRIES, LOCATIONS, UNKNOWN_KEY, WEB_KEY, base_url, call_asgi, make_app,
    make_entry, make_settings, to_asgi, with_key,
)

KEY = with_key(LOCATIONS[0], WEB_KEY)
ADMIN = with_key(LOCATIONS[0], ADMIN_KEY)

pytestmark = pytest.mark.anyio


'''


@dataclass
class Project:
    """The folder of a generated project, and the answers that it was generated for."""

    folder: Path
    answers: Answers
    variables: dict[str, str] = field(default_factory=dict)  # that its owner has to set

    @property
    def whole_app(self) -> bool:
        """Whether everything needs a key."""
        return self.answers["protection"] == "whole_app"

    @property
    def keyless(self) -> int:
        """The status of a request without a key to what exists and does not ask for one."""
        return 401 if self.whole_app else 200

    def read(self, file: str) -> str:
        """Return the text of a file."""
        return (self.folder / file).read_text(encoding="utf-8")

    def write(self, file: str, text: str) -> None:
        """Write a file."""
        path = self.folder / file
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace a text that a file holds."""
        text = self.read(file)
        assert old in text, f"{file} does not hold {old!r}"
        (self.folder / file).write_text(text.replace(old, new), encoding="utf-8")

    def add_imports(self, file: str, *imports: str) -> None:
        """Import something in a module; `make format` sorts it in."""
        before, quotes, after = self.read(file).partition('"""\n')
        (self.folder / file).write_text(
            "\n".join([f"{before}{quotes}", *imports, after]), encoding="utf-8"
        )

    def add_to_app(self, code: str, *imports: str) -> None:
        """Add lines to `create_app`, before it returns."""
        lines = indent(dedent(code).strip("\n"), "    ")
        self.replace(APP, "    return app\n", f"{lines}\n    return app\n")
        self.add_imports(APP, *imports)

    def add_routes(self, name: str, code: str, *, public: bool = False) -> None:
        """Add a module to `routes`, and include its router."""
        self.write(f"src/my_service/routes/{name}.py", code)
        self.add_to_app(f"app.include_router({name}.router)", f"from .routes import {name}")
        if public:
            self.make_public(f"{name}.router")

    def make_public(self, what: str) -> None:
        """Make something public, where everything else needs a key."""
        if self.whole_app:
            [old] = re.findall(r"PUBLIC: .* = \([^)]*", self.read(APP))
            self.replace(APP, old, f"{old.rstrip(', ')}, {what},")

    def expect_public(self, *operations: str) -> None:
        """List operations in the generated test of what is public, as that test asks for."""
        lines = "".join(f"    {tuple(operation.split())},\n" for operation in operations)
        self.replace("tests/test_protection.py", "\nPUBLIC = {\n", f"\nPUBLIC = {{\n{lines}")

    def add_test(self, name: str, code: str) -> None:
        """Add a test of the owner."""
        self.write(f"tests/test_owner_{name}.py", TEST_HEAD + dedent(code).lstrip("\n"))

    def add_setting(self, code: str) -> None:
        """Add a setting to the class of the owner."""
        lines = indent(dedent(code).strip("\n"), "    ")
        file = "src/my_service/settings.py"
        self.replace(file, "\n\ndef load_settings", f"    {lines.lstrip()}\n\n\ndef load_settings")

    def format(self) -> None:
        """Do what `make format` does."""
        for command in (["check", "--fix", "--quiet"], ["format", "--quiet"]):
            run_python("-m", "ruff", *command, cwd=self.folder)

    def run(self, *arguments: str | Path, **variables: str) -> tuple[int, str]:
        """Run Python in the project; return its exit status and what it printed."""
        env = {**os.environ, "PYTHONPATH": str(self.folder / "src")}
        env |= self.variables | variables
        finished = run_python(*arguments, cwd=self.folder, env=env)
        return finished.returncode, finished.stdout + finished.stderr


@dataclass(frozen=True)
class Edit:
    """An ordinary edit: a change, and the answers for which there is one."""

    change: Callable[[Project], None]
    only: dict[str, set[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How failures call it."""
        return self.change.__name__

    def fits(self, answers: Answers) -> bool:
        """Tell whether there is such an edit for these answers."""
        return all(answers[question] in some for question, some in self.only.items())


def edit(**only: set[str]) -> Callable[[Callable[[Project], None]], Edit]:
    """Make an edit of a function; `only` names the answers for which there is one."""
    return lambda change: Edit(change, only)
