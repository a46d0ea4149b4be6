"""The login, in Chrome or over plain HTTP."""
