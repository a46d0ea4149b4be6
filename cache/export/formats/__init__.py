"""The file formats in which rows are written."""
