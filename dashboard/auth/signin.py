"""Sign-in by password, in front of everything that the dashboard serves."""

from __future__ import annotations

import re
from html import escape
from urllib.parse import parse_qs, quote

import anyio
from anyio import to_thread
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cache.access.client_ip import Proxies, counted_as
from cache.settings import Settings
from dashboard.auth.passwords import COOKIE, COOKIE_SECONDS, Passwords

OPEN_PATHS = ("/_stcore/health",)
WRONG_PASSWORDS = RateLimitItemPerMinute(10)  # from one address
BODY_LIMIT = 4096
_LOCAL_PATH = re.compile(r"/(?![/\\])")  # never another site


class SignIn:
    """Middleware: a visitor without the cookie of a password gets the form only."""

    def __init__(self, app: ASGIApp, passwords: Passwords | None, settings: Settings) -> None:
        """Reads the settings.

        Args:
            app: What is behind the sign-in.
            passwords: The passwords; None lets everyone pass.
            settings: They name the trusted proxies, and say whether browsers come by https.

        Raises:
            SettingsInvalid: TRUSTED_PROXIES is not valid.
        """
        self.app = app
        self._passwords = passwords
        self._proxies = Proxies(settings.trusted_proxies)
        self._https = (settings.dashboard_url or "").startswith("https:")
        self._wrong = FixedWindowRateLimiter(MemoryStorage())
        self._hashing = anyio.Lock()  # one password is hashed at a time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on a request with a valid cookie; answers any other one."""
        if scope["type"] not in ("http", "websocket") or not self._passwords or scope["path"] in OPEN_PATHS:
            return await self.app(scope, receive, send)
        if scope["type"] == "http" and scope["path"] == "/signin" and scope["method"] == "POST":
            response = await self._sign_in(Request(scope, receive), self._passwords)
            return await response(scope, receive, send)
        if scope["type"] == "http" and scope["path"] == "/signout":
            return await _signed_out()(scope, receive, send)
        if self._passwords.role_of_cookie(HTTPConnection(scope).cookies.get(COOKIE, "")):
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        return await _refused(HTTPConnection(scope))(scope, receive, send)

    async def _sign_in(self, request: Request, passwords: Passwords) -> Response:
        """The answer to a form: the cookie and the page that was asked for, or the form again."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > BODY_LIMIT:
                return PlainTextResponse("The form is too large.", 413)
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        password, target = fields.get("password", [""])[0], fields.get("next", ["/"])[0]
        if not _LOCAL_PATH.match(target):
            target = "/"
        peer = request.client.host if request.client else ""
        client = counted_as(self._proxies.client(peer, request.scope["headers"]))
        async with self._hashing:
            if not self._wrong.test(WRONG_PASSWORDS, client):
                return _form(target, "Too many wrong passwords. Try again in a minute.", 429)
            role = await to_thread.run_sync(passwords.role_of_password, password)
            if role is None:
                self._wrong.hit(WRONG_PASSWORDS, client)
                return _form(target, "Wrong password.", 401)
        response = RedirectResponse(quote(target, safe="/?&=%+-_.~:,"), 303)
        response.set_cookie(
            COOKIE,
            passwords.cookie(role),
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="lax",
            secure=self._https or request.url.scheme == "https",
        )
        return response


def _signed_out() -> Response:
    response = RedirectResponse("/", 303)
    response.delete_cookie(COOKIE)
    return response


def _refused(connection: HTTPConnection) -> Response:
    """The form for a browser that asks for a page, else a plain refusal."""
    if "text/html" not in connection.headers.get("accept", ""):
        return PlainTextResponse("Sign in first.", 401)
    path, query = connection.scope["path"], connection.scope["query_string"].decode("latin-1")
    return _form("/" if path == "/signin" else path + (f"?{query}" if query else ""))


def _form(target: str, error: str = "", status: int = 401) -> HTMLResponse:
    """The form. `target` is the page to open after it."""
    alert = f'<p role="alert">{escape(error)}</p>' if error else ""
    return HTMLResponse(_PAGE.format(next=escape(target), alert=alert), status, {"Cache-Control": "no-store"})


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
</style></head><body><main>
<form method="post" action="/signin">
<h1>Orders</h1>{alert}
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="{next}">
<button>Sign in</button>
</form></main></body></html>
"""
