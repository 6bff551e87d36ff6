"""Every write of the third floor."""
