"""Walks every route of the service, so that one which is open by accident is noticed."""

import pytest
from fastapi.routing import iter_route_contexts

from {{ cookiecutter.__package }}.main import create_app

from .helpers import ask, make_settings

# What answers without a key. Add a route here when you mean it to be open.
PUBLIC = {
{% if cookiecutter.protection == "endpoints" %}
    ("GET", "/"),
{% endif %}
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
{% if cookiecutter.__cookie %}
    ("GET", "/sign-in"),
    ("POST", "/sign-out"),
{% endif %}
}


@pytest.mark.anyio
async def test_exactly_the_public_routes_answer_without_a_key() -> None:
    app = create_app(make_settings())
    opened = set()
    for route in iter_route_contexts(app.routes):
        path = route.path or "/"
        is_websocket = not hasattr(route.route, "methods")
        for method in sorted(route.methods or {"GET"}):
            answer = await ask(app, path, method=method, websocket=is_websocket)
            if answer.status != 401:
                opened.add((method, path))
    assert opened == PUBLIC
