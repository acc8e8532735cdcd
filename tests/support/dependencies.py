"""The distributions that a generated service runs with and is worked on with, and their names.

They are resolved from the metadata of what is installed here, for every system and Python that
services support at once, not for this machine alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from itertools import product
from pathlib import PurePosixPath

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = {
    "linux": {"os_name": "posix", "platform_system": "Linux"},
    "darwin": {"os_name": "posix", "platform_system": "Darwin"},
    "win32": {"os_name": "nt", "platform_system": "Windows"},
}
MACHINES = ("x86_64", "aarch64", "arm64", "AMD64")
ENVIRONMENTS: list[dict[str, str]] = [
    {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": machine,
        "sys_platform": system,
        **SYSTEMS[system],
    }
    for python, system, machine in product(PYTHONS, SYSTEMS, MACHINES)
]
# What only other systems or Pythons install, with the modules that it brings there.
INSTALLED_ELSEWHERE = {
    "async-timeout": {"async_timeout"},  # Python 3.11.0 to 3.11.2
    "colorama": {"colorama"},  # Windows
    "tzdata": {"tzdata"},  # Windows
    "uvloop": {"uvloop"},  # not on Windows
}


@dataclass
class Closure:
    """Distributions with everything that they require, and what of it cannot be looked up here."""

    modules: dict[str, set[str]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    @property
    def names(self) -> set[str]:
        """The names of all distributions and of all their modules."""
        return {*self.modules, *self.missing}.union(*self.modules.values())


def resolve(requirements: Iterable[Requirement]) -> Closure:
    """Return everything that these requirements bring along, somewhere."""
    closure, left = Closure(), list(requirements)
    seen: set[tuple[str, str]] = set()
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                left += _look_up(closure, name, extra)
    return closure


def _look_up(closure: Closure, name: str, extra: str) -> list[Requirement]:
    """Enter a distribution into the closure and return what it requires with this extra."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        if name in INSTALLED_ELSEWHERE:
            closure.modules[name] = INSTALLED_ELSEWHERE[name]
        else:
            closure.missing.add(name)
        return []
    closure.modules[name] = top_level_modules(found)
    requirements = map(Requirement, found.requires or [])
    return [requirement for requirement in requirements if _applies(requirement, extra)]


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or _holds(str(requirement.marker), extra)


@cache
def _holds(marker: str, extra: str) -> bool:
    """Tell whether a marker holds in any of the environments; many requirements have the same."""
    parsed = Marker(marker)
    return any(parsed.evaluate({**environment, "extra": extra}) for environment in ENVIRONMENTS)


def top_level_modules(installed: Distribution) -> set[str]:
    """Return the names under which a distribution is imported."""
    paths = [PurePosixPath(file) for file in installed.files or []]
    code = [path for path in paths if path.suffix in (".py", ".pyi", ".so", ".pyd")]
    names = {path.parts[0].partition(".")[0] for path in code}
    # Others are folders of type stubs, such as `wrapt-stubs`, or lead out of the environment.
    return {name for name in names if name.isidentifier()}
