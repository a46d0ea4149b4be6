"""Who visits the dashboard, and what the visitor may do.

    operator    everything
    viewer      sees pages and asks for a refresh; personal data is masked unless DASHBOARD_PERSONAL_DATA shows it

By OpenID Connect the lists in the settings decide, by password the password. Without a sign-in only this computer can
open the dashboard, and everyone there is an operator.
"""

from __future__ import annotations

from html import escape
from typing import Literal

import streamlit as st

from cache.access.masking import NOTHING_HIDDEN, Mask, MaskRules
from cache.analytics.orders import Orders
from cache.settings import Settings
from dashboard.auth.identity import Identities, Identity
from dashboard.auth.oidc import listed_role
from dashboard.auth.passwords import VisitorRole
from dashboard.auth.signin import SIGN_OUT_PATH
from dashboard.text import formatting

Action = Literal["accept_shrunk_table", "change_settings", "see_personal_data", "set_goals", "share_views"]


class Visitor:
    """The visitor of one session."""

    def __init__(self, settings: Settings, identities: Identities) -> None:
        self._settings = settings
        self._identities = identities

    def identity(self) -> Identity | None:
        """Who visits; None for a visitor without access."""
        if self._identities.by_oidc and not st.user.is_logged_in:
            return None  # Streamlit does not accept the cookie from this page
        return self._identities.identify(st.context.cookies)

    def role(self) -> VisitorRole | None:
        """The role of the visitor; None for one without access."""
        identity = self.identity()
        return identity.role if identity else None

    def may(self, action: Action) -> bool:
        """Whether the visitor may do something."""
        everyone = action == "see_personal_data" and self._settings.dashboard_personal_data == "everyone"
        return self.role() == "operator" or (everyone and self.role() is not None)

    def mask(self, orders: Orders) -> Mask:
        """What is hidden from the visitor."""
        if self.may("see_personal_data"):
            return NOTHING_HIDDEN
        return MaskRules.of(self._settings).mask(orders.columns, orders.setup)

    def require_access(self) -> None:
        """Draws the way to sign in and ends the script, where the visitor has no access."""
        if self.role():
            return
        with st.container(border=True, horizontal_alignment="center", key="gate"):
            st.title("Orders", anchor=False, width="content")
            if not self._identities.by_oidc:
                st.markdown("Your session has ended. Reload this page to sign in.", width="content")
            elif not st.user.is_logged_in or listed_role(st.user.to_dict(), self._settings):
                st.button("Sign in", type="primary", on_click=st.login, key="sign_in")
            else:
                account = formatting.literal(str(st.user.get("email") or "This account"))
                st.markdown(f"{account} is signed in, but has no access to this dashboard.", width="content")
                st.markdown("Ask the administrator to add the address.", width="content")
                self._draw_sign_out()
        st.stop()

    def draw_account(self) -> None:
        """Draws who is signed in, and the way to sign out, at the foot of the sidebar."""
        identity = self.identity()
        with st.sidebar:
            if identity and identity.account:
                others = self._identities.sessions.count(identity.account) - 1
                by_email = f"{identity.account} · {identity.role}"
                st.caption(
                    formatting.literal(by_email if self._identities.by_oidc else f"Signed in as {identity.role}")
                )
                self._draw_sign_out(others)
            else:
                st.caption("No sign-in is configured. Only this computer can open the dashboard.")

    def _draw_sign_out(self, others: int = 0) -> None:
        """Draws the form that ends the session, or also the `others` of the account.

        It is a form, since a link must change nothing: a browser may follow it unasked.
        """
        token = escape(self._identities.form_token(st.context.cookies))
        buttons = "<button>Sign out</button>"
        if others:
            buttons += f'<button name="everywhere" value="yes">Sign out everywhere ({others + 1})</button>'
        st.html(
            f'<form class="sign-out" method="post" action="{self._settings.public_path}{SIGN_OUT_PATH}">'
            f'<input type="hidden" name="token" value="{token}">{buttons}</form>'
        )
