"""Checks over the data: whether the orders of a generation add up, computed at publish and stored with it."""
