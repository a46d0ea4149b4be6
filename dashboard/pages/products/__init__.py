"""Products: what sold, what is bought together, what new customers buy first, and what stopped selling."""
