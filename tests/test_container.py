"""The image: its build steps are done here, in a folder, and what they make serves."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from support.commands import run, run_python
from support.generation import Bake
from support.images import USER, Image, build_context, build_image, stages
from support.keys import new_key
from support.postgresql import Postgres
from support.server_process import free_port, run_server
from support.template import TEMPLATE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="images are of Linux")

SECRETS = (".env", "secrets/api_keys", ".git/config", "src/my_service/.env", "config.toml")


@pytest.fixture
def project_with_secrets(bake: Bake, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a project with secrets beside the code."""
    copy = tmp_path / "my-service"
    shutil.copytree(bake(**getattr(request, "param", {})), copy)
    for secret in SECRETS:
        (copy / secret).parent.mkdir(exist_ok=True)
        (copy / secret).write_text("secret")
    return copy


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that every user can look into."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def privileged() -> bool:
    """Tell whether the tests may drop privileges: then they must."""
    return sys.platform != "win32" and os.geteuid() == 0


def public_python() -> str:
    """Return an interpreter that every user can run."""
    here = Path(sys.base_prefix) / "bin/python3"
    others = [shutil.which(f"python3{version}", path="/usr/bin") for version in ("", ".13", ".12")]
    user = USER if privileged() else None
    for python in filter(None, [str(here), *others]):
        command = [python, "-c", "import sys, venv; sys.exit(sys.version_info < (3, 11))"]
        with contextlib.suppress(OSError):
            if subprocess.run(command, cwd="/", user=user, group=user, check=False).returncode == 0:
                return python
    pytest.skip("no Python on this machine that every user can run")


def lock(project_with_secrets: Path) -> None:
    """Write the lock file of a project."""
    finished = run_python("-m", "uv", "lock", cwd=project_with_secrets)
    assert finished.returncode == 0, finished.stderr


def image_files(image: Image) -> set[Path]:
    """Return the image_files of an image, but for what the server prints."""
    return {path for path in image.root.rglob("*") if path.suffix != ".log"}


def mounted(folder: Path, name: str, text: str) -> Path:
    """Return a directory of secrets as Kubernetes mounts it: files are links into a hidden one."""
    hidden = folder / "secrets/..2026_01_31"
    hidden.mkdir(parents=True)
    (hidden / name).write_text(text)
    (folder / "secrets/..data").symlink_to(hidden.name)
    (folder / "secrets" / name).symlink_to(f"..data/{name}")
    return folder / "secrets"


def test_the_image_serves_without_privileges(project_with_secrets: Path, folder: Path) -> None:
    lock(project_with_secrets)
    image = build_image(project_with_secrets, folder, public_python())
    key, digest = new_key(project_with_secrets)
    secrets = mounted(folder, "api_keys", json.dumps([{"consumer": "web", "sha256": digest}]))
    before = image_files(image)
    port = free_port()
    env = image.environment() | {"SECRETS_DIR": str(secrets), "PORT": str(port)}
    at = image.root / image.folder[1:]
    user = int(image.said["USER"].partition(":")[0]) if privileged() else None
    health = image.command("HEALTHCHECK")
    with run_server(*image.command("CMD"), port=port, cwd=at, env=env, user=user):
        request = Request(f"http://127.0.0.1:{port}/users/me", headers={"X-API-Key": key})
        with urlopen(request) as answer:
            assert json.load(answer)["consumer"] == "web"
        with pytest.raises(HTTPError, match="401"):
            urlopen(f"http://127.0.0.1:{port}/users/me")
        assert run(*health, cwd=at, env=env).returncode == 0
    assert run(*health, cwd=at, env=env).returncode != 0
    assert image_files(image) == before, "it wrote into its own image"


