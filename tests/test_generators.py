"""Validators accept the OpenAPI document of each core combination, and generated clients work."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from support.combinations import FULL, MIXED, Answers, name
from support.commands import run, run_python
from support.generation import Bake
from support.live import Live, run_service
from support.machine import missing
from support.npm import PACKAGES, npm_program

# In an environment of its own: it excludes versions that services need.
PYTHON_GENERATOR = "openapi-python-client==0.29.1"
SHOW = """
import json
from my_service.app import create_app
from tests.helpers import make_settings

print(json.dumps(create_app(make_settings()).openapi()))
"""
# Every way to send a key in a header, both protections and both stores.
CLIENTS: list[Answers] = [
    {"key_location": "header", "protection": "whole_app"},
    {"key_location": "bearer", "protection": "endpoints", "rate_limit": "yes"},
    {"key_location": "cookie", "protection": "endpoints", "key_store": "database"},
]
HEADERS = {
    "header": ("X-API-Key", "{}"),
    "bearer": ("Authorization", "Bearer {}"),
    "cookie": ("Cookie", "__Host-api_key={}"),
}
PYTHON_CLIENT = """
import sys

from client import AuthenticatedClient
from client.api.users import me_users_me_get
from client.models import Error, User


def ask(value: str) -> Error | User | None:
    url, header = sys.argv[1:3]
    client = AuthenticatedClient(url, token=value, prefix="", auth_header_name=header)
    return me_users_me_get.sync(client=client)


known, unknown = map(ask, sys.argv[3:])
assert isinstance(known, User), known
assert known.consumer == "web"
assert isinstance(unknown, Error), unknown
assert unknown.detail == "Missing or invalid API key"
"""
TYPESCRIPT_CLIENT = """
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

declare const process: { argv: string[]; exitCode: number };
const [url, header, known, unknown] = process.argv.slice(2) as [string, string, string, string];

function ask(value: string) {
  return createClient<paths>({ baseUrl: url, headers: { [header]: value } }).GET("/users/me");
}

async function main(): Promise<void> {
  const found = await ask(known);
  const user: components["schemas"]["User"] | undefined = found.data;
  const refused = await ask(unknown);
  const error: components["schemas"]["Error"] | undefined = refused.error;
  const right = user?.consumer === "web" && error?.detail === "Missing or invalid API key";
  process.exitCode = right && refused.response.status === 401 ? 0 : 1;
}

void main();
"""
STRICT = ["--strict", "--noUncheckedIndexedAccess", "--skipLibCheck", "--target", "es2022"]
STRICT += ["--module", "node20", "--moduleResolution", "node16"]


def document_of(project: Path) -> dict[str, Any]:
    """Return the OpenAPI document of a project."""
    env = {**os.environ, "PYTHONPATH": str(project / "src")}
    finished = run_python("-c", SHOW, cwd=project, env=env)
    assert finished.returncode == 0, finished.stderr
    document: dict[str, Any] = json.loads(finished.stdout)
    return document


@pytest.fixture(scope="module")
def documents(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return a file with the document of some services, in both protections and stores."""
    folder = tmp_path_factory.mktemp("documents")
    for answers in MIXED[:: 1 if FULL else 3]:
        (folder / f"{name(answers)}.json").write_text(json.dumps(document_of(bake(**answers))))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module", params=CLIENTS, ids=name)
def live(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Return some services in turn, running, with the document in their folder."""
    folder = tmp_path_factory.mktemp("live")
    project = bake(**request.param)
    (folder / "openapi.json").write_text(json.dumps(document_of(project)))
    with run_service(project, request.param, folder) as live:
        yield live


def arguments(live: Live) -> list[str]:
    """Return what clients are told: the URL, a header, and its value with a key and a wrong one."""
    header, value = HEADERS[live.locations[0]]
    sent = (value.format(key) for key in (live.keys["web"], live.keys["unknown"]))
    return [f"http://127.0.0.1:{live.port}", header, *sent]


def test_documents_follow_the_specification(documents: list[Path]) -> None:
    for document in documents:
        validate(json.loads(document.read_text()))


def test_documents_follow_the_recommended_rules(documents: list[Path]) -> None:
    # The same rules as `recommended`, with warnings as errors.
    lint = (npm_program("redocly"), "lint", "--extends", "recommended-strict")
    env = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    finished = run(*lint, *documents, cwd=documents[0].parent, env=env)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_generated_python_client_is_told_what_happened(live: Live, tmp_path: Path) -> None:
    generate = ["-m", "uv", "tool", "run", "--from", PYTHON_GENERATOR, "openapi-python-client"]
    generate += ["generate", "--meta", "none", "--output-path", "client"]
    document = live.log.with_name("openapi.json")
    finished = run_python(*generate, "--path", document, cwd=tmp_path)
    if not (tmp_path / "client").exists():
        missing(f"{PYTHON_GENERATOR} cannot be installed here: {finished.stderr}")
    assert "WARNING" not in finished.stdout + finished.stderr, finished.stdout + finished.stderr
    (tmp_path / "ask.py").write_text(PYTHON_CLIENT)
    finished = run(sys.executable, "ask.py", *arguments(live), cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr


def test_generated_typescript_client_is_told_what_happened(live: Live, tmp_path: Path) -> None:
    generate, compile_ = npm_program("openapi-typescript"), npm_program("tsc")
    node = npm_program("node")
    document = live.log.with_name("openapi.json")
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    (tmp_path / "ask.ts").write_text(TYPESCRIPT_CLIENT)
    commands: list[list[str | Path]] = [
        [generate, document, "--output", "schema.ts"],
        [compile_, *STRICT, "ask.ts"],
        [node, "ask.js", *arguments(live)],
    ]
    for command in commands:
        finished = run(*command, cwd=tmp_path)
        assert finished.returncode == 0, finished.stdout + finished.stderr
