"""Sign-in by one password, in front of everything the dashboard serves, and the headers that every answer carries."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections import deque
from html import escape
from urllib.parse import parse_qs, quote

from itsdangerous import BadSignature, TimestampSigner
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cache.errors import SettingsInvalid

COOKIE, SECONDS = "orders_signin", 7 * 24 * 3600
OPEN_PATHS = ("/_stcore/health",)
WRONG_PER_MINUTE = 10
BODY_LIMIT = 4096


def loopback(host: str | None) -> bool:
    """Whether only this machine can reach an address; None and "" are all addresses."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address((host or "").strip("[]")).is_loopback
    except ValueError:
        return False


def check(host: str | None, password: str | None) -> None:
    """Raises SettingsInvalid where others could reach the dashboard without a sign-in."""
    if not password and not loopback(host):
        raise SettingsInvalid(
            f"The dashboard would listen on {host or 'all addresses'} without a sign-in.",
            "Set DASHBOARD_PASSWORD, or set DASHBOARD_HOST to 127.0.0.1.",
        )


class Headers:
    """Middleware: no page of others may frame the dashboard or guess at its types."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "SAMEORIGIN"
                headers["Referrer-Policy"] = "same-origin"
            await send(message)

        await self.app(scope, receive, sending)


class SignIn:
    """Middleware: without the cookie of a sign-in there is only the form. None as `password` lets everyone in.

    The cookie is signed with a key made of the password: it outlives a restart, and a new password ends it.
    """

    def __init__(self, app: ASGIApp, password: str | None) -> None:
        self.app = app
        self._password = password
        key = hashlib.scrypt((password or "").encode(), salt=b"dashboard sign-in", n=2**14, r=8, p=1)
        self._signer = TimestampSigner(key, salt="dashboard", digest_method=hashlib.sha256)
        self._wrong: deque[float] = deque(maxlen=WRONG_PER_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or not self._password or scope["path"] in OPEN_PATHS:
            return await self.app(scope, receive, send)
        connection = HTTPConnection(scope)
        path = scope["path"]
        if scope["type"] == "http" and path == "/signin" and scope["method"] == "POST":
            return await (await self._sign_in(Request(scope, receive)))(scope, receive, send)
        if scope["type"] == "http" and path == "/signout":
            leave = RedirectResponse("/", 303)
            leave.delete_cookie(COOKIE)
            return await leave(scope, receive, send)
        if self._known(connection):
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        if path in ("/", "/signin"):
            query = scope["query_string"].decode("latin-1")
            return await _form(f"/?{query}" if query and path == "/" else "/")(scope, receive, send)
        return await PlainTextResponse("Sign in first.", 401)(scope, receive, send)

    def _known(self, connection: HTTPConnection) -> bool:
        try:
            self._signer.unsign(connection.cookies.get(COOKIE, ""), max_age=SECONDS)
        except BadSignature:
            return False
        return True

    async def _sign_in(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > BODY_LIMIT:
                return PlainTextResponse("Too large.", 413)
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        given, then = fields.get("password", [""])[0], fields.get("next", ["/"])[0]
        if not then.startswith("/?"):  # never to another site
            then = "/"
        now = time.monotonic()
        if len(self._wrong) == WRONG_PER_MINUTE and now - self._wrong[0] < 60:
            return _form(then, "Too many wrong passwords. Try again in a minute.", 429)
        if not hmac.compare_digest(given.encode(), (self._password or "").encode()):
            self._wrong.append(now)
            return _form(then, "That password is not right.", 401)
        entered = RedirectResponse(quote(then, safe="/?&=%+-_.~:,"), 303)
        entered.set_cookie(
            COOKIE, self._signer.sign(b"in").decode(), max_age=SECONDS, httponly=True, samesite="lax",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return entered


def _form(then: str, fault: str = "", status: int = 401) -> HTMLResponse:
    alert = f'<p role="alert">{escape(fault)}</p>' if fault else ""
    return HTMLResponse(_PAGE.format(next=escape(then), alert=alert), status, {"Cache-Control": "no-store"})


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · Orders</title>
<style>
:root {{ color-scheme: light dark; --accent: light-dark(#0b6b4f, #34c796); --line: light-dark(#c9d2ce, #3a4744); }}
body {{ font: 1rem/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0;
  background: light-dark(#f5f7f6, #0f1413); color: light-dark(#1b2420, #e6ecea); }}
form {{ display: grid; gap: 0.75rem; width: min(20rem, 85vw); padding: 2rem; border: 1px solid var(--line);
  border-radius: 0.75rem; background: light-dark(#fff, #182120); }}
h1 {{ font-size: 1.3rem; margin: 0; }} p {{ margin: 0; color: light-dark(#9e303b, #f2919a); }}
input, button {{ font: inherit; padding: 0.55rem 0.75rem; border-radius: 0.5rem; border: 1px solid var(--line); }}
button {{ background: var(--accent); color: light-dark(#fff, #0f1413); border: 0; cursor: pointer; }}
</style></head><body>
<form method="post" action="/signin">
<h1>Orders</h1>{alert}
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="{next}">
<button>Sign in</button>
</form></body></html>
"""
