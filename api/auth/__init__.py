"""Who may use the API: keys, signed addresses and rate limits."""
