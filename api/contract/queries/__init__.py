"""The parameters and bodies of requests."""
