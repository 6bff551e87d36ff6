"""Every read of frameworks."""
