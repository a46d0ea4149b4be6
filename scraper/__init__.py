"""Copies a table out of phpMyAdmin into the cache."""
