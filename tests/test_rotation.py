"""A key is changed in a busy service, and no request fails: as in the README, by a rollout."""

import sys
from pathlib import Path

import pytest
from support.generation import Bake
from support.keys import new_key
from support.rollout import CLIENTS, STREAMING_CLIENTS, Rollout, rotate
from support.waiting import run_async


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal to stop gracefully")
def test_a_key_is_rotated_without_a_failed_request(bake: Bake, tmp_path: Path) -> None:
    project = bake(deployment="kubernetes")
    rollout = Rollout(project, tmp_path)
    load = run_async(rotate(rollout, new_key(project), new_key(project)))
    assert set(load.responses) == {"HTTP/1.1 200 OK"}
    assert len(load.responses) > 10 * CLIENTS
    assert set(load.handshakes) == {"101"}
    assert len(load.handshakes) > STREAMING_CLIENTS  # each was closed, and opened anew
    assert load.echoes > 10
    assert load.events > 10
    assert len(rollout.served) == 6
