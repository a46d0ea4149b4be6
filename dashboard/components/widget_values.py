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


def key_in_popover(name: str, value: object) -> str:
    """Sets what a widget in a popover shows.

    The browser keeps the value of a widget whose popover is closed, whatever is set, and sends it with each click. So
    where something else than the widget has changed the value, it gets a new key, and the browser forgets the old one.
    The value is set each time, since the texts of a widget may change with the data.

    Args:
        name: The name of the widget.
        value: The value that it is to have.

    Returns:
        Streamlit's key of the widget.
    """
    counter = f"{name} changes"
    changes: int = st.session_state.get(counter, 0)
    if st.session_state.get(_key(name, changes), value) != value:
        changes = st.session_state[counter] = changes + 1
    st.session_state[_key(name, changes)] = value
    return _key(name, changes)


def _key(name: str, changes: int) -> str:
    return f"{name} {changes}" if changes else name
