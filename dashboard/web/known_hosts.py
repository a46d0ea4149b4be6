"""A page in place of the dashboard where it is called by a name that it does not know, such as that of a proxy.

Streamlit sends its page to any name, but connects it only under `server.allowedHosts`: the page would stay empty.
"""

from __future__ import annotations

from html import escape

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed


class KnownHosts:
    """Middleware: answers requests for pages by unknown names with what to set."""

    def __init__(self, app: ASGIApp, public_path: str = "") -> None:
        """Changes nothing yet.

        Args:
            app: What answers under known names.
            public_path: PUBLIC_PATH.
        """
        self._app = app
        self._path = public_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or answers it."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = headers.get("host", "")
            if "text/html" in headers.get("accept", "") and not is_host_allowed(host):
                scheme = headers.get("x-forwarded-proto", "") or scope["scheme"]
                page = _PAGE.format(host=escape(host), url=escape(f"{scheme}://{host}{self._path}"))
                return await HTMLResponse(page, 421, {"Cache-Control": "no-store"})(scope, receive, send)
        return await self._app(scope, receive, send)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Unknown address · Orders</title>
<style>
:root {{ color-scheme: light dark; --line: light-dark(#c9d2ce, #3a4744); }}
body {{ font: 1rem/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0;
  background: light-dark(#f5f7f6, #0f1413); color: light-dark(#1b2420, #e6ecea); }}
main {{ width: min(36rem, 85vw); padding: 2rem; border: 1px solid var(--line); border-radius: 0.75rem;
  background: light-dark(#fff, #182120); overflow-wrap: anywhere; }}
h1 {{ font-size: 1.3rem; margin: 0 0 0.75rem; }} p {{ margin: 0.75rem 0 0; }}
code {{ font-family: ui-monospace, monospace; font-size: 0.9em; padding: 0.1rem 0.3rem; border-radius: 0.3rem;
  background: light-dark(#eef2f0, #0f1413); }}
</style></head><body><main>
<h1>The dashboard does not know this address</h1>
<p>It was called by the name <code>{host}</code>. Without a sign-in it opens only under names that it knows, so that no
other site can reach it by a name of its own.</p>
<p>Set <code>DASHBOARD_URL={url}</code> and start the dashboard again. With a sign-in, such as
<code>DASHBOARD_PASSWORD</code>, it opens under every name.</p>
</main></body></html>
"""
