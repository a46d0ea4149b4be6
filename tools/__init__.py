"""Tools for working on the project; the product does not use them."""
