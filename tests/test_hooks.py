"""What the hooks add to a project: a key of its own, and the next steps."""

import json
import os
import re
import shlex
import shutil
import stat
from pathlib import Path

import pytest
from support.combinations import CHOICES, FULL
from support.commands import find_python, run, run_python
from support.files import contents, tree
from support.generation import generate, run_cookiecutter
from support.keys import PRINTED_KEY, key_module
from support.pre_gen import rendered
from support.template import TEMPLATE, copy_template


def test_env_file_accepts_the_key_that_is_shown(output: Path) -> None:
    finished = run_cookiecutter(output)
    [key] = set(PRINTED_KEY.findall(finished.stdout + finished.stderr))
    project = output / "my-service"
    settings = (project / ".env").read_text(encoding="utf-8")
    [entries] = re.findall(r"^API_KEYS='(.*)'$", settings, re.MULTILINE)
    [entry] = json.loads(entries)
    assert entry["sha256"] == key_module(project)["hash_key"](key)
    assert entry["consumer"] == "developer"
    assert "FASTAPI_ENV=development" in settings
    assert key not in settings


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_owner_can_read_the_env_file(output: Path) -> None:
    run_cookiecutter(output)
    assert stat.S_IMODE((output / "my-service/.env").stat().st_mode) == 0o600


def test_key_and_digest_are_left_nowhere_else(
    output: Path, tmp_path: Path, cookiecutter_home: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    key = PRINTED_KEY.findall(run_cookiecutter(output, env={"TMPDIR": str(temporary)}).stdout)[0]
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
    assert PRINTED_KEY.findall(run_cookiecutter(tmp_path / "a").stdout) != PRINTED_KEY.findall(
        run_cookiecutter(tmp_path / "b").stdout
    )


def test_without_hooks_only_the_env_file_and_git_are_missing(tmp_path: Path) -> None:
    with_hooks, without = generate(tmp_path / "a"), generate(tmp_path / "b", hooks=False)
    expected = contents(with_hooks)
    del expected[".env"]
    assert contents(without) == expected
    assert not (without / ".git").exists()


def test_a_project_can_be_replayed(output: Path) -> None:
    run_cookiecutter(output, "key_location=cookie")
    shutil.rmtree(output / "my-service")
    replayed = run_python("-m", "cookiecutter", "--replay", TEMPLATE, cwd=output)
    assert replayed.returncode == 0, replayed.stderr
    locations = output / "my-service/src/my_service/auth/locations.py"
    assert "class CookieLocation" in locations.read_text()
    assert PRINTED_KEY.search(replayed.stdout)


def test_answers_may_come_from_a_configuration_file(output: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    answers = {"key_location": "query", "project_name": "Parcel", "author_name": "Ada"}
    folders = {"cookiecutters_dir": str(tmp_path / "c"), "replay_dir": str(tmp_path / "r")}
    config.write_text(json.dumps({"default_context": answers, **folders}))
    finished = run_cookiecutter(output, env={"COOKIECUTTER_CONFIG": str(config)})
    assert "/users/me?api_key=parcel_" in finished.stdout
    assert "Ada" in (output / "parcel/LICENSE").read_text()


BROKEN = [
    *("raise SystemExit('no')", "no Python"),
    *("generate_key = None", "import nothing_of_this_name"),
]
# The stores in turns; with FULL=1, both.
WITHOUT_A_KEY = [
    (broken, key_store)
    for number, broken in enumerate(BROKEN)
    for step, key_store in enumerate(CHOICES["key_store"])
    if FULL or (number + step) % 2 == 0
]


@pytest.mark.parametrize(("broken", "key_store"), WITHOUT_A_KEY)
def test_project_without_a_key_stays_and_shows_how_to_create_one(
    tmp_path: Path, output: Path, broken: str, key_store: str
) -> None:
    template = copy_template(tmp_path / "template")
    [keys] = template.glob("*/src/*/auth/keys.py")
    keys.write_text(broken)
    output.mkdir()
    answers = ("--no-input", template, f"key_store={key_store}")
    finished = run_python("-m", "cookiecutter", *answers, cwd=output)
    assert finished.returncode == 0, finished.stderr
    assert "No key was created (" in finished.stderr
    project = output / "my-service"
    assert not (project / ".env").exists()

    # The next generation repairs keys.py. What the printed commands run with is installed here.
    run_cookiecutter(output, "--accept-hooks=no", "--overwrite-if-exists", str(answers[-1]))
    steps = re.findall(r"^    .*my-service ((?:migrate|keys) ?.*)$", finished.stderr, re.MULTILINE)
    for step in steps:
        environment = {"PYTHONPATH": str(project / "src"), "PYTHONUTF8": "1"}
        command = ("-m", "my_service", *shlex.split(step))
        said = run_python(*command, cwd=project, env=environment)
        assert said.returncode == 0, said.stderr
    assert PRINTED_KEY.search(said.stdout)


@pytest.mark.parametrize(
    "answers",
    [{}, {"ci": "none"}, {"ci": "gitlab", "key_store": "database"}],
    ids=["default", "no CI", "GitLab and a database"],
)
def test_hook_leaves_no_empty_folder(tmp_path: Path, answers: dict[str, str]) -> None:
    project = generate(tmp_path, hooks=True, **answers)
    assert [path for path in tree(project) if path.is_dir() and not any(path.iterdir())] == []
    assert not list(project.rglob("__pycache__"))


def test_hook_keeps_what_python_has_compiled(output: Path) -> None:
    run_cookiecutter(output)
    compiled = output / "my-service/src/my_service/__pycache__/main.pyc"
    compiled.parent.mkdir()
    compiled.touch()
    run_cookiecutter(output, "--overwrite-if-exists")
    assert compiled.exists()


def test_empty_folders_without_hooks_are_those_of_python(tmp_path: Path) -> None:
    project = generate(tmp_path, hooks=False, ci="none")
    empty = [path for path in tree(project) if path.is_dir() and not any(path.iterdir())]
    assert {path.name for path in empty} == {"__pycache__"}


def test_hooks_run_on_the_oldest_python_that_cookiecutter_runs_on(tmp_path: Path) -> None:
    if not (python := find_python("3.10")):
        pytest.skip("Python 3.10 is not on this machine")
    project = generate(tmp_path, hooks=False)
    answers = json.dumps(rendered())
    for hook in ("pre_gen_project.py", "post_gen_project.py"):
        source = (TEMPLATE / "hooks" / hook).read_text(encoding="utf-8")
        script = tmp_path / hook
        script.write_text(source.replace("{{ cookiecutter | tojson }}", answers))
        finished = run(python, script, cwd=project)
        assert finished.returncode == 0, finished.stderr
    assert PRINTED_KEY.search(finished.stdout)
    assert (project / ".env").exists()
