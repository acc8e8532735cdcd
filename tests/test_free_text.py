"""Titles, descriptions and names of authors may hold anything, and arrive as they were given."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.combinations import CHOICES
from support.commands import run, run_python
from support.generation import generate
from support.template import TEMPLATE

TORTURE = r"""It's "quoted" \ back\slash é 漢字 🚀 # % $HOME `id` $(id) <b>&amp;</b> """
TEXTS = [
    TORTURE,
    '""""""',
    "''''''",
    """"'"'" both """,
    "ends with a backslash \\",
    r"\n \u0041 \N{DASH} %s {0} {x}",
    "שלום עולם and 👩‍👩‍👧 and ﷽",
    "' # %}",
    "Ада\N{RIGHT SINGLE QUOTATION MARK}s Сервис \N{EN DASH} naïve…",  # lookalikes
]
INTERACTIVE = (
    TORTURE + "{{ braces }} {% tag %} {# comment #}"
)  # cookiecutter's prompts drop the blanks around an answer

SHOW = """
import json
from parcel.main import app
print(json.dumps([app.openapi()["info"]["title"], app.openapi()["info"]["description"]]))
"""


def arrives(project: Path, text: str) -> None:
    """Assert that `text` is the title, the description and the author, and does no harm."""
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert readme.startswith(f"# {text}\n\n{text}\n")
    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["description"] == text
    assert metadata["authors"] == [{"name": text}]
    assert text.strip() in (project / "LICENSE").read_text(encoding="utf-8")
    key = json.dumps([{"consumer": "test", "sha256": "0" * 64}])
    environment = {"API_KEYS": key, "PYTHONPATH": "src", "PYTHONUTF8": "1"}
    shown = run(sys.executable, "-c", SHOW, cwd=project, env=environment)
    assert json.loads(shown.stdout) == [text, text], shown.stderr
    for command in (["check"], ["format", "--check"]):
        finished = run_python("-m", "ruff", *command, "--no-cache", cwd=project)
        assert finished.returncode == 0, finished.stdout
    assert run("make", "--dry-run", "help", cwd=project).returncode == 0


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_given_on_the_command_line_arrives(tmp_path: Path, text: str) -> None:
    project = generate(
        tmp_path, project_name=text, project_slug="parcel", description=text, author_name=text
    )
    arrives(project, text)


def test_a_text_typed_at_a_prompt_may_even_hold_template_syntax(tmp_path: Path) -> None:
    typed = "\n".join([INTERACTIVE, "parcel", INTERACTIVE, INTERACTIVE, *[""] * 9, ""])
    finished = subprocess.run(
        [sys.executable, "-m", "cookiecutter", "-o", str(tmp_path), str(TEMPLATE)],
        input=typed.encode(),
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    arrives(tmp_path / "parcel", INTERACTIVE)


def test_a_long_slug_and_long_names_leave_the_format_as_it_is(tmp_path: Path) -> None:
    long = "a" * 63
    for location in CHOICES["key_location"]:
        for protection in CHOICES["protection"]:
            output = tmp_path / f"{location}-{protection}"
            project = generate(
                output,
                hooks=False,
                project_slug=long,
                key_location=location,
                key_name="Authorization" if location == "bearer" else "X" + "Y" * 63,
                key_docs_url="https://example.com/" + "k" * 100,
                protection=protection,
            )
            for command in (["check"], ["format", "--check"]):
                finished = run_python("-m", "ruff", *command, "--no-cache", cwd=project)
                assert finished.returncode == 0, finished.stdout
