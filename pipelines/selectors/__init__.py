"""Every read of the second floor."""
