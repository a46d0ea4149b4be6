"""The script that Streamlit runs for each visitor: the frame, and the pages in it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.pages.overview import overview

_HERE = Path(__file__).parent

st.set_page_config(page_title="Orders", page_icon=str(_HERE / "icon.svg"), layout="wide")
st.html(_HERE / "style.css")
st.navigation([st.Page(overview, title="Overview", icon=":material/monitoring:", default=True)]).run()
