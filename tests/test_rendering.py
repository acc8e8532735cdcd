"""Every combination of answers renders to files that look written by hand."""

import ast
import filecmp
import json
import re
import tomllib
import warnings
from pathlib import Path, PureWindowsPath

import pytest
import yaml
from support.combinations import CHOICES
from support.commands import run_python
from support.conditions import densities
from support.files import contents, tree, windows_refuses
from support.generation import Bake, generate
from support.template import LONGEST_SLUG, PROJECT, TEMPLATE

# Double braces are legal in Python's formatted strings.
UPDATE_SECTION = re.compile(r"^## Update$.*?(?=^## )", re.MULTILINE | re.DOTALL)
LEFTOVER = re.compile(r"\{%|%\}|\{#|cookiecutter|jinja", re.IGNORECASE)
LEFTOVER_BRACES = re.compile(r"\{\{|\}\}")
WORKFLOW_EXPRESSION = re.compile(r"\$\{\{ [\w.]+( \|\| [\w.]+)* \}\}")
# No more of the lines of a file with code may hold a condition.
DENSEST = 0.30


def texts(project: Path) -> dict[str, str]:
    """Return the files of a project with their text, line ends as they are."""
    return {file: content.decode() for file, content in contents(project).items()}


def setting_names(project: Path) -> set[str]:
    """Return the names under which the environment knows the settings of a service."""
    [own] = project.glob("src/*/settings.py")
    kit = own.parent / "auth/settings.py"
    sources = {"Settings": own, "AuthSettings": kit, "KeyPolicy": kit}
    if (own.parent / "migrate.py").exists():
        sources["MigrationSettings"] = own.parent / "migrate.py"
    return {
        field.target.id.upper()
        for name, source in sources.items()
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == name
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }


def test_nothing_of_the_template_is_left(project: Path) -> None:
    for file, text in texts(project).items():
        if file == "README.md":  # it names the template in one place
            text = UPDATE_SECTION.sub("", text)
        assert not LEFTOVER.search(text), file
        if not file.endswith(".py"):
            assert not LEFTOVER_BRACES.search(WORKFLOW_EXPRESSION.sub("", text)), file


def test_whitespace_is_in_order(project: Path) -> None:
    for file, text in texts(project).items():
        assert "\r" not in text, file
        assert not re.search(r"[ \t]$", text, re.MULTILINE), file
        assert "\n\n\n\n" not in text, file
        if not file.endswith((".py", ".py.mako", ".md")):
            assert "\n\n\n" not in text, file
        assert not text.startswith("\n"), file
        assert text.endswith("\n"), file
        assert not text.endswith("\n\n"), file


def test_no_file_or_folder_is_empty(project: Path) -> None:
    for path in tree(project):
        assert path.stat().st_size if path.is_file() else any(path.iterdir()), path


def test_notes_for_coding_assistants_fit_one_page(project: Path) -> None:
    assert len((project / "AGENTS.md").read_text(encoding="utf-8").splitlines()) <= 40


def test_every_path_is_legal_on_windows(project: Path) -> None:
    paths = [path.relative_to(project) for path in tree(project)]
    assert not [path for path in paths if windows_refuses(path)]
    assert len({PureWindowsPath(path) for path in paths}) == len(paths)


def assert_ruff_is_content(project: Path) -> None:
    """Fail with what Ruff says when it would lint or format something."""
    for command in (["check"], ["format", "--check"]):
        finished = run_python("-m", "ruff", *command, "--no-cache", cwd=project)
        assert finished.returncode == 0, finished.stdout + finished.stderr


def test_ruff_has_nothing_to_say(project: Path) -> None:
    assert_ruff_is_content(project)


@pytest.mark.parametrize("key_store", CHOICES["key_store"])
def test_ruff_has_nothing_to_say_about_the_longest_name(key_store: str, bake: Bake) -> None:
    answers = {"key_location": "fallback", "key_store": key_store, "rate_limit": "yes"}
    assert_ruff_is_content(bake(project_slug=LONGEST_SLUG, **answers))


def test_python_compiles_without_warnings(project: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for file, text in texts(project).items():
            if file.endswith(".py"):
                compile(text, file, "exec")


def test_data_files_are_valid(project: Path) -> None:
    for file, text in texts(project).items():
        match Path(file).suffix:
            case ".toml":
                tomllib.loads(text)
            case ".json":
                json.loads(text)
            case ".yaml" | ".yml":
                list(yaml.safe_load_all(text))


def test_links_in_the_readme_lead_somewhere(project: Path) -> None:
    readme = (project / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", readme, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#]*)#?([^)]*)\)", readme):
        assert (project / target).exists(), target
        if not target:
            assert anchor in anchors


def test_tables_in_the_readme_are_even(project: Path) -> None:
    readme = (project / "README.md").read_text(encoding="utf-8")
    for table in re.findall(r"(?:^\|.*\n)+", readme, re.MULTILINE):
        rows = table.splitlines()
        assert len({len(row) for row in rows}) == 1, table
        for column in zip(*(row.strip("| ").split(" | ") for row in rows), strict=True):
            cells = [cell.strip() for cell in column if not cell.startswith("---")]
            assert max(map(len, cells)) == max(len(cell) for cell in column), table


def test_every_setting_is_in_the_example(project: Path) -> None:
    example = (project / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^(?:# )?([A-Z_]+)=", example, re.MULTILINE)) == setting_names(project)


def test_every_setting_is_in_the_readme(project: Path) -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in project.glob("src/**/*.py"))
    read_directly = set(re.findall(r'os\.environ(?:\.get\(|\[)"([A-Z_]+)"', code))
    readme = (project / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## Settings\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| *`([A-Z_]+)` *\|", section, re.MULTILINE)
    assert sorted(listed) == sorted(setting_names(project) | read_directly)


@pytest.mark.parametrize(
    ("folders", "ignored"),
    # Only tests import what development needs.
    [(["src"], ""), (["src", "tests"], ",DEP004=anyio|httpx2|pytest")],
    ids=["src", "tests"],
)
def test_imports_and_dependencies_are_the_same(
    spread_project: Path, folders: list[str], ignored: str
) -> None:
    # SQLAlchemy imports what a URL asks for; pydantic pins its own core.
    ignore = ["--per-rule-ignores", f"DEP002=aiosqlite|psycopg,DEP003=pydantic_core{ignored}"]
    finished = run_python("-m", "deptry", *folders, "--exclude", "^$", *ignore, cwd=spread_project)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_same_answers_give_the_same_bytes(bake: Bake, tmp_path: Path) -> None:
    first, second = bake(), generate(tmp_path)
    files = [path.relative_to(first) for path in tree(first) if path.is_file()]
    assert files == [path.relative_to(second) for path in tree(second) if path.is_file()]
    _, different, errors = filecmp.cmpfiles(first, second, map(str, files), shallow=False)
    assert (different, errors) == ([".env"] if (first / ".env").exists() else [], [])


def test_conditions_in_the_code_are_sparse() -> None:
    found = densities(TEMPLATE / PROJECT / "src")
    assert {file: share for file, share in found.items() if share > DENSEST} == {}
