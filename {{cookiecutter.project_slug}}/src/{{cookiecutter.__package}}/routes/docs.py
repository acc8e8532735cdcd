"""The API docs: the OpenAPI document and the page that shows it."""

import html
import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from ..settings import SettingsDep

# Swagger UI, from a public CDN. Browsers refuse files that have other hashes than these.
_STYLE = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0/swagger-ui.css"
_STYLE_HASH = "sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I"
_SCRIPT = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0/swagger-ui-bundle.js"
_SCRIPT_HASH = "sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"
_PAGE = Template((Path(__file__).parent / "docs.html").read_text(encoding="utf-8"))

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi(request: Request, response: Response) -> dict[str, Any]:
    """Return the OpenAPI document, with the path prefix that a proxy removes."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    document: dict[str, Any] = request.app.openapi()
    prefix: str = request.scope.get("root_path", "").rstrip("/")
    if not prefix or request.app.servers:
        return document
    return {**document, "servers": [{"url": prefix}]}


@router.get("/docs")
async def docs(request: Request, settings: SettingsDep) -> HTMLResponse:
    """Show Swagger UI, which may load its own files and call this service, and nothing else."""
    options = {
        "dom_id": "#swagger-ui",
        "url": "openapi.json",  # relative, so that it works behind a proxy that adds a path
        "deepLinking": True,
        # The page would keep a key in the browser's storage, where other pages could read it.
        "persistAuthorization": settings.development,
    }
    start = f"SwaggerUIBundle({json.dumps(options)})"
    page = _PAGE.substitute(
        title=html.escape(request.app.title),
        style=_STYLE,
        style_hash=_STYLE_HASH,
        script=_SCRIPT,
        script_hash=_SCRIPT_HASH,
        start=start,
    )
    return HTMLResponse(page, headers=_make_headers(start))


def _make_headers(start: str) -> dict[str, str]:
    """Return the security headers of the page, whose own script is `start`."""
    start_hash = b64encode(sha256(start.encode()).digest()).decode()
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src {_SCRIPT} 'sha256-{start_hash}'; style-src {_STYLE};"
            " img-src data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none';"
            " form-action 'none'"
        ),
        # With no-referrer, browsers would send `Origin: null` with what is tried out.
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
