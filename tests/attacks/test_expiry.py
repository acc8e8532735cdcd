"""A key works to the end of its last day in UTC, and ends without a restart."""

from pathlib import Path

import pytest
from support.combinations import EACH_LOCATION, Answers, name
from support.generation import Bake
from support.live import run_app

# The key `old` of the service expires on 2020-01-31.
HOURS = {
    "2020-01-31T00:00:00+00:00": 200,
    "2020-01-31T23:59:59+00:00": 200,
    "2020-02-01T00:59:59+01:00": 200,
    "2020-02-01T00:00:00+00:00": 401,
    "2020-01-31T23:00:00-01:00": 401,
}


@pytest.mark.parametrize("answers", EACH_LOCATION, ids=name)
def test_a_key_ends_with_its_day_while_the_service_runs(
    answers: Answers, bake: Bake, tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("2020-01-01T00:00:00+00:00")
    # Where the machine is must not matter: here it is the last day for long after UTC's midnight.
    here = {"CLOCK": str(clock), "TZ": "Pacific/Honolulu"}
    app = "support.apps.clockwork:app"
    with run_app(bake(**answers), answers, tmp_path, app=app, **here) as live:
        for now, status in HOURS.items():
            clock.write_text(now)
            assert live.ask("/users/me", live.keys["expired"]).status == status, now
            opened = live.handshake("/feed", live.keys["expired"]).status
            assert opened == (101 if status == 200 else 401), now
            assert live.ask("/users/me", live.keys["web"]).status == 200
        refused = live.ask("/users/me", live.keys["expired"])
        unknown = live.ask("/users/me", live.keys["unknown"])
    assert refused.body == unknown.body
