"""Customers: who buys and comes back, what customers are worth, how they differ, and one of them."""
