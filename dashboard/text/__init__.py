"""How values, figures, periods and readings are written on the pages."""
