"""What people make on the dashboard and no sync can make again: saved views, goals and notes."""
