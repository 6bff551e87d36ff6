"""Every write of risk."""
