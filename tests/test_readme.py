"""Each snippet of a generated README does what the README says, exactly as it is printed."""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest
from support.combinations import FULL, Answers, name
from support.commands import program, run
from support.edits.project import Project
from support.generation import Bake
from support.live import Live, run_service
from support.machine import missing
from support.snippets import Snippet, read_snippets
from support.suites import OWNERS_SUITE

PROJECTS: list[Answers] = [
    {"key_location": "header", "protection": "whole_app"},
    {
        "key_location": "fallback",
        "protection": "endpoints",
        "key_store": "database",
        "rate_limit": "yes",
    },
    {"key_location": "bearer", "protection": "endpoints", "deployment": "none"},
    {"key_location": "cookie", "protection": "whole_app", "deployment": "kubernetes"},
    {"key_location": "query", "protection": "whole_app"},
]
if FULL:
    PROJECTS.append({"key_location": "query", "protection": "whole_app", "key_store": "database"})
# What the tests below apply or run.
APPLIED = {
    ("Protect your endpoints", "python"),
    ("Make something public", "python"),
    ("Require a scope", "python"),
    ("Add a location", "python"),
    ("Add a setting", "python"),
    ("Add a setting", "sh"),
    ("Add a table", "python"),
    ("Add a table", "sh"),
    ("Add middleware", "python"),
    ("Create keys in your code", "python"),
    ("Other servers", "python"),
    ("Without a key", "python"),
    ("With a real key", "python"),
}
RUN = {
    ("Call", "sh"),
    ("Call", "python"),
    ("Create and manage keys", "sh"),
    ("Manage keys over HTTP", "sh"),
    ("Options of a key", "sh"),
    ("Options of a key", "toml"),
    ("Require a scope", "sh"),
    ("A request is refused", "sh"),
    ("Logs", "sh"),
    ("Security events", "sh"),
}
# What they leave out: a text of the snippet, and why.
LEFT_OUT = {
    "make run": "test_as_a_user.py does it in a fresh clone",
    "uv run my-service": "test_as_a_user.py runs the same commands by make",
    "python3 -m venv .venv": "test_as_a_user.py runs the same commands by make",
    "make test": "test_as_a_user.py does it in a fresh clone",
    "$Env:KEY": "needs PowerShell",
    "await fetch": "needs a browser that is signed in: tests/browser has one",
    "> secrets/postgres_password": "test_deployment.py compares its files with compose.yaml",
    "docker compose": "needs Docker: test_deployment.py and test_container.py read the files",
    "kubectl": "needs a cluster: test_deployment.py reads the manifest",
    "~/.venvs/my-service/bin": "test_distributions.py installs the service into an environment",
    "limit_req_zone": "test_proxies.py runs nginx with it",
    "reverse_proxy": "test_proxies.py runs Caddy with it",
    "UvicornWorker": "needs gunicorn",
    "gunicorn": "needs gunicorn",
    "uvicorn my_service.main:app": "test_proxies.py starts uvicorn with these options",
    "uvx cruft": "test_updates.py does it with this template",
    "uv audit": "needs the network: a test below compares it with the Makefile",
    "OTEL_EXPORTER": "needs a collector",
    '{"logger": "uvicorn.access"': "test_readme_logs.py reads such lines of a service",
}
HEADS = {
    "scoped": """
        from fastapi import APIRouter, Security

        from ..auth import get_api_key

        """,
    "greeting": "from fastapi import APIRouter\n\nrouter = APIRouter()\n\n\n",
    "orders": """
        from datetime import UTC, datetime

        from fastapi import APIRouter

        from ..auth import CurrentConsumer
        from ..database import Order, SessionDep

        router = APIRouter()


        """,
}
CHECKS = """
async def test_reports_are_protected(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/reports/mine")).status_code == 401
    assert (await client.get("/reports/mine", **KEY)).json() == "Reports of web"
    assert (await client.delete("/reports/7", **KEY)).status_code == 403
    assert (await client.delete("/reports/7", **ADMIN)).status_code == 204
    assert (await client.get("/reports/public")).json() == "Reports for everyone"


async def test_webhooks_are_public(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/webhooks/paid")).status_code == 204


async def test_a_router_requires_a_scope(client: httpx2.AsyncClient) -> None:
    assert "reports:write" in (await client.get("/scoped", **ADMIN)).text


async def test_a_setting_is_read(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/greeting", **KEY)).json() == "Hello"


def test_responses_are_compressed(app: FastAPI) -> None:
    assert [getattr(each.cls, "__name__", "") for each in app.user_middleware] == ["GZipMiddleware"]


async def test_addresses_of_proxies_are_replaced() -> None:
    behind_proxy: Any = proxied.app
    response = await call_asgi(behind_proxy, "/health/live")
    assert response.status == 200


async def test_there_is_another_location(client: httpx2.AsyncClient) -> None:
    for location in LOCATIONS:
        response = await client.get("/_tests/whoami", **with_key(location, WEB_KEY))
        assert response.json()["consumer"] == "web"
"""
CHECK_OF_CREATED_KEY = """
async def test_an_endpoint_creates_a_key(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert (await client.post("/customers/shop/keys", **KEY)).status_code == 403
    created = await client.post("/customers/shop/keys", **ADMIN)
    assert created.headers["cache-control"] == "no-store"
    response = await client.get("/_tests/whoami", **with_key(LOCATIONS[0], created.json()))
    assert response.json() == {"consumer": "shop", "scopes": ["orders:read"]}
    [actor] = {vars(line)["actor"] for line in caplog.records if "actor" in vars(line)}
    assert actor in {entry.id for entry in ENTRIES}  # the key of the request
"""


