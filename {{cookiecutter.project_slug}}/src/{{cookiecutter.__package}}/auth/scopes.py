"""The scopes that the endpoints of an application require."""

from collections.abc import Iterable, Iterator

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from .dependencies import get_api_key
from .routing import find_mounted


def find_scopes(app: FastAPI) -> frozenset[str]:
    """Return the scopes that endpoints require, including those of mounted applications."""
    contexts = [
        context
        for found in (app, *find_mounted(app.routes))
        for context in iter_route_contexts(found.routes)
    ]
    dependants = (getattr(context, "dependant", None) for context in contexts)
    return frozenset(scope for found in dependants if found for scope in _find_asked(found, ()))


def _find_asked(dependant: Dependant, outer: Iterable[str]) -> Iterator[str]:
    # `Security(...)` passes its scopes on to whatever depends on a key inside of it.
    scopes = (*outer, *(dependant.own_oauth_scopes or ()))
    if dependant.call is get_api_key:
        yield from scopes
    for inner in dependant.dependencies:
        yield from _find_asked(inner, scopes)
