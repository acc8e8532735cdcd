"""The printed curl opens the running service, and nothing opens it without the key."""

import re
import sys
from pathlib import Path

import pytest
from combinations import Answers, name
from conftest import CORE, free_port, generate, serving, status


@pytest.mark.parametrize("answers", CORE, ids=name)
def test_the_printed_curl_opens_the_service(answers: Answers, tmp_path: Path) -> None:
    project, curl = generate(tmp_path, **answers)
    [app] = (f"{path.parent.name}.main:app" for path in project.glob("src/*/main.py"))
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--app-dir", "src", "--port", str(port)]
    with serving(*command, port=port, cwd=project) as output:
        assert status(curl, port) == "200"
        [key] = re.findall(r"\bmy_service_\w+", curl)
        assert status(curl.replace(key, ""), port) == "401"
        assert status(curl.replace(key, key[::-1]), port) == "401"
    log = output.read_text(encoding="utf-8")
    assert "/users/me" in log
    assert key not in log
