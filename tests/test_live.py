"""The printed curl opens the running service, and nothing opens it without the key."""

import re
import sys
from pathlib import Path

import pytest
from support.combinations import EACH_LOCATION, Answers, name
from support.curl import curl_status, printed_curl
from support.generation import generate_by_command
from support.server_process import free_port, run_server


@pytest.mark.parametrize("answers", EACH_LOCATION, ids=name)
def test_the_printed_curl_opens_the_service(answers: Answers, tmp_path: Path) -> None:
    project, printed = generate_by_command(tmp_path, **answers)
    curl = printed_curl(printed)
    [app] = (f"{path.parent.name}.main:app" for path in project.glob("src/*/main.py"))
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--app-dir", "src", "--port", str(port)]
    with run_server(*command, port=port, cwd=project) as output:
        assert curl_status(curl, port) == "200"
        [key] = re.findall(r"\bmy_service_\w+", curl)
        assert curl_status(curl.replace(key, ""), port) == "401"
        assert curl_status(curl.replace(key, key[::-1]), port) == "401"
    log = output.read_text(encoding="utf-8")
    assert "/users/me" in log
    assert key not in log
