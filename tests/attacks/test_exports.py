"""Neither telemetry nor a shortened value in a traceback tells a key."""

from pathlib import Path

import pytest
from support.combinations import EACH_LOCATION, Answers, name
from support.generation import Bake
from support.live import run_app

APP = "support.apps.exporting:app"


@pytest.mark.parametrize("answers", EACH_LOCATION, ids=name)
def test_what_an_endpoint_raises_is_exported_without_a_key(
    answers: Answers, bake: Bake, tmp_path: Path
) -> None:
    with run_app(bake(**answers), answers, tmp_path, app=APP) as live:
        for key in (live.keys["web"], live.keys["admin"]):
            for location in live.locations:
                for target in ("/bug", "/number/x", "/users/me"):
                    live.ask(target, key, location=location)
            live.ask("/cut", key, method="POST", body=key.encode())
    written = live.log.read_text(encoding="utf-8")
    assert "RuntimeError" in written
    assert "input_value=" in written
    for secret in (*live.keys.values(), *live.digests.values()):
        for part in (secret[-20:], secret.removeprefix("my_service_")[:12]):
            assert part not in written
