"""The roles that `roles.sql` creates in a real PostgreSQL, and what each of them may do."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql
from support.combinations import Answers
from support.commands import run, run_python
from support.generation import Bake
from support.live import manage, run_service
from support.postgresql import Postgres
from support.waiting import until

ANSWERS: Answers = {"key_location": "header", "protection": "whole_app", "key_store": "database"}
NAME, OWNER, ROLE = "my_service", "my_service_owner", "my_service_app"


@dataclass
class Roles:
    """A database as `roles.sql` leaves it: how its owner and the service connect."""

    project: Path
    owner: str
    service: str

    def migrate(self, folder: Path) -> str:
        """Run `migrate`, as its container does: with the URL of the owner alone."""
        env = {**os.environ, "MIGRATION_DATABASE_URL": self.owner}
        env |= {"PYTHONPATH": str(self.project / "src")}
        return manage("migrate", cwd=folder, env=env)


@pytest.fixture(scope="module")
def roles(
    bake: Bake, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Roles]:
    """Return a database as `roles.sql` and `migrate` leave it."""
    tmp_path = tmp_path_factory.mktemp("roles")
    project = bake(**ANSWERS)
    urls = {
        file: f"postgresql://{user}:{secrets.token_hex(32)}@127.0.0.1:{postgres.port}/{NAME}"
        for file, user in (("database_url", ROLE), ("migration_database_url", OWNER))
    }
    folder = tmp_path / "secrets"
    folder.mkdir()
    for file, url in urls.items():
        (folder / file).write_text(f"{url}\n")
    psql = shutil.which("psql") or str(postgres.programs / "psql")
    env = {**os.environ, "SECRETS_DIR": str(folder), "PGPASSWORD": postgres.password}
    server = ("--host", "127.0.0.1", "--port", str(postgres.port), "--username", "owner")
    options = ("--no-psqlrc", "--quiet", "--dbname", "postgres", "--file", "roles.sql")
    finished = run(psql, *server, *options, cwd=project, env=env)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
    made = Roles(project, urls["migration_database_url"], urls["database_url"])
    assert "Before: none." in made.migrate(tmp_path)
    yield made
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {NAME} WITH (FORCE)".encode())
        for role in (OWNER, ROLE):
            connection.execute(f"DROP ROLE {role}".encode())


def test_service_runs_and_manages_keys_with_its_role(roles: Roles, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": roles.service, "MIGRATION_DATABASE_URL": roles.owner}
    settings["KEY_CACHE_SECONDS"] = "1"
    with run_service(roles.project, ANSWERS, tmp_path, **settings) as live:

        def keys(*command: str) -> str:
            return manage("keys", *command, cwd=tmp_path, env=live.variables)

        created = json.loads(keys("create", "customer", "--json"))
        key, number = created["key"], created["entry"]["id"]
        assert live.status_for(key) == 200
        keys("rotate", number, "--grace", "7d")
        keys("update", number, "--name", "other")
        keys("disable", number)
        keys("enable", number)
        keys("revoke", number, "--with-successors")
        until(lambda: live.status_for(key) == 401)
        keys("purge", "--expired-before", "1d")
        assert "key_revoked" in keys("events", "--json")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE other (id integer)",
        "CREATE TEMPORARY TABLE other (id integer)",
        "CREATE SCHEMA other",
        "CREATE EXTENSION pgcrypto",
        "DROP TABLE api_keys",
        "ALTER TABLE api_keys ADD COLUMN other integer",
        "CREATE INDEX ON api_keys (consumer)",
        "TRUNCATE api_keys",
        "CREATE ROLE other",
        "CREATE DATABASE other",
        f"SET ROLE {OWNER}",
        "SELECT pg_read_file('/etc/hostname')",
        "COPY api_keys TO PROGRAM 'cat'",
    ],
)
def test_service_may_only_read_and_write_rows(roles: Roles, statement: str) -> None:
    with (
        psycopg.connect(roles.service, autocommit=True) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())


def test_no_role_is_a_superuser(roles: Roles, postgres: Postgres) -> None:
    query = sql.SQL(
        "SELECT rolname, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
        " FROM pg_roles WHERE rolname IN ({}, {}) ORDER BY rolname"
    ).format(ROLE, OWNER)
    with psycopg.connect(postgres.url_of("postgres")) as connection:
        assert connection.execute(query).fetchall() == [(ROLE, False), (OWNER, False)]


def test_other_roles_cannot_connect(roles: Roles, postgres: Postgres) -> None:
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'plugh'")
        try:
            url = f"postgresql://stranger:plugh@127.0.0.1:{postgres.port}/{NAME}"
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(url)
        finally:
            connection.execute("DROP ROLE stranger")


def test_service_never_reads_the_url_of_the_owner(roles: Roles, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(roles.project / "src")}
    env |= {"DATABASE_URL": roles.service, "MIGRATION_DATABASE_URL": roles.owner}
    script = "from my_service.settings import load_settings; print(load_settings().model_dump())"
    shown = run_python("-c", script, cwd=tmp_path, env=env)
    assert shown.returncode == 0, shown.stderr
    assert "database_url" in shown.stdout
    assert "migration_database_url" not in shown.stdout
