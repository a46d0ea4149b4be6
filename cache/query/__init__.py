"""Filters, sorts and facets: the filter language, and the column index that answers most queries without DuckDB."""
