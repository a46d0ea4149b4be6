"""The overview: figures, a chart with goals and notes, and what makes the figures up."""
