"""Tables of the owner, and their migrations."""

from pathlib import Path
from tempfile import TemporaryDirectory

from support.edits.project import APP, Project, edit

# In one process: Alembic is slow to import.
MIGRATE = """
import sys
from alembic.config import main

main(["upgrade", "head"])
main(["revision", "--autogenerate", "--message", *sys.argv[1:]])
for command in (["upgrade", "head"], ["check"], ["downgrade", "-1"]):
    main(command)
"""


def _migrate(project: Project, message: str) -> None:
    """Write a migration as the README says, and apply it."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{(Path(folder) / 'orders.db').as_posix()}"
        status, output = project.run("-c", MIGRATE, message, DATABASE_URL=url)
        assert status == 0, output


MODEL = '''
"""The tables of the owner."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from .database import Base, UTCDateTime


class Order(Base):
    """An order."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str | None]
    shipped: Mapped[datetime | None] = mapped_column(UTCDateTime)
'''


@edit(key_store={"database"})
def new_table(project: Project) -> None:
    """A table with a moment gets its migration; a later one makes a column unique and required."""
    project.write("src/my_service/models.py", MODEL)
    project.add_routes(
        "orders",
        '''
        """Orders."""

        from datetime import datetime

        from fastapi import APIRouter
        from sqlalchemy import select

        from ..auth import CurrentConsumer
        from ..database import SessionDep
        from ..models import Order

        router = APIRouter(prefix="/orders")


        @router.post("/{reference}", status_code=201)
        async def post(
            reference: str, shipped: datetime, session: SessionDep, consumer: CurrentConsumer
        ) -> None:
            """Store an order."""
            session.add(Order(reference=reference, shipped=shipped))
            await session.commit()


        @router.get("")
        async def get(session: SessionDep, consumer: CurrentConsumer) -> dict[str, datetime | None]:
            """Return all orders."""
            orders = await session.scalars(select(Order))
            return {order.reference or "": order.shipped for order in orders}
        ''',
    )
    _migrate(project, "Add orders")
    project.replace(
        "src/my_service/models.py",
        "reference: Mapped[str | None]",
        "reference: Mapped[str] = mapped_column(unique=True)",
    )
    _migrate(project, "Require references")
    project.add_test(
        "new_table",
        """
        def test_orders_are_stored(app: FastAPI) -> None:
            client = TestClient(app, base_url=base_url(app))
            request = with_key(LOCATIONS[0], WEB_KEY)
            params = [*request.pop("params", []), ("shipped", "2030-01-31T12:00:00+02:00")]
            response = client.post("/orders/red", params=params, **request)
            assert response.status_code == 201
            assert client.get("/orders", **KEY).json() == {"red": "2030-01-31T10:00:00Z"}
        """,
    )


@edit(key_store={"database"})
def foreign_key(project: Project) -> None:
    """A table of the owner refers to keys."""
    project.write(
        "src/my_service/labels.py",
        '''
        """Labels."""

        from sqlalchemy import ForeignKey
        from sqlalchemy.orm import Mapped, mapped_column

        from .auth.database import ApiKey
        from .database import Base


        class Label(Base):
            """A label, and the key with which it was printed."""

            __tablename__ = "labels"
            __table_args__ = {"sqlite_autoincrement": True}

            id: Mapped[int] = mapped_column(primary_key=True)
            key_id: Mapped[str] = mapped_column(ForeignKey(ApiKey.id))
        ''',
    )
    project.add_to_app("app.state.label = labels.Label", "from . import labels")
    _migrate(project, "Add labels")


@edit(key_store={"database"})
def no_key_routes(project: Project) -> None:
    """Key management over HTTP goes with one line of the application and its test."""
    project.replace(APP, "    app.include_router(auth.api.router)\n", "")
    for file in ("src/my_service/auth/api.py", "tests/test_api.py"):
        (project.folder / file).unlink()
    project.add_test(
        "no_key_routes",
        """
        def test_no_document_shows_keys(app: FastAPI) -> None:
            assert not [path for path in app.openapi()["paths"] if path.startswith("/keys")]
        """,
    )
