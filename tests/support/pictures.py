"""Takes the pictures of the README from the real thing: `make pictures`."""

import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser
from rich.console import Console
from rich.text import Text

from support.browsing import DOCS_URL, MissingError, Site, run_browser
from support.generation import generate
from support.live import manage, run_app
from support.template import TEMPLATE
from support.waiting import until

PICTURES = TEMPLATE / "docs" / "pictures"
PICTURED = {
    "project_name": "Parcel Tracking",
    "project_slug": "my-service",
    "description": "Tells where a parcel is.",
    "key_docs_url": DOCS_URL,
    "protection": "endpoints",
}
CREATED = [
    ("billing-web", "--scope", "admin", "--expires", "90d"),
    ("mobile-app", "--name", "ios"),
]
# The access line of a request whose key has expired.
REFUSED = re.compile(r'^(?=.*"method").*"reason": "expired".*$', re.MULTILINE)


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


def take_terminal() -> None:
    """Write the picture of a run of cookiecutter, with typed answers."""
    typed = ["Parcel Tracking", "", "Tells where a parcel is.", "Ada Lovelace"]
    typed += ["5", "", "", "2", "", "", "", "", ""]
    with TemporaryDirectory() as folder:
        said = run_in_terminal(
            [sys.executable, "-m", "cookiecutter", str(TEMPLATE)], typed, Path(folder)
        )
        said = said.replace(str(Path(folder).resolve()), "/home/ada")
    said = re.sub(r"(parcel_tracking_)\w{51}", r"\1...", said)
    command = "cookiecutter gh:OWNER/cookiecutter-fastapi-api-key\n"
    draw("terminal", "cookiecutter", Text.from_ansi("$ " + command + said.strip()))


def draw(name: str, title: str, *texts: Text) -> None:
    """Write a picture of a terminal with these texts."""
    console = Console(record=True, width=116, file=io.StringIO())
    for text in texts:
        console.print(text, end="\n\n")
    picture = console.export_svg(title=title)
    # A picture in a page gets nothing from elsewhere, fonts included.
    picture = re.sub(r"@font-face {.*?}", "", picture, flags=re.DOTALL)
    (PICTURES / f"{name}.svg").write_text(picture, encoding="utf-8")


def take_keys() -> None:
    """Write the picture of `keys list`, and of a log line that says why a key was refused."""
    with TemporaryDirectory() as folder:
        answers = {**PICTURED, "key_location": "header", "key_store": "database"}
        project = generate(Path(folder), hooks=False, **answers)
        with run_app(project, answers, Path(folder), app="my_service.main:app") as live:
            for options in CREATED:
                manage("keys", "create", *options, cwd=Path(folder), env=live.variables)
            live.ask("/users/me", live.keys["expired"])
            listed = manage("keys", "list", cwd=Path(folder), env=live.variables)
            until(lambda: REFUSED.search(live.log.read_text(encoding="utf-8")) is not None)
            [refused] = REFUSED.findall(live.log.read_text(encoding="utf-8"))
    draw(
        "keys",
        "my-service",
        Text(f"$ my-service keys list\n{listed.strip()}"),
        Text(f"$ tail -n 1 service.log\n{refused}"),
    )


def run_in_terminal(command: list[str], answers: list[str], folder: Path) -> str:
    """Run a command in a terminal, answer each question once it stands there; return the screen."""
    if sys.platform == "win32":
        sys.exit("Windows has no such terminals: take the pictures on another system")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "116", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    waiting, said = list(answers), b""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 1.0)
        if ready:
            try:
                said += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        elif waiting:
            os.write(ours, waiting.pop(0).encode() + b"\n")
    else:
        process.kill()
        sys.exit(f"the command asks more than there are answers: {said.decode()}")
    process.wait()
    os.close(ours)
    return said.decode().replace("\r\n", "\n")


def visit(browser: Browser, location: str, take: Callable[[Site], None]) -> None:
    """Generate a service, run it, and take its picture."""
    with TemporaryDirectory() as folder:
        answers = {**PICTURED, "key_location": location}
        project = generate(Path(folder), hooks=False, **answers)
        with run_app(project, answers, Path(folder), app="my_service.main:app") as live:
            take(Site(live, browser.new_context(color_scheme="light")))


def main() -> None:
    """Take all pictures, or say what is missing for it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    take_terminal()
    take_keys()
    try:
        with run_browser() as browser:
            visit(browser, "header", take_docs)
            visit(browser, "cookie", take_sign_in)
    except MissingError as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
