"""Rows as files (JSON, CSV, XLSX, Parquet), and queries that need DuckDB, in worker processes."""
