"""What the query of a request may hold."""

MAX_PARAMETERS = 200  # of a query string
MAX_COLUMNS = 20  # that a parameter names
