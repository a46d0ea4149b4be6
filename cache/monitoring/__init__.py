"""What tells the operator how the product does: metrics for Prometheus."""
