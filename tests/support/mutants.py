"""Mutation testing of generated code, with the generated suite alone as judge: `make mutants`.

Each change that no test notices is shown, unless it is listed below with the reason why it changes
nothing that anybody can see.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from support.commands import program, run
from support.generation import generate

MUTATED = [("header", "whole_app"), ("cookie", "whole_app"), ("fallback", "endpoints")]
MODULES = ["log_lines", "logs", "middleware", "service", "settings"]
MODULES += [
    f"auth/{name}"
    for name in (
        *("authenticator", "context", "csrf", "dependencies", "keys", "locations", "middleware"),
        *("openapi", "protection", "refusals", "routing", "settings", "store"),
    )
]
CONFIG = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = [{modules}]
pytest_add_cli_args = ["-p", "no:asyncio", "-p", "no:randomly"]
pytest_add_cli_args_test_selection = ["tests"]
"""
EQUIVALENT = {
    r"self\.(model|scheme_name) = ": "a placeholder, which openapi.py replaces",
    r'"WWW-Authenticate": "APIKey", "Cache-Control"': "names of headers have no case",
    r"default=\[\]": "no scopes are no scopes, as a list or as None",
    r"allow_abbrev=False": "None counts as False",
    r"http_exception_handler\(request, error\)": "it does not look at the request",
    r'\("latin-1"\)|encoding="latin-1"|encode\("ascii"\)': "names of encodings have no case",
    r'get\("content-length", ""\)': "names of headers have no case, and no text is a number",
    r'headers\.get\("(origin|sec-fetch-site|host)"\)': "names of headers have no case",
    r"\((error, )?scope, receive, send\)$": "a JSON response does not ask for the request",
    r'get\("root_path", ""\)': "no path begins with XXXX",
    r"zip\(_ACCESS, arguments": "they are as many",
    r'request_id = ""': "None is no id either",
    r'safe="="': "what is safe anyway stays safe",
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


def main() -> None:
    """Print the score of each combination and every mutant that lives without a known reason."""
    unexplained = 0
    for location, protection in MUTATED:
        with tempfile.TemporaryDirectory() as folder:
            project = generate(
                Path(folder), hooks=False, key_location=location, protection=protection
            )
            [package] = project.glob("src/*")
            modules = [package / f"{name}.py" for name in MODULES]
            listed = ", ".join(
                f'"{module.relative_to(project).as_posix()}"'
                for module in modules
                if module.exists()
            )
            with (project / "pyproject.toml").open("a", encoding="utf-8") as config:
                config.write(CONFIG.format(modules=listed))
            tried, alive = survivors(project)
        known = [before for before, _ in alive if any(re.search(r, before) for r in EQUIVALENT)]
        print(
            f"{location}/{protection}: {tried} mutants, {tried - len(alive)} killed,"
            f" {len(known)} equivalent, {len(alive) - len(known)} alive"
        )
        for before, after in alive:
            if before not in known:
                unexplained += 1
                print(f"  - {before}\n  + {after}")
    sys.exit(1 if unexplained else 0)


if __name__ == "__main__":
    main()
