"""Builds an image without an engine: does what a Dockerfile says, in a folder of this machine."""

import json
import os
import re
import shlex
import shutil
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from support.commands import program, run

Step = tuple[str, str]
USER = 10001


@dataclass
class Image:
    """What a stage leaves: its files, and how it runs."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    said: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Return the environment of a process in the image, with what finds packages here."""
        ours = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PATH")
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        return kept | {"PATH": f"{self.root}/bin:/usr/bin:/bin"} | self.env

    def command(self, instruction: str) -> list[str]:
        """Return a command in exec form, such as that of CMD."""
        words: list[str] = json.loads(self.said[instruction].rpartition("CMD ")[2])
        found = shutil.which(words[0], path=self.environment()["PATH"])
        assert found, words
        return [found, *words[1:]]


def stages(dockerfile: str) -> list[list[Step]]:
    """Return the steps of each stage as instruction and arguments."""
    lines = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in lines.splitlines() if line.strip()]
    found: list[list[Step]] = []
    for name, arguments in steps:
        if name == "FROM":
            found.append([])
        found[-1].append((name, arguments.strip()))
    return found


def build_context(project: Path) -> set[Path]:
    """Return the files that a build can see, relative to the project: `.dockerignore` decides."""
    lines = (project / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    files = [path.relative_to(project) for path in project.rglob("*") if path.is_file()]
    return {file for file in files if not _ignored(file, patterns)}


def _ignored(file: Path, patterns: list[str]) -> bool:
    ignored = False
    for pattern in patterns:
        wanted = pattern.removeprefix("!").rstrip("/")
        names = [str(part) for part in (file, *file.parents[:-1])]
        anywhere = wanted.removeprefix("**/")
        tried = [Path(name).name for name in names] if anywhere != wanted else names
        if any(fnmatch(name, anywhere) for name in tried):
            ignored = not pattern.startswith("!")
    return ignored


def build_image(project: Path, folder: Path, python: str) -> Image:
    """Return the image of a project, built in `folder` with this Python in place of the base's.

    All stages are built at one path, as in an image: what points to a file of another is found out.
    """
    visible = folder / "context"
    for file in build_context(project):
        (visible / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(project / file, visible / file)
    built: dict[str, Path] = {}
    for steps in stages((project / "Dockerfile").read_text(encoding="utf-8")):
        image = Image(folder / "root")
        (image.root / "bin").mkdir(parents=True)
        (image.root / "bin/python").symlink_to(python)
        for instruction, arguments in steps:
            _take(image, instruction, arguments, visible, built)
        _, _, name = steps[0][1].partition(" AS ")
        if name:
            built[name] = image.root.rename(folder / name)
    for stage in built.values():
        shutil.rmtree(stage)
    return image


def _take(
    image: Image, instruction: str, arguments: str, visible: Path, built: dict[str, Path]
) -> None:
    match instruction:
        case "FROM":
            image.env["UV_PYTHON_PREFERENCE"] = "only-system"
        case "ENV":
            for name, _, value in (word.partition("=") for word in shlex.split(arguments)):
                here = ":".join(f"{image.root}{p}" if p[0] == "/" else p for p in value.split(":"))
                image.env[name] = here.replace("$PATH", image.environment()["PATH"])
        case "WORKDIR":
            image.folder = arguments
            (image.root / arguments[1:]).mkdir(parents=True, exist_ok=True)
        case "COPY":
            _copy(image, arguments.split(), visible, built)
        case "RUN":
            command = re.sub(r"--mount=\S+", "", arguments)
            at = image.root / image.folder[1:]
            finished = run("sh", "-c", command, cwd=at, env=image.environment())
            assert finished.returncode == 0, finished.stderr
        case _:
            image.said[instruction] = arguments


def _copy(image: Image, words: list[str], visible: Path, built: dict[str, Path]) -> None:
    target = image.root / os.path.join(image.folder, words.pop())[1:]  # noqa: PTH118
    source = visible
    if words[0].startswith("--from="):
        origin = words.pop(0).removeprefix("--from=")
        if origin == "uv":  # an image that others publish
            target.mkdir(parents=True, exist_ok=True)
            (target / "uv").symlink_to(program("uv"))
            return
        source = built[origin]
    for word in words:
        for found in source.glob(word.strip("/")):
            if found.is_dir():
                shutil.copytree(found, target, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(found, target)
