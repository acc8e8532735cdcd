"""A real Chromium in front of running services."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route, expect, sync_playwright

from support.combinations import CORE, FULL, alternate, locations_of, variant_name
from support.generation import Bake
from support.live import Live, run_app
from support.machine import missing
from support.npm import PACKAGES

ENVIRONMENTS = ("development", "production")
# Any two of a location, a protection and an environment meet.
SITES = alternate(CORE, ENVIRONMENTS)
DOCS_URL = "https://example.com/keys"
CDN = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0/"
# What an own browser for each run needs; without the last ones it calls its maker's servers.
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-quic",
    "--disable-sync",
]
SWITCHES += ["--disable-background-networking", "--disable-component-update"]
# A name that is not the machine's own, as visitors of a deployed service see it.
SWITCHES += ["--host-resolver-rules=MAP service.test 127.0.0.1, MAP other.test 127.0.0.1"]


class MissingError(Exception):
    """Something that the machine needs for these tests; says how to get it."""


@contextmanager
def run_browser() -> Iterator[Browser]:
    """Start a Chromium, or else a Chrome, and end it in the end."""
    if not (PACKAGES / "axe-core").exists():
        raise MissingError("no axe-core: install npm (Debian: apt install npm), then make test")
    path = shutil.which("chromium")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=path, channel=None if path else "chrome", args=SWITCHES
            )
        except Error as error:
            reason = f"no browser: install Chromium (Debian: apt install chromium)\n{error}"
            raise MissingError(reason) from None
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a running browser; where CI runs, it has to be there.

    Playwright has an event loop in this thread: it ends before tests of other modules need one.
    """
    try:
        with run_browser() as browser:
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
        """Open the docs with permission, in a browser without a key."""
        if self.production:
            self.context.route("**/docs", self._let_in)
            self.context.route("**/openapi.json", self._let_in)
        page = self.open("/docs")
        page.locator(".opblock").first.wait_for()
        return page

    def _let_in(self, route: Route) -> None:
        key, headers, query = self.live.keys["web"], {}, ""
        if "header" in self.live.locations:
            headers["X-API-Key"] = key
        elif "bearer" in self.live.locations:
            headers["Authorization"] = f"Bearer {key}"
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
            allowed = {"Access-Control-Allow-Origin": "*"}  # without it, no hash is checked
            route.fulfill(
                path=PACKAGES / "swagger-ui-dist" / url.removeprefix(CDN), headers=allowed
            )
        elif url.startswith((self.url, "http://other.test", "http://127.0.0.1")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()


def try_out(
    page: Page, path: str = "/users/me", method: str = "get", *, body: object = None, **fields: str
) -> tuple[int, str]:
    """Open an operation, execute it, and return the status and the body that the page shows."""
    operation = page.locator(f".opblock-{method}", has=page.locator(f"[data-path='{path}']"))
    if "is-open" not in (operation.get_attribute("class") or ""):
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
    for name, value in fields.items():
        operation.locator(f"tr[data-param-name='{name}'] input").fill(value)
    if body is not None:
        operation.locator("textarea.body-param__text").fill(json.dumps(body))
    sent_to = path.format(**fields)
    with page.expect_response(lambda response: response.url.split("?")[0].endswith(sent_to)):
        operation.get_by_role("button", name="Execute").click()
    shown = operation.locator(".live-responses-table .response").first
    status = shown.locator(".response-col_status")
    expect(status).not_to_be_empty()
    # The page keeps the former answer until it shows the new one.
    page.wait_for_timeout(300)
    return int(status.inner_text().split()[0]), shown.locator("pre").first.inner_text()


def only_sites(*environments: str, at_most: int = 0, **answers: set[str]) -> pytest.MarkDecorator:
    """Run a test with the sites in these environments that have one of these answers.

    `at_most` is how many are enough, unless FULL=1 asks for all: two have both protections.
    """
    chosen = [
        variant
        for variant in SITES
        if variant[1] in (environments or ENVIRONMENTS)
        and all(variant[0][question] in some for question, some in answers.items())
    ]
    enough = chosen if FULL or not at_most else chosen[:at_most]
    return pytest.mark.parametrize("server", enough, indirect=True, ids=variant_name)


def each_location(
    *wanted: str, environments: tuple[str, ...] = ENVIRONMENTS
) -> pytest.MarkDecorator:
    """Run a test with each site, and each of these locations from which it takes keys."""
    pairs = [
        pytest.param(variant, location, id=f"{variant_name(variant)}-{location}")
        for variant in SITES
        for location in wanted
        if location in locations_of(variant[0]) and variant[1] in environments
    ]
    return pytest.mark.parametrize(("server", "location"), pairs, indirect=["server"])


@pytest.fixture(scope="module", params=SITES, ids=variant_name)
def server(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Return each core combination in turn, run for its developer and, with docs, in production."""
    answers, environment = request.param
    project = bake(**answers, key_docs_url=DOCS_URL)
    folder = tmp_path_factory.mktemp("live")
    app = "my_service.main:app"
    with run_app(project, answers, folder, app=app, FASTAPI_ENV=environment) as live:
        yield live


@pytest.fixture
def site(server: Live, chromium: Browser) -> Iterator[Site]:
    """Return a service, and a browser that has never seen it."""
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    yield Site(server, context)
    context.close()
