"""The dashboard: `python streamlit_app.py` serves it on DASHBOARD_HOST and DASHBOARD_PORT.

Settings, cache, sign-in and scheduler meet here. `streamlit run streamlit_app.py` works as well; it takes address and
port from .streamlit/config.toml.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import streamlit as st
from anyio import to_thread
from starlette.middleware import Middleware
from starlette.routing import Route

from cache.errors import OrdersError
from cache.settings import Settings
from cache.storage.backends import open_cache
from cache.storage.documents import API_KEYS
from dashboard.auth import signin
from dashboard.auth.passwords import Passwords
from dashboard.auth.source import Source, use
from dashboard.web.downloads import PATH, Downloads
from dashboard.web.headers import Headers
from dashboard.web.inject_css import Styled

try:
    settings = Settings.load()
    signin.check(settings.dashboard_host if __name__ == "__main__" else st.get_option("server.address"), settings)
    cache = open_cache(settings.cache_url)
    secret = cache.documents.read(API_KEYS).secret
    passwords = Passwords(settings, secret) if settings.dashboard_password else None
    downloads = Downloads(settings.cache_url, secret)
except OrdersError as error:
    sys.exit(str(error))


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """The scheduler belongs to the server, not to a visit: it runs without any visitor."""
    use(Source(cache, settings, secret, passwords))
    warm_up()
    scheduler = None
    if settings.scheduler != "off":
        from scraper.scheduler import Scheduler

        scheduler = Scheduler(cache, settings, "dashboard")
        scheduler.start()
    try:
        yield
    finally:
        await downloads.close()
        if scheduler:
            await to_thread.run_sync(scheduler.stop)


def warm_up() -> None:
    """Loads what pages need before the first visitor comes, and leaves it out of the garbage collection.

    Streamlit collects after every run of a page, each second in each tab: 50 ms over all that is loaded, or nothing.
    """
    for module in ("pandas", "dashboard.pages.overview"):
        import_module(module)
    gc.collect()
    gc.freeze()


app = st.App(
    Path(__file__).parent / "dashboard" / "script" / "main.py",
    lifespan=lifespan,
    routes=[Route(PATH, downloads.get)],
    secrets=signin.oidc_secrets(settings, secret),
    middleware=[
        Middleware(Headers),
        Middleware(Styled),
        Middleware(signin.SignIn, passwords=passwords, settings=settings),
    ],
)

if __name__ == "__main__":
    app.run(
        config={
            "server.address": settings.dashboard_host,
            "server.port": settings.dashboard_port,
            "server.allowedHosts": signin.hosts(settings),
        }
    )
