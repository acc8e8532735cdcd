"""API keys: what routes import. Ordinary work on the service does not change this package."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import Consumer
    from .dependencies import (
        CurrentConsumer,
        OptionalConsumer,
        check_key_store,
        get_api_key,
        get_optional_api_key,
    )

__all__ = [
    "Consumer",
    "CurrentConsumer",
    "OptionalConsumer",
    "check_key_store",
    "get_api_key",
    "get_optional_api_key",
]


def __getattr__(name: str) -> Any:
    """Import a name or module on first use: commands that need no FastAPI start sooner."""
    if name in __all__:
        return getattr(import_module(f"{__name__}.dependencies"), name)
    if find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
