"""The docs page: what it says about keys, and that trying an operation out works."""

import json

import pytest
from playwright.sync_api import Locator, Page, expect
from support.browsing import CDN, DOCS_URL, Site, each_location, only_sites, try_out
from support.combinations import Variant, variant_name
from support.live import NAMES, SCHEMES, manage

# Services that manage their keys over HTTP.
MANAGED: list[Variant] = [
    ({"key_location": "header", "protection": "whole_app", "key_store": "database"}, "development"),
    ({"key_location": "bearer", "protection": "endpoints", "key_store": "database"}, "production"),
]


def open_dialog(page: Page) -> Locator:
    """Open the dialog behind the Authorize button."""
    page.locator(".auth-wrapper .authorize").click()
    return page.locator(".dialog-ux .modal-ux")


def form_of(dialog: Locator, location: str) -> Locator:
    """Return the part of the dialog for the keys of one location."""
    return dialog.locator(".auth-container").filter(has_text=SCHEMES[location])


def authorize(page: Page, location: str, key: str) -> None:
    """Give the dialog a key and close it."""
    dialog = open_dialog(page)
    form = form_of(dialog, location)
    form.locator("input").fill(key)
    form.locator("button.authorize").click()
    dialog.locator(".close-modal").click()


def log_out(page: Page, location: str) -> None:
    """Have the dialog forget the key and close it."""
    dialog = open_dialog(page)
    form_of(dialog, location).get_by_role("button", name="Remove authorization").click()
    dialog.locator(".close-modal").click()


@only_sites("production")
def test_the_dialog_says_where_a_key_goes_and_where_to_get_one(site: Site) -> None:
    dialog = open_dialog(site.open_docs())
    expect(dialog.locator(".auth-container")).to_have_count(len(site.live.locations))
    for location in site.live.locations:
        form = form_of(dialog, location)
        if location == "bearer":
            expect(form).to_contain_text("http, Bearer")
        else:
            parameter = site.cookie_name if location == "cookie" else NAMES[location]
            expect(form).to_contain_text(f"Name: {parameter}")
            expect(form).to_contain_text(f"In: {location}")
        link = form.get_by_role("link", name="Generate a token")
        assert link.get_attribute("href") == DOCS_URL


# A script cannot set the cookie of production: `test_sign_in.py` gets that one.
@each_location("cookie", "header", "bearer", "query", environments=("development",))
def test_an_authorized_page_can_try_out_what_a_key_opens(site: Site, location: str) -> None:
    page = site.open_docs()
    assert try_out(page)[0] == 401
    authorize(page, location, site.live.keys["admin"])
    status, body = try_out(page)
    assert (status, json.loads(body)["consumer"]) == (200, "admin")
    log_out(page, location)
    assert try_out(page)[0] == 401


@only_sites("production", at_most=2)
def test_only_what_needs_a_key_shows_a_lock(site: Site) -> None:
    page = site.open_docs()
    locked = {
        operation.locator("[data-path]").get_attribute("data-path")
        for operation in page.locator(".opblock").all()
        if operation.locator(".authorization__btn").count()
    }
    needs_key = {"/users/me", "/admin/password_reset"}
    assert locked == (needs_key | {"/"} if site.live.whole_app else needs_key)


@only_sites("production", at_most=2)
def test_nothing_is_fetched_from_outside_but_the_files_of_the_page(site: Site) -> None:
    site.host = "service.test"
    page = site.open_docs()
    open_dialog(page)
    page.wait_for_load_state("networkidle")
    assert site.outside == []


@only_sites("development", at_most=2)
def test_page_stays_within_its_security_policy(site: Site) -> None:
    said: list[str] = []
    site.context.on("console", lambda message: said.append(message.text))
    page = site.open_docs()
    open_dialog(page).locator(".close-modal").click()
    try_out(page)
    page.wait_for_load_state("networkidle")
    assert [text for text in said if "Content Security Policy" in text] == []


@only_sites("development", at_most=1)
def test_changed_file_of_the_cdn_is_refused(site: Site) -> None:
    said: list[str] = []
    site.context.on("console", lambda message: said.append(message.text))
    allowed = {"Access-Control-Allow-Origin": "*"}
    site.context.route(
        f"{CDN}swagger-ui-bundle.js",
        lambda route: route.fulfill(body="document.title = 'changed'", headers=allowed),
    )
    page = site.open("/docs")
    page.wait_for_load_state("networkidle")
    assert page.title() != "changed"
    assert any("integrity" in text for text in said)


@each_location("header", "bearer", "query")
def test_a_key_survives_a_reload_in_development_only(site: Site, location: str) -> None:
    page = site.open_docs()
    authorize(page, location, site.live.keys["admin"])
    page.reload()
    page.locator(".opblock").first.wait_for()
    assert try_out(page)[0] == (401 if site.production else 200)
    kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert (site.live.keys["admin"] in kept) == (not site.production)


@pytest.mark.parametrize("server", MANAGED, indirect=True, ids=variant_name)
def test_a_person_manages_keys_in_the_docs(site: Site) -> None:
    live, [location] = site.live, site.live.locations
    create = ("keys", "create", "root", "--scope", "keys:write", "--json")
    created = json.loads(manage(*create, cwd=live.log.parent, env=live.variables))
    page = site.open_docs()

    def use(key: str) -> None:
        log_out(page, location)
        authorize(page, location, key)

    authorize(page, location, created["key"])
    status, shown = try_out(page, "/keys", "post", body={"consumer": "phone"})
    first = json.loads(shown)
    assert (status, first["consumer"]) == (201, "phone")
    use(first["key"])
    status, shown = try_out(page)
    assert (status, json.loads(shown)["consumer"]) == (200, "phone")
    status, shown = try_out(page, "/keys/me/rotate", "post", body={"grace": "0"})
    second = json.loads(shown)
    assert (status, second["consumer"]) == (201, "phone")
    assert try_out(page)[0] == 401
    use(second["key"])
    assert try_out(page)[0] == 200
    use(created["key"])
    assert try_out(page, "/keys/{key_id}", "delete", key_id=second["id"])[0] == 204
    use(second["key"])
    assert try_out(page)[0] == 401
