"""Who imports whom in a generated service, and what an import does, for any three answers.

Read from the syntax trees alone, so imports for type checkers count too.
"""

import ast
from collections.abc import Iterator
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from support.generation import Bake

# These modules do something when they are imported: they are what a process starts with.
ENTRY_POINTS = {"main", "__main__"}
# Alembic runs this script and imports revisions.
SCRIPTS = "migrations."
EXPORTED = [
    *("Consumer", "CurrentConsumer", "OptionalConsumer"),
    *("check_key_store", "get_api_key", "get_optional_api_key"),
]
# Methods that libraries call.
CALLBACKS = {"emit", "handle_hup", "process_bind_param", "process_result_value"}
# Statements that only define something. An `if` may hold more of them.
DEFINITIONS = (
    *(ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.Assign, ast.AnnAssign),
)


def package_of(project: Path) -> Path:
    """Return the folder of the service's package."""
    [package] = (path.parent for path in project.glob("src/*/main.py"))
    return package


@lru_cache(maxsize=2)
def modules(project: Path) -> dict[str, ast.Module]:
    """Return the syntax tree of each module by its name, without that of the package."""
    package = package_of(project)
    found = {}
    for file in package.rglob("*.py"):
        parts = file.relative_to(package).with_suffix("").parts
        name = ".".join(parts).removesuffix("__init__").removesuffix(".")
        found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def imports(name: str, tree: ast.Module, project: Path) -> Iterator[str]:
    """Yield the modules of the service, by their names, that a module imports anywhere."""
    package = package_of(project)
    is_package = (package / name.replace(".", "/") / "__init__.py").exists()
    own = name.split(".") if name else []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root, _, rest = alias.name.partition(".")
                if root == package.name:
                    yield rest
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".") if node.module else []
            if node.level:
                up = node.level - 1 if is_package else node.level
                base = [*own[: len(own) - up], *module]
            elif module and module[0] == package.name:
                base = module[1:]
            else:
                continue
            for alias in node.names:
                yield _existing(package, [*base, alias.name]) or ".".join(base)


def _existing(package: Path, parts: list[str]) -> str | None:
    path = package.joinpath(*parts)
    return ".".join(parts) if path.with_suffix(".py").exists() or path.is_dir() else None


@lru_cache(maxsize=2)
def arrows(project: Path) -> dict[str, set[str]]:
    """Return which modules of the service each module imports."""
    return {name: set(imports(name, tree, project)) for name, tree in modules(project).items()}


def unused(trees: dict[str, ast.Module]) -> set[str]:
    """Return the functions and classes without decorator that no code names."""
    defined, named = set(), set(CALLBACKS)
    nodes = ((module, node) for module, tree in trees.items() for node in ast.walk(tree))
    for module, node in nodes:
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                named.add(name)
            case (
                ast.FunctionDef(name=name, decorator_list=[])
                | ast.AsyncFunctionDef(name=name, decorator_list=[])
                | ast.ClassDef(name=name, decorator_list=[])
            ) if not module.startswith(SCRIPTS) and not name.startswith("__"):
                defined.add(name)
    return defined - named


def in_auth(module: str) -> bool:
    """Tell whether a module belongs to the package of API keys."""
    return module == "auth" or module.startswith("auth.")


def effects(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module that do something and define nothing."""
    for statement in statements:
        if isinstance(statement, ast.If):
            yield from effects([*statement.body, *statement.orelse])
        elif isinstance(statement, ast.Expr):
            if not _is_docstring(statement.value) and not _assembles(statement.value):
                yield statement
        elif not isinstance(statement, DEFINITIONS):
            yield statement


def _is_docstring(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _assembles(value: ast.expr) -> bool:
    """Tell whether an expression puts a program together, such as `app.add_typer(...)`."""
    return isinstance(value, ast.Call) and ast.unparse(value.func).startswith("app.add_")


def test_auth_imports_nothing_else_of_the_service(spread_project: Path) -> None:
    outside = {
        f"{name} imports {imported or 'the package'}"
        for name, found in arrows(spread_project).items()
        for imported in found
        if in_auth(name) and not in_auth(imported)
    }
    assert outside == set()


def test_no_imports_form_a_circle(spread_project: Path) -> None:
    try:
        list(TopologicalSorter(arrows(spread_project)).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_nothing_imports_an_entry_point(spread_project: Path) -> None:
    importers = {name for name, found in arrows(spread_project).items() if found & ENTRY_POINTS}
    assert importers == set()


def test_only_entry_points_do_something_when_imported(spread_project: Path) -> None:
    acting = {
        f"{name}: {ast.unparse(statement)}"
        for name, tree in modules(spread_project).items()
        for statement in effects(tree.body)
        if name not in ENTRY_POINTS and not name.startswith(SCRIPTS)
    }
    assert acting == set()


def test_no_function_is_unused(spread_project: Path) -> None:
    assert not unused(modules(spread_project))


def test_auth_exports_what_routes_import(spread_project: Path) -> None:
    tree = modules(spread_project)["auth"]
    [exported] = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    defined = {
        alias.asname or alias.name
        for node in ast.walk(tree)  # they are imported when they are asked for
        if isinstance(node, ast.ImportFrom) and node.level and node.module
        for alias in node.names
    }
    assert exported == EXPORTED
    assert defined == set(EXPORTED)


def test_authenticator_is_the_same_file_for_all_answers(spread_project: Path, bake: Bake) -> None:
    files = [package_of(each) / "auth/authenticator.py" for each in (spread_project, bake())]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"auth/a.py": "from ..settings import Settings"}, "outside"),
        ({"auth/a.py": "import kit.settings"}, "outside"),
        ({"auth/a.py": "from kit import settings"}, "outside"),
        ({"auth/a.py": "from . import b", "auth/b.py": "from .a import c"}, "circle"),
        (
            {
                "a.py": "def f():\n    from .b import c\n    f",
                "b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import f",
            },
            "circle",
        ),
        ({"a.py": "print()"}, "effect"),
        ({"a.py": "'''A docstring.'''\nfor x in (): pass"}, "effect"),
        ({"auth/a.py": "from .b import c", "auth/b.py": "def unused(): pass"}, "unused"),
        ({"auth/a.py": "from .b import c", "auth/b.py": "import json"}, "none"),
    ],
)
def test_checks_can_fail(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    given = {"main.py": "", "settings.py": "", "auth/__init__.py": "", **files}
    for name, text in given.items():
        file = tmp_path / "src/kit" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    checks = {
        "outside": test_auth_imports_nothing_else_of_the_service,
        "circle": test_no_imports_form_a_circle,
        "effect": test_only_entry_points_do_something_when_imported,
        "unused": test_no_function_is_unused,
    }
    for name, check in checks.items():
        if name == problem:
            with pytest.raises((AssertionError, pytest.fail.Exception)):
                check(tmp_path)
        else:
            check(tmp_path)
