"""Saved views: what a visitor may do with them, the chip that saves one, and what their addresses ask for."""
