"""Every write of the second floor that a person asks for; the engine's own are in ``pipelines.engine``."""
