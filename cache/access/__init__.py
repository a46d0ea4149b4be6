"""Who may read what: API keys, signed URLs, masked columns, client addresses."""
