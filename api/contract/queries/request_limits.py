"""What a request may hold, and how long it may take to arrive."""

MAX_HEAD, MAX_BODY = 32 * 1024, 64 * 1024  # bytes
RECEIVE_SECONDS = 20
