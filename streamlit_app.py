"""The dashboard: `python streamlit_app.py` serves it on DASHBOARD_HOST and DASHBOARD_PORT.

Settings, cache, sign-in and scheduler are put together here. Without a sign-in, `streamlit run streamlit_app.py` works
too; it takes address and port from .streamlit/config.toml.
"""

from __future__ import annotations

from cache.version import versioned  # first: it says which Python is needed

# isort: split

import argparse
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import streamlit as st
from anyio import to_thread
from starlette.middleware import Middleware
from starlette.routing import Route

from cache.errors import OrdersError, SettingsInvalid
from cache.export.pool import ScanPool
from cache.listen_address import listen, local_url
from cache.monitoring.metrics_server import PATH as METRICS_PATH
from cache.private_files import keep_files_private
from cache.settings import Settings
from dashboard.auth.oidc import oidc_secrets
from dashboard.auth.signin import SignIn
from dashboard.auth.signin_settings import allowed_hosts, check_signin
from dashboard.backend import Backend, shared_backend
from dashboard.shop import PATH as LOGO_PATH
from dashboard.web.downloads import PATH, Downloads
from dashboard.web.headers import Headers
from dashboard.web.inject_css import InjectCss
from dashboard.web.known_hosts import KnownHosts
from dashboard.web.maps import PATH as MAPS_PATH
from dashboard.web.maps import get_map
from dashboard.web.metrics import MetricsEndpoint
from dashboard.web.report import PATH as REPORT_PATH
from dashboard.web.report import USER_AGENT, Reports
from dashboard.web.same_origin import SameOrigin
from dashboard.web.server import load_config, serve
from dashboard.web.static_files import CompressedStatic
from dashboard.web.sub_path import BelowPath, OwnCookies
from dashboard.web.table_files import PATH as TABLE_PATH
from dashboard.web.table_files import TableFiles

SCRIPT = Path(__file__).parent / "dashboard" / "script" / "main.py"


def main() -> None:
    """Serves the dashboard until Ctrl-C or SIGTERM.

    Raises:
        OrdersError: A setting is not valid, or the cache cannot be opened.
    """
    keep_files_private()
    backend = shared_backend()
    settings = backend.settings
    settings.set_up_process("dashboard")
    settings.warn_of_misspelt()
    check_signin(settings.dashboard_host, settings)
    port_setting = settings.port_setting("dashboard_port")
    with listen(settings.dashboard_host, settings.dashboard_port, "DASHBOARD_HOST", port_setting) as listener:
        host, port = listener.getsockname()[:2]
        load_config(Path(__file__), dashboard_options(settings, host, port))
        app = create_app(backend)
        print(f"Dashboard on {local_url(host, port)}", flush=True)
        serve(app, listener)


def dashboard_options(settings: Settings, host: str, port: int) -> dict[str, Any]:
    """The options of Streamlit for a dashboard that listens on an address."""
    options = {
        "server.address": host,
        "server.port": port,
        "server.allowedHosts": allowed_hosts(settings),
        "logger.level": settings.log_level,
    }
    return options | ({"server.baseUrlPath": settings.public_path} if settings.public_path else {})


def create_app(backend: Backend) -> st.App:
    """The dashboard as an ASGI application, whose lifespan hosts the scheduler.

    Args:
        backend: What its sessions share.

    Raises:
        SettingsInvalid: A setting of the sign-in is not valid.
    """
    settings = backend.settings
    path = settings.public_path
    downloads = Downloads(ScanPool(settings.cache_place), backend.cache.snapshots, backend.identities, backend.secret)

    @asynccontextmanager
    async def lifespan(_: st.App) -> AsyncIterator[None]:
        """The scheduler belongs to the server, not to a session: it runs without any visitor."""
        warm_up()
        scheduler = None
        if settings.scheduler != "off" and not backend.cache.read_only:
            from scraper.scheduler import Scheduler

            scheduler = Scheduler(backend.cache, settings, "dashboard")
            scheduler.start()
        try:
            yield
        finally:
            await downloads.close()
            if scheduler:
                await to_thread.run_sync(scheduler.stop)

    # `streamlit run` recognises this file by an assignment of this form, and then asks for `app`.
    app = st.App(
        SCRIPT,
        lifespan=lifespan,
        routes=[
            Route(path + PATH, downloads.get),
            Route(path + MAPS_PATH, get_map),
            *([Route(path + LOGO_PATH, backend.shop.get_logo)] if backend.shop.logo else []),
            Route(path + TABLE_PATH, TableFiles(backend.identities).post, methods=["POST"]),
            Route(path + REPORT_PATH, Reports(backend.identities, path, page_paths).get),
            Route(path + METRICS_PATH, MetricsEndpoint(backend.cache, settings).get),
        ],
        secrets=oidc_secrets(settings, backend.secret),
        middleware=[
            Middleware(SameOrigin),
            Middleware(Headers, public_path=path, week_start=settings.week_start),
            Middleware(KnownHosts, public_path=path),
            Middleware(InjectCss, public_path=path, week_start=settings.week_start, shop=backend.shop),
            *([Middleware(OwnCookies, public_path=path)] if path else []),
            Middleware(SignIn, identities=backend.identities, settings=settings),
            Middleware(CompressedStatic),
            *([Middleware(BelowPath, public_path=path, unproxied=USER_AGENT)] if path else []),
        ],
    )
    return app  # noqa: RET504


def page_paths() -> frozenset[str]:
    """The addresses of the pages."""
    from dashboard.pages import PAGE_PATHS  # late, since caches of the pages need Streamlit's runtime

    return PAGE_PATHS


def warm_up() -> None:
    """Imports what pages need before the first visitor comes, and excludes it from garbage collection.

    Streamlit collects garbage after every run of a page, each second in each tab. That takes 50 ms over all modules.
    """
    for module in ("pandas", "dashboard.pages.overview.page"):
        import_module(module)
    gc.collect()
    gc.freeze()


def __getattr__(name: str) -> st.App:
    """`app`, for `streamlit run`. It is made when it is asked for, so that an import has no effect."""
    if name != "app":
        raise AttributeError(name)
    keep_files_private()
    try:
        backend = shared_backend()
        backend.settings.set_up_process("dashboard")
        check_signin(st.get_option("server.address"), backend.settings)
        if backend.identities.required:
            raise SettingsInvalid(
                "Under `streamlit run`, anyone on this machine could guess passwords under other addresses.",
                "Start the dashboard with `python streamlit_app.py`.",
            )
        if backend.settings.public_path:
            raise SettingsInvalid(
                "Under `streamlit run`, the dashboard cannot be below PUBLIC_PATH.",
                "Start it with `python streamlit_app.py`.",
            )
        return create_app(backend)
    except OrdersError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    versioned(argparse.ArgumentParser(prog="python streamlit_app.py", description=__doc__)).parse_args()
    try:
        with suppress(KeyboardInterrupt):
            main()
    except OrdersError as error:
        sys.exit(str(error))
