"""The JSON API beside the dashboard: `python api_sidecar.py`."""

from __future__ import annotations

from cache.version import versioned  # first: it says which Python is needed

# isort: split

import argparse
import gc
import sys
from contextlib import closing, suppress

from api.access_log import log_to_stderr
from api.app import create_app
from api.auth.default_key import load_key
from api.routes.cache_watcher import CacheWatcher
from api.server import Server
from cache.errors import OrdersError
from cache.listen_address import listen, local_url
from cache.private_files import keep_files_private
from cache.settings import Settings
from cache.storage.backends import open_cache


def main() -> None:
    """Serves the API until the process is stopped.

    Raises:
        SettingsInvalid: A setting does not parse, or the address cannot be used.
        CacheError: The cache cannot be opened.
    """
    keep_files_private()
    settings = Settings.load()
    settings.set_up_process("api")
    log_to_stderr()
    settings.warn_of_misspelt()
    key = load_key(settings)
    place, host, port = settings.cache_place, settings.api_host, settings.api_port
    named = settings.port_setting("api_port")
    with closing(open_cache(place)) as cache, listen(host, port, "API_HOST", named) as socket:
        scheduler = None
        if settings.scheduler == "auto" and not cache.read_only:
            from scraper.scheduler import Scheduler

            scheduler = Scheduler(cache, settings, host="api")
        watcher = CacheWatcher(cache)
        app = create_app(cache, settings, key, watcher, scheduler)
        host, port = socket.getsockname()[:2]
        print(f"API on {local_url(host, port)} (try it at /demo)", flush=True)
        gc.collect()
        gc.freeze()  # objects loaded by now stay; collecting them again and again would delay requests
        Server(app, watcher).run(sockets=[socket])


if __name__ == "__main__":
    versioned(argparse.ArgumentParser(prog="python api_sidecar.py", description=__doc__)).parse_args()
    try:
        with suppress(KeyboardInterrupt):
            main()
    except OrdersError as error:
        sys.exit(str(error))
