"""Dimensions: what figures are grouped and filtered by."""
