"""Copies a table out of phpMyAdmin into the cache."""

import cache  # noqa: F401  first: it says which Python is needed
