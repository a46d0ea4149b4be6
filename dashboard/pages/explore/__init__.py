"""Explore: any figures by any dimensions, as a pivot table and as a picture."""
