"""The modules that `make mutants` changes are those of the services it generates."""

from support.generation import Bake
from support.mutants import MODULES, MUTATED, find_modules

# Modules that are not mutated: programs, tables, and what starts or assembles a service.
LEFT_OUT = {"__init__", "__main__", "app", "cli", "commands", "database", "errors", "main"}
LEFT_OUT |= {"migrate", "server"}


def test_every_module_is_changed_or_left_out(bake: Bake) -> None:
    found, wanted = set(), set()
    for answers in MUTATED:
        project = bake(**answers)
        [package] = project.glob("src/*")
        found |= {
            module.relative_to(package).with_suffix("").as_posix()
            for module in find_modules(project)
        }
        files = [*package.glob("*.py"), *package.glob("auth/*.py")]
        wanted |= {
            file.relative_to(package).with_suffix("").as_posix()
            for file in files
            if file.stem not in LEFT_OUT
        }
    assert found == wanted == set(MODULES)
