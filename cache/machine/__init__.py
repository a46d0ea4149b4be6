"""What the machine, or the container, gives to this process."""
