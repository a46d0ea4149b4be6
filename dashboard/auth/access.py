"""Who visits the dashboard, and what the visitor may do.

    operator    everything
    viewer      sees pages and asks for a refresh; personal data is masked unless DASHBOARD_PERSONAL_DATA shows it

By OpenID Connect the lists in the settings decide, by password the password. Without a sign-in only this computer can
open the dashboard, and everyone there is an operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import streamlit as st

from cache.access.masking import personal_columns
from cache.analytics.orders import Orders
from cache.settings import Settings
from dashboard.auth.passwords import COOKIE, Passwords, VisitorRole
from dashboard.text import formatting

Action = Literal["accept_shrunk_table", "change_settings", "see_personal_data"]

_PERSONAL_ROLES = ("email", "customer_name", "address")  # also where the settings gave them columns of other names


class Visitor:
    """The visitor of one session."""

    def __init__(self, settings: Settings, passwords: Passwords | None) -> None:
        self._settings = settings
        self._passwords = passwords

    def role(self) -> VisitorRole | None:
        """The role of the visitor; None for one without access."""
        if self._settings.oidc_client_id:
            return self._listed_role()
        if self._passwords:
            return self._passwords.role_of_cookie(st.context.cookies.get(COOKIE, ""))
        return "operator"

    def may(self, action: Action) -> bool:
        """Whether the visitor may do something."""
        everyone = action == "see_personal_data" and self._settings.dashboard_personal_data == "everyone"
        return self.role() == "operator" or (everyone and self.role() is not None)

    def masked_columns(self, orders: Orders) -> frozenset[str]:
        """Names of the columns that the visitor may not see."""
        if self.may("see_personal_data"):
            return frozenset()
        roles = orders.roles
        by_role = {roles[role].name for role in _PERSONAL_ROLES if role in roles}
        return personal_columns(self._settings.personal_columns, orders.columns) | by_role

    def require_access(self) -> None:
        """Draws the way to sign in and ends the script, where the visitor has no access."""
        if self.role():
            return
        with st.container(border=True, horizontal_alignment="center", key="gate"):
            st.title("Orders", anchor=False, width="content")
            if not self._settings.oidc_client_id:
                st.markdown("Your session has expired. Reload this page to sign in.", width="content")
            elif not st.user.is_logged_in:
                st.button("Sign in", type="primary", on_click=st.login, key="sign_in")
            else:
                account = formatting.plain(str(st.user.get("email") or "This account"))
                st.markdown(f"{account} is signed in, but has no access to this dashboard.", width="content")
                st.markdown("Ask the administrator to add the address.", width="content")
                st.button("Sign out", on_click=st.logout, key="sign_out")
        st.stop()

    def draw_account(self) -> None:
        """Draws who is signed in, and the way to sign out, at the foot of the sidebar."""
        with st.sidebar:
            if self._settings.oidc_client_id:
                st.caption(formatting.plain(f"{st.user.get('email')} · {self.role()}"))
                st.button("Sign out", type="tertiary", icon=":material/logout:", on_click=st.logout, key="sign_out")
            elif self._passwords:
                st.caption(f"Signed in as {self.role()}")
                st.html('<a href="/signout">Sign out</a>')  # a link in Markdown would open a tab
            else:
                st.caption("No sign-in is configured. Only this computer can open the dashboard.")

    def _listed_role(self) -> VisitorRole | None:
        return listed_role(st.user.to_dict(), self._settings) if st.user.is_logged_in else None


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
