"""The JSON API beside the dashboard: `python api_sidecar.py`. Here its parts are put together."""

from __future__ import annotations

import gc
import logging
import sys
from contextlib import closing, suppress

from api.access_log import to_standard_error
from api.app import create_app
from api.auth.default_key import load_key
from api.routes.refresh_stream import Events
from api.server import Server, listen
from cache.errors import OrdersError
from cache.settings import Settings
from cache.storage.backends import open_cache


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    to_standard_error()
    settings = Settings.load()
    key = load_key(settings)
    with closing(open_cache(settings.cache_url)) as cache, listen(settings.api_host, settings.api_port) as socket:
        scheduler = None
        if settings.scheduler == "auto":
            from scraper.scheduler import Scheduler

            scheduler = Scheduler(cache, settings, host="api")
        events = Events(cache, settings)
        app = create_app(cache, settings, key, events, scheduler)
        host, port = socket.getsockname()[:2]
        print(f"API on http://{f'[{host}]' if ':' in host else host}:{port} (try it at /demo)", flush=True)
        gc.collect()
        gc.freeze()  # what is loaded by now stays: to look through it again would hold everyone up
        Server(app, events).run(sockets=[socket])


if __name__ == "__main__":
    try:
        with suppress(KeyboardInterrupt):
            main()
    except OrdersError as error:
        sys.exit(str(error))
