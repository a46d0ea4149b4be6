"""The script that Streamlit runs for each visitor: the frame, and the page in it.

It has a folder of its own, since Streamlit takes every file in a folder `pages` next to the script for a page.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from dashboard.backend import shared_backend
from dashboard.navigator import PageEntry
from dashboard.pages import PAGES
from dashboard.saved.visitor_views import VisitorViews
from dashboard.session import Session

_FOLDER = Path(__file__).parents[1]
SIDEBAR = 216  # width in pixels

st.set_page_config("Orders", str(_FOLDER / "icon.svg"), layout="wide", initial_sidebar_state=SIDEBAR)
session = Session.current(shared_backend())
session.visitor.require_access()
session.navigator.run(
    {path: PageEntry(title, icon, partial(session.draw, draw)) for path, (title, icon, draw) in PAGES.items()},
    session.shop.title,
    session.visitor.draw_account,
    lambda: VisitorViews(session).opening(PAGES),
)
