"""Every write of frameworks."""
