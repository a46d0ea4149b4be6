"""What customers are worth, and how they differ."""
