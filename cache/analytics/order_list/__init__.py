"""What the list of orders is sorted by, and the queues of orders that wait for somebody."""