@pytest.fixture(scope="module", params=PROJECTS, ids=name)
def readme(request: pytest.FixtureRequest, bake: Bake) -> tuple[Path, Answers]:
    """Return each project in turn, and its answers."""
    return bake(**request.param), request.param


def find(snippets: list[Snippet], heading: str, language: str) -> list[Snippet]:
    """Return the snippets in one language under a heading."""
    return [each for each in snippets if (each.heading, each.language) == (heading, language)]


def test_every_snippet_is_tested_or_left_out_for_a_reason(readme: tuple[Path, Answers]) -> None:
    for snippet in read_snippets(readme[0]):
        reasons = [reason for text, reason in LEFT_OUT.items() if text in snippet.code]
        tested = (snippet.heading, snippet.language) in APPLIED | RUN
        assert snippet.language == "text" or tested or reasons, snippet


def test_audit_without_make_is_that_of_the_makefile(bake: Bake) -> None:
    if not shutil.which("make"):
        missing("no make on this machine")
    project = bake()
    [audit] = find(read_snippets(project), "Checks for each change", "sh")
    uv = program("uv")
    recipe = run("make", "--no-print-directory", "-n", "audit", f"UV={uv}", cwd=project).stdout
    assert shlex.split(audit.code.replace("uvx", f"{uv} tool run")) == shlex.split(recipe)


