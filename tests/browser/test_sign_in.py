"""Signing in and out with a browser, and what a page of another origin gets."""

import json
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Page, expect
from support.browsing import Site, only_sites, try_out
from support.npm import PACKAGES

WITH_COOKIES = {"cookie", "fallback"}
in_production = only_sites("production", key_location=WITH_COOKIES)
AXE = PACKAGES / "axe-core" / "axe.min.js"


def navigation_status(site: Site, path: str = "/users/me") -> int:
    """Return the response to a navigation of this browser."""
    page = site.context.new_page()
    response = page.goto(site.url + path)
    page.close()
    assert response
    return response.status


@only_sites(key_location=WITH_COOKIES)
def test_signing_in_gives_a_cookie_that_no_script_can_read(site: Site) -> None:
    page = site.sign_in(site.live.keys["admin"])
    expect(page.get_by_role("heading")).to_have_text("Signed in")
    expect(page.get_by_text("as admin")).to_be_visible()
    [cookie] = site.context.cookies()
    assert cookie["name"] == site.cookie_name
    assert cookie["value"] == site.live.keys["admin"]
    assert (cookie["path"], cookie["httpOnly"], cookie["expires"]) == ("/", True, -1)
    assert (cookie["sameSite"], cookie["secure"]) == ("Strict", site.production)


@in_production
def test_the_key_stands_nowhere_but_in_the_cookie(site: Site) -> None:
    urls: list[str] = []
    site.context.on("request", lambda request: urls.append(request.url))
    page = site.sign_in(site.live.keys["admin"])
    urls.append(page.url)
    assert not any(site.live.keys["admin"] in url for url in urls)
    assert site.live.keys["admin"] not in page.content()
    readable = page.evaluate("[{...localStorage}, {...sessionStorage}, document.cookie]")
    assert readable == [{}, {}, ""]


@only_sites("production", key_location={"cookie"})
@pytest.mark.parametrize("kind", ["unknown", "expired"])
def test_a_wrong_key_is_told_at_the_field_and_not_repeated(site: Site, kind: str) -> None:
    page = site.open("/sign-in")
    page.get_by_label("API key").fill(site.live.keys[kind])
    with page.expect_navigation() as navigation:
        page.get_by_role("button", name="Sign in").click()
    assert navigation.value
    assert navigation.value.status == 401
    field = page.get_by_label("API key")
    expect(field).to_have_accessible_description(re.compile("This key is not valid"))
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    assert site.live.keys[kind] not in page.content()
    assert site.context.cookies() == []


@in_production
def test_the_docs_try_out_with_the_cookie_until_its_owner_signs_out(site: Site) -> None:
    page = site.sign_in(site.live.keys["admin"])
    page.get_by_role("link", name="API docs").click()
    page.locator(".opblock").first.wait_for()
    status, body = try_out(page)
    assert (status, json.loads(body)["consumer"]) == (200, "admin")
    other_tab = site.open("/sign-in")
    other_tab.get_by_role("button", name="Sign out").click()
    expect(other_tab.get_by_label("API key")).to_be_visible()
    expect(other_tab.get_by_role("status")).to_contain_text("The key itself stays valid")
    assert site.context.cookies() == []
    assert try_out(page)[0] == 401


@in_production
def test_signing_out_clears_what_pages_have_stored(site: Site) -> None:
    page = site.sign_in(site.live.keys["admin"])
    page.evaluate("localStorage.setItem('note', 'secret')")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0


@only_sites(key_location=WITH_COOKIES)
def test_a_browser_without_a_key_signs_in_and_arrives(site: Site) -> None:
    page = site.open("/users/me?from=here")
    expect(page.get_by_role("heading")).to_have_text("Sign in")
    page.get_by_label("API key").fill(site.live.keys["admin"])
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()
    assert page.url == f"{site.url}/users/me?from=here"
    assert '"admin"' in page.content()
    script = "fetch('/users/me', {credentials: 'omit'}).then(response => response.status)"
    assert page.evaluate(script) == 401


