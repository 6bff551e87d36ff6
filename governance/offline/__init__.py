"""What an auditor runs without this server: ``verify_export.py`` goes into every export as it is."""
