"""Run in a generated service: print how PostgreSQL runs the queries about a table of many keys."""

import json
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

COUNT = 100_000
FILL = """
INSERT INTO api_keys
    (id, name, consumer, digest, scopes, networks, expires, enabled, created, revoked)
SELECT 'id' || n, 'name' || n % 1000, 'consumer' || n % 20000, lpad(n::text, 64, '0'), '', '',
    CASE WHEN n % 3 = 0 THEN now() + (n - 5000 || ' minutes')::interval END,
    n % 1000 <> 0, now() - (n || ' seconds')::interval,
    CASE WHEN n % 500 = 0 THEN now() - (n || ' minutes')::interval END
FROM generate_series(1, :count) n
"""
FILTERS: list[dict[str, str]] = [
    {},
    {"consumer": "consumer7"},
    {"name": "name7"},
    *({"state": state} for state in ("valid", "disabled", "expired", "revoked")),
]


def watch(engine: Engine) -> list[str]:
    """Return a list that gets the plan of each later query about keys."""
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM api_keys" in statement:
            with connection.connection.cursor() as own:
                own.execute(f"EXPLAIN {statement}", parameters)
                plans.append("\n".join(row[0] for row in own.fetchall()))

    event.listen(engine, "before_cursor_execute", explain)
    return plans


def main(package: str, url: str) -> None:
    """Fill the table, and print the plans as a JSON object."""
    database, management, pages = (
        import_module(f"{package}.auth.{name}") for name in ("database", "management", "pages")
    )
    engine = database.make_engine(database.parse_url(url))
    with engine.begin() as connection:
        connection.execute(text(FILL), {"count": COUNT})
        connection.execute(text("ANALYZE api_keys"))
    plans, found = watch(engine), {}
    with Session(engine) as session:
        for filters in FILTERS:
            page = pages.read_page(session, **filters)
            if page.next:
                pages.read_page(session, cursor=page.next, **filters)
            found[f"page {filters}"] = plans[-1]
        management.purge_keys(session, ended_before=datetime.now(UTC) - timedelta(days=30))
        found["purge"] = plans[-1]
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