@only_sites("production", key_location={"cookie"})
def test_the_page_says_that_plain_http_does_not_do(site: Site) -> None:
    site.host = "service.test"
    page = site.open("/sign-in")
    expect(page.get_by_role("heading")).to_have_text("HTTPS is needed")
    expect(page.get_by_label("API key")).to_have_count(0)


@only_sites("production", key_location={"cookie"})
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_everybody_can_use_the_pages(site: Site, scheme: str, width: int) -> None:
    page = site.context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 640})
    page.goto(site.url + "/sign-in")
    check_page(page, width)
    for key in ("unknown", "admin"):
        page.get_by_label("API key").fill(site.live.keys[key])
        with page.expect_navigation():
            page.keyboard.press("Enter")
        check_page(page, width)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_be_visible()
    check_page(page, width)
    site.host = "service.test"
    check_page(site.open("/sign-in"), 1280)


def check_page(page: Page, width: int) -> None:
    """Check that a page breaks no rule of accessibility, and is not wider than its window."""
    # The driver's own evaluation is not held to the Content-Security-Policy of the page.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    assert [(rule["id"], rule["nodes"]) for rule in found["violations"]] == []
    assert found["passes"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@only_sites("production", key_location={"cookie"})
def test_the_page_loads_nothing_and_runs_no_script(site: Site) -> None:
    asked: list[str] = []
    site.context.on("request", lambda request: asked.append(request.url))
    page = site.open("/sign-in")
    page.wait_for_load_state("networkidle")
    assert asked == [site.url + "/sign-in"]
    page.evaluate(
        "const s = document.createElement('script'); s.text = 'window.ran = 1';"
        "document.body.append(s)"
    )
    assert page.evaluate("window.ran") is None


ATTACK = """<!doctype html><title>another site</title>
<form method="post" action="{target}">
<input name="api_key" value="{key}"><button>Win</button></form>
"""


class SilentHandler(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.fixture
def other_origin(tmp_path: Path) -> Iterator[str]:
    """Return the URL of a second server, on another port, which serves a folder's pages."""
    handler = partial(SilentHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@in_production
@pytest.mark.parametrize("target", ["/sign-in", "/sign-out", "/admin/password_reset"])
@pytest.mark.parametrize("host", ["127.0.0.1", "other.test"])
def test_a_page_of_another_origin_cannot_use_the_cookie(
    site: Site, other_origin: str, tmp_path: Path, target: str, host: str
) -> None:
    site.sign_in(site.live.keys["admin"])
    attack = ATTACK.format(target=site.url + target, key=site.live.keys["web"])
    (tmp_path / "index.html").write_text(attack)
    page = site.context.new_page()
    page.goto(other_origin.replace("127.0.0.1", host))
    with page.expect_navigation() as navigation:
        page.get_by_role("button").click()
    assert navigation.value
    same_site = host == "127.0.0.1"  # to which a Strict cookie goes along
    assert navigation.value.status == (403 if same_site or target.startswith("/sign") else 401)
    sent = navigation.value.request.all_headers().get("cookie", "")
    assert (site.live.keys["admin"] in sent) == same_site
    assert navigation_status(site) == 200
    [cookie] = site.context.cookies()
    assert cookie["value"] == site.live.keys["admin"]


@in_production
def test_a_script_of_another_origin_reads_nothing(site: Site, other_origin: str) -> None:
    site.sign_in(site.live.keys["admin"])
    page = site.context.new_page()
    page.goto(other_origin)
    read = "fetch(url, {credentials: 'include'}).then(r => r.text(), () => 'refused')"
    assert page.evaluate(f"url => {read}", site.url + "/users/me") == "refused"


@only_sites("production", key_location={"cookie"})
def test_no_other_page_can_frame_the_sign_in(site: Site, other_origin: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(f"<iframe src='{site.url}/sign-in'></iframe>")
    page = site.context.new_page()
    page.goto(other_origin)
    page.wait_for_load_state("networkidle")
    framed = page.frames[1].locator("input")
    assert framed.count() == 0
