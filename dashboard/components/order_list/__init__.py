"""The parts of the list of orders: its columns, its sums and its queues."""
