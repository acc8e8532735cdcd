"""What a request costs in each core combination, counted and not timed: every machine agrees."""

import importlib
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import fastapi.dependencies.utils
import fastapi.routing
import pytest
from support.combinations import CORE, name
from support.generation import Bake
from support.in_process import InProcessService, import_service
from support.keys import key_module

ONE_LOOK_UP = {"__call__": 1, "is_well_formed": 1, "hash_key": 1, "find": 1}
# The only coroutines of the service on the way of a request, besides its endpoint.
MIDDLEWARE = {"Service.__call__", "_LimitedBody.run"}
AUTHENTICATION = {
    "AuthenticationMiddleware._authenticate",
    "Authenticator.__call__",
    "Authenticator.authenticate",
    "Authenticator.authenticate_key",
    "SettingsKeyStore.find",
    "RequiredKey.__call__",
}


@pytest.fixture(scope="module", params=CORE, ids=name)
def service(request: pytest.FixtureRequest, bake: Bake) -> Iterator[InProcessService]:
    """Return each core combination in turn, imported here and forgotten afterwards."""
    with import_service(bake(**request.param), request.param) as service:
        yield service


@pytest.fixture
def unknown_key(service: InProcessService, bake: Bake) -> str:
    """Return a well-formed key that the service does not know."""
    key: str = key_module(bake(**service.answers))["generate_key"]()
    return key


@pytest.fixture
def calls(service: InProcessService, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls of what costs time."""
    counted: Counter[str] = Counter()

    def count(owner: Any, function: str) -> None:
        original: Callable[..., Any] = getattr(owner, function)

        def call(*arguments: Any) -> Any:
            counted[function] += 1
            return original(*arguments)

        monkeypatch.setattr(owner, function, call)

    auth = {
        module: importlib.import_module(f"my_service.auth.{module}")
        for module in ("authenticator", "keys", "store")
    }
    count(auth["authenticator"].Authenticator, "__call__")
    count(auth["keys"], "is_well_formed")
    count(auth["keys"], "hash_key")
    count(auth["store"].SettingsKeyStore, "find")
    return counted


@pytest.fixture
def solved(service: InProcessService, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the names of what FastAPI solves: each dependency, and the endpoint itself."""
    names: list[str] = []
    solve = fastapi.dependencies.utils.solve_dependencies

    async def watched(**arguments: Any) -> Any:
        call = arguments["dependant"].call
        names.append(getattr(call, "__name__", type(call).__name__))
        return await solve(**arguments)

    monkeypatch.setattr(fastapi.dependencies.utils, "solve_dependencies", watched)
    monkeypatch.setattr(fastapi.routing, "solve_dependencies", watched)
    return names


def coroutines(drive: Callable[[], int]) -> set[str]:
    """Return the coroutines of the service, without those of its routes, that a request runs."""
    package = Path(sys.modules["my_service"].__file__ or "").parent
    ran: set[str] = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        ours = Path(code.co_filename).parent in (package, package / "auth")
        if event == "call" and ours and code.co_flags & inspect.CO_COROUTINE:
            ran.add(code.co_qualname)

    sys.setprofile(watch)
    try:
        drive()
    finally:
        sys.setprofile(None)
    return ran


def test_known_key_costs_one_hash(service: InProcessService, calls: Counter[str]) -> None:
    assert service.drive_with_key(service.key) == 200
    assert (calls["hash_key"], calls["find"]) == (1, 0)


def test_unknown_key_costs_one_look_up(
    service: InProcessService, calls: Counter[str], unknown_key: str
) -> None:
    assert service.drive_with_key(unknown_key) == 401
    assert calls == ONE_LOOK_UP


@pytest.mark.parametrize("shape", ["short", "cut off", "odd"])
def test_malformed_key_is_never_looked_up(
    service: InProcessService, calls: Counter[str], shape: str
) -> None:
    key = {"short": "x", "cut off": service.key[:-1], "odd": service.key[:-1] + "-"}[shape]
    assert service.drive_with_key(key) == 401
    assert calls["find"] == 0


def test_missing_key_costs_no_look_up(service: InProcessService, calls: Counter[str]) -> None:
    assert service.drive([]) == 401
    assert calls["__call__"] == 1
    assert calls["hash_key"] == calls["find"] == 0


def test_public_request_looks_for_no_key(service: InProcessService, calls: Counter[str]) -> None:
    assert service.drive([], path="/health/live") == 200
    assert not calls


def test_public_request_awaits_middleware_alone(service: InProcessService) -> None:
    assert coroutines(lambda: service.drive([], path="/health/live")) <= MIDDLEWARE


def test_key_awaits_no_more_than_it_must(service: InProcessService) -> None:
    ran = coroutines(lambda: service.drive_with_key(service.key))
    assert ran <= MIDDLEWARE | AUTHENTICATION
    assert "Authenticator.authenticate_key" in ran


def test_fastapi_solves_keys_for_those_alone_who_ask(
    service: InProcessService, solved: list[str]
) -> None:
    expected = {"/health/live": ["live"], "/": ["about"], "/users/me": ["me", "RequiredKey"]}
    for path, names in expected.items():
        solved.clear()
        assert service.drive_with_key(service.key, path) == 200
        assert solved == names


def test_refusal_solves_nothing(service: InProcessService, solved: list[str]) -> None:
    assert service.drive([], path="/admin/password_reset", method="POST") == 401
    assert solved == []
