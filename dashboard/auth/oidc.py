"""Accounts of an OpenID Connect provider: what it says of them, and which role the settings give them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from streamlit.auth_util import get_cookie_with_chunks
from streamlit.runtime.secrets import SecretsValue
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from cache.settings import Settings
from dashboard.auth.passwords import VisitorRole

CALLBACK_PATH, LOGOUT_PATH = "/oauth2callback", "/auth/logout"  # routes of Streamlit


def oidc_secrets(settings: Settings, secret: str) -> dict[str, SecretsValue]:
    """What `st.login` reads from Streamlit's secrets; empty without OpenID Connect.

    Args:
        settings: The settings.
        secret: The secret of the cache.
    """
    if not settings.oidc_client_id or not settings.oidc_client_secret:
        return {}
    return {
        "auth": {
            "redirect_uri": f"{(settings.dashboard_url or '').rstrip('/')}{CALLBACK_PATH}",
            "cookie_secret": cookie_secret(secret),
            "client_id": settings.oidc_client_id,
            "client_secret": settings.oidc_client_secret.get_secret_value(),
            "server_metadata_url": settings.oidc_metadata_url or "",
        }
    }


def signed_claims(cookies: Mapping[str, str], secret: str) -> bytes:
    """What the provider said at a sign-in, as JSON. Its nonce makes it different at each sign-in.

    Args:
        cookies: The cookies of a browser. Streamlit signs them, and splits long ones.
        secret: The secret of the cache.

    Returns:
        The JSON; empty where the browser has no valid cookie.
    """

    def value(name: str) -> bytes | None:
        return decode_signed_value(cookie_secret(secret), name, cookies.get(name, ""))

    return get_cookie_with_chunks(value, USER_COOKIE_NAME) or b""


def listed_role(claims: Mapping[str, object], settings: Settings) -> VisitorRole | None:
    """The role that the lists in the settings give to an account.

    Args:
        claims: What the OpenID Connect provider says of the account. Its address counts only if `email_verified` is
            `true` (OpenID Connect Core 1.0, section 5.1), or if OIDC_UNVERIFIED_EMAILS accepts all.
        settings: The settings.
    """
    email = claims.get("email")
    verified = claims.get("email_verified") is True or settings.oidc_unverified_emails == "accepted"
    if not isinstance(email, str) or not verified:
        return None
    if is_listed(email, settings.dashboard_operators):
        return "operator"
    return "viewer" if is_listed(email, settings.dashboard_viewers) else None


def is_listed(email: str, addresses: str) -> bool:
    """Whether a list contains an e-mail address. One without exactly one `@` is in no list.

    Args:
        email: The address.
        addresses: Addresses and `@domains`, separated by commas.
    """
    name, _, domain = email.lower().partition("@")
    listed = {part.strip().lower() for part in addresses.split(",")}
    return bool(name and domain) and "@" not in domain and not {f"{name}@{domain}", f"@{domain}"}.isdisjoint(listed)


def cookie_secret(secret: str) -> str:
    """The secret with which Streamlit signs its cookies, made of the secret of the cache."""
    return hmac.new(secret.encode(), b"dashboard OpenID Connect", hashlib.sha256).hexdigest()
