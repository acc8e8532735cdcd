"""API keys: what routes import. Ordinary work on the service changes nothing in this package."""

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
    """Import these names when they are asked for: commands start sooner without FastAPI."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import dependencies

    return getattr(dependencies, name)
