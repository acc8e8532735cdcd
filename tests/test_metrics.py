"""An OpenTelemetry reader gets the metrics of a generated service, as the README has them."""

import json
import os
import re
from pathlib import Path

import pytest
from support.combinations import CHOICES
from support.commands import run_python
from support.generation import Bake

SCRIPT = Path(__file__).parent / "support/read_metrics.py"


@pytest.mark.parametrize("key_store", CHOICES["key_store"])
def test_reader_gets_refusals_consumers_and_states(key_store: str, bake: Bake) -> None:
    project = bake(key_store=key_store, rate_limit="yes")
    env = {**os.environ, "PYTHONPATH": f"{project / 'src'}{os.pathsep}{project}"}
    finished = run_python("-W", "error", SCRIPT, cwd=project, env=env)
    assert finished.returncode == 0, finished.stderr
    metrics = json.loads(finished.stdout)
    assert metrics["api_key.refusals"] == {"unknown": 2, "expired": 1, "missing": 1}
    consumers = metrics["api_key.requests"]
    assert len(consumers) == 201  # labels are bounded: the other ten consumers share one
    assert (consumers["consumer-0"], consumers["consumer-1"], consumers["_other"]) == (2, 1, 10)
    assert metrics["api_key.state_changes"] == {"reload_refused": 1}
    assert metrics["api_key.available"].items() >= {"store": 1, "limiter": 1}.items()
    readme = (project / "README.md").read_text(encoding="utf-8")
    states = readme.split("\n### Status events")[1].partition("Also seen")[0]
    last_cells = re.findall(r"^\| `.*\|(.+)\|$", states, re.MULTILINE)[1:]
    parts = set(re.findall(r"`(\w+)`", "".join(last_cells)))
    assert "limiter" in parts
    assert parts <= metrics["api_key.available"].keys()
