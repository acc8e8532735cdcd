"""The last words of a generation fit the machine, and keep the key off the process list."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.small_template import RunHooks
from support.template import TEMPLATE

KEY = re.compile(r"my_service_[0-9A-Za-z]{51}")
SERVICE = "http://127.0.0.1:8000"

# What takes curl's place: it shows its arguments and its standard input.
CURL = '#!/bin/sh\nprintf "%s\\n" "$*" > "$SEEN"\ncat >> "$SEEN"\n'


def commands(text: str) -> list[str]:
    """Return the lines of all blocks of commands."""
    return re.findall(r"^    (.+)$", text, re.MULTILINE)


def with_programs(folder: Path, *names: str) -> dict[str, str]:
    """Return an environment whose PATH has these programs, and git."""
    folder.mkdir()
    for name in ("git", *names):
        program = folder / name
        program.symlink_to(shutil.which(name) or "/bin/true")
    return {"PATH": str(folder)}


def test_docs_come_first_then_the_start_then_the_call(run_hooks: RunHooks, output: Path) -> None:
    words = run_hooks().stdout
    assert words.strip().splitlines()[0] == f"Start the service and open {SERVICE}/docs"
    assert words.index("make run") < words.index("development key")
    assert words.index("development key") < words.index("curl --config -")
    assert len(set(KEY.findall(words))) == 1


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ("header", 'header = "X-API-Key: KEY"'),
        ("bearer", 'header = "Authorization: Bearer KEY"'),
        ("cookie", 'cookie = "api_key=KEY"'),
        ("query", f'url = "{SERVICE}/users/me?api_key=KEY"'),
        ("fallback", 'header = "X-API-Key: KEY"'),
    ],
)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_printed_call_hides_the_key_from_the_process_list(
    run_hooks: RunHooks, tmp_path: Path, location: str, line: str, shell: str
) -> None:
    [call] = [
        line for line in commands(run_hooks(f"key_location={location}").stdout) if "curl" in line
    ]
    curl = tmp_path / "bin/curl"
    curl.parent.mkdir()
    curl.write_text(CURL)
    curl.chmod(0o755)
    seen = tmp_path / "seen"
    path = f"{curl.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([shell, "-c", call], env={"PATH": path, "SEEN": str(seen)}, check=True)
    arguments, config = seen.read_text().splitlines()
    assert not KEY.search(arguments)
    assert KEY.sub("KEY", config) == line
    assert arguments == ("--config -" if location == "query" else f"--config - {SERVICE}/users/me")


@pytest.mark.parametrize(("location", "name"), [("header", "X'$HOME`"), ("cookie", "__Host-a'$b`")])
def test_odd_names_arrive_in_the_call(
    run_hooks: RunHooks, tmp_path: Path, location: str, name: str
) -> None:
    words = run_hooks(f"key_location={location}", f"key_name={name}").stdout
    [echo] = [line.partition(" | ")[0] for line in commands(words) if "curl" in line]
    shown = subprocess.run(["sh", "-c", echo], capture_output=True, text=True, check=True).stdout
    assert f'"{name.removeprefix("__Host-")}' in shown


@pytest.mark.parametrize("location", ["cookie", "fallback"])
def test_sign_in_page_is_named_where_there_is_one(run_hooks: RunHooks, location: str) -> None:
    assert f"{SERVICE}/sign-in" in run_hooks(f"key_location={location}").stdout


def test_without_make_uv_starts_the_service(run_hooks: RunHooks, tmp_path: Path) -> None:
    env = with_programs(tmp_path / "bin", "uv")
    assert commands(run_hooks(env=env).stdout)[1:2] == ["uv run my-service serve"]
    shutil.rmtree(tmp_path / "output/my-service")
    assert commands(run_hooks("key_store=database", env=env).stdout)[1:4] == [
        "uv run my-service migrate",
        "uv run my-service keys import",
        "uv run my-service serve",
    ]


def test_without_make_and_uv_pip_installs_the_service(run_hooks: RunHooks, tmp_path: Path) -> None:
    assert commands(run_hooks(env=with_programs(tmp_path / "bin")).stdout)[1:5] == [
        "python3 -m venv .venv",
        ".venv/bin/python -m pip install --upgrade pip",
        ".venv/bin/pip install --editable . --group dev",
        ".venv/bin/my-service serve",
    ]


@pytest.mark.parametrize(
    ("store", "scopes"),
    [("settings", ["admin"]), ("database", ["admin", "keys:read", "keys:write"])],
)
def test_env_file_holds_an_entry_and_no_key(
    run_hooks: RunHooks, output: Path, store: str, scopes: list[str]
) -> None:
    key = KEY.findall(run_hooks(f"key_store={store}").stdout)[0]
    comment, development, line = (output / "my-service/.env").read_text().splitlines()
    assert comment.startswith("#")
    assert development == "FASTAPI_ENV=development"
    [entry] = json.loads(line.removeprefix("API_KEYS='").removesuffix("'"))
    assert list(entry) == ["id", "name", "hint", "consumer", "sha256", "scopes"]
    assert (entry["name"], entry["consumer"]) == ("development key", "developer")
    assert entry["scopes"] == scopes
    assert re.fullmatch(r"[0-9a-f]{16}", entry["id"])
    assert re.fullmatch(r"[0-9a-f]{64}", entry["sha256"])
    assert entry["hint"] in key
    assert key not in line


def hook(system: str, **answers: str) -> dict[str, Any]:
    """Return the names of the last hook, run for a system."""
    source = (TEMPLATE / "hooks/post_gen_project.py").read_text(encoding="utf-8")
    defaults = {"__package": "my_service", "project_slug": "my-service", "__cookie": ""}
    defaults |= {"key_location": "header", "key_name": "X-API-Key", "__cookie_name": "api_key"}
    data = json.dumps(defaults | {"__query_name": "api_key"} | answers)
    names: dict[str, Any] = {"__name__": "hook"}
    code = source.replace("{{ cookiecutter | tojson }}", data)
    exec(compile(code, "hook", "exec"), names)  # noqa: S102
    return names


def test_powershell_is_used_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    names = hook("nt", key_name="X-It's")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(os, "name", "nt")
    call, start, quoted = names["call"]("KEY"), names["program"]("serve"), names["quote"]("C:\\a b")
    monkeypatch.undo()
    assert call == f"""'header = "X-It''s: KEY"' | curl.exe --config - {SERVICE}/users/me"""
    assert start[0] == "python -m venv .venv"
    assert start[-1] == ".venv\\Scripts\\my-service serve"
    assert quoted == "'C:\\a b'"


@pytest.mark.parametrize("store", ["settings", "database"])
def test_without_a_key_the_command_that_creates_one_is_told(
    run_hooks: RunHooks, small_template: Path, output: Path, tmp_path: Path, store: str
) -> None:
    [keys] = small_template.glob("*/src/*/auth/keys.py")
    source = keys.read_text()
    keys.write_text("generate_key = None")
    try:
        finished = run_hooks(f"key_store={store}", env=with_programs(tmp_path / "bin", "uv"))
    finally:
        keys.write_text(source)
    assert finished.returncode == 0, finished.stderr
    assert not (output / "my-service/.env").exists()
    assert "No key was created (src/my_service/auth/keys.py: TypeError" in finished.stderr
    create = "uv run my-service keys create developer --scope admin"
    assert create in finished.stderr
    assert "uv run my-service serve" in finished.stderr


@pytest.mark.parametrize("location", ["header", "cookie"])
def test_closing_words_fit_80_columns(run_hooks: RunHooks, location: str) -> None:
    words = run_hooks(f"key_location={location}").stdout.splitlines()
    assert [line for line in words if len(line) > 80 and not line.startswith("    ")] == []
