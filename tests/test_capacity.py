"""What a README says about capacity is what the code and the system allow."""

import errno
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import run_python
from support.generation import Bake


def capacity(project: Path) -> str:
    """Return the section about capacity, as one line."""
    readme = (project / "README.md").read_text(encoding="utf-8")
    return " ".join(readme.split("\n### Capacity\n")[1].split("\n#")[0].split())


def printed_entry(project: Path, *options: str) -> dict[str, object]:
    """Return the entry that `keys create` prints for people."""
    command = ["-m", "my_service", "keys", "create", "billing-web", *options]
    env = {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    printed = run_python(*command, cwd=project, env=env)
    [line] = re.findall(r"^ +(\{.*\})$", printed.stdout, re.MULTILINE)
    entry: dict[str, object] = json.loads(line)
    return entry


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is that of Linux")
def test_so_many_entries_fit_into_a_variable(bake: Bake) -> None:
    project = bake()
    numbers = re.search(r"about (\d+) entries .* or (\d+) with a scope", capacity(project))
    assert numbers
    both = [(), ("--scope", "admin", "--expires", "2030-12-31")]
    for count, options in zip(map(int, numbers.groups()), both, strict=True):
        entry = printed_entry(project, *options)
        fits = {"API_KEYS": json.dumps([entry] * count)}
        subprocess.run([sys.executable, "-c", ""], env=fits, check=True)
        too_many = {"API_KEYS": json.dumps([entry] * int(count * 1.05))}
        with pytest.raises(OSError) as error:  # noqa: PT011 - its number says which
            subprocess.run([sys.executable, "-c", ""], env=too_many, check=True)
        assert error.value.errno == errno.E2BIG


@pytest.mark.parametrize(
    ("answers", "file", "constant"),
    [
        ({"key_store": "database"}, "cache.py", "MAX_KNOWN"),
        ({"rate_limit": "yes"}, "counters.py", "MAX_CONSUMERS"),
    ],
    ids=["cache", "rate limit"],
)
def test_bounds_are_those_of_the_code(
    bake: Bake, answers: dict[str, str], file: str, constant: str
) -> None:
    project = bake(**answers)
    source = (project / "src/my_service/auth" / file).read_text(encoding="utf-8")
    [value] = re.findall(rf"^{constant} = ([\d_]+)$", source, re.MULTILINE)
    assert value.replace("_", " ") in capacity(project)
