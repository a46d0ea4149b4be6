"""The cache: what is stored, who may read it, and what is computed from it."""
