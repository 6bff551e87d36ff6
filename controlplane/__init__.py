"""Top floor: settings, URLs, the Celery app, shell pages and commands."""

__version__ = "0.1.0"
