"""What a widget shows."""

from __future__ import annotations

import streamlit as st


def set_value(key: str, value: object) -> None:
    """Sets what a widget shows, unless it shows that already.

    Whatever is set goes to the browser, and there it undoes a click that is still on its way here. A widget whose
    texts change with the data is set each time, for the browser knows its value by the text.

    Args:
        key: Streamlit's key of the widget.
        value: The value that it is to have, usually the one in the address.
    """
    if st.session_state.get(key) != value:
        st.session_state[key] = value
