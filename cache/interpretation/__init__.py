"""Decides what the columns of a table mean, and reads orders out of its rows as SQL."""
