"""Headers that every answer of the dashboard carries."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cache.access.content_security import inline_hashes
from cache.settings import WeekStart
from dashboard.web.inject_css import styled_page

# What the pages need beyond files of their own. Nothing is loaded from another site.
_POLICY = {
    "default-src": "'self'",
    "script-src": "'self' {inline} blob:",  # inline scripts of the page, such as Streamlit's; our table is a blob
    "style-src": "'self' 'unsafe-inline'",  # Streamlit writes its styles as the page is drawn
    "img-src": "'self' data: blob:",  # icons of widgets; charts that are saved as images
    "font-src": "'self' data:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'self'",
}
_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in _POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def headers_below(public_path: str, week_start: WeekStart = "monday") -> dict[str, str]:
    """The headers of a dashboard below a path, "" for none, whose calendars begin the week on a day."""
    inline = inline_hashes(styled_page(public_path, week_start), "script")
    return {name: value.replace("{inline}", inline) for name, value in _HEADERS.items()}


HEADERS = headers_below("")


class Headers:
    """Middleware: adds headers to every answer."""

    def __init__(self, app: ASGIApp, public_path: str = "", week_start: WeekStart = "monday") -> None:
        """Makes the headers.

        Args:
            app: What answers.
            public_path: PUBLIC_PATH.
            week_start: WEEK_START.
        """
        self.app = app
        self._headers = headers_below(public_path, week_start)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, send_with_headers)