@pytest.mark.parametrize(
    "project_with_secrets", [{"key_store": "database"}], indirect=True, ids=["database"]
)
def test_the_image_brings_along_what_makes_its_tables(
    project_with_secrets: Path, folder: Path, postgres: Postgres
) -> None:
    lock(project_with_secrets)
    image = build_image(project_with_secrets, folder, public_python())
    url = postgres.database()
    secrets, port = mounted(folder, "database_url", f"{url}\n"), free_port()
    env = image.environment() | {"SECRETS_DIR": str(secrets), "PORT": str(port)}
    at = image.root / image.folder[1:]
    user = int(image.said["USER"].partition(":")[0]) if privileged() else None
    before = image_files(image)

    def manage_in_image(*command: str) -> str:
        words = [*image.command("CMD")[:3], *command]
        return subprocess.check_output(words, cwd=at, env=env, user=user, group=user, text=True)

    assert "at migration 0001" in manage_in_image("migrate")
    with run_server(*image.command("CMD"), port=port, cwd=at, env=env, user=user):
        key = json.loads(manage_in_image("keys", "create", "web", "--json"))["key"]
        request = Request(f"http://127.0.0.1:{port}/users/me", headers={"X-API-Key": key})
        with urlopen(request) as answer:
            assert json.load(answer)["consumer"] == "web"
    assert image_files(image) == before, "it wrote into its own image"


def test_the_image_is_compiled_and_holds_neither_uv_nor_development(
    project_with_secrets: Path, folder: Path
) -> None:
    lock(project_with_secrets)
    image = build_image(project_with_secrets, folder, public_python())
    [package] = image.root.glob("app/.venv/lib/*/site-packages/my_service")
    assert list(package.glob("__pycache__/main.*.pyc"))
    assert list(package.parent.glob("fastapi/__pycache__/applications.*.pyc"))
    for absent in ("app/src", "bin/uv"):
        assert not (image.root / absent).exists()
    assert not (package.parent / "pytest").exists()
    for file in image_files(image):
        assert not file.is_file() or file.read_bytes() != b"secret", file


def test_a_lock_file_that_is_out_of_step_stops_the_build(
    project_with_secrets: Path, folder: Path
) -> None:
    lock(project_with_secrets)
    pyproject = project_with_secrets / "pyproject.toml"
    text = pyproject.read_text().replace("\ndependencies = [", '\ndependencies = ["anyio",', 1)
    pyproject.write_text(text)
    with pytest.raises(AssertionError, match=r"lockfile .* needs to be updated"):
        build_image(project_with_secrets, folder, public_python())


def test_without_a_lock_file_the_build_says_how_to_make_one(
    project_with_secrets: Path, folder: Path
) -> None:
    with pytest.raises(AssertionError, match=r"uv\.lock is missing.*'uv lock'.*'pipx run uv lock'"):
        build_image(project_with_secrets, folder, public_python())


def test_images_of_others_are_each_named_once(project_with_secrets: Path) -> None:
    steps = [
        step
        for stage in stages((project_with_secrets / "Dockerfile").read_text())
        for step in stage
    ]
    froms = [arguments.split() for name, arguments in steps if name == "FROM"]
    named = [words[2] for words in froms if len(words) == 3]
    published = [words[0] for words in froms if words[0] not in named]
    # Dependabot reads FROM alone.
    assert [image.partition(":")[0] for image in published] == ["ghcr.io/astral-sh/uv", "python"]
    copied = re.findall("--from=(\\S+)", " ".join(arguments for _, arguments in steps))
    assert set(copied) <= set(named)


def test_the_dependencies_are_a_layer_without_the_code(project_with_secrets: Path) -> None:
    steps = stages((project_with_secrets / "Dockerfile").read_text())[2]
    run_first = next(place for place, (name, _) in enumerate(steps) if name == "RUN")
    copied = [arguments for name, arguments in steps[:run_first] if name == "COPY"]
    assert copied[1:] == ["pyproject.toml uv.loc[k] ./"]


def test_no_secret_can_get_into_the_image(project_with_secrets: Path) -> None:
    visible = {path.as_posix() for path in build_context(project_with_secrets)}
    assert {"pyproject.toml", "README.md", "LICENSE", "src/my_service/main.py"} <= visible
    assert {path for path in visible if not path.startswith("src/my_service/")} == {
        *("pyproject.toml", "README.md", "LICENSE")
    }
    assert not visible.intersection(SECRETS)


def test_the_user_is_a_number_and_the_uv_is_the_tested_one(project_with_secrets: Path) -> None:
    text = (project_with_secrets / "Dockerfile").read_text()
    assert re.search(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    [tested] = re.findall(r"^uv==(.+)$", (TEMPLATE / "requirements.txt").read_text(), re.MULTILINE)
    assert f"/uv:{tested} AS uv\n" in text
