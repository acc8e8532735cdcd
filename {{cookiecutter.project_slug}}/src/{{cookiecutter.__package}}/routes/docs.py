"""The API docs: the OpenAPI document and the page that shows it."""

import html
from typing import Any

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from ..settings import SettingsDep

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi(request: Request) -> dict[str, Any]:
    """Return the OpenAPI document, with the path prefix that a proxy removes."""
    document: dict[str, Any] = request.app.openapi()
    prefix: str = request.scope.get("root_path", "").rstrip("/")
    if not prefix or request.app.servers:
        return document
    return {**document, "servers": [{"url": prefix}]}


@router.get("/docs")
async def docs(request: Request, settings: SettingsDep) -> HTMLResponse:
    """Show Swagger UI, whose files a browser gets from a public CDN."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",  # relative, so that it works behind a proxy that adds a path
        title=html.escape(request.app.title),
        swagger_favicon_url="data:,",  # FastAPI's own would be fetched from its site
        # The page would keep a key in the browser's storage, where other pages could read it.
        swagger_ui_parameters={"persistAuthorization": settings.development},
    )
