"""Run in a generated service: print how PostgreSQL runs the queries about a table of many keys."""

import asyncio
import json
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

COUNT = 100_000
FILL = """
INSERT INTO api_keys
    (id, name, consumer, digest, scopes, networks, expires, enabled, created, revoked, created_by)
SELECT 'id' || n, 'name' || n % 1000, 'consumer' || n % 20000, lpad(n::text, 64, '0'), '', '',
    CASE WHEN n % 3 = 0 THEN now() + (n - 5000 || ' minutes')::interval END,
    n % 1000 <> 0, now() - (n || ' seconds')::interval,
    CASE WHEN n % 500 = 0 THEN now() - (n || ' minutes')::interval END,
    CASE WHEN n % 2 = 0 THEN 'id' || n / 10 END
FROM generate_series(1, :count) n
"""
FILTERS: list[dict[str, str]] = [
    {},
    {"consumer": "consumer7"},
    {"name": "name7"},
    {"created_by": "id7"},
    *({"state": state} for state in ("valid", "disabled", "expired", "revoked")),
]


def watch(engine: Engine) -> list[str]:
    """Return a list that gets the plan of each later query about keys."""
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM api_keys" in statement:
            own = connection.connection.cursor()
            own.execute(f"EXPLAIN {statement}", parameters)
            plans.append("\n".join(row[0] for row in own.fetchall()))
            own.close()

    event.listen(engine, "before_cursor_execute", explain)
    return plans


def explain_commands(package: str, engine: Engine) -> dict[str, list[str]]:
    """Return the plans of what commands and the endpoints ask."""
    management, pages = (
        import_module(f"{package}.auth.{name}") for name in ("management", "pages")
    )
    plans, found = watch(engine), {}

    def take(name: str) -> None:
        found[name] = plans[:]
        plans.clear()

    with Session(engine) as session:
        for filters in FILTERS:
            page = pages.read_page(session, **filters)
            if page.next:
                pages.read_page(session, cursor=page.next, **filters)
            take(f"page {filters}")
        for chosen in (("id0", None), (None, "consumer7"), (None, "cnosumer7")):
            with suppress(ValueError):
                management.choose_key(session, *chosen)
            take(f"choose {chosen}")
        row = management.choose_key(session, "id7", None)
        take("choose a key")
        management.find_live_descendants(session, row, limit=10)
        take("descendants")
        management.purge_keys(session, ended_before=datetime.now(UTC) - timedelta(days=30))
        take("purge")
    return found


async def explain_look_up(package: str, url: str) -> list[str]:
    """Return the plan of a look-up of cold keys."""
    database, module = (import_module(f"{package}.auth.{name}") for name in ("database", "queries"))
    queries = module.KeyQueries(database.parse_url(url))
    plans = watch(queries._lookups.sync_engine)
    await queries.find([f"{number:064}" for number in (7, 8, 9)])
    await queries.close()
    return plans


def main(package: str, url: str) -> None:
    """Fill the table, and print the plans as a JSON object."""
    database = import_module(f"{package}.auth.database")
    engine = database.make_engine(database.parse_url(url))
    with engine.begin() as connection:
        connection.execute(text(FILL), {"count": COUNT})
        connection.execute(text("ANALYZE api_keys"))
    found = explain_commands(package, engine)
    found["look up cold keys"] = asyncio.run(explain_look_up(package, url))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
