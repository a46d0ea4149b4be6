"""The pages and the document that describe the API."""
