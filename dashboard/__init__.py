"""The dashboard: pages over the cache, in Streamlit."""
