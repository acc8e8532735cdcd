"""Real proxies and caches in front of a service, each on a free port of this machine."""

import getpass
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.machine import missing
from support.server_process import free_port
from support.waiting import until

NGINX = """\
daemon off;
user {user};
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    include {folder}/site.conf;
}}
"""
CACHE = """\
proxy_cache_path {folder}/cache keys_zone=all:1m;
server {{
    listen 127.0.0.1:80;
    proxy_cache all;
    proxy_cache_valid any 1m;
    add_header X-Cache $upstream_cache_status always;
    location / {{
        proxy_pass http://127.0.0.1:8000;
        proxy_set_header Host $http_host;
    }}
}}
"""


def code_block(readme: str, language: str) -> str:
    """Return the only block of code in this language."""
    [block] = re.findall(rf"^```{language}\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    return str(block)


def find_program(name: str) -> str:
    """Return the path of a program, which Debian keeps where only root looks."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if not path:
        missing(f"no {name}: install it (Debian: apt install {name.removesuffix('d')})")
    return path


@contextmanager
def run_nginx(site: str, service_port: int, folder: Path) -> Iterator[int]:
    """Run nginx with the configuration of a site, on other ports; yield its port."""
    port = free_port()
    for old, new in [
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("listen 127.0.0.1:80;", f"listen 127.0.0.1:{port};"),
        ("127.0.0.1:8000", f"127.0.0.1:{service_port}"),
        ("/var/log/nginx", str(folder)),
    ]:
        site = site.replace(old, new)
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user=getpass.getuser()))
    with _run("nginx", "-e", folder / "start.log", "-c", folder / "nginx.conf", port=port):
        yield port


@contextmanager
def run_nginx_cache(service_port: int, folder: Path) -> Iterator[int]:
    """Run nginx as a cache of every response that may be stored; yield its port."""
    with run_nginx(CACHE.format(folder=folder), service_port, folder) as port:
        yield port


@contextmanager
def run_varnish(service_port: int, folder: Path) -> Iterator[int]:
    """Run Varnish with its default configuration; yield its port."""
    port = free_port()
    backend = f"127.0.0.1:{service_port}"
    options = ["-F", "-j", "none", "-n", str(folder), "-a", f"127.0.0.1:{port}", "-b", backend]
    with _run("varnishd", *options, "-s", "malloc,10m", port=port):
        yield port


@contextmanager
def run_caddy(caddyfile: str, service_port: int, folder: Path) -> Iterator[int]:
    """Run Caddy with a configuration, without a certificate and on other ports; yield its port."""
    port = free_port()
    caddyfile = re.sub(r"^\{", "{\n    admin off", caddyfile, count=1)
    caddyfile = caddyfile.replace("api.example.com {", f"http://:{port} {{\n    bind 127.0.0.1")
    caddyfile = caddyfile.replace("127.0.0.1:8000", f"127.0.0.1:{service_port}")
    (folder / "Caddyfile").write_text(caddyfile)
    options = ["run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    with _run("caddy", *options, port=port, log=folder / "caddy.log", home=folder):
        yield port


@contextmanager
def _run(
    name: str, *options: str | Path, port: int, log: Path | None = None, home: Path | None = None
) -> Iterator[None]:
    """Run a program until the end of the block, once it listens on its port."""
    command = [find_program(name), *map(str, options)]
    output = (log or Path("/dev/null")).open("w")
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home or "/nonexistent")}
    with output, subprocess.Popen(command, env=env, stdout=output, stderr=output) as process:
        try:
            until(lambda: _listens(port) or process.poll() is not None)
            assert process.poll() is None, f"{name} ended"
            yield
        finally:
            process.terminate()
            process.wait(120)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
