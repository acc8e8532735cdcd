"""What an owner ships holds no settings of the owner's machine: git, wheels, sdists and images."""

import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from support.combinations import CHOICES
from support.commands import run, run_python
from support.generation import Bake
from support.images import build_context

EDITORS = (".idea/workspace.xml", ".vscode/settings.json")


def private_files(project: Path) -> set[str]:
    """Return the files from which the settings of a service say that it reads or keeps secrets."""
    source = (project / "src/my_service/auth/settings.py").read_text(encoding="utf-8")
    files = set(re.findall(r'environ\.get\("(?:ENV|CONFIG)_FILE", "([^"]+)"\)', source))
    assert files == {".env", "config.toml"}
    files |= {".env.local", ".env.production"}
    for database in re.findall(r'"sqlite:///([^"]+)"', source):
        files |= {database, f"{database}-wal", f"{database}-shm"}
    compose = project / "compose.yaml"
    if compose.exists():
        files |= set(re.findall(r"file: (secrets/\w+)", compose.read_text(encoding="utf-8")))
    return files


@pytest.fixture(scope="module", params=CHOICES["key_store"])
def own_project(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a project whose owner has all private files at its root, and some beside the code."""
    project = tmp_path_factory.mktemp("owned") / "my-service"
    shutil.copytree(bake(key_store=request.param), project)
    private = private_files(project)
    nested = {f"src/my_service/{name}" for name in private if not name.startswith("secrets/")}
    for name in private | nested | set(EDITORS):
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("a secret")
    return project


def secrets_in(contents: dict[str, bytes]) -> list[str]:
    """Return the names of files that hold a secret."""
    return [name for name, content in contents.items() if content == b"a secret"]


@pytest.fixture(scope="module")
def built(own_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel and the sdist of the project, each built from its files."""
    folder = tmp_path_factory.mktemp("built")
    options = ("--quiet", "--sdist", "--wheel", "--out-dir", folder)
    finished = run_python("-m", "uv", "build", *options, cwd=own_project)
    assert finished.returncode == 0, finished.stderr
    return folder


def test_sdist_holds_no_private_file(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        contents = {
            member.name.partition("/")[2]: file.read()
            for member in archive.getmembers()
            if (file := archive.extractfile(member))
        }
    assert secrets_in(contents) == []
    hidden = {name for name in contents if name.startswith(".")}
    assert hidden <= {".env.example", ".gitignore"}  # Hatch itself needs the latter
    needed = ("pyproject.toml", "README.md", "LICENSE", ".env.example")
    for name in (*needed, "src/my_service/main.py", "tests/conftest.py"):
        assert name in contents


def test_wheel_holds_the_package_alone(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert secrets_in(contents) == []
    assert {name.partition("/")[0] for name in contents} == {
        *("my_service", "my_service-0.1.0.dist-info")
    }


def test_git_ignores_private_files(own_project: Path) -> None:
    listed = run("git", "ls-files", "--others", "--exclude-standard", cwd=own_project)
    names = listed.stdout.split()
    assert secrets_in({name: (own_project / name).read_bytes() for name in names}) == []
    assert ".env.example" in names


def test_image_is_built_without_private_files(own_project: Path) -> None:
    visible = {
        name.as_posix(): (own_project / name).read_bytes() for name in build_context(own_project)
    }
    assert secrets_in(visible) == []
    assert "src/my_service/main.py" in visible
