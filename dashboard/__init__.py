"""The dashboard: pages over the cache, in Streamlit."""

import cache  # noqa: F401  first: it says which Python is needed
