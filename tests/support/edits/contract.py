"""The rows of the contract that every edit leaves alone: `python contract.py` in a project.

It uses nothing of the project's tests. It exits with 1 and names the row that does not hold.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx2
from my_service.auth import CurrentConsumer, keys

KEY, UNKNOWN_KEY = keys.generate_key(), keys.generate_key()
HOST = "api.example.com"


def configure(folder: Path) -> None:
    """Set what the service reads: a key, and nothing of this machine."""
    entry = {"consumer": "contract", "sha256": keys.hash_key(KEY)}
    os.environ["API_KEYS"] = json.dumps([entry])
    os.environ["DATABASE_URL"] = f"sqlite:///{(folder / 'keys.db').as_posix()}"


def make_app() -> Any:
    """Return the application of `main.py`, with an endpoint that is surely there."""
    from my_service.settings import Settings

    if "database_url" in Settings.model_fields:
        from my_service.cli import main

        for command in (["migrate"], ["keys", "import"]):
            with contextlib.suppress(SystemExit):
                main(command)
    from my_service.main import app

    async def whoami(consumer: CurrentConsumer) -> str:
        return str(consumer.name)

    app.add_api_route("/_contract", whoami, methods=["GET", "POST"])
    app.router.routes.insert(0, app.router.routes.pop())
    return app


def place(scheme: dict[str, str], key: str) -> dict[str, Any]:
    """Return the parts of a request with a key where a security scheme of a document says."""
    if scheme["type"] == "http":
        return {"headers": {"Authorization": f"Bearer {key}"}}
    if scheme["in"] == "query":
        return {"params": {scheme["name"]: key}}
    if scheme["in"] == "cookie":
        return {"headers": {"Cookie": f"{scheme['name']}={key}"}}
    return {"headers": {scheme["name"]: key}}


async def count_reads(app: Any) -> tuple[int, int]:
    """Return the status of an upload without a key, and how often its body was asked for."""
    reads, statuses = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal reads
        reads += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": reads < 100}

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    headers = [(b"host", HOST.encode()), (b"content-type", b"multipart/form-data; boundary=x")]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "https",
        "method": "POST",
        "path": "/_contract",
        "raw_path": b"/_contract",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": (HOST, 443),
    }
    await app(scope, receive, send)
    return statuses[0], reads


async def check(app: Any) -> None:
    """Check each row.

    Raises:
        AssertionError: one does not hold.
    """
    document = app.openapi()
    names = {name for each in document["paths"]["/_contract"]["get"]["security"] for name in each}
    schemes = {name: document["components"]["securitySchemes"][name] for name in names}
    expected = {location.scheme.scheme_name for location in app.authenticator.locations}
    assert names == expected, f"the document names the schemes: {names}"
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:

        async def get(path: str, **parts: Any) -> httpx2.Response:
            return await client.get(path, **parts)

        refused = await get("/_contract")
        assert refused.status_code == 401, f"no key: {refused.status_code}"
        assert refused.headers["www-authenticate"], "a 401 has a challenge"
        assert refused.headers["cache-control"] == "no-store", "a 401 is not cached"
        for scheme in schemes.values():
            for key in (UNKNOWN_KEY, "wrong"):
                response = await get("/_contract", **place(scheme, key))
                assert response.status_code == 401, f"wrong key: {response.status_code}"
                assert response.content == refused.content, "all 401s have one body"
            response = await get("/_contract", **place(scheme, KEY))
            assert response.status_code == 200, f"valid key: {response.status_code}"
            assert response.json() == "contract", "the consumer of a key is known"
            assert response.headers["cache-control"] == "no-store", "a 200 is not cached"
        for name in ("live", "ready"):
            assert (await get(app.url_path_for(name))).status_code == 200, f"{name} is public"
        if document.get("security"):
            for path in ("/nothing/here", "/users//me", "/docs"):
                response = await get(path)
                assert response.status_code in (401, 303), f"{path}: {response.status_code}"
    assert await count_reads(app) == (401, 0), "a body is not read without a key"


def main() -> None:
    """Check the project in the current folder."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        configure(Path(folder))
        try:
            asyncio.run(check(make_app()))
        except AssertionError as error:
            sys.exit(f"The contract does not hold: {error}")


if __name__ == "__main__":
    main()
