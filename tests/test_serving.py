"""A service runs as its settings say: who is believed, how it is stopped, what it writes."""

import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.combinations import EACH_LOCATION, Answers, name
from support.generation import Bake
from support.live import Live, parse, run_service
from support.waiting import until

HEADER: Answers = {"key_location": "header", "protection": "whole_app"}


@pytest.fixture
def header_project(bake: Bake) -> Path:
    """Return a project of its own kind: with the default answers."""
    return bake(**HEADER)


def lines(live: Live, logger: str = "") -> list[dict[str, Any]]:
    """Return the lines of a production log, all or those of one logger."""
    written = map(json.loads, live.log.read_text(encoding="utf-8").splitlines())
    return [line for line in written if logger in line["logger"]]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal to stop gracefully")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_in_flight_is_finished_before_the_process_ends(
    header_project: Path, tmp_path: Path, workers: int
) -> None:
    body = b'{"user": 1, "new_password": "correct horse"}'
    with run_service(header_project, HEADER, tmp_path, WORKERS=str(workers)) as live:
        key, json_type = live.keys["admin"], ["Content-Type: application/json"]
        request = live.request(
            "/admin/password_reset", key, method="POST", headers=json_type, body=body
        )
        with socket.create_connection(("127.0.0.1", live.port), timeout=60) as connection:
            connection.sendall(request[:-10])
            time.sleep(0.5)  # it has been accepted and reads the body
            leader = next(line["message"] for line in lines(live) if "process [" in line["message"])
            os.kill(int(re.findall(r"\d+", leader)[0]), signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(request[-10:])
            assert parse(connection.recv(65536)).status == 204


@pytest.mark.parametrize(("proxy", "believed"), [("127.0.0.1", True), ("192.0.2.0/24", False)])
def test_only_a_trusted_proxy_says_who_calls(
    header_project: Path, tmp_path: Path, proxy: str, believed: bool
) -> None:
    config = tmp_path / "service.toml"  # the variable of this name is known to the server itself
    config.write_text(f'forwarded_allow_ips = "{proxy}"')
    with run_service(header_project, HEADER, tmp_path, CONFIG_FILE=str(config)) as live:
        live.ask("/health/live", headers=["X-Forwarded-For: 203.0.113.9"])
    client = lines(live, "uvicorn.access")[-1]["client"]
    assert client.startswith("203.0.113.9" if believed else "127.0.0.1")


def test_a_root_path_is_in_the_docs_and_opens_nothing(header_project: Path, tmp_path: Path) -> None:
    with run_service(
        header_project, HEADER, tmp_path, ROOT_PATH="/parcels", DOCS_ENABLED="true"
    ) as live:
        document = json.loads(live.ask("/openapi.json", live.keys["web"]).body)
        assert document["servers"] == [{"url": "/parcels"}]
        assert live.ask("/health/live").status == 200
        assert live.ask("/users/me").status == 401
        assert live.ask("/users/me", live.keys["web"]).status == 200


def test_as_many_processes_serve_as_the_settings_say(header_project: Path, tmp_path: Path) -> None:
    with run_service(header_project, HEADER, tmp_path, WORKERS="2") as live:
        assert live.ask("/users/me", live.keys["web"]).status == 200
        until(lambda: len(started_processes(live)) == 2)  # one may answer before the other starts


def started_processes(live: Live) -> list[dict[str, Any]]:
    """Return the lines that the processes of a service write when they start."""
    return [line for line in lines(live) if line["message"].startswith("Started server process")]


@pytest.mark.parametrize("answers", EACH_LOCATION, ids=name)
def test_each_line_is_json_and_names_its_request(
    answers: Answers, bake: Bake, tmp_path: Path
) -> None:
    with run_service(bake(**answers), answers, tmp_path) as live:
        key = live.keys["web"]
        ids = [live.ask("/users/me", key).headers["x-request-id"]]
        ids += [live.ask("/users/me").headers["x-request-id"]]
        ids += [live.ask("/users/me", key, headers=["X-Request-ID: 8f3a"]).headers["x-request-id"]]
    seen = [line for line in lines(live, "uvicorn.access") if line["path"] == "/users/me"]
    assert [line["request_id"] for line in seen] == ids
    assert [line["status"] for line in seen] == [200, 401, 200]
    assert [line.get("consumer") for line in seen] == ["web", None, "web"]
    assert ids[2] == "8f3a"
    assert key not in live.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("environment", ["production", "development"])
@pytest.mark.parametrize("sent", ["a\tb", 'a" status=200', "a" * 129, "é", "KEY"])
def test_an_id_that_is_none_is_not_repeated(
    by_environment: dict[str, Live], environment: str, sent: str
) -> None:
    live = by_environment[environment]
    wanted = sent.replace("KEY", live.keys["web"])
    answer = live.ask("/users/me", live.keys["web"], headers=[f"X-Request-ID: {wanted}"])
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    text = live.log.read_text(encoding="utf-8")
    assert answer.headers["x-request-id"] in text
    assert wanted not in text


@pytest.fixture(scope="module")
def by_environment(
    bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Live]]:
    """Return a service in production, and one in development."""
    folder = tmp_path_factory.mktemp("running")
    for environment in ("production", "development"):
        (folder / environment).mkdir()
    project = bake(**HEADER)
    with (
        run_service(project, HEADER, folder / "production") as production,
        run_service(
            project, HEADER, folder / "development", FASTAPI_ENV="development"
        ) as development,
    ):
        yield {"production": production, "development": development}


def test_lines_are_for_people_in_development(by_environment: dict[str, Live]) -> None:
    live = by_environment["development"]
    identity = live.ask("/users/me", live.keys["web"]).headers["x-request-id"]
    fields = rf"request_id={identity} consumer=web key_id=[0-9a-f]{{16}} location=header"
    end = rf'"GET /users/me HTTP/1\.1" 200 {fields}$'
    assert re.search(end, live.log.read_text(encoding="utf-8"), re.MULTILINE)


class Collector(BaseHTTPRequestHandler):
    """Takes what telemetry exports."""

    received: dict[str, bytes]

    def do_POST(self) -> None:
        """Remember what was posted."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received[self.path] = self.received.get(self.path, b"") + body
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def test_the_environment_alone_turns_telemetry_on(bake: Bake, tmp_path: Path) -> None:
    answers: Answers = {"key_location": "query", "protection": "whole_app"}
    Collector.received = {}
    collector = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    settings = {
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        "OTEL_SERVICE_NAME": "parcel-tracking",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
    }
    with run_service(bake(**answers), answers, tmp_path, **settings) as live:
        assert live.ask("/users/me?page=7", live.keys["web"]).status == 200
        live.ask(f"/nowhere/{live.keys['unknown']}", live.keys["web"])
    collector.shutdown()
    collector.server_close()
    assert set(Collector.received) == {"/v1/traces", "/v1/metrics"}
    assert b"parcel-tracking" in Collector.received["/v1/traces"]
    assert b"page=7" in Collector.received["/v1/traces"]
    for exported in Collector.received.values():
        assert live.keys["web"].encode() not in exported
        assert live.keys["unknown"].encode() not in exported
