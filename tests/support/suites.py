"""How the tests of a generated project are run, and on which Pythons."""

import re

from support.template import PROJECT, TEMPLATE

# Looking for garbage takes a fifth of their time: pytest with less of that.
PYTEST = "import gc, sys, pytest; gc.set_threshold(50_000); sys.exit(pytest.console_main())"
# Of the plugins in this environment, services declare one.
OWNERS_SUITE = ["-c", PYTEST, "-p", "no:cacheprovider", "--disable-plugin-autoload", "-p", "anyio"]
# A test that hangs is shown with its stack and ends the run.
OWNERS_SUITE += ["--override-ini", "faulthandler_timeout=120"]
OWNERS_SUITE += ["--override-ini", "faulthandler_exit_on_timeout=true"]
SUITE = [*OWNERS_SUITE, "--override-ini", "filterwarnings=error"]
SUPPORTED = re.findall(
    r"Programming Language :: Python :: (3\.\d+)",
    (TEMPLATE / PROJECT / "pyproject.toml").read_text(encoding="utf-8"),
)
