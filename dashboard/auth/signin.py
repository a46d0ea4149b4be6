"""Sign-in in front of the dashboard: what the settings ask for, and the form of the password."""

from __future__ import annotations

import hashlib
import hmac
import re
from html import escape
from urllib.parse import parse_qs, quote, urlsplit

import anyio
from anyio import to_thread
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime.secrets import SecretsValue

from cache.access.client_ip import Proxies, counted_as
from cache.errors import SettingsInvalid
from cache.listen_address import is_loopback
from cache.settings import Settings
from dashboard.auth.passwords import COOKIE, SECONDS, Passwords

OPEN_PATHS = ("/_stcore/health",)
WRONG = RateLimitItemPerMinute(10)  # passwords, from one address
BODY_LIMIT = 4096
_PLACE = re.compile(r"/(?![/\\])")  # never another site
_OIDC = ("oidc_metadata_url", "oidc_client_id", "oidc_client_secret")


def check(host: str | None, settings: Settings) -> None:
    """Raises SettingsInvalid where others could reach the dashboard without a sign-in, or the sign-in is half set."""
    oidc = [name for name in _OIDC if getattr(settings, name)]
    if settings.dashboard_viewer_password and not settings.dashboard_password:
        raise SettingsInvalid(
            "DASHBOARD_VIEWER_PASSWORD is set without DASHBOARD_PASSWORD, so that nobody could act.",
            "Set DASHBOARD_PASSWORD, the password of the operators.",
        )
    if oidc and settings.dashboard_password:
        raise SettingsInvalid(
            "Both a password and OpenID Connect are set for the dashboard.",
            f"Take one of them: unset DASHBOARD_PASSWORD, or {_listed(oidc)}.",
        )
    if oidc and (unset := [name for name in (*_OIDC, "dashboard_url") if not getattr(settings, name)]):
        raise SettingsInvalid(f"For a sign-in by OpenID Connect, {_listed(unset)} is missing.", "Set it.")
    if oidc and not (settings.dashboard_operators or settings.dashboard_viewers):
        raise SettingsInvalid(
            "Nobody may sign in by OpenID Connect: both lists are empty.",
            "Name addresses or @domains in DASHBOARD_OPERATORS and DASHBOARD_VIEWERS.",
        )
    if not (oidc or settings.dashboard_password or is_loopback(host)):
        raise SettingsInvalid(
            f"The dashboard would listen on {host or 'all addresses'} without a sign-in.",
            "Set DASHBOARD_PASSWORD, or OIDC_METADATA_URL and what belongs to it, or set DASHBOARD_HOST to 127.0.0.1.",
        )


def hosts(settings: Settings) -> list[str]:
    """Names by which browsers may call the dashboard; empty: any.

    Without a sign-in a page of another site must not get in under a name of its own that leads to this machine. With
    one, it lacks the cookie.
    """
    if settings.dashboard_password or settings.oidc_client_id:
        return []
    named = urlsplit(settings.dashboard_url or "").hostname
    return ["localhost", "127.0.0.1", "::1", "[::1]", settings.dashboard_host, *([named] if named else [])]


def _listed(names: list[str]) -> str:
    return ", ".join(name.upper() for name in names)


def oidc_secrets(settings: Settings, secret: str) -> dict[str, SecretsValue]:
    """What `st.login` looks for among Streamlit's secrets. Parameters: `secret` is the cache's."""
    if not settings.oidc_client_id or not settings.oidc_client_secret:
        return {}
    return {
        "auth": {
            "redirect_uri": f"{(settings.dashboard_url or '').rstrip('/')}/oauth2callback",
            "cookie_secret": hmac.new(secret.encode(), b"dashboard OpenID Connect", hashlib.sha256).hexdigest(),
            "client_id": settings.oidc_client_id,
            "client_secret": settings.oidc_client_secret.get_secret_value(),
            "server_metadata_url": settings.oidc_metadata_url or "",
        }
    }


class SignIn:
    """Middleware: without the cookie of a password there is only the form. Without `passwords` everyone passes.

    Parameters: `settings` tell which proxies are believed, and whether browsers come by https. Raises SettingsInvalid.
    """

    def __init__(self, app: ASGIApp, passwords: Passwords | None, settings: Settings) -> None:
        self.app = app
        self._passwords = passwords
        self._proxies = Proxies(settings.trusted_proxies)
        self._https = (settings.dashboard_url or "").startswith("https:")
        self._wrong = FixedWindowRateLimiter(MemoryStorage())
        self._one = anyio.Lock()  # one password is hashed at a time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or not self._passwords or scope["path"] in OPEN_PATHS:
            return await self.app(scope, receive, send)
        connection = HTTPConnection(scope)
        path = scope["path"]
        if scope["type"] == "http" and path == "/signin" and scope["method"] == "POST":
            return await (await self._sign_in(Request(scope, receive), self._passwords))(scope, receive, send)
        if scope["type"] == "http" and path == "/signout":
            leave = RedirectResponse("/", 303)
            leave.delete_cookie(COOKIE)
            return await leave(scope, receive, send)
        if self._passwords.known(connection.cookies.get(COOKIE, "")):
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        if "text/html" in connection.headers.get("accept", ""):
            query = scope["query_string"].decode("latin-1")
            then = "/" if path == "/signin" else path + (f"?{query}" if query else "")
            return await _form(then)(scope, receive, send)
        return await PlainTextResponse("Sign in first.", 401)(scope, receive, send)

    async def _sign_in(self, request: Request, passwords: Passwords) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > BODY_LIMIT:
                return PlainTextResponse("Too large.", 413)
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        given, then = fields.get("password", [""])[0], fields.get("next", ["/"])[0]
        if not _PLACE.match(then):
            then = "/"
        peer = request.client.host if request.client else ""
        who = counted_as(self._proxies.client(peer, request.scope["headers"]))
        async with self._one:
            if not self._wrong.test(WRONG, who):
                return _form(then, "Too many wrong passwords. Try again in a minute.", 429)
            role = await to_thread.run_sync(passwords.role, given)
            if role is None:
                self._wrong.hit(WRONG, who)
                return _form(then, "That password is not right.", 401)
        entered = RedirectResponse(quote(then, safe="/?&=%+-_.~:,"), 303)
        entered.set_cookie(
            COOKIE, passwords.cookie(role), max_age=SECONDS, httponly=True, samesite="lax",
            secure=self._https or request.url.scheme == "https",
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
</style></head><body><main>
<form method="post" action="/signin">
<h1>Orders</h1>{alert}
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="{next}">
<button>Sign in</button>
</form></main></body></html>
"""
