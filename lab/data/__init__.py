"""The rows of the shop: how they are made, loaded and changed."""
