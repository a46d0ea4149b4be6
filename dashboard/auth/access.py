"""Who looks at a page, and what they may do there.

    operator    all
    viewer      looks, and asks for a refresh; personal data is masked unless DASHBOARD_PERSONAL_DATA says otherwise

Someone who signed in by OpenID Connect is what the lists of the settings say, who gave a password what that is for.
Where neither is set, only this machine reaches the dashboard, and whoever does is an operator.
"""

from __future__ import annotations

from typing import Literal

import streamlit as st

from cache.access.masking import personal_columns
from cache.analytics.orders import Orders
from dashboard import formatting
from dashboard.auth.passwords import COOKIE, Role
from dashboard.auth.source import source

Action = Literal["accept", "set_up", "personal"]

_PERSONAL_ROLES = ("email", "customer_name", "address")  # also where a set-up gave them columns of other names


def role() -> Role | None:
    """What the visitor is; None: nobody who may look."""
    if source().settings.oidc_client_id:
        return _listed()
    passwords = source().passwords
    return passwords.known(st.context.cookies.get(COOKIE, "")) if passwords else "operator"


def may(action: Action) -> bool:
    """Whether the visitor may accept a held-back snapshot, change the set-up, or see personal data."""
    everyone = action == "personal" and source().settings.dashboard_personal_data == "everyone"
    return role() == "operator" or (everyone and role() is not None)


def masked(orders: Orders) -> frozenset[str]:
    """Names of the columns that the visitor may not see."""
    if may("personal"):
        return frozenset()
    roles = orders.reading.roles
    by_role = {roles[role].name for role in _PERSONAL_ROLES if role in roles}
    return personal_columns(source().settings.personal_columns, orders.columns) | by_role


def gate() -> None:
    """Lets nobody past it who may not look: the script ends here for them."""
    if role():
        return
    with st.container(border=True, horizontal_alignment="center", key="gate"):
        st.title("Orders", anchor=False, width="content")
        if not source().settings.oidc_client_id:
            st.markdown("Your sign-in has ended. Load this page again to sign in.", width="content")
        elif not st.user.is_logged_in:
            st.button("Sign in", type="primary", on_click=st.login, key="sign_in")
        else:
            who = formatting.plain(str(st.user.get("email") or "This account"))
            st.markdown(f"{who} is signed in, and may not see this dashboard.", width="content")
            st.markdown("Ask whoever runs it to put the address on its list.", width="content")
            st.button("Sign out", on_click=st.logout, key="sign_out")
    st.stop()


def account() -> None:
    """At the foot of the sidebar: who is signed in, and the way out; or that only this machine is let in."""
    settings = source().settings
    with st.sidebar:
        if settings.oidc_client_id:
            st.caption(formatting.plain(f"{st.user.get('email')} · {role()}"))
            st.button("Sign out", type="tertiary", icon=":material/logout:", on_click=st.logout, key="sign_out")
        elif source().passwords:
            st.caption(f"Signed in as {role()}")
            st.html('<a href="/signout">Sign out</a>')  # a link in Markdown would open a tab
        else:
            st.caption("No sign-in is set: only this machine reaches the dashboard.")


def _listed() -> Role | None:
    if not st.user.is_logged_in or st.user.get("email_verified") is False:
        return None
    email = str(st.user.get("email") or "").lower()
    if is_among(email, source().settings.dashboard_operators):
        return "operator"
    return "viewer" if is_among(email, source().settings.dashboard_viewers) else None


def is_among(email: str, listed: str) -> bool:
    """Whether a list of addresses and `@domains` names the address."""
    name, at, domain = email.rpartition("@")
    return bool(name) and not {email, at + domain}.isdisjoint(part.strip().lower() for part in listed.split(","))
