"""Who may open the dashboard, and what each visitor may do."""
