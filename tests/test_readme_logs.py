"""What the README says about logs is what a service writes, and its commands find it there."""

import ast
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from support.combinations import CHOICES, Answers, name
from support.commands import run
from support.generation import Bake
from support.live import Live, run_service
from support.machine import missing

ANSWERS: list[Answers] = [
    {"key_location": "header", "protection": "whole_app", "key_store": "settings"},
    {"key_location": "fallback", "protection": "endpoints", "key_store": "database"},
]
ANSWERS[1]["rate_limit"] = "yes"
REQUEST_ID = "my-test-1"
# The events of keys that a service with a database writes, and of sign-in pages.
EVENTS = {"request_refused", "key_created", "key_expired"}
KEY_EVENTS = {"key_imported", "key_revoked", "key_disabled", "key_enabled", "key_deleted"}
KEY_EVENTS |= {"key_rotated", "key_changed"}
SIGN_IN_EVENTS = {"sign_in", "sign_in_refused", "sign_out"}


def section(project: Path, title: str) -> str:
    """Return a section of the README."""
    readme = (project / "README.md").read_text(encoding="utf-8")
    return readme.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_cells(text: str) -> set[str]:
    """Return the names in the first cell of each row of all tables."""
    rows = re.findall(r"^\|([^|]+)\|", text, re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`(\w+)`", row)}


def source(project: Path) -> str:
    """Return the source of the service."""
    return "".join(file.read_text(encoding="utf-8") for file in project.rglob("src/**/*.py"))


def texts(project: Path) -> set[str]:
    """Return all texts in the source of the service."""
    nodes = ast.walk(ast.parse(source(project)))
    return {str(node.value) for node in nodes if isinstance(node, ast.Constant)}


def counted_events(project: Path) -> list[str]:
    """Return the events that one call logs and counts."""
    calls = [node for node in ast.walk(ast.parse(source(project))) if isinstance(node, ast.Call)]
    return [ast.literal_eval(c.args[2]) for c in calls if ast.unparse(c.func) == "log_state"]


@pytest.mark.parametrize("answers", ANSWERS, ids=name)
def test_tables_name_all_reasons_and_events(answers: Answers, bake: Bake) -> None:
    project = bake(**answers)
    refusals = (project / "src/my_service/auth/refusals.py").read_text(encoding="utf-8")
    reasons = set(re.findall(r"^    [A-Z_]+ = \"(\w+)\"$", refusals, re.MULTILINE))
    if answers["key_store"] == "settings":
        reasons.remove("revoked")  # an entry cannot be revoked: it is removed
    assert first_cells(section(project, "A request is refused")) - {"reason"} == reasons
    documented = first_cells(section(project, "Operate"))
    events = EVENTS | (KEY_EVENTS if answers["key_store"] == "database" else set())
    events |= SIGN_IN_EVENTS if answers["key_location"] == "fallback" else set()
    assert events <= documented
    assert documented & (EVENTS | KEY_EVENTS | SIGN_IN_EVENTS) == events
    assert events <= texts(project)


@pytest.mark.parametrize("rate_limit", CHOICES["rate_limit"])
@pytest.mark.parametrize("key_store", CHOICES["key_store"])
def test_table_has_all_states_and_each_is_counted(
    key_store: str, rate_limit: str, bake: Bake
) -> None:
    project = bake(key_store=key_store, rate_limit=rate_limit)
    states = section(project, "Operate").split("\n### Status events")[1].partition("Also seen")[0]
    documented = first_cells(states) - {"event"}
    assert sorted(documented) == sorted(counted_events(project))
    assert not re.findall(r'"event": "\w+"', source(project)), "logged, but not counted"


def send_requests(live: Live) -> None:
    """Send requests that are accepted, and requests that are refused for several reasons."""
    for key in (live.keys["web"], live.keys["unknown"], live.keys["expired"], None):
        live.ask("/users/me", key)
    live.ask("/users/me", live.keys["unknown"], headers=[f"X-Request-ID: {REQUEST_ID}"])
    live.ask("/users/me", headers=[f"X-Elsewhere: {live.keys['web']}"])
    live.ask("/admin/password_reset", live.keys["web"], method="POST")
    if live.answers["key_location"] == "fallback":
        form = ["Content-Type: application/x-www-form-urlencoded"]
        for key in (live.keys["web"], live.keys["unknown"]):
            live.ask("/sign-in", method="POST", headers=form, body=f"key={key}".encode())
        live.ask("/sign-out", live.keys["web"], method="POST")


def run_commands(live: Live) -> str:
    """Change a key in several ways, and return what the commands log."""
    commands = [["create", "customer", "--new-scope", "new"]]
    if live.answers["key_store"] == "database":
        chosen = ["--consumer", "customer"]
        commands += [["update", *chosen, "--name", "laptop"], ["disable", *chosen]]
        commands += [["enable", *chosen], ["rotate", *chosen, "--grace", "0"], ["revoke", *chosen]]
    written = ""
    for command in commands:
        program = [sys.executable, "-m", "my_service", "keys", *command]
        finished = run(*program, cwd=live.log.parent, env=live.variables)
        assert finished.returncode == 0, finished.stderr
        written += finished.stderr
    return written


@pytest.mark.parametrize("answers", ANSWERS, ids=name)
def test_fields_are_documented_and_commands_find_lines(
    answers: Answers, bake: Bake, tmp_path: Path
) -> None:
    if not shutil.which("jq"):
        missing("no jq: install it (Debian: apt install jq)")
    project = bake(**answers)
    with run_service(project, answers, tmp_path) as live:
        send_requests(live)
        written = run_commands(live)
    written = live.log.read_text(encoding="utf-8") + written
    (tmp_path / "service.log").write_text(written, encoding="utf-8")
    lines = [json.loads(line) for line in written.splitlines()]
    operate = section(project, "Operate")
    assert {field for line in lines for field in line} <= set(re.findall(r"`(\w+)`", operate))
    examples = section(project, "A request is refused") + operate
    commands = re.findall(r"^ *```sh\n( *jq .*?)^ *```$", examples, re.DOTALL | re.MULTILINE)
    assert len(commands) == 4
    found = [run("sh", "-c", command, cwd=tmp_path) for command in commands]
    for finished in found:
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout, finished.args
    followed = [json.loads(line) for line in found[0].stdout.splitlines()]
    assert {line["request_id"] for line in followed} == {REQUEST_ID}
    assert {line["reason"] for line in followed} == {"unknown"}
