"""What the hooks add to a project: a key of its own, and the next steps."""

import json
import os
import re
import shlex
import shutil
import stat
import sys
from pathlib import Path

import pytest
from conftest import CHOICES, TEMPLATE, find_python, render, run, run_python
from hooked import KEY, copy_of_the_template, generate


def test_the_env_file_holds_the_digest_of_the_key_that_is_shown_once(output: Path) -> None:
    finished = generate(output)
    [key] = KEY.findall(finished.stdout + finished.stderr)
    project = output / "my-service"
    minted = run_python("src/my_service/keys.py", "digest", cwd=project)
    assert minted.returncode == 2  # nothing on stdin
    digest = run(sys.executable, "src/my_service/keys.py", "digest", cwd=project, stdin=key).stdout
    settings = (project / ".env").read_text(encoding="utf-8")
    [entries] = re.findall(r"^API_KEYS='(.*)'$", settings, re.MULTILINE)
    assert json.loads(entries) == [
        {"consumer": "developer", **json.loads(digest), "scopes": ["admin"]}
    ]
    assert "FASTAPI_ENV=development" in settings
    assert key not in settings


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_owner_can_read_the_env_file(output: Path) -> None:
    generate(output)
    assert stat.S_IMODE((output / "my-service/.env").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("location", "name", "sent"),
    [
        ("header", "X'$HOME`", ["--header", "X'$HOME`: KEY", "URL"]),
        ("cookie", "__Host-a'$b", ["--cookie", "a'$b=KEY", "URL"]),
        ("query", "api_key", ["URL?api_key=KEY"]),
        ("fallback", "X-Parcel-Key", ["--header", "X-Parcel-Key: KEY", "URL"]),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="shells of Windows quote in their own way")
def test_the_printed_call_puts_the_key_where_the_service_looks(
    output: Path, location: str, name: str, sent: list[str]
) -> None:
    finished = generate(output, f"key_location={location}", f"key_name={name}")
    [curl] = re.findall(r"^    curl (.*)$", finished.stdout, re.MULTILINE)
    url = "http://127.0.0.1:8000/users/me"
    assert shlex.split(KEY.sub("KEY", curl).replace(url, "URL")) == sent


@pytest.mark.parametrize(
    ("location", "protection", "told"),
    [
        ("header", "whole_app", ["docs"]),
        ("header", "endpoints", ["docs"]),
        ("cookie", "whole_app", ["sign-in"]),
        ("fallback", "endpoints", ["sign-in"]),
    ],
)
def test_what_a_browser_can_open_is_told_of(
    output: Path, location: str, protection: str, told: list[str]
) -> None:
    finished = generate(output, f"key_location={location}", f"protection={protection}")
    assert re.findall(r"http://127.0.0.1:8000/(docs|sign-in)", finished.stdout) == told


def test_key_and_digest_are_left_nowhere_else(
    output: Path, tmp_path: Path, cookiecutter_home: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    key = KEY.findall(generate(output, env={"TMPDIR": str(temporary)}).stdout)[0]
    project = output / "my-service"
    digest = re.findall(r"[0-9a-f]{64}", (project / ".env").read_text())[0]
    ignored = run("git", "check-ignore", ".env", cwd=project)
    assert ignored.stdout.strip() == ".env"
    for folder in (project, temporary, cookiecutter_home):
        for file in folder.rglob("*"):
            if file.is_file() and file != project / ".env":
                content = file.read_bytes()
                assert key.encode() not in content, file
                assert digest.encode() not in content, file


def test_two_projects_have_two_keys(tmp_path: Path) -> None:
    assert KEY.findall(generate(tmp_path / "a").stdout) != KEY.findall(
        generate(tmp_path / "b").stdout
    )


def test_without_hooks_only_the_env_file_and_git_are_missing(tmp_path: Path) -> None:
    with_hooks, without = render(tmp_path / "a"), render(tmp_path / "b", hooks=False)

    def files(project: Path) -> dict[Path, bytes]:
        found = (path for path in project.rglob("*") if path.is_file() and ".git" not in path.parts)
        return {path.relative_to(project): path.read_bytes() for path in found}

    expected = files(with_hooks)
    del expected[Path(".env")]
    assert files(without) == expected
    assert not (without / ".git").exists()


def test_a_project_can_be_replayed(output: Path) -> None:
    generate(output, "key_location=cookie")
    shutil.rmtree(output / "my-service")
    replayed = run_python("-m", "cookiecutter", "--replay", TEMPLATE, cwd=output)
    assert replayed.returncode == 0, replayed.stderr
    assert "class Location" in (output / "my-service/src/my_service/locations.py").read_text()
    assert KEY.search(replayed.stdout)


def test_answers_may_come_from_a_configuration_file(output: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    answers = {"key_location": "query", "project_name": "Parcel", "author_name": "Ada"}
    folders = {"cookiecutters_dir": str(tmp_path / "c"), "replay_dir": str(tmp_path / "r")}
    config.write_text(json.dumps({"default_context": answers, **folders}))
    finished = generate(output, env={"COOKIECUTTER_CONFIG": str(config)})
    assert "/users/me?api_key=parcel_" in finished.stdout
    assert "Ada" in (output / "parcel/LICENSE").read_text()


@pytest.mark.parametrize(
    "broken", ["raise SystemExit('no')", "no Python", "mint = None", "import nothing_of_this_name"]
)
@pytest.mark.skipif(os.name == "nt", reason="the printed commands are run by a POSIX shell")
def test_when_no_key_can_be_minted_the_project_stays_and_the_way_on_is_told(
    tmp_path: Path, output: Path, broken: str
) -> None:
    template = copy_of_the_template(tmp_path / "template")
    [keys] = template.glob("*/src/*/keys.py")
    keys.write_text(broken)
    output.mkdir()
    finished = run_python("-m", "cookiecutter", "--no-input", template, cwd=output)
    assert finished.returncode == 0, finished.stderr
    assert "No key was made" in finished.stderr
    assert not (output / "my-service/.env").exists()

    generate(output, "--accept-hooks=no", "--overwrite-if-exists")  # repairs keys.py
    commands = re.findall(r"^    (.+)$", finished.stderr, re.MULTILINE)
    assert KEY.search(run("sh", "-c", " && ".join(commands), cwd=tmp_path).stdout)


def test_where_keys_are_in_a_database_the_way_on_is_to_start_the_service(
    tmp_path: Path, output: Path
) -> None:
    template = copy_of_the_template(tmp_path / "template")
    [keys] = template.glob("*/src/*/keys.py")
    keys.write_text("broken")
    output.mkdir()
    options = ("--no-input", template, "key_store=database")
    finished = run_python("-m", "cookiecutter", *options, cwd=output)
    assert finished.returncode == 0, finished.stderr
    assert "No key was made (" in finished.stderr
    assert "make run" in finished.stderr
    assert "keys.py new" not in finished.stderr


def test_hooks_run_on_the_oldest_python_that_cookiecutter_runs_on(tmp_path: Path) -> None:
    if not (python := find_python("3.10")):
        pytest.skip("Python 3.10 is not on this machine")
    project = render(tmp_path, hooks=False)
    answers = {"project_name": "My Service", "project_slug": "my-service", "description": ""}
    answers |= {"author_name": "Ada", "key_location": "header", "key_name": "X-API-Key"}
    answers |= {"key_docs_url": ""} | {question: first for question, [first, *_] in CHOICES.items()}
    answers |= {"__package": "my_service", "__cookie": ""}
    for hook in ("pre_gen_project.py", "post_gen_project.py"):
        source = (TEMPLATE / "hooks" / hook).read_text(encoding="utf-8")
        script = tmp_path / hook
        script.write_text(source.replace("{{ cookiecutter | tojson }}", json.dumps(answers)))
        finished = run(python, script, cwd=project)
        assert finished.returncode == 0, finished.stderr
    assert KEY.search(finished.stdout)
    assert (project / ".env").exists()