@pytest.mark.usefixtures("types_of_dependencies")
def test_changes_of_the_readme_hold(readme: tuple[Path, Answers], tmp_path: Path) -> None:
    folder = tmp_path / "my-service"
    shutil.copytree(readme[0], folder, ignore=shutil.ignore_patterns(".git", ".env"))
    project = Project(folder, readme[1])
    snippets = read_snippets(folder)

    def python(heading: str) -> list[Snippet]:
        return find(snippets, heading, "python")

    [reports] = python("Protect your endpoints")
    project.add_routes("reports", reports.code)
    project.make_public('"GET /reports/public"')
    webhooks, *entries = python("Make something public")
    project.add_routes("webhooks", webhooks.code)
    for entry in entries:
        project.make_public(entry.code.strip())
    [scope] = python("Require a scope")
    endpoint = (
        '\n\n@router.get("/scoped")\nasync def scoped() -> None:\n    """Return nothing."""\n'
    )
    project.add_routes("scoped", _head("scoped") + scope.code + endpoint)
    location, order = python("Add a location")
    _add_location(project, location, order)
    field, greet = python("Add a setting")
    project.add_setting(field.code)
    project.add_routes("greeting", greet.imports[0] + "\n" + _head("greeting") + greet.body)
    _describe_setting(project, find(snippets, "Add a setting", "sh")[0])
    [middleware] = python("Add middleware")
    project.add_to_app(middleware.body, *middleware.imports)
    for number, heading in enumerate(("Without a key", "With a real key")):
        [test] = python(heading)
        project.write(f"tests/test_owner_readme_{number}.py", test.code)
    if python("Add a table"):
        _add_table(project, snippets)
    for customers in python("Create keys in your code"):
        project.add_routes("customers", customers.code)
        project.add_test("readme_key", CHECK_OF_CREATED_KEY)
    project.expect_public("GET /reports/public", "POST /webhooks/{name}", "GET /greeting")
    [behind_proxy] = [each for each in python("Other servers") if "main import" in each.code]
    project.write("src/my_service/proxied.py", behind_proxy.code)
    project.add_test("readme", CHECKS)
    project.add_imports("tests/test_owner_readme.py", "from my_service import proxied")
    project.format()
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        status, output = project.run("-m", *command)
        assert status == 0, output
    [create] = find(snippets, "Require a scope", "sh")
    assert "my_service_" in shell(create.code, folder, **_variables(folder))
    names = ("examples", "locations", "openapi", "owner_*", "protection", "service", "settings")
    files = [file for each in names for file in sorted(folder.glob(f"tests/test_{each}.py"))]
    status, output = project.run(*OWNERS_SUITE, "-q", *files)
    assert status == 0, output


def _head(module: str) -> str:
    lines = HEADS[module].lstrip("\n").splitlines(keepends=True)
    return "".join(re.sub("^ {8}", "", line) for line in lines)


def _add_location(project: Project, location: Snippet, order: Snippet) -> None:
    file = "src/my_service/auth/locations.py"
    text = project.read(file)
    [old] = re.findall(r"^    return \((?:.|\n)*?\)\n(?=\n\nclass )", text, re.MULTILINE)
    before, after = text.split(old)
    project.write(file, before + indent(order.code, "    ") + after + "\n\n" + location.body)
    project.add_imports(file, *location.imports)


def _describe_setting(project: Project, lines: Snippet) -> None:
    project.write(".env.example", project.read(".env.example") + "\n" + lines.code)
    [row] = [line for line in project.read("README.md").splitlines() if "| `ROOT_PATH`" in line]
    project.replace("README.md", row, f"{row}\n| `GREETING` | `Hello` | how the service greets |")


def _add_table(project: Project, snippets: list[Snippet]) -> None:
    table, endpoint = find(snippets, "Add a table", "python")
    file = "src/my_service/database.py"
    project.write(file, project.read(file) + "\n\n" + table.code)
    project.add_imports(
        file,
        "from datetime import datetime",
        "from sqlalchemy import String",
        "from sqlalchemy.orm import Mapped, mapped_column",
    )
    project.add_routes("orders", _head("orders") + endpoint.code)
    [commands] = find(snippets, "Add a table", "sh")
    finished = shell(commands.code, project.folder, **_variables(project.folder))
    assert finished == "" or "Traceback" not in finished, finished


def _variables(folder: Path) -> dict[str, str]:
    url = f"sqlite:///{(folder.parent / 'orders.db').as_posix()}"
    return {"PATH": _path(folder), "DATABASE_URL": url}


def _path(folder: Path) -> str:
    """Return a search path with the program `my-service` of a project, and those of its tools."""
    programs = folder.parent / "programs"
    programs.mkdir(exist_ok=True)
    script = f'#!/bin/sh\nPYTHONPATH="{folder}/src" exec "{sys.executable}" -m my_service "$@"\n'
    (programs / "my-service").write_text(script)
    (programs / "my-service").chmod(0o755)
    return os.pathsep.join([str(programs), str(program("python").parent), os.environ["PATH"]])


