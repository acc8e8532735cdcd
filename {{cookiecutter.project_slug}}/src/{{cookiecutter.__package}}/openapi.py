"""States in the OpenAPI document who needs a key, where it goes, and how a request is refused."""

from typing import Any

{% if cookiecutter.protection == "whole_app" %}
from .auth import PUBLIC_OPERATIONS, get_api_key
{% else %}
from .auth import get_api_key
{% endif %}
from .locations import Location
{% if cookiecutter.__limited %}

_LIMIT_HEADERS = {
    "Retry-After": {
        "description": "The seconds after which a request passes",
        "schema": {"type": "integer", "minimum": 1},
    },
    "RateLimit-Policy": {
        "description": "How many requests (q) are allowed within so many seconds (w)",
        "schema": {"type": "string", "example": '"consumer";q=600;w=60'},
    },
    "RateLimit": {
        "description": "How many of them are left (r) for the next seconds (t)",
        "schema": {"type": "string", "example": '"consumer";r=0;t=7'},
    },
}
{% endif %}


def complete(document: dict[str, Any], locations: tuple[Location, ...]) -> None:
    """Complete FastAPI's document in place: key schemes, who needs them, and how they are refused.

    Each location is a scheme of its own, and any one of them will do.
    """
    schemes = {
        location.scheme.scheme_name: location.scheme.model.model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
        for location in locations
    }
    document.setdefault("components", {})["securitySchemes"] = schemes
    {% if cookiecutter.protection == "whole_app" %}
    document["security"] = [{scheme: []} for scheme in schemes]
    {% endif %}
    {% if cookiecutter.protection == "whole_app" %}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
    {% elif cookiecutter.__cookie %}
    for operations in document["paths"].values():
        for method, operation in operations.items():
    {% else %}
    for operations in document["paths"].values():
        for operation in operations.values():
    {% endif %}
            if "requestBody" in operation:
                operation["responses"]["400"] = _error("The body cannot be parsed")
                operation["responses"]["413"] = _error("The body is too large")
            {% if cookiecutter.protection == "whole_app" %}
            public = (method.upper(), path) in PUBLIC_OPERATIONS
            if public and "security" not in operation:
                operation["security"] = []
                continue
            {% else %}
            if "security" not in operation:
                continue
            {% endif %}
            scopes = _scopes(operation)
            operation["security"] = [{scheme: scopes} for scheme in schemes]
            operation["responses"]["401"] = _error("Missing or invalid API key")
            {% if cookiecutter.__database or cookiecutter.__limited %}
            operation["responses"]["503"] = _UNAVAILABLE
            {% endif %}
            {% if cookiecutter.__cookie %}
            if scopes or method not in ("get", "head", "options"):
                operation["responses"]["403"] = _error("A scope is missing, or another site asks")
            {% else %}
            if scopes:
                operation["responses"]["403"] = _error("The key lacks a scope")
            {% endif %}
            {% if cookiecutter.__limited %}
            too_many = _error("Too many requests of the consumer, or wrong keys from the address")
            operation["responses"]["429"] = too_many | {"headers": _LIMIT_HEADERS}
            {% endif %}


def _scopes(operation: dict[str, Any]) -> list[str]:
    needs = operation.get("security", [])
    return [scope for need in needs for scope in need.get(get_api_key.scheme_name, [])]


def _error(description: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"detail": {"type": "string"}},
        "required": ["detail"],
    }
    return {"description": description, "content": {"application/json": {"schema": schema}}}
{% if cookiecutter.__database or cookiecutter.__limited %}


{% if cookiecutter.__database and cookiecutter.__limited %}
_AWAY = "Keys cannot be checked, or requests not be counted, right now"
{% elif cookiecutter.__database %}
_AWAY = "Keys cannot be checked right now"
{% else %}
_AWAY = "Requests cannot be counted right now"
{% endif %}
_SECONDS = {"description": "Seconds to wait", "schema": {"type": "integer"}}
_UNAVAILABLE = _error(_AWAY) | {"headers": {"Retry-After": _SECONDS}}
{% endif %}
