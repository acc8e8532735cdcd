"""Adds API keys to an OpenAPI document: schemes, what needs a key, and refusals.

It replaces nothing that FastAPI or the owner of the service has written.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

from .dependencies import get_api_key, get_optional_api_key
from .locations import Location

Document = dict[str, Any]

_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
ERROR_SCHEMA = {
    "type": "object",
    "title": "Error",
    "required": ["detail"],
    "properties": {"detail": {"type": "string", "title": "Detail"}},
}
# FastAPI documents these fields of a validation error too, but the service does not send them.
_UNSENT_FIELDS = ("input", "ctx")
{% if cookiecutter.__database or cookiecutter.__limited %}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to try again",
        "schema": {"type": "integer", "minimum": 1},
    }
}
{% endif %}
{% if cookiecutter.__limited %}
_LIMIT_HEADERS = {
    **_RETRY_AFTER,
    "RateLimit-Policy": {
        "description": "The limit: requests (q) in a window of seconds (w)",
        "schema": {"type": "string", "example": '"consumer";q=600;w=60'},
    },
    "RateLimit": {
        "description": "Requests remaining (r) and seconds until more are allowed (t)",
        "schema": {"type": "string", "example": '"consumer";r=0;t=7'},
    },
}
{% endif %}


def add_security_to_openapi(
    document: Document,
    routes: Sequence[BaseRoute],
    locations: tuple[Location, ...],
    needs_key: Callable[..., bool],
    *,
    covers_everything: bool,
) -> None:
    """Add API keys to FastAPI's document in place. Each location is a scheme; any of them will do.

    `routes` are those that the document describes. `needs_key(method, path, asks=...)` tells whether
    an operation needs a key; `asks` says whether its endpoint asks for one. `covers_everything` says
    that a key is needed by default. Adding twice changes nothing.
    """
    dependencies = _find_dependencies(routes)
    if not covers_everything and not any(dependencies.values()):
        return
    components = document.setdefault("components", {})
    declared = components.setdefault("securitySchemes", {})
    schemes = {location.scheme.scheme_name: location.scheme.model for location in locations}
    for name, model in schemes.items():
        declared[name] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    if covers_everything:
        document["security"] = [{scheme: []} for scheme in schemes]
    error = _add_error_schema(components)
    for _, _, operation in _outgoing_operations(document):
        operation.setdefault("security", [])  # requests to others
    for path, method, operation in _operations(document.get("paths", {})):
        _refer_to_error(operation, error)
        if "requestBody" in operation:
            _add_response(operation, "400", "The body cannot be parsed", error)
            _add_response(operation, "413", "The body is too large", error)
        asked = dependencies.get((method, path), set())
        required = get_api_key in asked
        required |= needs_key(method, path, asks=required)
        if required or get_optional_api_key in asked:
            scopes = _add_requirements(operation, list(schemes), optional=not required)
            _add_refusals(operation, method, scopes, error)
        else:
            operation.setdefault("security", [])
        if not any(status.startswith("4") for status in operation["responses"]):
            _add_response(operation, "431", "The request header fields are too large", error)


def remove_unsent_fields(document: Document) -> None:
    """Remove the fields of validation errors that the service does not send."""
    schemas = document.get("components", {}).get("schemas", {})
    fields = schemas.get("ValidationError", {}).get("properties", {})
    for name in _UNSENT_FIELDS:
        fields.pop(name, None)


def complete_openapi(
    make_document: Callable[[], Document], add: Callable[[Document], None]
) -> Callable[[], Document]:
    """Return `make_document` with `add` completing each document, including one that is cached."""

    def openapi() -> Document:
        document = make_document()
        add(document)
        return document

    return openapi


def _find_dependencies(routes: Sequence[BaseRoute]) -> dict[tuple[str, str], set[object]]:
    """Return which dependencies of this package each operation has."""
    return {
        (method.lower(), context.path_format or ""): set(_own_dependencies(dependant))
        for context in iter_route_contexts(routes)
        if (dependant := getattr(context, "dependant", None)) is not None
        for method in context.methods or ()
    }


def _own_dependencies(dependant: Dependant) -> Iterator[object]:
    if dependant.call in (get_api_key, get_optional_api_key):
        yield dependant.call
    for inner in dependant.dependencies:
        yield from _own_dependencies(inner)


def _operations(paths: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in paths.items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, method, operation


def _outgoing_operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Yield webhooks and callbacks: the service sends these requests."""
    yield from _operations(document.get("webhooks", {}))
    for _, _, operation in _operations(document.get("paths", {})):
        for callback in operation.get("callbacks", {}).values():
            yield from _operations(callback)


def _add_requirements(operation: Document, schemes: list[str], *, optional: bool) -> list[str]:
    """Require a key in any location, in place of the one that FastAPI wrote; return its scopes."""
    scopes: list[str] = []
    others = []
    for requirement in operation.get("security", []):
        own = [scheme for scheme in schemes if scheme in requirement]
        if own:
            scopes = requirement[own[0]]
        elif requirement:
            others.append(requirement)
    operation["security"] = [*others, *({scheme: scopes} for scheme in schemes)]
    if optional:
        operation["security"].append({})
    return scopes


def _add_refusals(operation: Document, method: str, scopes: list[str], error: Document) -> None:
    _add_response(operation, "401", "Missing or invalid API key", error)
{% if cookiecutter.__cookie %}
    if scopes or method not in ("get", "head", "options"):
        _add_response(operation, "403", "A scope is missing, or the request is cross-origin", error)
{% else %}
    if scopes:
        _add_response(operation, "403", "The key lacks a scope", error)
{% endif %}
{% if cookiecutter.__limited %}
    too_many = "Too many requests of the consumer, or invalid keys from the address"
    _add_response(operation, "429", too_many, error, _LIMIT_HEADERS)
{% endif %}
{% if cookiecutter.__database and cookiecutter.__limited %}
    unavailable = "Keys cannot be checked, or requests cannot be counted, right now"
    _add_response(operation, "503", unavailable, error, _RETRY_AFTER)
{% elif cookiecutter.__database %}
    _add_response(operation, "503", "Keys cannot be checked right now", error, _RETRY_AFTER)
{% elif cookiecutter.__limited %}
    _add_response(operation, "503", "Requests cannot be counted right now", error, _RETRY_AFTER)
{% endif %}


def _add_response(
    operation: Document,
    status: str,
    description: str,
    error: Document,
    headers: Document | None = None,
) -> None:
    response = {"description": description, "content": {"application/json": {"schema": error}}}
    if headers:
        response["headers"] = headers
    operation.setdefault("responses", {}).setdefault(status, response)


def _refer_to_error(operation: Document, error: Document) -> None:
    """Refer to the schema of errors where a response repeats it: clients have one type for it."""
    for response in operation.get("responses", {}).values():
        for content in response.get("content", {}).values():
            if content.get("schema") == ERROR_SCHEMA:
                content["schema"] = error


def _add_error_schema(components: Document) -> Document:
    """Add the schema of errors, under another name where the owner has an `Error`; return a reference."""
    schemas = components.setdefault("schemas", {})
    names = ("Error", *(f"ServiceError{number}" for number in range(1, len(schemas) + 2)))
    name = next(name for name in names if schemas.get(name, ERROR_SCHEMA) == ERROR_SCHEMA)
    schemas[name] = ERROR_SCHEMA
    return {"$ref": f"#/components/schemas/{name}"}
