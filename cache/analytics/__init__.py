"""Figures: what the columns of an orders table mean, and what is computed from them."""
