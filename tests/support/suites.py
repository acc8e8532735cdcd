"""How the tests of a generated project are run, and on which Pythons."""

import re

from support.template import PROJECT, TEMPLATE

SUITE = ["-m", "pytest", "-p", "no:cacheprovider", "--override-ini", "filterwarnings=error"]
# Of the plugins in this environment, services declare one.
SUITE += ["--disable-plugin-autoload", "-p", "anyio"]
# A test that hangs is shown with its stack and ends the run.
SUITE += ["--override-ini", "faulthandler_timeout=60"]
SUITE += ["--override-ini", "faulthandler_exit_on_timeout=true"]
SUPPORTED = re.findall(
    r"Programming Language :: Python :: (3\.\d+)",
    (TEMPLATE / PROJECT / "pyproject.toml").read_text(encoding="utf-8"),
)
