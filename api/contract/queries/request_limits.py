"""What a request may hold, and how long it may take to arrive."""

MAX_HEAD, MAX_BODY = 32 * 1024, 64 * 1024  # bytes
MAX_PARAMETERS = 200  # of a query string
MAX_COLUMNS = 20  # that a parameter names
RECEIVE_SECONDS = 20
