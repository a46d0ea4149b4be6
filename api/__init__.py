"""The HTTP API over the cache. It reads the cache, asks it for refreshes, and knows nothing of phpMyAdmin."""

import cache  # noqa: F401  first: it says which Python is needed
