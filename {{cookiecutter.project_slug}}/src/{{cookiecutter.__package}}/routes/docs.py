"""The page that shows the OpenAPI document, where `DOCS_ENABLED` lets both exist."""

import html

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Show Swagger UI, whose files a browser gets from a public CDN."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",  # relative, so that it holds behind a proxy that adds a path
        title=html.escape(request.app.title),
        swagger_favicon_url="data:,",  # FastAPI's own would be fetched from its site
        swagger_ui_parameters=request.app.swagger_ui_parameters,
    )
