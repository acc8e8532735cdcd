"""Finds the route that will handle a request, as FastAPI does later."""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, Host, Match, Mount
from starlette.types import Scope


def find_route(routes: Sequence[BaseRoute], scope: Scope) -> RouteContext | None:
    """Return the route that will handle a request, or None when none does.

    It is the first one that matches. In a mounted application it is the route of that application,
    or the mount itself if the application has no routes, as for static files. None also stands for
    a route of an owner's class with rules of its own, which FastAPI asks differently.
    """
    for route in iter_route_contexts(routes):
        match, child_scope = route.matches(scope)
        if match is Match.FULL:
            original = route.original_route
            if isinstance(original, APIRoute):
                return route if type(original).matches is APIRoute.matches else None
            inner = route.routes if isinstance(original, Mount | Host) else ()
            return find_route(inner, {**scope, **child_scope}) if inner else route
    return None


def find_mounted(routes: Sequence[BaseRoute]) -> Iterator[FastAPI]:
    """Yield the FastAPI applications that are mounted, in each other and within middleware too."""
    for route in routes:
        # FastAPI keeps an included router behind a route, and prepares its endpoints only when they
        # are called: `iter_route_contexts` would prepare all of them, only to find no application.
        app: Any = getattr(route, "original_router", None) or getattr(route, "app", None)
        while not hasattr(app, "routes") and hasattr(app, "app"):
            app = app.app
        if isinstance(app, FastAPI):
            yield app
        yield from find_mounted(getattr(app, "routes", ()))
