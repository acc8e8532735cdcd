"""Mutation testing of generated code, with the generated suite alone as judge: `make mutants`.

Each change that no test notices is shown, unless it is listed below with the reason why it changes
nothing that can be observed.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from support.combinations import Answers, name
from support.commands import program, run
from support.generation import generate

# Together they have all modules.
MUTATED: list[Answers] = [
    {
        "key_location": location,
        "protection": protection,
        "key_store": key_store,
        "rate_limit": rate_limit,
    }
    for location, protection, key_store, rate_limit in (
        ("header", "whole_app", "settings", "no"),
        ("cookie", "whole_app", "settings", "yes"),
        ("bearer", "endpoints", "database", "no"),
        ("fallback", "endpoints", "database", "yes"),
    )
]
MODULES = ["log_lines", "logs", "middleware", "protocols", "service", "settings", "traces"]
MODULES += [
    f"auth/{name}"
    for name in (
        *(
            "actor",
            "api",
            "authenticator",
            "cache",
            "context",
            "counters",
            "csrf",
            "dependencies",
            "events",
        ),
        *("finding", "key_events", "keys", "limit_settings", "limited", "limits", "locations"),
        *("management", "metrics", "middleware", "openapi", "pages", "protection", "queries"),
        *("records", "redis_counter", "redis_link", "refusals", "review", "routing", "scopes"),
        *("settings", "setup", "sign_in", "store", "throttle", "websockets"),
    )
]
CONFIG = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = [{modules}]
pytest_add_cli_args = ["-p", "no:asyncio", "-p", "no:randomly"]
pytest_add_cli_args_test_selection = ["tests", {deselected}]
"""
# mutmut calls each function through another one, and does not follow it into other processes.
DESELECTED = [
    "test_cli.py::test_key_commands_import_no_web_framework",
    "test_cli.py::test_the_package_is_the_program",
    "test_events.py::test_changes_of_state_are_logged",
    "test_migrations.py",  # it changes no module, and leaves handlers of the log behind
]
EQUIVALENT = {
    r"self\.(model|scheme_name) = ": "a placeholder, which openapi.py replaces",
    r'\("latin-1"\)|encoding="latin-1"|encode\("ascii"\)': "names of encodings have no case",
    r'get\("content-length", ""\)': "names of headers have no case, and no text is a number",
    r'headers\.get\("(origin|sec-fetch-site|host)"\)': "names of headers have no case",
    r'get\("root_path", ""\)': "no path begins with XXXX",
    r"zip\(_ACCESS, arguments": "they are as many",
    r"popitem\(last=False\)": "None is false too",
    r"recursive=True": "SQLite does without the word; tests of the template have PostgreSQL",
    r'sys\.platform == "win32"': "it runs on another system",
    r'"Cache-Control": "no-store"\}\)$': "names of headers and directives have no case",
}


def survivors(project: Path) -> tuple[int, list[tuple[str, str]]]:
    """Return how many mutants were tried, and of each that lived the line before and after."""
    subprocess.run([program("mutmut"), "run"], cwd=project, stdout=subprocess.DEVNULL, check=True)

    def mutmut(*arguments: str) -> str:
        finished = run(program("mutmut"), *arguments, cwd=project)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    tried = mutmut("results", "--all", "true").splitlines()
    alive = [
        line.split(":")[0].strip() for line in tried if not line.endswith(("killed", "timeout"))
    ]
    diffs = [mutmut("show", mutant) for mutant in alive]
    changes = [
        (
            "\n".join(re.findall(r"^-(?!--)\s*(.*)$", diff, re.MULTILINE)),
            "\n".join(re.findall(r"^\+(?!\+\+)\s*(.*)$", diff, re.MULTILINE)),
        )
        for diff in diffs
    ]
    return len(tried), changes


def find_modules(project: Path) -> list[Path]:
    """Return the files of the modules that a project has."""
    [package] = project.glob("src/*")
    modules = (package / f"{name}.py" for name in MODULES)
    return [module for module in modules if module.exists()]


def main() -> None:
    """Print the score of each combination and every mutant that lives without a known reason."""
    unexplained = 0
    for answers in MUTATED:
        with tempfile.TemporaryDirectory() as folder:
            project = generate(Path(folder), hooks=False, **answers)
            listed = ", ".join(
                f'"{module.relative_to(project).as_posix()}"' for module in find_modules(project)
            )
            deselected = ", ".join(f'"--deselect=tests/{test}"' for test in DESELECTED)
            with (project / "pyproject.toml").open("a", encoding="utf-8") as config:
                config.write(CONFIG.format(modules=listed, deselected=deselected))
            tried, alive = survivors(project)
        known = [before for before, _ in alive if any(re.search(r, before) for r in EQUIVALENT)]
        print(
            f"{name(answers)}: {tried} mutants, {tried - len(alive)} killed,"
            f" {len(known)} equivalent, {len(alive) - len(known)} alive"
        )
        for before, after in alive:
            if before not in known:
                unexplained += 1
                print(f"  - {before}\n  + {after}")
    sys.exit(1 if unexplained else 0)


if __name__ == "__main__":
    main()
