"""Every read of the third floor."""
