"""Pages of frameworks."""
