"""Refusals: the client gets the status, the log gets the reason."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from fastapi import HTTPException

{% if cookiecutter.__bearer %}
# RFC 6750, section 3. There is no `error` parameter: every 401 has to be the same.
CHALLENGE = 'Bearer realm="{{ cookiecutter.project_slug }}"'
{% else %}
CHALLENGE = "APIKey"
{% endif %}


class Reason(StrEnum):
    """Why a request was refused; only the log says so (OWASP ASVS 5.0, 16.3)."""

    MISSING = "missing"
    MALFORMED = "malformed"
    MISTYPED = "mistyped"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REVOKED = "revoked"
    DISABLED = "disabled"
    WRONG_LOCATION = "wrong_location"
    REPEATED = "repeated"
{% if cookiecutter.__cookie %}
    CROSS_ORIGIN = "cross_origin"
{% endif %}
    NETWORK = "network"
    SCOPE = "scope"
{% if cookiecutter.__database %}
    LIFETIME = "lifetime"
{% endif %}
{% if cookiecutter.__limited %}
    THROTTLED = "throttled"
    OVER_LIMIT = "over_limit"
{% endif %}
{% if cookiecutter.__database or cookiecutter.__limited %}
    STORE_UNAVAILABLE = "store_unavailable"
{% endif %}


class Refusal(HTTPException):
    """The response to a request that is refused, and the reason and details for the log."""

    def __init__(
        self,
        status_code: int,
        detail: str,
        reason: Reason,
        *,
        details: Mapping[str, str] = MappingProxyType({}),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status_code, detail, {"Cache-Control": "no-store", **(headers or {})})
        self.reason = reason
        self.details = details


def unauthenticated(reason: Reason, **details: str) -> Refusal:
    """Return the response to a missing or invalid key (RFC 9110, section 15.5.2).

    It is the same for every reason, so that an attacker learns nothing; `details` are for the log.
    """
    headers = {"WWW-Authenticate": CHALLENGE}
    return Refusal(401, "Missing or invalid API key", reason, details=details, headers=headers)


def no_valid_key() -> Refusal:
    """Return the response to a readiness check of a service that accepts no key at all."""
    return Refusal(503, "No API key is valid", Reason.EXPIRED)
