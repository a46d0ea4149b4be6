"""What a table is, and the SQL that reads and checks it."""
