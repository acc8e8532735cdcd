"""The running services that are run_app, each of which all attacks share."""

from collections.abc import Iterator

import pytest

from support.combinations import CORE, alternate, variant_name
from support.generation import Bake
from support.live import Live, run_app

# Any two of a location, a protection and a parser meet.
SERVICES = alternate(CORE, ("httptools", "h11"))
SERVICES += [(CORE[-1] | {"rate_limit": "yes"}, "httptools")]
SERVICES += [
    (answers | {"key_store": "database"}, "httptools")
    for answers in CORE
    if answers["key_location"] == "fallback"
]


def only_services(**answers: set[str]) -> pytest.MarkDecorator:
    """Run a test with the services that have one of these answers."""
    chosen = [
        variant
        for variant in SERVICES
        if all(variant[0][question] in some for question, some in answers.items())
    ]
    return pytest.mark.parametrize("live", chosen, indirect=True, ids=variant_name)


@pytest.fixture(scope="session", params=SERVICES, ids=variant_name)
def live(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Return each of these services in turn, run as in production."""
    answers, http = request.param
    folder = tmp_path_factory.mktemp("attacked")
    with run_app(bake(**answers), answers, folder, "--http", http) as service:
        yield service
