"""What the settings say about the sign-in of the dashboard."""

from __future__ import annotations

from urllib.parse import urlsplit

from cache.errors import SettingsInvalid
from cache.listen_address import is_loopback
from cache.settings import Settings

_OIDC = ("oidc_metadata_url", "oidc_client_id", "oidc_client_secret")


def check_signin(host: str | None, settings: Settings) -> None:
    """Refuses settings that leave the dashboard open, or a sign-in that is incomplete.

    Args:
        host: The address that the dashboard listens on; None and "" are all addresses.
        settings: The settings.

    Raises:
        SettingsInvalid: Other machines could open the dashboard without a sign-in, or a setting is missing.
    """
    oidc = [name for name in _OIDC if getattr(settings, name)]
    if settings.dashboard_viewer_password and not settings.dashboard_password:
        raise SettingsInvalid(
            "DASHBOARD_VIEWER_PASSWORD is set without DASHBOARD_PASSWORD, so nobody could sign in as an operator.",
            "Set DASHBOARD_PASSWORD, the password of operators.",
        )
    if oidc and settings.dashboard_password:
        raise SettingsInvalid(
            "Both a password and OpenID Connect are set for the dashboard.",
            f"Use one of them: unset DASHBOARD_PASSWORD, or {_upper(oidc)}.",
        )
    if oidc and (missing := [name for name in (*_OIDC, "dashboard_url") if not getattr(settings, name)]):
        raise SettingsInvalid(
            f"OpenID Connect is set up only in part: {_upper(missing)} is missing.", "Set what is missing."
        )
    if oidc and not (settings.dashboard_operators or settings.dashboard_viewers):
        raise SettingsInvalid(
            "Nobody can sign in by OpenID Connect: both lists of addresses are empty.",
            "List e-mail addresses or @domains in DASHBOARD_OPERATORS and DASHBOARD_VIEWERS.",
        )
    if not (oidc or settings.dashboard_password or is_loopback(host)):
        raise SettingsInvalid(
            f"The dashboard would listen on {host or 'all addresses'} without a sign-in"
            + (", since PORT is set." if settings.port is not None else "."),
            "Set DASHBOARD_PASSWORD, or the settings of OpenID Connect. To open it on this machine only, set "
            "DASHBOARD_HOST to 127.0.0.1. To serve the API alone, start python api_sidecar.py.",
        )


def allowed_hosts(settings: Settings) -> list[str]:
    """Names by which browsers may call the dashboard; empty: any.

    Without a sign-in a page of another site must not get in by a domain of its own that resolves to this machine. With
    a sign-in it lacks the cookie.
    """
    if settings.dashboard_password or settings.oidc_client_id:
        return []
    public = urlsplit(settings.dashboard_url or "").hostname
    return ["localhost", "127.0.0.1", "::1", "[::1]", settings.dashboard_host, *([public] if public else [])]


def _upper(names: list[str]) -> str:
    return ", ".join(name.upper() for name in names)
