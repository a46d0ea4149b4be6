"""Figures laid out for people: tables by rows and columns, and what changed between two periods."""
