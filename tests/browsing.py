"""A real Chromium in front of running services."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from combinations import Answers, name
from conftest import CORE, Bake, missing
from live import Live, attacked
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route, sync_playwright

Server = tuple[Answers, str]
KINDS = ("development", "production")
SERVERS = [(answers, kind) for answers in CORE for kind in KINDS]
DOCS_URL = "https://example.com/keys"
CDN = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/"
PACKAGES = Path(__file__).parent / "browser" / "node_modules"
# What an own browser for each run needs; without the last ones it calls its maker's servers.
OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic", "--disable-sync"]
OPTIONS += ["--disable-background-networking", "--disable-component-update"]
# A name that is not the machine's own, as visitors of a deployed service see it.
OPTIONS += ["--host-resolver-rules=MAP service.test 127.0.0.1, MAP other.test 127.0.0.1"]


class MissingError(Exception):
    """Something that the machine needs for these tests; says how to get it."""


@contextmanager
def launched() -> Iterator[Browser]:
    """Start a Chromium, or else a Chrome, and end it in the end."""
    if not (PACKAGES / "axe-core").exists():
        raise MissingError("no axe-core: install npm (Debian: apt install npm), then make test")
    path = shutil.which("chromium")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=path, channel=None if path else "chrome", args=OPTIONS
            )
        except Error as error:
            reason = f"no browser: install Chromium (Debian: apt install chromium)\n{error}"
            raise MissingError(reason) from None
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Return a running browser; where CI runs, it has to be there."""
    try:
        with launched() as browser:
            yield browser
    except MissingError as reason:
        missing(str(reason))


@dataclass
class Site:
    """A running service, and the browser that visits it."""

    live: Live
    context: BrowserContext
    host: str = "127.0.0.1"
    outside: list[str] = field(default_factory=list)

    @property
    def production(self) -> bool:
        """Whether it runs as in production."""
        return self.live.environment == "production"

    @property
    def url(self) -> str:
        """Where the service is."""
        return f"http://{self.host}:{self.live.port}"

    @property
    def cookie_name(self) -> str:
        """What the cookie is called."""
        return "__Host-api_key" if self.production else "api_key"

    def __post_init__(self) -> None:
        """Keep the browser from the internet."""
        self.context.route("**/*", self._serve_from_package)

    def open(self, path: str) -> Page:
        """Open a path in a new tab."""
        page = self.context.new_page()
        page.goto(self.url + path)
        return page

    def open_docs(self) -> Page:
        """Open the docs as somebody who may, but whose browser has no key."""
        if self.live.whole_app:
            self.context.route("**/docs", self._let_in)
            self.context.route("**/openapi.json", self._let_in)
        page = self.open("/docs")
        page.locator(".opblock").first.wait_for()
        return page

    def _let_in(self, route: Route) -> None:
        key, headers, query = self.live.keys["web"], {}, ""
        if "header" in self.live.locations:
            headers["X-API-Key"] = key
        elif "cookie" in self.live.locations:
            headers["Cookie"] = f"{self.cookie_name}={key}"
        else:
            query = f"?api_key={key}"
        url = route.request.url.replace(self.host, "127.0.0.1") + query
        route.fulfill(response=route.fetch(url=url, headers=headers))

    def sign_in(self, key: str) -> Page:
        """Give the key to the sign-in page and return the page after it."""
        page = self.open("/sign-in")
        page.get_by_label("API key").fill(key)
        with page.expect_navigation():
            page.get_by_role("button", name="Sign in").click()
        return page

    def _serve_from_package(self, route: Route) -> None:
        """Answer a request to the CDN with the file from npm, and note those to elsewhere."""
        url = route.request.url
        if url.startswith(CDN):
            route.fulfill(path=PACKAGES / "swagger-ui-dist" / url.removeprefix(CDN))
        elif url.startswith((self.url, "http://other.test", "http://127.0.0.1")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()


def server_name(server: Server) -> str:
    """Return the id of a server in the output of pytest."""
    return f"{name(server[0])}-{server[1]}"


def only(*kinds: str, **answers: set[str]) -> pytest.MarkDecorator:
    """Run a test with the servers of these kinds that have one of these answers."""
    chosen = [
        server
        for server in SERVERS
        if server[1] in (kinds or KINDS)
        and all(server[0][question] in some for question, some in answers.items())
    ]
    return pytest.mark.parametrize("server", chosen, indirect=True, ids=server_name)


def each_location(*wanted: str, kinds: tuple[str, ...] = KINDS) -> pytest.MarkDecorator:
    """Run a test with each server, and each of these locations from which it takes keys."""
    pairs = [
        pytest.param(server, location, id=f"{server_name(server)}-{location}")
        for server in SERVERS
        for location in wanted
        if server[0]["key_location"] in (location, "fallback") and server[1] in kinds
    ]
    return pytest.mark.parametrize(("server", "location"), pairs, indirect=["server"])


@pytest.fixture(scope="module", params=SERVERS, ids=server_name)
def server(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Return each core combination in turn, run for its developer and, with docs, in production."""
    answers, environment = request.param
    project = bake(**answers, key_docs_url=DOCS_URL)
    folder = tmp_path_factory.mktemp("live")
    app = "my_service.main:app"
    with attacked(project, answers, folder, app=app, FASTAPI_ENV=environment) as live:
        yield live


@pytest.fixture
def site(server: Live, chromium: Browser) -> Iterator[Site]:
    """Return a service, and a browser that has never seen it."""
    context = chromium.new_context()
    context.set_default_timeout(20_000)
    yield Site(server, context)
    context.close()
