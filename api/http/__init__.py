"""How responses are sent: headers, the fast path, limits of a connection, files."""
