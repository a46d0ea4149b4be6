"""Tells other programs how syncs go: a monitor, after each verified sync, and a webhook, when something is wrong."""
