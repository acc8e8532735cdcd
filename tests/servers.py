"""The running services that are attacked, each of which all attacks share."""

from collections.abc import Iterator

import pytest
from combinations import Answers, name
from conftest import CORE, Bake
from live import Live, attacked

Server = tuple[Answers, str]
SERVERS = [(answers, http) for answers in CORE for http in ("httptools", "h11")]
SERVERS += [(CORE[-1] | {"rate_limit": "yes"}, "httptools")]
SERVERS += [
    (answers | {"key_store": "database"}, "httptools")
    for answers in CORE
    if answers["key_location"] == "fallback"
]


def server_name(server: Server) -> str:
    """Return the id of a server in the output of pytest."""
    return f"{name(server[0])}-{server[1]}"


def only(**answers: set[str]) -> pytest.MarkDecorator:
    """Run a test with the servers that have one of these answers."""
    chosen = [
        server
        for server in SERVERS
        if all(server[0][question] in some for question, some in answers.items())
    ]
    return pytest.mark.parametrize("live", chosen, indirect=True, ids=server_name)


@pytest.fixture(scope="session", params=SERVERS, ids=server_name)
def live(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Return each of these services in turn, run as in production."""
    answers, http = request.param
    folder = tmp_path_factory.mktemp("attacked")
    with attacked(bake(**answers), answers, folder, "--http", http) as service:
        yield service
