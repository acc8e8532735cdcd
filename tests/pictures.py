"""Takes the pictures of the README from the pages of running services: `make pictures`."""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from browsing import DOCS_URL, MissingError, Site, launched
from conftest import TEMPLATE, render
from live import attacked
from playwright.sync_api import Browser

PICTURES = TEMPLATE / "docs" / "pictures"
ANSWERS = {
    "project_name": "Parcel Tracking",
    "project_slug": "my-service",
    "description": "Tells where a parcel is.",
    "key_docs_url": DOCS_URL,
    "protection": "endpoints",
}


def take_docs(site: Site) -> None:
    """Write the picture of the docs with their dialog open."""
    page = site.open_docs()
    page.set_viewport_size({"width": 1000, "height": 640})
    page.locator(".auth-wrapper .authorize").click()
    page.locator(".modal-ux input").fill(site.live.keys["web"])
    page.locator(".modal-ux .authorize").click()
    page.wait_for_timeout(500)  # the dialog fades in
    page.screenshot(path=PICTURES / "docs.png")


def take_sign_in(site: Site) -> None:
    """Write the picture of the sign-in page."""
    page = site.open("/sign-in")
    page.set_viewport_size({"width": 800, "height": 520})
    page.screenshot(path=PICTURES / "sign-in.png")


def visit(browser: Browser, location: str, take: Callable[[Site], None]) -> None:
    """Generate a service, run it, and take its picture."""
    with TemporaryDirectory() as folder:
        answers = {**ANSWERS, "key_location": location}
        project = render(Path(folder), hooks=False, **answers)
        with attacked(project, answers, Path(folder), app="my_service.main:app") as live:
            take(Site(live, browser.new_context(color_scheme="light")))


def main() -> None:
    """Take all pictures, or say what is missing for it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    try:
        with launched() as browser:
            visit(browser, "header", take_docs)
            visit(browser, "cookie", take_sign_in)
    except MissingError as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
