"""The days of a shop: periods, steps of time, and days with an unusual number of orders."""
