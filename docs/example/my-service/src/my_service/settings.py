"""The settings of this service. Each one is a field with a docstring; `.env.example` lists them.

`AuthSettings` adds the settings of API keys and says from where settings are read.
"""

import re
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from .auth.settings import AuthSettings, find_misspelt_names, in_development, read_list
from .auth.settings import load_settings as load

_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def _to_lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _check_proxies(text: str) -> str:
    try:
        for proxy in text.split(",") if text != "*" else []:
            ip_network(proxy.strip())
    except ValueError:
        raise ValueError(
            "use addresses or networks without host bits, separated by commas, such as"
            " 10.0.0.0/8,::1, or * for every address"
        ) from None
    return text


def _check_root_path(path: str) -> str:
    if not _ROOT_PATH.fullmatch(path):
        raise ValueError("a path prefix begins with a slash and ends without one, such as /parcels")
    return path


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Settings(AuthSettings):
    """The settings of the service. Add yours here."""

    docs_enabled: bool = Field(default_factory=in_development)
    """Whether `/docs` and `/openapi.json` exist; in development they do."""
    docs_public: bool = Field(default_factory=in_development)
    """Whether the docs are open to everyone, without a key; in development they are."""
    cors_headers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(read_list)] = (
        "Content-Type",
        "Idempotency-Key",
        "X-Request-ID",
        "baggage",
        "sentry-trace",
        "traceparent",
        "tracestate",
    )
    """Headers, besides that of the key, that pages of other origins may send."""
    max_body_size: int = Field(default=1024 * 1024, ge=0)
    """The largest body of a request, in bytes; an endpoint may set its own."""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_to_lower)
    ] = "info"
    """`debug`, `info`, `warning`, `error` or `critical`."""
    host: str = "127.0.0.1"
    """The address to listen on; `0.0.0.0` lets other hosts connect."""
    port: int = Field(default=8000, ge=1, le=65535)
    """The port to listen on."""
    workers: int = Field(default=1, ge=1)
    """How many processes serve."""
    max_connections: int = Field(default=1000, ge=1)
    """How many connections a process holds; beyond, requests except health checks get 503."""
    forwarded_allow_ips: Annotated[str, AfterValidator(_check_proxies)] = "127.0.0.1,::1"
    """Proxies whose `X-Forwarded-*` headers are trusted: addresses, networks or `*`."""
    root_path: Annotated[str, AfterValidator(_check_root_path)] = ""
    """The path prefix that a proxy removes, such as `/parcels`."""


def load_settings() -> Settings:
    """Return the settings of this process.

    Raises:
        SystemExit: they are not valid; the message says which.
    """
    return load(Settings)


def find_warnings(settings: Settings) -> list[str]:
    """Return what the operator should know about these settings when the service starts."""
    warnings = find_misspelt_names(Settings)
    if settings.development and settings.docs_public and not _is_loopback(settings.host):
        warnings.append(
            f"FASTAPI_ENV=development: any client that reaches {settings.host} can read /docs and"
            " /openapi.json without a key"
        )
    return warnings


def get_settings(request: Request) -> Settings:
    """Return the settings with which the application was created."""
    settings: Settings = request.app.state.settings
    return settings


SettingsDep = Annotated[Settings, Depends(get_settings)]
