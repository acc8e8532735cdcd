"""What this machine lacks."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip a test for which this machine lacks something; where CI runs, it has to be there."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
