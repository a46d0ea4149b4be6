"""The script that Streamlit runs for each visitor: the frame, and the pages in it.

It has a folder of its own, since Streamlit takes every file of a folder `pages` beside it for a page.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.auth import access
from dashboard.components import navigation
from dashboard.pages import PAGES

_HERE = Path(__file__).parents[1]
SIDEBAR = 216  # pixels of its width

st.set_page_config("Orders", str(_HERE / "icon.svg"), layout="wide", initial_sidebar_state=SIDEBAR)
access.gate()
access.account()
navigation.run(PAGES)
