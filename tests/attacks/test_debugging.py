"""With every log line switched on, those of the WebSocket libraries too, no key is written."""

from pathlib import Path

import pytest
from support.combinations import CORE, Variant, alternate, variant_name
from support.generation import Bake
from support.live import NAMES, run_app

SERVICES = alternate(
    [*CORE, CORE[-1] | {"key_store": "database"}], ["websockets", "websockets-sansio"]
)


@pytest.mark.parametrize("service", SERVICES, ids=variant_name)
def test_a_debug_log_holds_no_key(service: Variant, bake: Bake, tmp_path: Path) -> None:
    answers, library = service
    options = ["--ws", library]
    with run_app(bake(**answers), answers, tmp_path, *options, LOG_LEVEL="debug") as live:
        for key in live.keys.values():
            for location in NAMES:
                live.ask("/users/me", key, location=location)
                live.send(live.request("/feed", key, location=location))
            live.handshake(f"/feed?token={key}", key)
            live.handshake(f"/nowhere/{key}", live.keys["web"])
            for encoded in (f"%{ord(key[0]):02x}{key[1:]}", key.replace("_", "%255F")):
                live.handshake(f"/feed?api_key={encoded}&token={encoded}")
                live.ask(f"/nowhere/{encoded}?token={encoded}")
        assert live.handshake("/feed", live.keys["web"]).status == 101
    written = live.log.read_text(encoding="utf-8")
    assert "DEBUG" in written
    for secret in (*live.keys.values(), *live.digests.values()):
        assert secret[-20:] not in written
