"""The application: its routers, its middleware and what is public."""

from fastapi import APIRouter, FastAPI

from . import __version__, auth
from .database import lifespan, make_service_engine
from .routes import about, admin, docs, health, users
from .service import Service
from .settings import Settings

# What needs no key: whole routers, or operations such as "POST /webhooks/{name}".
PUBLIC: tuple[APIRouter | str, ...] = (health.router,)


def create_app(settings: Settings) -> FastAPI:
    """Return the service that these settings describe."""
    app = Service(
        settings,
        public=(*PUBLIC, docs.router) if settings.docs_enabled and settings.docs_public else PUBLIC,
        title="My Service",
        description="A FastAPI service protected by API keys.",
        version=__version__,
        license_info={
            "name": "MIT",
            "identifier": "MIT",
        },
        contact={
            "name": "The My Service authors",
        },
        lifespan=lifespan,
    )
    app.state.engine = make_service_engine(settings)
    app.include_router(health.router)
    app.include_router(about.router)
    app.include_router(users.router)
    app.include_router(admin.router)
    app.include_router(auth.api.router)
    if settings.docs_enabled:
        app.include_router(docs.router)
    return app
