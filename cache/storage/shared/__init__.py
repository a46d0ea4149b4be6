"""The shared cache: terms, journal and documents in PostgreSQL, for several hosts. Nothing else imports psycopg."""
