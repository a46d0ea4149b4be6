"""How the cache is stored, and how it is read."""
