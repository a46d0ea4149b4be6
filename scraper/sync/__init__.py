"""One sync: reconcile the copy with the table, assemble segments, publish a generation."""
