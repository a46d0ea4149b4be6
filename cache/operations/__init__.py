"""What an administrator does with a cache by hand."""
