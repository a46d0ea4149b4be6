"""The phpMyAdmin client: sessions, requests and responses."""
