"""The version of the product; pyproject.toml, the API and its description take it from here."""

VERSION = "0.1.0"
