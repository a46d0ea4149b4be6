"""Sign-in by password, in front of everything that the dashboard serves, and sign-out for both kinds of sign-in."""

from __future__ import annotations

import hmac
import re
from contextlib import suppress
from functools import partial
from html import escape
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, quote

import anyio
from anyio import to_thread
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cache.access.client_ip import Proxies, counted_as
from cache.errors import CacheError
from cache.monitoring.metrics_server import PATH as METRICS_PATH
from cache.settings import Settings
from dashboard.auth.identity import Identities
from dashboard.auth.oidc import CALLBACK_PATH, LOGOUT_PATH
from dashboard.auth.passwords import BROWSER_SECONDS, Passwords
from dashboard.auth.sessions import SESSION_SECONDS

SIGN_IN_PATH, SIGN_OUT_PATH = "/signin", "/signout"
OPEN_PATHS = ("/_stcore/health", METRICS_PATH)  # metrics have a key of their own
WRONG_PASSWORDS = RateLimitItemPerMinute(10)  # from one address, and from the known browsers of one address
BODY_LIMIT = 4096
_LOCAL_PATH = re.compile(r"/(?![/\\])")  # never another site


class SignIn:
    """Middleware: starts and ends sessions. With passwords, a visitor without a session gets the form only.

    With OpenID Connect, the page itself asks visitors to sign in, and Streamlit's routes do it.
    """

    def __init__(self, app: ASGIApp, identities: Identities, settings: Settings) -> None:
        """Reads the settings.

        Args:
            app: What is behind the sign-in.
            identities: Recognises visitors.
            settings: They name the trusted proxies, and say whether browsers come by https.

        Raises:
            SettingsInvalid: TRUSTED_PROXIES is not valid.
        """
        self.app = app
        self._identities = identities
        self._proxies = Proxies(settings.trusted_proxies)
        self._path = settings.public_path
        self._shop = settings.shop_name or "Orders"
        self._https = (settings.dashboard_url or "").startswith("https:")
        self._wrong = FixedWindowRateLimiter(MemoryStorage())
        self._hashing = anyio.Lock()  # one password is hashed at a time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on a request of a visitor with a session; answers any other one."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in OPEN_PATHS:
            return await self.app(scope, receive, send)
        app = self.app
        if self._identities.passwords:
            app = self._by_password(scope, self._identities.passwords)
        elif self._identities.by_oidc:
            app = self._by_oidc(scope)
        with suppress(ClientDisconnect):
            return await app(scope, receive, send)

    def _by_password(self, scope: Scope, passwords: Passwords) -> ASGIApp:
        """What answers a request where passwords are set."""
        if scope["type"] == "http" and scope["path"] == SIGN_OUT_PATH:
            return self._sign_out
        if scope["type"] == "http" and scope["path"] == SIGN_IN_PATH and scope["method"] == "POST":
            return partial(self._sign_in, passwords)
        if self._identities.identify(HTTPConnection(scope).cookies):
            return self.app
        return _close if scope["type"] == "websocket" else self._refused(HTTPConnection(scope))

    def _by_oidc(self, scope: Scope) -> ASGIApp:
        """What answers a request with OpenID Connect."""
        if scope["type"] == "http" and scope["path"] in (SIGN_OUT_PATH, LOGOUT_PATH):
            return self._sign_out
        return self._callback if scope["path"] == CALLBACK_PATH else self.app

    async def _sign_in(self, passwords: Passwords, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._signed_in(Request(scope, receive), passwords)
        await response(scope, receive, send)

    async def _signed_in(self, request: Request, passwords: Passwords) -> Response:
        """The answer to the form for the sign-in: a session and the page that was asked for, or the form again."""
        fields = await _form_fields(request)
        if fields is None:
            return _TOO_LARGE
        password, target = fields.get("password", ""), fields.get("next", "/")
        if not _LOCAL_PATH.match(target):
            target = "/"
        peer = request.client.host if request.client else ""
        client = counted_as(self._proxies.client(peer, request.scope["headers"]))
        counted = passwords.known_browser(request.cookies.get(passwords.browser_cookie, "")) or client
        async with self._hashing:
            if not self._wrong.test(WRONG_PASSWORDS, counted):
                return self._form(target, "Too many wrong passwords. Try again in a minute.", 429)
            role = await to_thread.run_sync(passwords.role_of_password, password)
            if role is None:
                self._wrong.hit(WRONG_PASSWORDS, counted)
                return self._form(target, "Wrong password.", 401)
        cookie = passwords.new_session(role)
        try:
            await to_thread.run_sync(self._identities.start_session, {passwords.session_cookie: cookie})
        except CacheError as error:
            return self._form(target, str(error), 503)
        response = RedirectResponse(self._path + quote(target, safe="/?&=%+-_.~:,"), 303)
        https = self._https or request.url.scheme == "https" or self._proxies.is_https(peer, request.scope["headers"])
        set_cookie = partial(response.set_cookie, httponly=True, samesite="lax", secure=https)
        set_cookie(passwords.session_cookie, cookie, max_age=SESSION_SECONDS)
        set_cookie(passwords.browser_cookie, passwords.new_browser(role, client), max_age=BROWSER_SECONDS)
        return response

    async def _callback(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Starts a session where Streamlit signs a visitor in. Where it cannot, the visitor gets no cookie."""
        failed: list[CacheError] = []

        async def send_started(message: Message) -> None:
            if message["type"] == "http.response.start":
                try:
                    await to_thread.run_sync(self._identities.start_session, _cookies_set(Headers(scope=message)))
                except CacheError as error:
                    failed.append(error)
            if not failed:
                await send(message)

        await self.app(scope, receive, send_started)
        if failed:
            await PlainTextResponse(str(failed[0]), 503)(scope, receive, send)

    async def _sign_out(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ends the session of a visitor who sent the form for the sign-out, and deletes the cookies."""
        request = Request(scope, receive)
        if scope["method"] != "POST" or scope["path"] != SIGN_OUT_PATH:
            return await PlainTextResponse("Sign out by the button.", 405, {"Allow": "POST"})(scope, receive, send)
        fields = await _form_fields(request)
        if fields is None:
            return await _TOO_LARGE(scope, receive, send)
        token = self._identities.form_token(request.cookies)
        if not hmac.compare_digest(fields.get("token", "").encode(), token.encode()):
            refusal = PlainTextResponse("Open the dashboard, and sign out there.", 403)
            return await refusal(scope, receive, send)
        try:
            await to_thread.run_sync(self._identities.end_session, request.cookies, "everywhere" in fields)
        except CacheError as error:
            return await PlainTextResponse(str(error), 503)(scope, receive, send)
        if self._identities.by_oidc:
            logout = {**scope, "method": "GET", "path": LOGOUT_PATH, "raw_path": LOGOUT_PATH.encode()}
            return await self.app(logout, receive, _redirect_by_page(send))
        response = RedirectResponse(f"{self._path}/", 303)
        if self._identities.passwords:
            response.delete_cookie(self._identities.passwords.session_cookie)
        return await response(scope, receive, send)

    def _refused(self, connection: HTTPConnection) -> Response:
        """The form for a browser that asks for a page, else a plain refusal."""
        if "text/html" not in connection.headers.get("accept", ""):
            return PlainTextResponse("Sign in first.", 401)
        path, query = connection.scope["path"], connection.scope["query_string"].decode("latin-1")
        return self._form("/" if path == SIGN_IN_PATH else path + (f"?{query}" if query else ""))

    def _form(self, target: str, error: str = "", status: int = 401) -> HTMLResponse:
        """The form. `target` is the page to open after it."""
        alert = f'<p role="alert">{escape(error)}</p>' if error else ""
        page = _PAGE.format(shop=escape(self._shop), action=self._path + SIGN_IN_PATH, next=escape(target), alert=alert)
        return HTMLResponse(page, status, {"Cache-Control": "no-store"})


async def _form_fields(request: Request) -> dict[str, str] | None:
    """The fields of a form; None for one that is too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT:
            return None
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _cookies_set(headers: Headers) -> dict[str, str]:
    """The cookies that a response sets. Deleted ones are empty."""
    cookies = SimpleCookie()
    for header in headers.getlist("set-cookie"):
        cookies.load(header)
    return {name: morsel.value for name, morsel in cookies.items()}


def _redirect_by_page(send: Send) -> Send:
    """Sends a redirect as a page that opens the address.

    Browsers apply `form-action` of the Content-Security-Policy to redirects after a form, and the provider is another
    site.
    """

    async def send_page(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            page = _REDIRECT.format(url=escape(headers["location"])).encode()
            del headers["location"]
            headers.update({"content-type": "text/html; charset=utf-8", "content-length": str(len(page))})
            headers["cache-control"] = "no-store"
            await send({**message, "status": 200})
            await send({"type": "http.response.body", "body": page})

    return send_page


async def _close(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.close", "code": 1008})


_TOO_LARGE = PlainTextResponse("The form is too large.", 413)
_REDIRECT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Signed out · Orders</title>
<meta http-equiv="refresh" content="0; url={url}"></head>
<body><p>You have signed out. <a href="{url}">Continue</a></p></body></html>
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · {shop}</title>
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
<form method="post" action="{action}">
<h1>{shop}</h1>{alert}
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="{next}">
<button>Sign in</button>
</form></main></body></html>
"""