def shell(code: str, folder: Path, *, stdin: str = "", **variables: str) -> str:
    """Run lines in a shell that ends at the first failure, and return what they print."""
    if not shutil.which("bash"):
        missing("no bash on this machine")
    env = {**os.environ, **variables}
    finished = run("bash", "-euc", code, cwd=folder, env=env, stdin=stdin)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def live(
    readme: tuple[Path, Answers], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Live, dict[str, str]]]:
    """Return each service in turn, running in production, and the variables of its shells."""
    project, answers = readme
    if sys.platform == "win32":
        pytest.skip("these are commands of POSIX shells")
    folder = tmp_path_factory.mktemp("live") / "here"
    folder.mkdir()
    shutil.copytree(project, folder.parent / "my-service", ignore=shutil.ignore_patterns(".git"))
    # The examples are for development, over plain HTTP; logs are as in production.
    with run_service(project, answers, folder, COOKIE_SECURE="false") as live:
        yield live, live.variables | {"PATH": _path(folder.parent / "my-service")}


def test_calls_of_the_readme_get_200(
    readme: tuple[Path, Answers], live: tuple[Live, dict[str, str]]
) -> None:
    service, variables = live
    folder, key = service.log.parent, service.keys["web"]
    snippets = read_snippets(readme[0])
    call_service(service, snippets, variables)
    for call in [each.code for each in find(snippets, "Call", "python")]:
        (folder / "call.py").write_text(call.replace(":8000", f":{service.port}"))
        assert shell("python call.py", folder, KEY=key, **variables).startswith("200 "), call
    for call in [each.code for each in find(snippets, "Manage keys over HTTP", "sh")]:
        create = "my-service keys create backoffice --scope keys:write --json"
        backoffice = json.loads(shell(create, folder, **variables))["key"]
        code = call.replace(":8000", f":{service.port}")
        assert '"consumer":"shop"' in shell(code, folder, KEY=backoffice, **variables), call


def call_service(service: Live, snippets: list[Snippet], variables: dict[str, str]) -> None:
    """Call the service as the README does in a shell."""
    read, *calls = [each.code for each in find(snippets, "Call", "sh")]
    for call in calls:
        code = read + call.replace(":8000", f":{service.port}")
        stdin = service.keys["web"] + "\n"
        assert '"web"' in shell(code, service.log.parent, stdin=stdin, **variables), call


def test_commands_of_the_readme_work(
    readme: tuple[Path, Answers], live: tuple[Live, dict[str, str]]
) -> None:
    service, variables = live
    folder, snippets = service.log.parent, read_snippets(readme[0])
    if not shutil.which("jq"):
        missing("no jq on this machine")
    service.ask("/users/me", service.keys["unknown"], headers=["X-Request-ID: my-test-1"])
    call_service(service, snippets, variables)
    shutil.copy(service.log, folder / "service.log")
    digest = service.digests["web"]
    headings = ("Create and manage keys", "A request is refused", "Logs", "Security events")
    for heading in headings:
        for snippet in find(snippets, heading, "sh"):
            if any(text in snippet.code for text in LEFT_OUT):
                continue
            # Keys that need a look are no failure here.
            code = re.sub("keys review$", r"\g<0> || test $? = 3", snippet.code, flags=re.MULTILINE)
            assert shell(code, folder, stdin=service.keys["web"], **variables), snippet.code
    [entries] = find(snippets, "Options of a key", "sh")
    code = entries.code.replace("HASH", digest) + 'API_KEYS="$API_KEYS" my-service keys list\n'
    assert "web" in shell(code, folder, **variables)
    [table] = find(snippets, "Options of a key", "toml")
    (folder / "config.toml").write_text(table.code.replace("HASH", digest))
    unset = {key: value for key, value in variables.items() if key != "API_KEYS"}
    assert "web" in shell("unset API_KEYS; my-service keys list", folder, **unset)
