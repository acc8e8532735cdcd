"""The curl command that cookiecutter prints for a new service."""

import os
import re
import shutil

import pytest

from support.commands import run
from support.template import TEMPLATE


def printed_curl(printed: str) -> str:
    """Return the one curl command in what was printed."""
    [curl] = re.findall(r"^ *(echo .+ \| curl .+)$", printed, re.MULTILINE)
    return str(curl)


def curl_status(curl: str, port: int) -> str:
    """Run a printed curl command in a shell, against this port; return the response's status."""
    if not shutil.which("curl"):
        pytest.skip("curl is not on this machine")
    here = curl.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    finished = run(
        "sh", "-c", f"{here} --silent --output {os.devnull} -w '%{{http_code}}'", cwd=TEMPLATE
    )
    return finished.stdout
